"""What a record set says: the asking half of `protocol.recordset`, where each answer costs what it holds and no more."""

from collections.abc import Iterable, Iterator, Mapping
from typing import cast

from protocol.authored import KeysByAuthor
from protocol.changes import Wanted
from protocol.charter import Charter
from protocol.charter_chain import CharterChain
from protocol.counting import Counting
from protocol.fields import Replicas
from protocol.identity import PeerId
from protocol.ordered import OrderedSet
from protocol.pin_index import PinIndex, SignedPin
from protocol.records import RECORD_KEY_BYTES, Expulsion, Flow, Pin, Record, Signed, record_key
from protocol.roles import Standing
from protocol.slots import Slot
from protocol.stamp import Stamp


class RecordView:
    """The records of one swarm, to be looked at.

    Attributes:
        swarm: hash of the first charter, 32 bytes.
        tally: what counts, in the order in which sync compares it; read only.
    """

    swarm: bytes
    tally: OrderedSet[Signed[Record]]
    _counting: Counting
    _slots: dict[bytes, Slot]
    _by_author: KeysByAuthor
    _pins: PinIndex
    _flows: dict[str, Signed[Flow]]

    @property
    def charter(self) -> Charter | None:
        """The charter in force; None before the first was merged."""
        return self._counting.charters.charter

    @property
    def trash_days(self) -> int:
        """How long what is removed stays in the trash."""
        return self._counting.trash_days

    @property
    def charters(self) -> CharterChain:
        """Every charter that is valid, and which branch holds; read only."""
        return self._counting.charters

    @property
    def charter_raws(self) -> tuple[bytes, ...]:
        """The signed bytes of every valid charter, the first charter first."""
        valid = self._counting.charters.valid.values()
        return tuple(s.raw for s in sorted(valid, key=lambda s: (cast("Charter", s.record).number, s.digest)))

    @property
    def forked(self) -> bool:
        return self._counting.charters.forked

    def is_steward(self, key: str, stamp: Stamp | None = None) -> bool:
        """Tell whether the key is a steward's, now or for what it stamped then."""
        charter = self.charter
        if stamp is None:
            return charter is not None and key in charter.stewards
        return self._counting.charters.is_steward(key, stamp)

    def standing(self, peer: str) -> Standing | None:
        """Return what holds for a peer, or None if nobody has admitted or expelled it."""
        return self._counting.roles.standings.get(PeerId(peer))

    def expulsion_of(self, peer: str) -> Signed[Record] | None:
        """Return the last counting expulsion of a peer, even if it was admitted again since."""
        return self.get(record_key(Expulsion(peer=PeerId(peer)), "", b""))

    def role(self, peer: str) -> tuple[str, ...]:
        """Return a peer's roles, none for a stranger, one that left or one expelled."""
        standing = self.standing(peer)
        return () if standing is None or standing.left else standing.roles

    def is_member(self, peer: str) -> bool:
        standing = self.standing(peer)
        return standing is not None and standing.member

    def members(self) -> tuple[PeerId, ...]:
        """Return the members in order of their ids."""
        return tuple(sorted(peer for peer, standing in self._counting.roles.standings.items() if standing.member))

    def standings(self) -> Mapping[PeerId, Standing]:
        return self._counting.roles.standings

    def uses(self, certificate_hash: bytes) -> frozenset[PeerId]:
        """Return the peers that admissions kept here name under one certificate, over-used ones included."""
        return self._counting.uses(certificate_hash)

    def live_pins(self, root: bytes) -> tuple[SignedPin, ...]:
        """Return the live pins of a root, trashed ones included."""
        return self._pins.by_root.get(root)

    def pins_by_flow(self, flow: str) -> tuple[SignedPin, ...]:
        return self._pins.by_flow.get(flow)

    def flow_names(self) -> Iterator[str]:
        """Iterate over the flows that live pins are in, whether they have a record of their own or not."""
        return self._pins.by_flow.keys()

    def pins_by_name(self, flow: str, name: str) -> tuple[SignedPin, ...]:
        return self._pins.by_name.get((flow, name))

    def pins_by_original(self, original: bytes) -> tuple[SignedPin, ...]:
        return self._pins.by_original.get(original)

    def roots(self) -> Iterator[bytes]:
        """Iterate over the roots that live pins want, trashed ones included."""
        return self._pins.by_root.keys()

    @property
    def root_count(self) -> int:
        return len(self._pins.by_root)

    @property
    def pin_count(self) -> int:
        return self._pins.count

    @property
    def flows(self) -> Mapping[str, Signed[Flow]]:
        """The flows that are not deleted, by name."""
        return self._flows

    def replicas_of(self, pin: Pin) -> Replicas:
        """Return a pin's factor: its own, its flow's or the charter's, within the charter's bounds."""
        flow = self._flows.get(pin.flow)
        return self.clamp(pin.replicas or (flow.record.replicas if flow is not None else None))

    def clamp(self, replicas: Replicas | None) -> Replicas:
        """Return a factor within the charter's bounds; None is the charter's default."""
        return self._counting.clamp(replicas)

    def wanted(self, root: bytes) -> Wanted | None:
        """Return how many copies of a root are wanted and where, or None if no live pin wants it."""
        pins = self._pins.by_root.get(root)
        if not pins:
            return None
        factors = [self.replicas_of(pin.record) for pin in pins]
        kinds = tuple(sorted({pin.record.backend for pin in pins}))
        return Wanted(max(f.min for f in factors), max(f.max for f in factors), kinds)

    def get(self, key: bytes) -> Signed[Record] | None:
        """Return the record that counts for a key."""
        slot = self._slots.get(key)
        return None if slot is None else slot.counting

    def knows(self, signed_digest: bytes, key: bytes) -> bool:
        """Tell whether a record is kept here, counting or not."""
        slot = self._slots.get(key)
        return slot is not None and any(kept.digest == signed_digest for kept in slot.kept)

    def kept_as(self, storage_keys: Iterable[bytes]) -> Iterator[Signed[Record]]:
        """Iterate over the records kept, counting or not, that have one of these storage keys."""
        wanted = set(storage_keys)
        slots = (self._slots.get(key) for key in {storage_key[:RECORD_KEY_BYTES] for storage_key in wanted})
        return (kept for slot in slots if slot is not None for kept in slot.kept if kept.storage_key in wanted)

    def keys_by(self, author: str) -> tuple[bytes, ...]:
        """Return the keys under which records of one author are kept, counting or not."""
        return tuple(self._by_author.of(author))

    def records_by(self, author: str) -> tuple[Signed[Record], ...]:
        """Return the counting records of one author."""
        slots = (self._slots[key] for key in self._by_author.of(author))
        return tuple(s.counting for s in slots if s.counting is not None and s.counting.author == author)

    @property
    def digest(self) -> bytes:
        """32 bytes, equal on peers whose counting records are equal."""
        return self.tally.digest

    def governing(self) -> Iterator[Signed[Record]]:
        """Iterate over the records kept that say who may do what; it costs as many steps as there are of them."""
        return (kept for key in self._counting.judged_keys if key in self._slots for kept in self._slots[key].kept)

    def __iter__(self) -> Iterator[Signed[Record]]:
        """Iterate over every record kept, counting or not: what storage must hold."""
        return (kept for slot in self._slots.values() for kept in slot.kept)

    def __len__(self) -> int:
        return len(self.tally)
