"""What `doctor` asks of the store: do catalogue and disk agree, and is anything left that nobody names?

Sizes are compared, not bytes: reading them is scrub's work.
"""

import secrets
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from store import facts
from store.blocks import FOLDER as BLOCKS
from store.blocks import block_path, key_in
from store.catalogue import Readers
from store.commits import Writer
from store.errors import DiskFailed, StoreError, StoreFull
from store.files import Files
from store.packs import FOLDER as PACKS
from store.schema import FILE
from store.segments import FOLDER as RECORDS
from store.segments import read_lines, segment_number, segment_path
from store.staging import FOLDER as STAGING

TRIED_FACT = "disk tried"
SHOWN = 3
"""Examples in a line of detail."""


@dataclass(frozen=True, slots=True)
class CheckResult:
    """One line of `doctor`."""

    check: str
    ok: bool
    detail: str


def try_disk(writer: Writer) -> StoreError | None:
    """Have the disk take a commit, so that one that refuses is known before somebody adds; what it says, or None."""
    try:
        writer.run(lambda batch: facts.put(batch, {TRIED_FACT: secrets.token_bytes(8)}))  # SQLite writes no equal value
    except (StoreFull, DiskFailed) as error:
        return error
    return None


def check_store(files: Files, home: str, readers: Readers, trouble: Exception | None) -> list[CheckResult]:
    """Run every check. Raises: OSError, StoreDamaged if the catalogue cannot be read at all."""
    (integrity,) = readers.row("PRAGMA quick_check(1)")
    if integrity != "ok":
        return [CheckResult("catalogue", False, str(integrity))]
    return [
        CheckResult("catalogue", True, "whole"),
        CheckResult("disk", trouble is None, "takes what it is given" if trouble is None else str(trouble)),
        _result("intents", "carried out", "left", (row[0] for row in readers.rows("SELECT target FROM intents"))),
        _result("staging", "empty", "left in staging/", _staged(files, home)),
        _result("blocks", "all there", "missing or of another size", _absent(files, home, readers)),
        _result("backends", "as listed", "lost on other backends", _lost_elsewhere(readers)),
        _result("unlisted", "none", "not in the catalogue", _unlisted(files, home, readers)),
        _result("used bytes", "as counted", "counted wrongly", _miscounted(readers)),
        _result("records", "whole", "damaged", _damaged(files, home, readers)),
    ]


def missing_blocks(readers: Readers) -> list[tuple[bytes, tuple[bytes, ...]]]:
    """Each block whose bytes are lost, with the roots that own it."""
    roots: dict[bytes, list[bytes]] = {}
    for key, root in readers.rows(
        "SELECT b.cid, o.name FROM blocks b LEFT JOIN owned d ON d.block = b.id"
        " LEFT JOIN owners o ON o.id = d.owner AND o.kind = 'root' WHERE b.place IS NULL ORDER BY b.id"
    ):
        roots.setdefault(key, []).extend([] if root is None else [root])
    return [(key, tuple(names)) for key, names in roots.items()]


def _result(check: str, good: str, bad: str, found: Iterable[str]) -> CheckResult:
    names = list(found)
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return CheckResult(check, not names, f"{len(names)} {bad}: {', '.join(names[:SHOWN])}{more}" if names else good)


def _staged(files: Files, home: str) -> Iterator[str]:
    for session in files.names(f"{home}/{STAGING}"):
        for name in files.names(f"{home}/{STAGING}/{session}"):
            yield f"{STAGING}/{session}/{name}"


def _absent(files: Files, home: str, readers: Readers) -> Iterator[str]:
    """What is listed and not there, and what roots have lost; what only a fetch still wants was promised to nobody."""
    for key, size_bytes, place in readers.rows(
        "SELECT cid, size_bytes, place FROM blocks b WHERE place = ? OR (place IS NULL AND EXISTS ("
        "SELECT 1 FROM owned d JOIN owners o ON o.id = d.owner WHERE d.block = b.id AND o.kind = 'root'))",
        (FILE,),
    ):
        if place is None or files.size_bytes(f"{home}/{block_path(key)}") != size_bytes:
            yield block_path(key)
    for name, size_bytes in readers.rows("SELECT name, size_bytes FROM packs"):
        if files.size_bytes(f"{home}/{PACKS}/{name}") != size_bytes:
            yield f"{PACKS}/{name}"


def _lost_elsewhere(readers: Readers) -> Iterator[str]:
    """What roots held on other backends have lost there; whether all of it is there only a scrub knows."""
    sql = "SELECT r.kind, b.name FROM kept_blocks b JOIN kept_roots r ON r.id = b.kept WHERE b.bad AND r.state = 'held'"
    for kind, name in readers.rows(sql):
        yield f"{kind}: {name}"


def _unlisted(files: Files, home: str, readers: Readers) -> Iterator[str]:
    for shard in files.names(f"{home}/{BLOCKS}"):
        for name in files.names(f"{home}/{BLOCKS}/{shard}") if len(shard) == 2 else []:
            if readers.row("SELECT 1 FROM blocks WHERE cid = ? AND place = ?", (key_in(name), FILE)) is None:
                yield f"{BLOCKS}/{shard}/{name}"
    for name in files.names(f"{home}/{PACKS}"):
        if readers.row("SELECT 1 FROM packs WHERE name = ?", (name,)) is None:
            yield f"{PACKS}/{name}"
    for name in files.names(f"{home}/{RECORDS}"):
        if readers.row("SELECT 1 FROM segments WHERE number = ?", (segment_number(name),)) is None:
            yield f"{RECORDS}/{name}"


def _miscounted(readers: Readers) -> Iterator[str]:
    if readers.row(
        "SELECT value <> (SELECT ifnull(sum(size_bytes), 0) FROM blocks WHERE place IS NOT NULL)"
        " FROM state WHERE name = 'used_bytes'"
    )[0]:
        yield "used_bytes"
    for (kind,) in readers.rows(
        "SELECT kind FROM kept_used u WHERE used_bytes <> (SELECT ifnull(sum(length_bytes), 0) FROM kept_blocks b"
        " JOIN kept_roots r ON r.id = b.kept WHERE r.kind = u.kind)"
    ):
        yield f"bytes on {kind}"
    for (name,) in readers.rows(
        "SELECT name FROM packs p WHERE live_bytes <>"
        " (SELECT ifnull(sum(b.size_bytes), 0) FROM blocks b WHERE b.place = p.id AND b.place > 0)"
    ):
        yield name
    if readers.row(
        "SELECT 1 FROM blocks b WHERE unowned_since_ms IS NOT NULL AND EXISTS (SELECT 1 FROM owned WHERE block = b.id)"
    ):
        yield "owned and unowned"


def _damaged(files: Files, home: str, readers: Readers) -> Iterator[str]:
    for number, size_bytes in readers.rows("SELECT number, size_bytes FROM segments WHERE size_bytes > 0"):
        path = segment_path(number)
        if (files.size_bytes(f"{home}/{path}") or 0) < size_bytes:
            yield f"{path} (cut short)"
            continue
        for line, placed in enumerate(read_lines(files, home, number), start=1):
            if placed.line is None and placed.offset_bytes < size_bytes:
                yield f"{path} line {line}"
