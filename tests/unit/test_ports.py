"""A peer that lets the system pick its port is found where it was."""

import socket
from pathlib import Path

from node.swarm.ports import remember, usual

ANY = "/ip4/127.0.0.1/tcp/0"
FIXED = "/ip4/127.0.0.1/tcp/4801"


def picked() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def test_the_picked_port_is_asked_for_again(tmp_path: Path) -> None:
    port = picked()
    assert usual(tmp_path, [ANY, FIXED]) == [ANY, FIXED]
    remember(tmp_path, [ANY], [f"/ip4/127.0.0.1/tcp/{port}/p2p/12D3KooW"])
    assert usual(tmp_path, [ANY, FIXED]) == [f"/ip4/127.0.0.1/tcp/{port}", FIXED]


def test_on_all_interfaces_as_well(tmp_path: Path) -> None:
    port = picked()
    addrs = [f"/ip4/{ip}/tcp/{port}/p2p/12D3KooW" for ip in ("192.0.2.7", "127.0.0.1")]
    remember(tmp_path, ["/ip4/0.0.0.0/tcp/0"], addrs)
    assert usual(tmp_path, ["/ip4/0.0.0.0/tcp/0"]) == [f"/ip4/0.0.0.0/tcp/{port}"]


def test_a_port_that_somebody_took_is_left_to_the_system(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        remember(tmp_path, [ANY], [f"/ip4/127.0.0.1/tcp/{other.getsockname()[1]}/p2p/12D3KooW"])
        assert usual(tmp_path, [ANY]) == [ANY]


def test_two_picked_ports_are_told_apart_by_nothing_and_not_kept(tmp_path: Path) -> None:
    remember(tmp_path, [ANY, ANY], [f"/ip4/127.0.0.1/tcp/{port}/p2p/12D3KooW" for port in (20001, 20002)])
    assert usual(tmp_path, [ANY, ANY]) == [ANY, ANY]


def test_what_is_no_address_is_for_the_host_to_refuse(tmp_path: Path) -> None:
    assert usual(tmp_path, ["nonsense"]) == ["nonsense"]
    remember(tmp_path, ["nonsense"], [])
