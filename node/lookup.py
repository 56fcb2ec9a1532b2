"""What a person means by REF: a root CID, a unique prefix of one, an original's CID, or a file name in a flow."""

from collections.abc import Iterable, Iterator

from sortedcontainers import SortedSet

from node.errors import Ambiguous, NotFound
from protocol.pin import Pin
from protocol.pin_index import SignedPin
from protocol.recordset import RecordSet
from store.cid import cid_text, parse_cid
from store.errors import BadCid

SURE_PREFIX_CHARS = 8
"""A shorter prefix gives way to a name: all our roots begin with the same five characters, and a file may, too."""
MAX_CANDIDATES = 20
LOOKED_THROUGH = 5000
"""Pins at most that are all looked through to tell a person what he may have meant: 2 ms."""
_BASE32 = "abcdefghijklmnopqrstuvwxyz234567"


class Lookup:
    """Resolves references against the live pins.

    Roots are kept in order, so that a prefix is a range. What `changed` is told of is put in order when somebody looks:
    most changes of a newcomer's come by the thousand, and before anybody does.
    """

    def __init__(self, records: RecordSet) -> None:
        self._records = records
        self._in_order = SortedSet(records.roots())
        self._dirty: set[bytes] = set()

    def changed(self, roots: Iterable[bytes]) -> None:
        """The live pins of these roots may have come or gone."""
        self._dirty.update(roots)

    @property
    def _roots(self) -> SortedSet:
        """The roots that live pins want, in order."""
        if self._dirty:
            dirty, self._dirty = self._dirty, set()
            wanted = {root for root in dirty if self._records.live_pins(root)}
            self._in_order.difference_update(dirty - wanted)
            self._in_order.update(wanted)
        return self._in_order

    def roots_after(self, root: bytes) -> Iterator[bytes]:
        """The roots that live pins want, in order, from the one after `root` on."""
        return iter(self._roots.irange(root, inclusive=(False, True)))

    def find(self, ref: str, flow: str | None = None, *, trashed: bool = False, suggest: bool = True) -> bytes:
        """The root that `ref` stands for.

        Args:
            flow: look for a name only there, and for roots only with a pin there.
            trashed: whether pins in the trash count instead of those outside it.
            suggest: say what may have been meant where nothing is called that: a hundred times the work.

        Raises:
            NotFound: nothing is called that.
            Ambiguous: several roots are; `candidates` lists them.
        """
        roots: set[bytes] = set()
        for pins in self._readings(ref, flow):
            fitting = (pin.record.root for pin in pins if _fits(pin.record, flow, trashed))
            roots = _some(fitting)
            if roots:
                break
        if not roots:
            where = f" in flow {flow}" if flow else ""
            what = f"{ref}: no such image{where}{' in the trash' if trashed else ''}"
            raise NotFound(what, hint=self._nearest(ref, flow, trashed=trashed) if suggest else None)
        if len(roots) > 1:
            listed = sorted(map(cid_text, roots))
            count = len(roots) if len(roots) <= MAX_CANDIDATES else f"more than {MAX_CANDIDATES}"
            raise Ambiguous(f"{ref}: stands for {count} images", candidates=listed[:MAX_CANDIDATES])
        return roots.pop()

    def pins(self, root: bytes, flow: str | None = None, *, trashed: bool = False) -> list[Pin]:
        """The live pins of a root, earliest first."""
        pins = [pin.record for pin in self._records.live_pins(root) if _fits(pin.record, flow, trashed)]
        return sorted(pins, key=lambda pin: (pin.added_at_ms or 0, pin.id))

    def _readings(self, ref: str, flow: str | None) -> Iterator[Iterable[SignedPin]]:
        """What `ref` may mean, the most exact first."""
        try:
            cid = parse_cid(ref)
        except BadCid:
            pass
        else:
            yield self._records.live_pins(cid)
            yield self._records.pins_by_original(cid)
        if len(ref) < SURE_PREFIX_CHARS:
            yield self._by_name(ref, flow)
        yield self._by_prefix(ref)
        yield self._by_name(ref, flow)

    def _by_prefix(self, ref: str) -> Iterator[SignedPin]:
        """One after the other, as far as somebody looks: a short prefix is that of all roots."""
        found = self._in_range(ref) if ref.startswith("b") else self._old_style(ref)
        return (pin for root in found for pin in self._records.live_pins(root))

    def _in_range(self, ref: str) -> Iterator[bytes]:
        digits = ref[1:].lower()
        if not set(digits) <= set(_BASE32):
            return iter(())
        number = 0
        for digit in digits:
            number = number << 5 | _BASE32.index(digit)
        bits = 5 * len(digits)
        spare = -bits % 8
        low = (number << spare).to_bytes((bits + spare) // 8, "big")
        high = ((number << spare) | ((1 << spare) - 1)).to_bytes((bits + spare) // 8, "big") + b"\xff" * 128
        return (root for root in self._roots.irange(low, high) if root[:1] == b"\x01")

    def _old_style(self, ref: str) -> Iterator[bytes]:
        """Roots of version 0: few where any; base58 has no ranges of bytes."""
        if not ref.startswith("Qm"):
            return iter(())
        return (root for root in self._roots.irange(b"\x12\x20", b"\x12\x21") if cid_text(root).startswith(ref))

    def _nearest(self, ref: str, flow: str | None, *, trashed: bool) -> str | None:
        """What to try where one image alone is called so but for its folder; None in a large swarm."""
        last = _last_part(ref)
        if not last or self._records.pin_count > LOOKED_THROUGH:
            return None
        flows = (flow,) if flow is not None else self._records.flow_names()
        pins = (pin.record for name in flows for pin in self._records.pins_by_flow(name))
        named = [pin for pin in pins if _last_part(pin.name or "") == last and _fits(pin, flow, trashed)]
        if len({pin.root for pin in named}) != 1:
            return None
        return f"the only image with such a name is {named[0].name}, in flow {named[0].flow}"

    def _by_name(self, ref: str, flow: str | None) -> list[SignedPin]:
        flows = (flow,) if flow is not None else self._records.flow_names()
        return [pin for name in flows for pin in self._records.pins_by_name(name, ref)]


def _last_part(name: str) -> str:
    return name.rsplit("/", 1)[-1]


def _some(roots: Iterable[bytes]) -> set[bytes]:
    """The first different ones: as many as anybody is told of, and one more."""
    found: set[bytes] = set()
    for root in roots:
        found.add(root)
        if len(found) > MAX_CANDIDATES:
            break
    return found


def _fits(pin: Pin, flow: str | None, trashed: bool) -> bool:
    return (flow is None or pin.flow == flow) and (pin.trashed_ms is not None) == trashed
