"""`init`: make a peer's data directory, as the founder of a swarm or as the one who redeems an invite.

The identity is written last: a directory without one is no peer, and `init` can be run again.
"""

import os
import shutil
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from node.backup import Restored, read_backup
from node.config import FILE_NAME, load
from node.config_file import quoted, set_setting
from node.errors import Failed, NotFound, Usage
from node.events import wall_ms
from node.keys import IDENTITY, STEWARD, new_key, sync_folder, write_key
from node.swarm.addresses_kept import kept_members
from node.swarm.storing import entry_of
from node.version import VERSION
from protocol.errors import Refused
from protocol.founding import found_swarm
from protocol.identity import KeyPair
from protocol.invite import Invite, parse_invite
from protocol.records import Record, Signed
from store.store import Store

SWARM_FACT = "swarm"
CONTACTS_FACT = "contacts"
"""Addresses of members to dial first, one a line, as the invite or the backup brought them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InitOptions:
    """What `init` was told. `join` is an invite's line; None founds a swarm."""

    data_dir: Path
    name: str | None = None
    zone: str | None = None
    capacity_bytes: int | None = None
    join: str | None = None

    @property
    def settings(self) -> dict[str, str]:
        """Those that were given, as the file has them."""
        capacity = None if self.capacity_bytes is None else str(self.capacity_bytes)
        given = {"name": self.name, "zone": self.zone, "capacity": capacity}
        return {setting: value for setting, value in given.items() if value}


def initialise(options: InitOptions) -> dict[str, Any]:
    """Make the data directory.

    Returns:
        The fields of `init --json`; with a new swarm also `recovery_key`, which is kept nowhere.

    Raises:
        UserError: the directory is a peer already, the invite is damaged (2), refused (5) or nobody could be reached (1).
    """
    folder = options.data_dir
    if (folder / IDENTITY).exists():
        if options.join is None:
            raise Failed(f"{folder}: a peer is here already", hint="choose another --data-dir")
        from node.rejoining import rejoin  # it builds on this module

        made = rejoin(folder, _read_invite(options.join))
        _change_config(folder, options.settings)
        return {**made, **({"name": options.name} if options.name else {})}
    # A file that is there already: what is wrong with it is said before anything is made.
    before = load(folder, {}).config.name if (folder / FILE_NAME).exists() else ""
    name = options.name or before or socket.gethostname().partition(".")[0] or "peer"
    key = new_key()
    made = {
        "peer_id": key.peer_id,
        "name": name,
        "version": VERSION,
        "data_dir": str(folder),
        "addrs": [],
    }
    if options.join is not None:
        _join(options, key, name)
    else:
        made["recovery_key"] = _found(options, key, name)
    return made


def _found(options: InitOptions, key: KeyPair, name: str) -> str:
    steward, recovery = new_key(), new_key()
    founding = found_swarm(key.peer_id, steward, recovery.peer_id, name=name, now_ms=wall_ms())
    _write(options, name, key, steward, founding.swarm_id, founding.records, ())
    return recovery.seed.hex()


def _read_invite(line: str) -> Invite:
    try:
        return parse_invite(line)
    except Refused as error:
        raise Usage(f"the invite is damaged: {error.detail}", hint="copy the whole line") from error


def _join(options: InitOptions, key: KeyPair, name: str) -> None:
    assert options.join is not None
    invite = _read_invite(options.join)
    from node.joining import redeem  # libp2p takes most of a second to import; a founder does not need it

    welcome = redeem(invite, key)
    _write(options, name, key, None, invite.swarm_id, welcome.records, welcome.contacts)


def _write(
    options: InitOptions,
    name: str,
    key: KeyPair,
    steward: KeyPair | None,
    swarm_id: str,
    records: tuple[Signed[Record], ...],
    contacts: tuple[str, ...],
) -> None:
    folder = options.data_dir
    try:
        _make_private(folder)
        _write_config(options, name)
        store = Store.open(folder)
        try:
            store.append_records([entry_of(signed) for signed in records])
            store.set_fact(SWARM_FACT, swarm_id.encode())
            store.set_fact(CONTACTS_FACT, "\n".join(contacts).encode())
        finally:
            store.close()
        if steward is not None:
            write_key(folder, STEWARD, steward)
        write_key(folder, IDENTITY, key)
        sync_folder(folder.parent)
    except OSError as error:
        raise Failed(f"{error.filename or folder}: {(error.strerror or str(error)).lower()}") from error


def restore(folder: Path, archive: str) -> dict[str, Any]:
    """Make the data directory of a peer from a backup of it; `archive` is a file, or `-` for standard input.

    Returns:
        The fields of `init --json`.

    Raises:
        Failed: a peer is here already, or the archive cannot be read or is none.
    """
    if folder.exists() and any(folder.iterdir()):
        raise Failed(f"{folder}: something is here already", hint="choose another --data-dir")
    is_new = not folder.exists()
    try:
        with open(0 if archive == "-" else archive, "rb", closefd=archive != "-") as file:
            _make_private(folder)
            restored = _restored(file, folder, is_new=is_new)
        store = Store.open(folder)
        try:
            store.set_fact(CONTACTS_FACT, "\n".join(restored.contacts).encode())
        finally:
            store.close()
        sync_folder(folder.parent)
    except OSError as error:
        kind = NotFound if isinstance(error, FileNotFoundError) and error.filename == archive else Failed
        raise kind(f"{error.filename or folder}: {(error.strerror or str(error)).lower()}") from error
    name = load(folder, {}).config.name
    return {"peer_id": restored.peer_id, "name": name, "version": VERSION, "data_dir": str(folder), "addrs": []}


def _restored(file: BinaryIO, folder: Path, *, is_new: bool) -> Restored:
    """What a backup holds, put into a folder that was empty; nothing of it stays where it is none, or cut off."""
    try:
        return read_backup(file, folder)
    except (Failed, OSError):
        for entry in folder.iterdir():
            if entry.is_dir():
                shutil.rmtree(entry)
            else:
                entry.unlink()
        if is_new:
            folder.rmdir()
        raise


def _make_private(folder: Path) -> None:
    """A data directory that only its owner can look into, also one that was made for it before.

    One with something in it may have other uses: it stays as it is.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not any(folder.iterdir()):
        folder.chmod(0o700)


def saved_contacts(folder: Path) -> list[str]:
    """Addresses of members as a daemon that is not running has written them down; raises `StoreError`."""
    store = Store.open(folder)
    try:
        first = (store.fact(CONTACTS_FACT) or b"").decode().split()
    finally:
        store.close()
    book = kept_members(folder)
    known = [addr if "/p2p/" in addr else f"{addr}/p2p/{peer}" for peer, addrs in book.items() for addr in addrs]
    return list(dict.fromkeys([*known, *first]))


def _change_config(folder: Path, settings: Mapping[str, str]) -> None:
    for setting, value in settings.items():
        set_setting(folder, setting, value)


def _write_config(options: InitOptions, name: str) -> None:
    """Settings in a file that is there already stay, but for those that were given."""
    if (options.data_dir / FILE_NAME).exists():
        _change_config(options.data_dir, {"name": name, **options.settings})
        return
    lines = [f"name = {quoted(name)}"]
    if options.zone:
        lines.append(f"zone = {quoted(options.zone)}")
    if options.capacity_bytes is not None:
        lines.append(f"capacity = {options.capacity_bytes}")
    with (options.data_dir / FILE_NAME).open("w") as file:
        file.write("\n".join(lines) + "\n")
        file.flush()
        os.fsync(file.fileno())
