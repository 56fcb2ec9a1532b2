"""`init`: what it makes is the owner's alone, and what fails leaves nothing behind."""

import tarfile
from pathlib import Path

import pytest

from node.backup import write_backup
from node.errors import Failed
from node.setup import InitOptions, initialise, restore


def mode_of(path: Path) -> int:
    return path.stat().st_mode & 0o777


def test_a_directory_made_for_it_before_is_closed_to_others(tmp_path: Path) -> None:
    made, busy = tmp_path / "made", tmp_path / "busy"
    for folder in (made, busy):
        folder.mkdir()
        folder.chmod(0o755)
    (busy / "something else").touch()
    for folder in (tmp_path / "new", made, busy):
        initialise(InitOptions(data_dir=folder, name="ada"))
    assert [mode_of(folder) for folder in (tmp_path / "new", made, busy)] == [0o700, 0o700, 0o755]


def test_a_backup_that_is_none_or_was_cut_off_leaves_the_way_clear_for_another(tmp_path: Path) -> None:
    peer, back = tmp_path / "ada", tmp_path / "back"
    made = initialise(InitOptions(data_dir=peer, name="ada"))
    whole, cut, none = tmp_path / "whole.tar", tmp_path / "cut.tar", tmp_path / "none"
    with whole.open("wb") as file:
        write_backup(peer, (), file)
    with tarfile.open(whole) as archive:
        cut.write_bytes(whole.read_bytes()[: archive.getmember("identity.key").offset])
    none.write_text("no archive")
    for archive_path in (none, cut, tmp_path / "nowhere"):
        with pytest.raises(Failed):
            restore(back, str(archive_path))
        assert not back.exists()
    assert restore(back, str(whole))["peer_id"] == made["peer_id"]
