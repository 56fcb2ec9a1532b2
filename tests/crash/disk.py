"""A disk that remembers every change, and can be rebuilt as a power loss at any moment might have left it.

The model is what POSIX and Linux's file systems promise, and no more. A write is safe once its file was fsynced; until
then any of its sectors may be there or not, whatever was written before or after. A name is safe once its folder was
fsynced, whatever the state of the file; until then it may be there or not, in any order. A rename happens as a whole
or not at all, and is safe once the folder it goes to was fsynced. Reading sees everything at once, as it does.
"""

import os
import random
import shutil
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

SECTOR_BYTES = 512


class Event(NamedTuple):
    """One change, or (`act` fsync, fsync folder) one promise. Paths are relative to the disk."""

    act: str
    path: str = ""
    target: str = ""
    inode: int = 0
    offset_bytes: int = 0
    content: bytes = b""


class Style(NamedTuple):
    """What becomes of what was not yet safe: `names` and `bytes` each drop, keep or mix (by the seed)."""

    names: str
    bytes: str
    seed: int = 0


DROP = Style("drop", "drop")
KEEP = Style("keep", "keep")
NAMES_ONLY = Style("keep", "drop")
BYTES_ONLY = Style("drop", "keep")


@dataclass
class Disk:
    """The folder `root`, and what happened in it since it was empty.

    Attributes:
        events: in the order in which they happened.
        claims: (number of events before it, key, what must hold from then on; None: no longer).
    """

    root: Path
    events: list[Event] = field(default_factory=list)
    claims: list[tuple[int, str, Any | None]] = field(default_factory=list)
    lock: threading.RLock = field(default_factory=threading.RLock)
    inodes: dict[str, int] = field(default_factory=dict)
    made: int = 0

    def add(self, act: str, path: str = "", target: str = "", **more: Any) -> None:
        """Note an event; the caller holds `lock` over the deed and this."""
        if act == "create":
            self.made += 1
            self.inodes[path] = self.made
        inode = more.pop("inode", None) or self.inodes.get(path, 0)
        self.events.append(Event(act, path, target, inode, **more))
        if act == "rename":
            self.inodes[target] = self.inodes.pop(path, 0)
        elif act == "unlink":
            self.inodes.pop(path, None)

    def claim(self, key: str, claim: Any) -> None:
        """From this moment on `claim` holds after every crash; None takes an earlier one of that key back."""
        with self.lock:
            self.claims.append((len(self.events), key, claim))

    def claimed_at(self, point: int) -> dict[str, Any]:
        """What must hold if the power goes after the first `point` events."""
        current: dict[str, Any] = {}
        for at, key, claim in self.claims:
            if at <= point:
                current.pop(key, None)
                if claim is not None:
                    current[key] = claim
        return current

    def move_to(self, root: Path) -> None:
        """Kill whoever uses the disk, and no more: go on with a copy of the folder, nothing made safer or less safe."""
        with self.lock:
            shutil.copytree(self.root, root)
            self.root = root

    def relative(self, path: str) -> str | None:
        """The path on this disk, None if it is elsewhere."""
        root = str(self.root)
        return path[len(root) + 1 :] if path.startswith(root + "/") else "" if path == root else None


@dataclass
class _File:
    safe: bytes = b""
    pending: list[Event] = field(default_factory=list)


class Remains(NamedTuple):
    """A disk after a power loss: folders and the bytes of files, by path."""

    folders: tuple[str, ...]
    files: tuple[tuple[str, bytes], ...]

    def write_to(self, root: Path) -> None:
        root.mkdir(parents=True)
        for folder in self.folders:
            (root / folder).mkdir()
        for path, content in self.files:
            (root / path).write_bytes(content)


def disk_of(remains: Remains, root: Path) -> Disk:
    """A disk on which all that remained is safe: the machine has started again."""
    remains.write_to(root)
    disk = Disk(root)
    for folder in remains.folders:
        disk.add("mkdir", folder)
    for path, content in remains.files:
        disk.add("create", path)
        disk.add("write", path, content=content)
        disk.add("fsync", path)
    for folder in ("", *remains.folders):
        disk.add("fsync folder", folder)
    return disk


def after_power_loss(disk: Disk, point: int, style: Style) -> Remains:
    """What is left if the power goes after the first `point` events."""
    chance = random.Random(f"{style.seed} {point}")
    files: dict[int, _File] = {}
    names: list[tuple[Event, bool]] = []
    for event in disk.events[:point]:
        if event.act in ("write", "truncate"):
            files.setdefault(event.inode, _File()).pending.append(event)
        elif event.act == "fsync":
            file = files.setdefault(event.inode, _File())
            file.safe = _written(file.safe, file.pending)
            file.pending.clear()
        elif event.act == "fsync folder":
            names = [(change, safe or _folder_of(change) == event.path) for change, safe in names]
        else:
            names.append((event, False))
    tree: dict[str, int] = {}
    for change, safe in names:
        if safe or style.names == "keep" or (style.names == "mix" and chance.random() < 0.5):
            _rename_in(tree, change)
    return _as_remains(tree, {inode: _left(file, style, chance) for inode, file in files.items()})


def _folder_of(change: Event) -> str:
    return os.path.dirname(change.target or change.path)


def _rename_in(tree: dict[str, int], change: Event) -> None:
    if change.act in ("create", "mkdir"):
        tree[change.path] = change.inode
    elif change.act in ("unlink", "rmdir"):
        tree.pop(change.path, None)
    elif change.path in tree:
        tree[change.target] = tree.pop(change.path)


def _left(file: _File, style: Style, chance: random.Random) -> bytes:
    if style.bytes == "mix":
        how = chance.choice(("drop", "keep", "first", "some"))
    else:
        how = style.bytes
    if how == "drop":
        return file.safe
    if how == "keep":
        return _written(file.safe, file.pending)
    sectors = [sector for event in file.pending for sector in _sectors(event)]
    if how == "first":
        return _written(file.safe, sectors[: chance.randint(0, len(sectors))])
    return _written(file.safe, [sector for sector in sectors if chance.random() < 0.5])


def _sectors(event: Event) -> list[Event]:
    """The write, a sector at a time."""
    if event.act == "truncate":
        return [event]
    pieces = []
    at = 0
    while at < len(event.content):
        length = SECTOR_BYTES - (event.offset_bytes + at) % SECTOR_BYTES
        pieces.append(event._replace(offset_bytes=event.offset_bytes + at, content=event.content[at : at + length]))
        at += length
    return pieces


def _written(content: bytes, events: list[Event]) -> bytes:
    if not events:
        return content
    out = bytearray(content)
    for event in events:
        if event.act == "truncate":
            del out[event.offset_bytes :]
            out.extend(bytes(event.offset_bytes - len(out)))
        else:
            out.extend(bytes(max(0, event.offset_bytes - len(out))))
            out[event.offset_bytes : event.offset_bytes + len(event.content)] = event.content
    return bytes(out)


def _as_remains(tree: dict[str, int], contents: dict[int, bytes]) -> Remains:
    """Keep what can be reached; an inode of 0 is a folder."""
    folders: list[str] = []
    files: list[tuple[str, bytes]] = []
    for path in sorted(tree, key=lambda path: (path.count("/"), path)):
        parent = os.path.dirname(path)
        if parent and parent not in folders:
            continue
        if tree[path]:
            files.append((path, contents.get(tree[path], b"")))
        else:
            folders.append(path)
    return Remains(tuple(folders), tuple(files))
