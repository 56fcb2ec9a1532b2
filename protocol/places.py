"""Where each item of a set stands in the order in which two peers compare theirs.

A place is 24 bytes that begin with one that says what comes first; the rest is cut from hashes, so that nobody chooses
his place among others of his kind. Records lie by their kind, seven bytes of the sha2-256 of their key and sixteen of
that of their bytes: two versions of one record lie side by side, and what gives roles before what needs them (charters,
admissions, expulsions, departures, flows, pins), so that a transfer in order can be checked as it arrives.
"""

import hashlib
from typing import Final

from protocol.holdings_messages import Element

PLACE_BYTES: Final = 24
SHORT_BYTES: Final = 16
"""Of a place, where it is listed. Two records of one author that agree so far take him some 2^32 signatures and more to
find, and harm nobody else's: of those two some peers would keep the one, some the other."""
START: Final = b""
END: Final = b"\xff"
"""Above every place."""
PINS: Final = b"\x05"
"""From here on items stand for themselves, and may arrive in any order."""
_RANKS: Final = {letter: bytes([rank]) for rank, letter in enumerate((b"c", b"a", b"e", b"d", b"f", b"p"))}
_KEY_BYTES: Final = 7


def record_place(key: bytes, digest: bytes) -> bytes:
    """Return the place of one version of a record: `Signed.place`."""
    return _RANKS[key[:1]] + hashlib.sha256(key).digest()[:_KEY_BYTES] + digest[: PLACE_BYTES - 1 - _KEY_BYTES]


def element_digest(element: Element) -> bytes:
    """Return the hash by which an element counts in its set's digest."""
    return hashlib.sha256(element.kind.encode() + b"\0" + element.root).digest()


def element_place(element: Element) -> bytes:
    """Return the place of an element of somebody's holdings."""
    return PINS + element_digest(element)[: PLACE_BYTES - 1]
