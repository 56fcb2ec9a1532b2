"""Where members are reached outlives the catalogue."""

from pathlib import Path

import pytest

from node.swarm.addresses_kept import FILE, MEMBERS, PORTS, keep, kept_members, kept_ports

ANY = "/ip4/127.0.0.1/tcp/0"
ADA = {"12D3KooWAda": ["/ip4/127.0.0.1/tcp/4801", "/ip4/192.0.2.7/tcp/4801"]}


def test_each_part_is_kept_beside_the_other(tmp_path: Path) -> None:
    assert (kept_members(tmp_path), kept_ports(tmp_path)) == ({}, {})
    keep(tmp_path, MEMBERS, ADA)
    keep(tmp_path, PORTS, {ANY: 20_001})
    assert (kept_members(tmp_path), kept_ports(tmp_path)) == (ADA, {ANY: 20_001})
    assert [path.name for path in tmp_path.iterdir()] == [FILE]


@pytest.mark.parametrize(
    "damaged",
    ["", "{", "[]", '{"members": [], "ports": 3}', '{"members": {"a": 1, "b": [2]}, "ports": {"x": "1", "y": 70000}}'],
)
def test_damage_costs_the_addresses_and_no_start(tmp_path: Path, damaged: str) -> None:
    (tmp_path / FILE).write_text(damaged)
    assert not any(kept_members(tmp_path).values())
    assert kept_ports(tmp_path) == {}
    keep(tmp_path, MEMBERS, ADA)
    assert kept_members(tmp_path) == ADA
