"""A wrong setting, a bad invite, a taken port, a damaged key, a disk that is full or refuses: one line, and no harm."""

import os
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from node.demo.peers import Peer, swarm, wait_for_links, wait_until
from tests.e2e.disks import filled, small_disk
from tests.e2e.pictures import make_pictures
from tests.e2e.swarms import assert_doctor_is_content, complaints, counts, read_back

RUN = ("run", "--listen", "/ip4/127.0.0.1/tcp/0", "--gateway", "off")


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> Peer:
    """A peer that was made and does not run."""
    peer = Peer(tmp_path_factory.mktemp("stopped") / "peer", "stopped")
    peer.init()
    return peer


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Peer]:
    with swarm(tmp_path_factory.mktemp("running"), ("solo",), env={"PINAKOTHEK_ZOEN": "x"}) as [peer]:
        yield peer


def told(done: subprocess.CompletedProcess[str], exit_code: int) -> str:
    """The one line that a refused command wrote, beside a hint."""
    assert done.returncode == exit_code, done.stderr
    assert done.stdout == ""
    [line] = [line for line in done.stderr.splitlines() if not line.startswith("hint: ")]
    return line


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ('nmae = "x"', "nmae: no such setting"),
        ("name = 3", "name: 3: expected text"),
        ('listen = "/ip4/127.0.0.1/tcp/0"', "listen: /ip4/127.0.0.1/tcp/0: expected a list"),
        ('capacity = "lots"', "capacity: lots: expected a number and a unit"),
        ('repair_after = "-5s"', "repair_after: -5s: expected"),
        ('suspect_after = "10m"\nrepair_after = "1m"', "repair_after: 1m: expected more than suspect_after"),
        ('log_level = "loud"', "log_level: loud: expected one of"),
        ('allow_backends = ["ftp"]', "allow_backends: ftp: no backend is called ftp"),
        ('zone = "a\\nb"', "zone: a\\x0ab: expected at most 64 printable characters"),
        ('name = "a', "unterminated string"),
        ("name = '\udcff'", "not UTF-8"),
    ],
)
def test_a_wrong_config(stopped: Peer, content: str, said: str) -> None:
    path = stopped.data_dir / "config.toml"
    before = path.read_bytes()
    path.write_bytes(os.fsencode(content))
    try:
        line = told(stopped.run(*RUN), 2)
    finally:
        path.write_bytes(before)
    assert "config.toml" in line
    assert said in line


def test_a_variable_that_is_no_setting(stopped: Peer, running: Peer) -> None:
    """Of a backend it is refused; any other may be a neighbour's, and is named."""
    slip = Peer(stopped.data_dir, "slip", env={"PINAKOTHEK_BACKENDS_S3_URI": "s3://a/b"})
    assert "PINAKOTHEK_BACKENDS_S3_URI: no such setting" in told(slip.run(*RUN), 2)
    assert "PINAKOTHEK_ZOEN is no setting: did you mean PINAKOTHEK_ZONE?" in running.log_tail(1000)
    [said] = [row for row in running.rows("doctor") if row["check"] == "settings"]
    assert said["ok"]
    assert "PINAKOTHEK_ZOEN" in said["detail"]


@pytest.mark.parametrize("content", ["", "zz" * 32, "00" * 31, "\0" * 64])
def test_a_damaged_identity(stopped: Peer, content: str) -> None:
    line = with_identity(stopped, content)
    assert str(stopped.data_dir / "identity.key") in line
    assert "damaged" in line


def test_the_identity_of_another_peer(stopped: Peer, running: Peer) -> None:
    line = with_identity(stopped, (running.data_dir / "identity.key").read_text())
    assert str(stopped.data_dir / "identity.key") in line


def with_identity(peer: Peer, content: str) -> str:
    path = peer.data_dir / "identity.key"
    before = path.read_text()
    path.write_text(content)
    try:
        return told(peer.run(*RUN), 1)
    finally:
        path.write_text(before)


