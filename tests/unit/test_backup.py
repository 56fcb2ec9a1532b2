"""A backup brings back what it holds, and an archive from anybody else puts nothing anywhere."""

import io
import os
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from node.backup import read_backup, write_backup
from node.errors import Failed
from node.keys import IDENTITY, STEWARD, new_key, write_key

CONTACTS = ["/ip4/192.0.2.1/tcp/4801/p2p/12D3KooWBob"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "peer"
    (folder / "records").mkdir(parents=True)
    (folder / "records" / "2.jsonl").write_bytes(b"two\n")
    (folder / "records" / "10.jsonl").write_bytes(b"ten\nhalf a li")
    (folder / "config.toml").write_text('name = "bob"\n')
    (folder / "catalogue.db").write_text("not in it")
    write_key(folder, IDENTITY, new_key())
    write_key(folder, STEWARD, new_key())
    return folder


def backed_up(folder: Path) -> bytes:
    target = io.BytesIO()
    write_backup(folder, CONTACTS, target)
    return target.getvalue()


def test_it_comes_back_as_it_was(folder: Path, tmp_path: Path) -> None:
    back = tmp_path / "back"
    restored = read_backup(io.BytesIO(backed_up(folder)), back)
    assert restored.contacts == tuple(CONTACTS)
    for name in (IDENTITY, STEWARD, "config.toml", "records/2.jsonl"):
        assert (back / name).read_bytes() == (folder / name).read_bytes()
        assert (back / name).stat().st_mode & 0o777 == 0o600
    assert (back / "records" / "10.jsonl").read_bytes() == b"ten\n"  # the daemon was writing the next line
    assert sorted(os.listdir(back)) == ["config.toml", IDENTITY, "records", STEWARD]


def test_no_peer_no_backup(tmp_path: Path) -> None:
    with pytest.raises(Failed, match="no peer is here"):
        write_backup(tmp_path, [], io.BytesIO())


def archive(*entries: tuple[tarfile.TarInfo, bytes]) -> bytes:
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w") as tar:
        for entry, content in entries:
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return target.getvalue()


def link(name: str, to: str) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.type, entry.linkname = tarfile.SYMTYPE, to
    return entry


@pytest.mark.parametrize(
    "make",
    [
        lambda good: b"",
        lambda good: b"no archive at all" * 100,
        lambda good: good[: len(good) // 2],
        lambda good: archive((tarfile.TarInfo("../identity.key"), b"x")),
        lambda good: archive((tarfile.TarInfo("/etc/identity.key"), b"x")),
        lambda good: archive((tarfile.TarInfo("records/../../1.jsonl"), b"x")),
        lambda good: archive((tarfile.TarInfo("blocks/STORE_ID"), b"x")),
        lambda good: archive((link("identity.key", "/etc/passwd"), b"")),
        lambda good: archive((link("records/1.jsonl", "/etc/passwd"), b"")),
        lambda good: archive((tarfile.TarInfo("config.toml"), b"")),
    ],
)
def test_another_archive_is_refused_and_makes_no_peer(
    folder: Path, tmp_path: Path, make: Callable[[bytes], bytes]
) -> None:
    home = tmp_path / "home"
    with pytest.raises(Failed):
        read_backup(io.BytesIO(make(backed_up(folder))), home / "back")
    assert not (home / "back" / IDENTITY).exists()
    assert sorted(os.listdir(home)) == ["back"]
    assert set(os.listdir(home / "back")) <= {"records"}
