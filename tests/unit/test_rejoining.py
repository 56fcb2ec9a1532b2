"""`init --join` where a peer has left its swarm: which invites bring it back, before anybody is asked."""

from pathlib import Path

import pytest

from node.errors import RefusedByPolicy
from node.keys import IDENTITY, write_key
from node.rejoining import rejoin
from node.setup import SWARM_FACT
from node.swarm.storing import entry_of
from protocol.author import Author
from protocol.founding import found_swarm
from protocol.identity import KeyPair
from protocol.invite import make_invite, parse_invite
from protocol.records import CURATOR, KEEPER, Departure
from store.store import Store

T0 = 1_700_000_000_000
KEY, STEWARD = KeyPair(b"a" * 32), KeyPair(b"s" * 32)
FOUNDING = found_swarm(KEY.peer_id, STEWARD, KeyPair(b"r" * 32).peer_id, name="test", now_ms=T0)


def invite(now_ms: int) -> str:
    return make_invite(
        Author(STEWARD), swarm=FOUNDING.swarm, secret=b"i" * 32, addrs=(), roles=(CURATOR, KEEPER), uses=1,
        expires_ms=T0 + 10**9, now_ms=now_ms,
    )  # fmt: skip


def left(folder: Path) -> Path:
    """A peer's data directory after it has left, at T0 + 1000."""
    store = Store.open(folder)
    departure = Author(KEY).write(Departure(), T0 + 1000)
    store.append_records([entry_of(signed) for signed in (*FOUNDING.records, departure)])
    store.set_fact(SWARM_FACT, FOUNDING.swarm_id.encode())
    store.close()
    write_key(folder, IDENTITY, KEY)
    return folder


def test_an_invite_older_than_the_leaving_is_refused_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(RefusedByPolicy) as refused:
        rejoin(left(tmp_path / "d"), parse_invite(invite(T0 + 999)))
    assert refused.value.message.endswith(
        "left its swarm on 2023-11-14T22:13:21.000Z, and this invite is older than that"
    )
    assert refused.value.hint == "ask for an invite made since then"


def test_a_newer_one_is_redeemed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Asked(Exception):
        pass

    def ask(*_: object) -> None:
        raise Asked

    monkeypatch.setattr("node.joining.redeem", ask)
    with pytest.raises(Asked):
        rejoin(left(tmp_path / "d"), parse_invite(invite(T0 + 1001)))
