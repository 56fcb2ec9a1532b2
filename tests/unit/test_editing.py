"""Sessions of the editor that nobody uses."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import trio
from trio.testing import MockClock

from node.operations.editing import IDLE_S, Editing, _Session


def session(folder: Path, name: str) -> _Session:
    (folder / name).mkdir()
    (folder / name / "original").write_bytes(b"x")
    unused: Any = SimpleNamespace()
    return _Session(
        name=name, pin=unused, folder=folder / name, edited=unused, path=folder / name, size_bytes=1,
        used_s=trio.current_time(),
    )  # fmt: skip


async def test_sessions_that_nobody_uses_end_and_free_the_workspace(tmp_path: Path, mock_clock: MockClock) -> None:
    nothing: Any = None
    editing = Editing(nothing, nothing, nothing, nothing)
    for name in ("one", "two", "held"):
        editing._sessions[name] = session(tmp_path, name)
    mock_clock.jump(IDLE_S)
    editing._sessions["new"] = session(tmp_path, "new")
    async with editing._sessions["held"].turn, trio.open_nursery() as nursery:
        for _ in range(2):  # at once: each ends what the other has not
            nursery.start_soon(editing.sweep)
    assert (
        sorted(path.name for path in await trio.Path(tmp_path).iterdir())
        == sorted(editing._sessions)
        == ["held", "new"]
    )
