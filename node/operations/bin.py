"""What is in the trash, kept up to date as records change, so that `status` and `flow ls` need not look for it."""

from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

from protocol.pin_index import SignedPin
from protocol.recordset import RecordSet


class Moves(NamedTuple):
    """Pins that have just come into the trash, and that are out of it again."""

    trashed: tuple[SignedPin, ...]
    undeleted: tuple[SignedPin, ...]


class Bin:
    """The live pins that are in the trash."""

    def __init__(self, records: RecordSet) -> None:
        self._records = records
        self._pins: dict[bytes, tuple[SignedPin, ...]] = {}
        self._gone: set[bytes] = set()
        self._flows: Counter[str] = Counter()
        self.changed(list(records.roots()))

    def changed(self, roots: Iterable[bytes]) -> Moves:
        """The live pins of these roots may have changed. Returns what that brought into the trash, and out of it."""
        trashed_now: list[SignedPin] = []
        undeleted: list[SignedPin] = []
        for root in roots:
            live = self._records.live_pins(root)
            trashed = tuple([pin for pin in live if pin.record.trashed_ms is not None])
            if not trashed and root not in self._pins:
                continue
            were = set()
            for pin in self._pins.pop(root, ()):
                self._flows[pin.record.flow] -= 1
                were.add(pin.key)
            self._gone.discard(root)
            if trashed:
                self._pins[root] = trashed
                self._flows.update(pin.record.flow for pin in trashed)
            if trashed and len(trashed) == len(live):
                self._gone.add(root)
            trashed_now += (pin for pin in trashed if pin.key not in were)
            undeleted += (pin for pin in live if pin.record.trashed_ms is None and pin.key in were)
        return Moves(tuple(trashed_now), tuple(undeleted))

    @property
    def roots_count(self) -> int:
        """Roots whose live pins are all in the trash."""
        return len(self._gone)

    def count_in(self, flow: str) -> int:
        """Trashed pins of a flow."""
        return self._flows[flow]

    def pins(self) -> list[SignedPin]:
        """Every trashed pin."""
        return [pin for pins in self._pins.values() for pin in pins]
