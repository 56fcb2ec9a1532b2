"""How many keepers `--wait` may name."""

from types import SimpleNamespace

import pytest
from trio.testing import MockClock

from node.errors import RefusedByPolicy
from node.operations.policy import check_wait, live_keepers
from node.replication.view import PeerView
from protocol.fields import Replicas


def parts(*others: PeerView, awaited: set[str], kind: str = "ipfs") -> SimpleNamespace:
    """Of a peer that keeps both kinds itself."""
    me = PeerView(peer_id="me", kinds=frozenset({"ipfs", "s3"}))
    flow = SimpleNamespace(record=SimpleNamespace(backend=kind))
    view = SimpleNamespace(peers={peer.peer_id: peer for peer in (me, *others)})
    return SimpleNamespace(
        knowledge=SimpleNamespace(membership=SimpleNamespace(is_awaited=lambda peer_id, now_s: peer_id in awaited)),
        controller=SimpleNamespace(beliefs=SimpleNamespace(view=lambda keys: view)),
        records=SimpleNamespace(
            counting=SimpleNamespace(replicas_of=lambda pin: Replicas(2, 3), flows={"default": flow})
        ),
    )


unheard = PeerView(peer_id="unheard", state="suspect", kinds=frozenset(), heard=False)


async def test_who_may_be_heard_any_moment_is_waited_for(mock_clock: MockClock) -> None:
    for kind in ("ipfs", "s3"):
        young = parts(unheard, awaited={"unheard"}, kind=kind)
        check_wait(young, 2, "default", None)  # type: ignore[arg-type]
        assert live_keepers(young, kind) == 1  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("other", "awaited"),
    [
        (unheard, False),
        (PeerView(peer_id="b", state="down"), True),
        (PeerView(peer_id="b", state="draining"), True),
        (PeerView(peer_id="b", state="suspect", keeper=False), True),
    ],
    ids=["silent for long", "down", "draining", "no keeper"],
)
async def test_more_than_can_come_is_refused(mock_clock: MockClock, other: PeerView, awaited: bool) -> None:
    known = parts(other, awaited={other.peer_id} if awaited else set())
    check_wait(known, 1, "default", None)  # type: ignore[arg-type]
    with pytest.raises(RefusedByPolicy, match="wait 2: only 1 keeper is alive"):
        check_wait(known, 2, "default", None)  # type: ignore[arg-type]


async def test_what_is_recalled_of_a_peers_backends_counts(mock_clock: MockClock) -> None:
    recalled = PeerView(peer_id="b", state="suspect", kinds=frozenset({"ipfs"}))
    with pytest.raises(RefusedByPolicy, match="wait 2: live keepers that offer s3: 1"):
        check_wait(parts(recalled, awaited={"b"}, kind="s3"), 2, "default", None)  # type: ignore[arg-type]
    check_wait(parts(recalled, awaited={"b"}), 2, "default", None)  # type: ignore[arg-type]
