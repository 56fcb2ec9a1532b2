"""Read the fields of a decoded body, each bounded and of one type.

A field that is absent and one that is None are the same; fields nobody asks for are left alone, so that a newer peer may
add some. Every method raises `Refused` and nothing else.
"""

import re
from typing import Final, NamedTuple, TypeVar

from protocol.codec import Body
from protocol.errors import Reason, Refused
from protocol.identity import PeerId, parse_peer_id
from protocol.limits import ADDR_BYTES, CID_BYTES, COPIES_MAX, TIME_MS_MAX
from protocol.stamp import Stamp, stamp_from_wire

T = TypeVar("T")
_CID_LEAST, _CID_MOST = CID_BYTES
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]")


class Replicas(NamedTuple):
    """A replication factor: below `min` copies a root is degraded, `max` is the target."""

    min: int
    max: int


class Fields:
    """One body being read.

    Args:
        body: the decoded map.
        what: how errors name it, such as `pin`.
    """

    __slots__ = ("_body", "_what")

    def __init__(self, body: Body, what: str) -> None:
        self._body = body
        self._what = what

    def refuse(self, name: str, why: str) -> Refused:
        return Refused(Reason.MALFORMED, f"{self._what}: {name} {why}")

    def needed(self, name: str, found: T | None) -> T:
        if found is None:
            raise self.refuse(name, "is missing")
        return found

    def integer_or_none(self, name: str, low: int, high: int) -> int | None:
        found = self._body.get(name)
        if found is None:
            return None
        if type(found) is not int:
            raise self.refuse(name, "is no whole number")
        if not low <= found <= high:
            raise self.refuse(name, f"is {found}, not within {low} and {high}")
        return found

    def integer(self, name: str, low: int, high: int) -> int:
        return self.needed(name, self.integer_or_none(name, low, high))

    def time_ms_or_none(self, name: str) -> int | None:
        return self.integer_or_none(name, 0, TIME_MS_MAX)

    def flag(self, name: str) -> bool:
        """Return a boolean; absent means false."""
        found = self._body.get(name, False)
        if type(found) is not bool:
            raise self.refuse(name, "is neither true nor false")
        return found

    def binary_or_none(self, name: str, low: int, high: int) -> bytes | None:
        found = self._body.get(name)
        if found is None:
            return None
        if type(found) is not bytes:
            raise self.refuse(name, "is no byte string")
        if not low <= len(found) <= high:
            raise self.refuse(name, f"has {len(found)} bytes, not {low} to {high}")
        return found

    def binary(self, name: str, low: int, high: int) -> bytes:
        found = self._body.get(name)
        if type(found) is bytes and low <= len(found) <= high:
            return found
        return self.needed(name, self.binary_or_none(name, low, high))

    def cid_or_none(self, name: str) -> bytes | None:
        found = self._body.get(name)
        if found is None or (type(found) is bytes and _CID_LEAST <= len(found) <= _CID_MOST):
            return found
        return self.binary_or_none(name, *CID_BYTES)

    def cid(self, name: str) -> bytes:
        return self.needed(name, self.cid_or_none(name))

    def text_or_none(self, name: str, max_bytes: int, *, lines: bool = False) -> str | None:
        """Return a text of 1 to `max_bytes` UTF-8 bytes without control characters (unless `lines`)."""
        found = self._body.get(name)
        if found is None or (
            type(found) is str and 0 < len(found) <= max_bytes and found.isascii() and found.isprintable()
        ):
            return found
        return self._checked_text(name, found, max_bytes, lines)

    def text(self, name: str, max_bytes: int, *, lines: bool = False) -> str:
        found = self._body.get(name)
        if type(found) is str and 0 < len(found) <= max_bytes and found.isascii() and found.isprintable():
            return found
        return self.needed(name, self.text_or_none(name, max_bytes, lines=lines))

    def _checked_text(self, name: str, found: object, max_bytes: int, lines: bool) -> str:
        if type(found) is not str:
            raise self.refuse(name, "is no text")
        if not found or len(found) > max_bytes or (not found.isascii() and len(found.encode()) > max_bytes):
            raise self.refuse(name, f"has not 1 to {max_bytes} bytes")
        if not lines and not found.isprintable() and _CONTROL.search(found):
            raise self.refuse(name, "holds control characters")
        return found

    def list_of(self, name: str, kind: type[T], max_count: int) -> list[T]:
        """Return a list of values of exactly one type; absent means empty."""
        found = self._body.get(name)
        if found is None:
            return []
        if type(found) is not list:
            raise self.refuse(name, "is no list")
        if len(found) > max_count:
            raise self.refuse(name, f"has {len(found)} entries, at most {max_count}")
        if any(type(entry) is not kind for entry in found):
            raise self.refuse(name, f"has an entry that is no {kind.__name__}")
        return found

    def binaries(self, name: str, low: int, high: int, max_count: int) -> tuple[bytes, ...]:
        found = self.list_of(name, bytes, max_count)
        if any(not low <= len(entry) <= high for entry in found):
            raise self.refuse(name, f"has an entry of not {low} to {high} bytes")
        return tuple(found)

    def cids(self, name: str, max_count: int) -> tuple[bytes, ...]:
        return self.binaries(name, *CID_BYTES, max_count)

    def texts(self, name: str, max_bytes: int, max_count: int) -> tuple[str, ...]:
        if self._body.get(name) is None or not (found := self.list_of(name, str, max_count)):
            return ()
        return tuple([self._checked_text(name, entry, max_bytes, False) for entry in found])

    def addrs(self, name: str, max_count: int) -> tuple[str, ...]:
        """Return multiaddr texts; whoever dials them parses them."""
        if self._body.get(name) is None:
            return ()
        found = self.texts(name, ADDR_BYTES, max_count)
        if any(not addr.startswith("/") for addr in found):
            raise self.refuse(name, "has an entry that is no multiaddr")
        return found

    def one_of(self, name: str, allowed: tuple[str, ...]) -> str:
        found = self._body.get(name)
        if found not in allowed:
            raise self.refuse(name, f"is not one of {', '.join(allowed)}")
        return str(found)

    def peer_or_none(self, name: str) -> PeerId | None:
        found = self.text_or_none(name, 64)
        return None if found is None else parse_peer_id(found)

    def peer(self, name: str) -> PeerId:
        return self.needed(name, self.peer_or_none(name))

    def peers(self, name: str, max_count: int) -> tuple[PeerId, ...]:
        return tuple(parse_peer_id(entry) for entry in self.texts(name, 64, max_count))

    def stamp(self, name: str) -> Stamp:
        return stamp_from_wire(self._body.get(name))

    def pair_or_none(self, name: str, low: int, high: int) -> tuple[int, int] | None:
        """Return two whole numbers within bounds, the first not above the second."""
        found = self._body.get(name)
        if found is None:
            return None
        if type(found) is not list or len(found) != 2 or any(type(number) is not int for number in found):
            raise self.refuse(name, "is no pair of whole numbers")
        if not low <= found[0] <= found[1] <= high:
            raise self.refuse(name, f"is {found[0]}:{found[1]}, not in order within {low} and {high}")
        return found[0], found[1]

    def replicas_or_none(self, name: str) -> Replicas | None:
        found = self.pair_or_none(name, 1, COPIES_MAX)
        return None if found is None else Replicas(*found)

    def inner(self, name: str) -> "Fields | None":
        found = self._body.get(name)
        if found is None:
            return None
        if type(found) is not dict:
            raise self.refuse(name, "is no map")
        return Fields(found, f"{self._what}.{name}")

    def inners(self, name: str, max_count: int) -> list["Fields"]:
        return [Fields(entry, f"{self._what}.{name}") for entry in self.list_of(name, dict, max_count)]


def present(**fields: object) -> Body:
    """Return the fields that say something: None, false and empty lists and tuples are left out; tuples become lists."""
    return {
        name: list(value) if isinstance(value, tuple) else value
        for name, value in fields.items()
        if value is not None and value is not False and value != () and value != []
    }