def test_a_directory_that_is_no_peer(tmp_path: Path) -> None:
    peer = Peer(tmp_path / "none", "none")
    assert str(peer.data_dir) in told(peer.run(*RUN), 1)
    for words in (("status",), ("ls",), ("doctor",), ("add", __file__)):
        assert str(peer.data_dir) in told(peer.run(*words), 4)
    assert not peer.data_dir.exists()
    (tmp_path / "file").write_text("")
    assert str(tmp_path / "file") in told(Peer(tmp_path / "file", "none").run("init"), 1)
    assert str(tmp_path / "file") in told(Peer(tmp_path / "file/below", "none").run("init"), 1)


def test_a_directory_that_is_a_peer_already(running: Peer) -> None:
    assert str(running.data_dir) in told(running.run("init"), 1)
    assert str(running.data_dir) in told(running.run(*RUN), 1)


def test_a_port_that_is_taken(stopped: Peer) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"/ip4/127.0.0.1/tcp/{server.getsockname()[1]}"
        assert address in told(stopped.run("run", "--listen", address, "--gateway", "off"), 1)


def test_a_port_of_the_gateway_that_is_taken_is_said(tmp_path: Path) -> None:
    peer = Peer(tmp_path / "peer", "peer")
    peer.init()
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        peer.run_options = ("--gateway", f"127.0.0.1:{port}")
        peer.start()
        try:
            wait_until(
                lambda: [alert["detail"] for alert in peer.one("status")["alerts"] if alert["check"] == "gateway"],
                timeout_s=60,
                what="status says that the gateway has no port",
            )
            server.close()
            wait_until(lambda: peer.one("status")["gateway"], timeout_s=90, what="the gateway listens")
            assert peer.one("status")["alerts"] == []
        finally:
            peer.kill()


def test_invites_that_do_not_let_anybody_in(running: Peer, tmp_path: Path) -> None:
    guest = Peer(tmp_path / "guest", "guest")
    line = running.one("invite")["invite"]
    turned = "B" if line[40] != "B" else "C"
    for damaged in ("", "nonsense", line[:60], line + "A", line[:40] + turned + line[41:], line * 50):
        assert "invite" in told(guest.run("init", "--join", damaged), 2)
    expired = running.one("invite", "--expires", "1s")
    wait_until(lambda: wall_is_past(expired["expires"]), timeout_s=30, what="the invite's end")
    assert "expired" in told(guest.run("init", "--join", expired["invite"]), 5)
    used = running.one("invite", "--uses", "1")["invite"]
    Peer(tmp_path / "other", "other").init("--join", used)
    assert "used" in told(guest.run("init", "--join", used), 5)
    assert not guest.data_dir.exists()
    guest.init("--join", line)


def wall_is_past(timestamp: str) -> bool:
    from datetime import UTC, datetime

    return datetime.now(UTC) > datetime.fromisoformat(timestamp)


def test_an_invite_whose_peers_are_gone(tmp_path: Path) -> None:
    with swarm(tmp_path / "s", ("solo",)) as [peer]:
        line = peer.one("invite")["invite"]
        address = peer.addrs[0]
        peer.stop()
    guest = Peer(tmp_path / "guest", "guest")
    said = told(guest.run("init", "--join", line), 1)
    assert said.count(address.rpartition("/")[2]) == 1, said
    assert "sub-exception" not in said
    assert not guest.data_dir.exists()


# disks


