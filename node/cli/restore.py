"""`get --flow F -o DIR`: bring a whole flow back under its original names.

A file appears whole or not at all, and one that is there with the right bytes is not fetched again: an interrupted restore
goes on where it ended. A name comes from a pin, and a pin from anybody who may write one, so no name leads out of DIR.
"""

import itertools
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import click

from node.cli.get import remove_leftovers, whole_file
from node.cli.in_order import in_order
from node.cli.listing import rows_of
from node.cli.output import complain, emit, plural, printable, say
from node.cli.progress import progress
from node.cli.session import Session
from node.control.client import Control, quote, with_query
from node.errors import DONE, FAILED, DaemonNotRunning, Failed, NotFound, Usage, UserError, combined_exit_code
from node.quantities import unescape_path

IN_FLIGHT = 4
"""Reads hide the fsyncs of one another; more would only make the disk seek. Guess."""
PREFIX_CHARS = 16
"""Of a root's CID: the first seven are the same for all of them, the rest is 45 bits. A valid REF."""
MAX_PART_BYTES = 255
"""NAME_MAX of Linux."""


@dataclass(frozen=True, slots=True)
class Place:
    """One image and where it goes, as bytes below the directory."""

    path: bytes
    root: str
    name: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one image: a row to print, and an exit code."""

    row: dict[str, Any]
    exit_code: int


def restore(session: Session, flow: str, folder: str, *, as_json: bool) -> int:
    """Write every image of `flow` below `folder`; the exit code.

    Raises:
        NotFound: the flow has no images.
    """
    rows = list(rows_of(session, with_query("/v1/images", {"flow": flow, "sort": "added"})))
    if not rows:
        raise NotFound(f"flow {flow} has no images", hint="`pinakothek flow ls` lists the flows")
    places = placed(rows)
    for below in {os.path.dirname(os.path.join(os.fsencode(folder), place.path)) for place in places}:
        if os.path.isdir(below):
            remove_leftovers(below)
    codes, written, kept = [], 0, 0
    with progress("restoring", len(places)) as advance:
        for _, outcome in in_order(places, lambda: _writer(session, flow, folder), IN_FLIGHT):
            advance(1)
            codes.append(outcome.exit_code)
            written += outcome.row["new"]
            kept += outcome.exit_code == DONE and not outcome.row["new"]
            _tell(outcome, as_json=as_json)
    if not as_json:
        failed = len(codes) - written - kept
        told = f"{plural(written, 'image')} written, {kept} there already" + (f", {failed} not" if failed else "")
        click.echo(told, err=True)
    return combined_exit_code(codes)


def placed(rows: list[dict[str, Any]]) -> list[Place]:
    """A place for each row of a listing, oldest first: no two images share one, and none lies inside a file.

    Of several with one name the latest keeps it, the others become NAME~<root prefix> (DESIGN §5).
    """
    taken: dict[bytes, str] = {}
    folders: set[bytes] = set()
    places: list[Place] = []
    for row in reversed(rows):
        root = row["root"]
        wanted = safe_path(row["name"]) or os.fsencode(root)
        if taken.get(wanted) == root:
            continue  # two pins of one image under one name
        free = (path for path in _candidates(wanted, root) if not _clashes(path, taken, folders))
        path = next(free)
        taken[path] = root
        folders.update(_above(path))
        places.append(Place(path, root, row["name"]))
    return places[::-1]


def _candidates(wanted: bytes, root: str) -> Iterator[bytes]:
    """NAME, NAME~<root prefix>, and where NAME lies inside what is a file itself, a name beside that."""
    yield wanted
    for prefix in (root[:PREFIX_CHARS], root):
        suffix = b"~" + os.fsencode(prefix)
        folder, slash, name = wanted.rpartition(b"/")
        yield folder + slash + name[: MAX_PART_BYTES - len(suffix)] + suffix
        flat = wanted.replace(b"/", b"~")
        yield flat[: MAX_PART_BYTES - len(suffix)] + suffix
    for serial in itertools.count(2):
        yield os.fsencode(f"{root}~{serial}")


def _clashes(path: bytes, taken: dict[bytes, str], folders: set[bytes]) -> bool:
    return path in taken or path in folders or any(above in taken for above in _above(path))


def _above(path: bytes) -> Iterator[bytes]:
    while b"/" in path:
        path = path.rpartition(b"/")[0]
        yield path


def safe_path(name: str) -> bytes | None:
    """The path below the directory that a pin's name stands for; None where it would lead out of it or cannot be made."""
    try:
        parts = [part for part in unescape_path(name).split(b"/") if part not in (b"", b".")]
    except Usage:
        return None
    if not parts or b".." in parts or any(len(part) > MAX_PART_BYTES for part in parts):
        return None
    return b"/".join(parts)


def _writer(session: Session, flow: str, folder: str) -> Callable[[Place], Outcome]:
    """What one thread does with an image, over its own connection."""
    control = Control(session.data_dir)

    def write(place: Place) -> Outcome:
        path = os.path.join(os.fsencode(folder), place.path)
        row = {"path": os.fsdecode(path), "root": place.root, "name": place.name, "new": False, "error": None}
        try:
            return Outcome({**row, "new": _write(control, place, flow, path)}, DONE)
        except DaemonNotRunning:
            raise
        except UserError as error:
            return Outcome({**row, "error": error.message}, error.exit_code)
        except OSError as error:
            return Outcome({**row, "error": (error.strerror or str(error)).lower()}, FAILED)

    return write


def _write(control: Control, place: Place, flow: str, path: bytes) -> bool:
    """Write one image unless it is there; whether it was written."""
    answer = control.open("GET", with_query(f"/v1/content/{quote(place.root)}/original", {"flow": flow}))
    size_bytes = int(answer.headers["content-length"])
    if _is_there(path, size_bytes, answer.headers["x-pinakothek-cid"]):
        control.close()
        return False
    os.makedirs(os.path.dirname(path), exist_ok=True)
    received = 0
    with whole_file(os.fsdecode(path)) as file:
        for chunk in answer.chunks:
            file.write(chunk)
            received += len(chunk)
        if received != size_bytes:
            raise Failed(f"{received} of {size_bytes} bytes came")
    return True


def _is_there(path: bytes, size_bytes: int, cid: str) -> bool:
    """Whether the file has these very bytes: its size says no at once, its CID says yes."""
    from store.cid_text import cid_text
    from store.unixfs import import_file

    try:
        if os.stat(path).st_size != size_bytes:
            return False
        with open(path, "rb") as stream:
            imported = import_file(stream)
            for _ in imported:
                pass
    except FileNotFoundError:
        return False
    return cid_text(imported.root) == cid


def _tell(outcome: Outcome, *, as_json: bool) -> None:
    row = outcome.row
    if as_json:
        emit(row)
    elif row["error"]:
        complain(f"{row['name'] or row['root']}: {row['error']}")
    elif row["new"]:
        say(printable(row["path"]))
