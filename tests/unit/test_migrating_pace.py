"""How often a move looks for the old copies of a large flow."""

from types import SimpleNamespace

import pytest
from trio.testing import MockClock

from node.operations import policy
from node.operations.migrating import LEAVING_SPACING, Migrating, _Move


async def test_looking_for_old_copies_leaves_the_time_to_others(
    mock_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(policy, "live_keepers", lambda *_: 3)
    counting = SimpleNamespace(wanted=lambda _: SimpleNamespace(max=2, kinds=("s3",)))
    parts = SimpleNamespace(store=SimpleNamespace(facts=lambda _: {}), records=SimpleNamespace(counting=counting))
    migrating = Migrating(parts)  # type: ignore[arg-type]
    looked_at: list[bytes] = []

    def old_holders(root: bytes) -> list[str]:
        mock_clock.jump(0.01)
        looked_at.append(root)
        return ["a"]

    monkeypatch.setattr(migrating, "_old_holders", old_holders)
    move = _Move("album", "s3")
    move.leaving.extend(bytes([n]) for n in range(100))
    for _ in range(3):
        await migrating._see_what_left(move)
    assert (len(looked_at), move.old_copies) == (100, 100)
    mock_clock.jump(LEAVING_SPACING * 1.0 + 0.1)
    await migrating._see_what_left(move)
    assert len(looked_at) == 200
