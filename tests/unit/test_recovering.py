"""A peer whose catalogue was made anew holds again all that is whole before it lets anything go."""

from types import SimpleNamespace
from typing import Any

from node.replication.recovering import Recovering


async def test_what_a_sync_brings_while_copies_are_looked_at_is_looked_at_before_recovery_is_over() -> None:
    """Else the only copy of an image whose pin had been lost here belongs to nobody, and goes an hour later."""
    roots, synced_with, over = [b"known"], set[str](), list[str]()
    looked_at: list[bytes] = []

    def hold(root: bytes, kind: str) -> None:
        looked_at.append(root)
        if root == b"known":  # meanwhile a sync ends
            roots.append(b"brought")
            synced_with.add("member")

    def finish() -> None:
        over.append("recovered")
        store.rebuilt = False

    store: Any = SimpleNamespace(rebuilt=True, finish_recovery=finish)
    knowledge: Any = SimpleNamespace(
        me="me", records=SimpleNamespace(counting=SimpleNamespace(roots=lambda: iter(roots))),
        own=SimpleNamespace(holds=lambda root, kind: False, here=()),
    )  # fmt: skip
    catching_up: Any = SimpleNamespace(synced_with=synced_with, trigger=SimpleNamespace(ask_anyone=lambda: None))
    offering: Any = SimpleNamespace(kinds=(), places={})
    aside: Any = SimpleNamespace(roots=())
    recovering: Any = Recovering(
        store, knowledge, catching_up, offering, aside, lately_heard=lambda: {"me", "member"}, on_over=lambda: None
    )
    recovering._hold = hold
    await recovering.work()
    assert (looked_at, over) == ([b"known"], [])
    await recovering.work()
    assert (looked_at, over) == ([b"known", b"brought"], ["recovered"])
