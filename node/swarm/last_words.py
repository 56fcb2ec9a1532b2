"""What an absent peer last said, in files of its own: neither a restart nor a lost catalogue forgets it.

`absent/<peer>.beat` is its last heartbeat with the time it came, `absent/<peer>.set` its holdings with what it signed of
them. A file is a sequence of DAG-CBOR maps, each after its length: a set of a million roots is written and read in
pieces, so that no thread keeps the others waiting. Whatever is read is checked like a stranger's word: the signatures
are the peer's, and the set has the digest that it signed.
"""

import logging
import os
from collections.abc import Collection, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Final

import libipld

from protocol.beat import HoldingsSummary, SignedBeat, open_beat
from protocol.codec import encode_value
from protocol.errors import Refused
from protocol.holdings import ElementSet
from protocol.holdings_messages import Element, open_summary
from protocol.limits import RECORD_BYTES

log = logging.getLogger("pinakothek.swarm")

FOLDER: Final = "absent"
BEAT: Final = ".beat"
SET: Final = ".set"
SET_BYTES: Final = 64 << 20
"""Of one file: a million roots and a half. A larger set is not kept."""
ROOTS_AT_ONCE: Final = 5000
"""Encoded in a millisecond or two, while which nobody else runs."""
_LENGTH_BYTES: Final = 4


@dataclass(frozen=True, slots=True)
class Stated:
    """A peer's holdings: its summary of them, the signed statement that holds it, and the set."""

    summary: HoldingsSummary
    raw: bytes
    held: ElementSet


@dataclass(frozen=True, slots=True)
class LastWords:
    """What one peer last said.

    Attributes:
        at_ms: when its heartbeat came, in wall-clock milliseconds of this peer.
        was_down: it was silent for so long, while this peer listened, that its copies are replaced.
    """

    signed: SignedBeat
    at_ms: int
    was_down: bool
    stated: Stated | None


def save_beat(folder: Path, peer: str, raw: bytes, at_ms: int, was_down: bool) -> None:
    """Keep a heartbeat, durably. Raises: OSError."""
    _write(folder / (peer + BEAT), [{"at_ms": at_ms, "beat": raw, "down": was_down}])


def save_set(folder: Path, peer: str, statement: bytes, held: Collection[Element]) -> int:
    """Keep a peer's holdings with its signed statement of them, durably.

    Returns:
        The size of the file in bytes.

    Raises:
        OSError: the disk refuses.
    """
    return _write(folder / (peer + SET), [{"said": statement}, *_pages_of(held)])


def _pages_of(held: Collection[Element]) -> Iterator[dict[str, Any]]:
    for kind in sorted({element.kind for element in held}):
        roots = (element.root for element in held if element.kind == kind)
        while page := list(islice(roots, ROOTS_AT_ONCE)):
            yield {"kind": kind, "roots": page}


def _write(path: Path, pages: Iterable[dict[str, Any]]) -> int:
    new = path.with_suffix(path.suffix + ".new")
    path.parent.mkdir(exist_ok=True)
    try:
        with new.open("wb") as file:
            for page in pages:
                encoded = encode_value(page)
                file.write(len(encoded).to_bytes(_LENGTH_BYTES, "big") + encoded)
            file.flush()
            os.fsync(file.fileno())
            size_bytes = file.tell()
        new.replace(path)
    except OSError:
        with suppress(OSError):
            new.unlink(missing_ok=True)
        raise
    return size_bytes


def forget(folder: Path, peer: str, *suffixes: str) -> None:
    """Delete what is kept of a peer. Raises: OSError."""
    for suffix in suffixes:
        (folder / (peer + suffix)).unlink(missing_ok=True)


def kept(folder: Path, suffix: str) -> dict[str, int]:
    """The peers of whom such a file is kept, and its size in bytes. Raises: OSError."""
    return {path.name.removesuffix(suffix): path.stat().st_size for path in folder.glob("*" + suffix)}


def load(folder: Path, peer: str) -> LastWords | None:
    """What is kept of a peer, checked; None where it said nothing that is readable. A damaged file costs no more than that."""
    try:
        (page,) = _read(folder / (peer + BEAT), 2 * RECORD_BYTES)
        signed, at_ms, was_down = open_beat(page["beat"]), page["at_ms"], page["down"]
        if signed.sender != peer or type(at_ms) is not int or type(was_down) is not bool:
            raise ValueError("of another peer, or of no time")
    except FileNotFoundError:
        return None
    except (OSError, Refused, ValueError, KeyError, TypeError, RecursionError) as error:
        log.warning("what %s last said is not readable: %s", peer, error)
        return None
    return LastWords(signed, at_ms, was_down, _load_set(folder, peer))


def _load_set(folder: Path, peer: str) -> Stated | None:
    try:
        pages = _read(folder / (peer + SET), SET_BYTES)
        statement = next(pages)["said"]
        summary, signer = open_summary(statement)
        held = ElementSet(Element(root, page["kind"]) for page in pages for root in page["roots"])
        if signer != peer or not held.matches(summary):
            raise ValueError("not what the peer signed")
    except FileNotFoundError:
        return None
    except (OSError, Refused, ValueError, KeyError, TypeError, AttributeError, RecursionError, StopIteration) as error:
        log.warning("what %s last held is not readable: %s", peer, error)
        return None
    return Stated(summary, statement, held)


def _read(path: Path, most_bytes: int) -> Iterator[dict[str, Any]]:
    with path.open("rb") as file:
        if os.fstat(file.fileno()).st_size > most_bytes:
            raise ValueError(f"larger than {most_bytes} bytes")
        while head := file.read(_LENGTH_BYTES):
            length_bytes = int.from_bytes(head, "big")
            page = libipld.decode_dag_cbor(file.read(min(length_bytes, most_bytes)))
            if type(page) is not dict:
                raise ValueError("not a map")
            yield page
