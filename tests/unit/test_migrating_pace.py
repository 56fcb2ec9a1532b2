"""How often a move looks for the old copies of a large flow."""

from types import SimpleNamespace

import pytest
from trio.testing import MockClock

from node.operations import policy
from node.operations.moving import LEAVING_SPACING, Move


async def test_looking_for_old_copies_leaves_the_time_to_others(
    mock_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(policy, "live_keepers", lambda *_: 3)
    monkeypatch.setattr(policy, "backend_of", lambda *_: "s3")
    counting = SimpleNamespace(wanted=lambda _: SimpleNamespace(max=2, kinds=("s3",)), pins_by_flow=lambda _: ())
    parts = SimpleNamespace(records=SimpleNamespace(counting=counting))
    move = Move(parts, "album")  # type: ignore[arg-type]
    looked_at: list[bytes] = []

    def old_holders(root: bytes) -> list[str]:
        mock_clock.jump(0.01)
        looked_at.append(root)
        return ["a"]

    monkeypatch.setattr(move, "_old_holders", old_holders)
    move.leaving.extend(bytes([n]) for n in range(100))
    for _ in range(3):
        await move._see_what_left()
    assert (len(looked_at), move.old_copies) == (100, 100)
    mock_clock.jump(LEAVING_SPACING * 1.0 + 0.1)
    await move._see_what_left()
    assert len(looked_at) == 200