def test_a_full_disk_refuses_what_has_no_room_and_works_again_with_room(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk") as disk, swarm(disk, ("solo",)) as [peer]:
        [first, *more] = make_pictures(40, tmp_path / "in", seed=50, width_px=1600, height_px=1200)
        [kept] = peer.rows("add", str(first))
        done = peer.run("add", "--json", *map(str, more))
        assert done.returncode == 1
        refused = [line for line in done.stderr.splitlines() if "the store is full" in line]
        added = counts(peer)["total"]
        assert 1 < added == 1 + len(more) - len(refused)
        with filled(disk):
            assert "full" in told(peer.run("add", str(more[-1])), 1)
            assert "full" in told(peer.run("rm", kept["root"]), 1)
            assert counts(peer)["total"] == added
            assert counts(peer)["trashed"] == 0
            assert read_back(peer, kept["root"], tmp_path) == first.read_bytes()
        peer.call("rm", kept["root"])
        peer.call("undelete", kept["root"])
        assert complaints(peer).keys() <= {"room"}
        assert peer.stop() == 0
        with filled(disk):
            said = told(peer.run(*RUN), 1)
            assert str(peer.data_dir) in said
            assert "full" in said
        peer.start()
        assert counts(peer)["total"] == added
        assert read_back(peer, kept["root"], tmp_path) == first.read_bytes()
        assert complaints(peer).keys() <= {"room"}


def test_a_member_with_a_full_disk_stays_a_member(tmp_path: Path) -> None:
    """What the others write meanwhile counts at once, and is on disk when there is room."""
    with small_disk(tmp_path / "disk") as disk, swarm(tmp_path / "a", ("ada",)) as [ada]:
        bob = Peer(disk / "bob", "bob")
        try:
            bob.init("--join", ada.one("invite")["invite"])
            bob.start()
            wait_for_links([ada, bob])
            pictures = make_pictures(6, tmp_path / "in", seed=51)
            with filled(disk):
                ada.call("add", "--replicas", "2:2", *map(str, pictures))
                wait_until(lambda: counts(bob)["total"] == 6, timeout_s=60, what="bob counts the new images")
            wait_until(lambda: counts(ada)["at_target"] == 6, timeout_s=120, what="bob keeps the new images")
            wait_until(lambda: "are written" in bob.log_tail(200), timeout_s=60, what="bob has written the pins")
            bob.kill()
            ada.kill()
            bob.start()
            assert counts(bob)["total"] == 6
        finally:
            bob.kill()


def test_a_disk_that_refuses_every_write_for_a_while(tmp_path: Path) -> None:
    with swarm(tmp_path / "s", ("solo",)) as [peer]:
        [first, second] = make_pictures(2, tmp_path / "in", seed=52)
        [kept] = peer.rows("add", str(first))
        limit_writes(peer, "0:unlimited")
        assert str(second) in told(peer.run("add", str(second)), 1)
        told(peer.run("rm", kept["root"]), 1)
        assert read_back(peer, kept["root"], tmp_path) == first.read_bytes()
        assert counts(peer)["total"] == 1
        limit_writes(peer, "unlimited:unlimited")
        [later] = peer.rows("add", str(second))
        assert read_back(peer, later["root"], tmp_path) == second.read_bytes()
        assert_doctor_is_content(peer)
        assert peer.stop() == 0


def limit_writes(peer: Peer, limits: str) -> None:
    assert peer.process is not None
    subprocess.run(["prlimit", f"--pid={peer.process.pid}", f"--fsize={limits}"], check=True)


def test_a_read_only_disk(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk") as disk:
        peer = Peer(disk / "peer", "peer")
        peer.init()
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
        assert str(disk) in told(peer.run(*RUN), 1)
        assert str(disk) in told(Peer(disk / "new", "new").run("init"), 1)
        subprocess.run(["mount", "-o", "remount,rw", str(disk)], check=True)
        peer.start()
        assert peer.stop() == 0


def test_a_deleted_catalogue_is_made_anew_from_the_files(tmp_path: Path) -> None:
    with swarm(tmp_path / "s", ("solo",)) as [peer]:
        pictures = make_pictures(3, tmp_path / "in", seed=53)
        rows = peer.rows("add", *map(str, pictures))
        assert peer.stop() == 0
        for path in peer.data_dir.glob("catalogue.db*"):
            path.unlink()
        peer.start()
        for row, picture in zip(rows, pictures, strict=True):
            assert read_back(peer, row["root"], tmp_path) == picture.read_bytes()
        assert {r["name"] for r in peer.rows("ls")} == {p.name for p in pictures}
        assert any(alert["check"] == "recovering" for alert in peer.one("status")["alerts"])
        assert_doctor_is_content(peer)
