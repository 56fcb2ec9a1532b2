"""What makes a peer that peer, in one tar archive: identity, steward's key, settings, records, and where members are.

The images are not in it: their backup is the other peers. A restored peer has no blocks and no catalogue; so it is
`recovering` at its first start, takes an epoch and an incarnation above all that others have heard of it, and fetches its
share again. It is written and read in a fixed form, so that nothing in an archive can end up anywhere else; the identity
comes last, so that an archive which was cut off makes no peer.
"""

import io
import os
import re
import tarfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Final, NamedTuple

from node.errors import Failed
from node.keys import IDENTITY, STEWARD, read_key, sync_folder

CONFIG: Final = "config.toml"
CONTACTS: Final = "contacts"
RECORDS: Final = "records"
_SEGMENT: Final = re.compile(r"records/[0-9]{1,20}\.jsonl")
_SMALL: Final = (IDENTITY, STEWARD, CONFIG, CONTACTS)
SMALL_BYTES: Final = 1 << 20
TAIL_BYTES: Final = 1 << 20
"""Far more than the longest line of a segment."""
TRIES: Final = 5
"""A daemon that runs may replace its segments by fewer while they are listed."""


class Part(NamedTuple):
    """A file of the archive. `content` is read up to `size_bytes`."""

    name: str
    size_bytes: int
    content: IO[bytes]


class Restored(NamedTuple):
    """What an archive held: names of what is in the data directory now, and addresses of members."""

    peer_id: str
    contacts: tuple[str, ...]


def write_backup(folder: Path, contacts: Sequence[str], target: IO[bytes]) -> int:
    """Write an archive of the peer in `folder`, whether its daemon runs or not.

    Args:
        contacts: multiaddrs of members, with `/p2p/`.

    Returns:
        How many bytes of records it holds.

    Raises:
        Failed: there is no peer, or its files cannot be read.
    """
    if read_key(folder, IDENTITY) is None:
        raise Failed(f"{folder}: no peer is here", hint="name it with --data-dir")
    records_bytes = 0
    try:
        parts = _segments(folder)
        with tarfile.open(fileobj=target, mode="w|", format=tarfile.PAX_FORMAT) as archive:
            for part in (*_small(folder, contacts), *parts, _file(folder, IDENTITY)):
                with part.content:
                    entry = tarfile.TarInfo(part.name)
                    entry.size, entry.mode = part.size_bytes, 0o600
                    archive.addfile(entry, part.content)
                records_bytes += part.size_bytes if part.name.startswith(RECORDS) else 0
    except OSError as error:
        raise Failed(f"{error.filename or folder}: {(error.strerror or str(error)).lower()}") from error
    return records_bytes


def _small(folder: Path, contacts: Sequence[str]) -> Iterator[Part]:
    for name in (STEWARD, CONFIG):
        if (folder / name).exists():
            yield _file(folder, name)
    listed = "".join(f"{addr}\n" for addr in contacts).encode()
    yield Part(CONTACTS, len(listed), io.BytesIO(listed))


def _file(folder: Path, name: str) -> Part:
    content = (folder / name).read_bytes()
    return Part(name, len(content), io.BytesIO(content))


def _segments(folder: Path) -> list[Part]:
    """Every segment, open, each cut after its last whole line: the daemon may be writing the next one."""
    for _ in range(TRIES):
        opened: list[Part] = []
        try:
            for path in sorted((folder / RECORDS).glob("*.jsonl"), key=lambda path: int(path.stem)):
                file = path.open("rb")
                opened.append(Part(f"{RECORDS}/{path.name}", 0, file))
                opened[-1] = opened[-1]._replace(size_bytes=_whole_lines_bytes(file))
            return opened
        except FileNotFoundError:
            for part in opened:
                part.content.close()
    raise Failed(f"{folder / RECORDS}: its files change all the time", hint="try again, or stop the daemon")


def _whole_lines_bytes(file: IO[bytes]) -> int:
    end_bytes = os.fstat(file.fileno()).st_size
    start_bytes = max(0, end_bytes - TAIL_BYTES)
    file.seek(start_bytes)
    last = file.read(end_bytes - start_bytes).rfind(b"\n")
    file.seek(0)
    return start_bytes + last + 1 if last >= 0 else 0


def read_backup(source: IO[bytes], folder: Path) -> Restored:
    """Put an archive's files into `folder`, a new data directory, durably; the identity comes last.

    Raises:
        Failed: it is no archive of ours, is cut off, or holds anything else.
        OSError: the disk refuses.
    """
    small: dict[str, bytes] = {}
    (folder / RECORDS).mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        with tarfile.open(fileobj=source, mode="r|") as archive:
            for entry in archive:
                content = archive.extractfile(entry) if entry.isreg() else None
                if content is None or (entry.name not in _SMALL and not _SEGMENT.fullmatch(entry.name)):
                    raise Failed(f"the archive holds {entry.name[:64]!r}: not a backup of a peer")
                if entry.name not in _SMALL:
                    _write(folder / entry.name, content)
                elif entry.size <= SMALL_BYTES:
                    small[entry.name] = content.read()
    except (tarfile.TarError, EOFError) as error:
        raise Failed(f"the archive is damaged or none: {error}", hint="`pinakothek backup` writes one") from error
    if IDENTITY not in small:
        raise Failed("the archive is cut off: no identity in it")
    sync_folder(folder / RECORDS)
    for name in (CONFIG, STEWARD, IDENTITY):
        if name in small:
            _write(folder / name, io.BytesIO(small[name]))
    sync_folder(folder)
    key = read_key(folder, IDENTITY)
    assert key is not None
    return Restored(key.peer_id, tuple(small.get(CONTACTS, b"").decode("utf-8", "replace").split()))


def _write(path: Path, content: IO[bytes]) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        while part := content.read(1 << 20):
            file.write(part)
        file.flush()
        os.fsync(file.fileno())
