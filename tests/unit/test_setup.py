"""`init`: what it makes is the owner's alone, and what fails leaves nothing behind."""

import tarfile
from pathlib import Path

import pytest

from node.backup import write_backup
from node.config import load
from node.errors import Failed, NotFound, Usage
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


def test_a_config_that_was_there_before_keeps_what_was_not_given(tmp_path: Path) -> None:
    """One laid down by whoever set the machine up must neither be lost nor win over what `init` was told."""
    (tmp_path / "config.toml").write_text('# by hand\nname = "old"\nzone = "berlin"\nlog_level = "debug"\n')
    made = initialise(InitOptions(data_dir=tmp_path, name="ada", capacity_bytes=1 << 30))
    config = load(tmp_path, {}).config
    assert made["name"] == config.name == "ada"
    assert (config.zone, config.capacity_bytes, config.log_level) == ("berlin", 1 << 30, "debug")
    assert (tmp_path / "config.toml").read_text().startswith("# by hand\n")


def test_a_config_that_was_there_before_names_the_peer(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text('name = "old"\n')
    assert initialise(InitOptions(data_dir=tmp_path, zone="paris"))["name"] == "old"
    config = load(tmp_path, {}).config
    assert (config.name, config.zone) == ("old", "paris")


def test_a_config_that_is_wrong_stops_init_before_anything_is_made(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text('zoone = "berlin"\n')
    with pytest.raises(Usage, match="zoone: no such setting"):
        initialise(InitOptions(data_dir=tmp_path, name="ada"))
    assert [path.name for path in tmp_path.iterdir()] == ["config.toml"]


def test_a_backup_that_is_none_or_was_cut_off_leaves_the_way_clear_for_another(tmp_path: Path) -> None:
    peer, back = tmp_path / "ada", tmp_path / "back"
    made = initialise(InitOptions(data_dir=peer, name="ada"))
    whole, cut, none = tmp_path / "whole.tar", tmp_path / "cut.tar", tmp_path / "none"
    with whole.open("wb") as file:
        write_backup(peer, (), file)
    with tarfile.open(whole) as archive:
        cut.write_bytes(whole.read_bytes()[: archive.getmember("identity.key").offset])
    none.write_text("no archive")
    for archive_path, kind in ((none, Failed), (cut, Failed), (tmp_path / "nowhere", NotFound)):
        with pytest.raises(kind):
            restore(back, str(archive_path))
        assert not back.exists()
    assert restore(back, str(whole))["peer_id"] == made["peer_id"]
