"""Look live pins up by root, flow, name and original, each in constant time.

Nearly every root, name and original has one pin, so an entry is that pin itself until there is a second.
"""

from collections.abc import Hashable, Iterator
from typing import Generic, TypeVar

from protocol.pin import Pin
from protocol.records import Signed

K = TypeVar("K", bound=Hashable)
SignedPin = Signed[Pin]


class Index(Generic[K]):
    """Pins under a key of one kind."""

    __slots__ = ("_entries",)

    def __init__(self) -> None:
        self._entries: dict[K, SignedPin | dict[bytes, SignedPin]] = {}

    def add(self, key: K, pin: SignedPin) -> None:
        entry = self._entries.get(key)
        if entry is None:
            self._entries[key] = pin
        elif isinstance(entry, dict):
            entry[pin.key] = pin
        else:
            self._entries[key] = {entry.key: entry, pin.key: pin}

    def remove(self, key: K, pin: SignedPin) -> None:
        entry = self._entries[key]
        if isinstance(entry, dict):
            del entry[pin.key]
            if not entry:
                del self._entries[key]
        else:
            del self._entries[key]

    def get(self, key: K) -> tuple[SignedPin, ...]:
        entry = self._entries.get(key)
        if entry is None:
            return ()
        return tuple(entry.values()) if isinstance(entry, dict) else (entry,)

    def holds(self, key: K, pin: SignedPin) -> bool:
        entry = self._entries.get(key)
        return entry is pin or (isinstance(entry, dict) and entry.get(pin.key) is pin)

    def keys(self) -> Iterator[K]:
        return iter(self._entries)

    def __contains__(self, key: K) -> bool:
        return key in self._entries

    def __len__(self) -> int:
        return len(self._entries)


class PinIndex:
    """The live pins, trashed ones included."""

    __slots__ = ("by_flow", "by_name", "by_original", "by_root", "count")

    def __init__(self) -> None:
        self.by_root: Index[bytes] = Index()
        self.by_flow: Index[str] = Index()
        self.by_name: Index[tuple[str, str]] = Index()
        self.by_original: Index[bytes] = Index()
        self.count = 0

    def add(self, pin: SignedPin) -> None:
        self.count += 1
        record = pin.record
        self.by_root.add(record.root, pin)
        self.by_flow.add(record.flow, pin)
        if record.name is not None:
            self.by_name.add((record.flow, record.name), pin)
        if record.original is not None:
            self.by_original.add(record.original, pin)

    def discard(self, pin: SignedPin) -> None:
        """Take a pin out if it is in."""
        record = pin.record
        if not self.by_root.holds(record.root, pin):
            return
        self.count -= 1
        self.by_root.remove(record.root, pin)
        self.by_flow.remove(record.flow, pin)
        if record.name is not None:
            self.by_name.remove((record.flow, record.name), pin)
        if record.original is not None:
            self.by_original.remove(record.original, pin)
