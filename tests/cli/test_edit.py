"""`edit`: what is done to a picture, as the command line says it."""

import json
from typing import Any

import pytest
from click.testing import CliRunner

from node.cli import edit
from node.cli.session import Session
from node.errors import TimedOut


class Control:
    """Notes what it is asked."""

    def __init__(self) -> None:
        self.asked: list[Any] = []

    def call(self, method: str, path: str, body: object = None, **_: object) -> dict[str, Any]:
        self.asked.append((method, path, body))
        return {"edit": "e", "root": "bafy", "path": "x", "size_bytes": 1}


def test_operations_are_done_in_the_order_in_which_they_stand(monkeypatch: pytest.MonkeyPatch) -> None:
    control = Control()
    monkeypatch.setattr(Session, "control", control)
    words = ["x", "--rotate=90", "--crop", "0,0,9,9", "--rotate", "-45", "--flip", "h", "--crop", "1,1,2,2", "--save"]
    result = CliRunner().invoke(edit.command, words, obj=Session())
    assert result.exit_code == 0, result.output
    operations = ["rotate 90", "crop 0,0,9,9", "rotate -45", "flip h", "crop 1,1,2,2"]
    assert ("POST", "/v1/edits/e", {"operations": operations, "frame": 0}) in control.asked


def test_what_was_saved_and_not_confirmed_in_time_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    class Slow(Control):
        def call(self, method: str, path: str, body: object = None, **given: object) -> dict[str, Any]:
            row = super().call(method, path, body, **given)
            if path.endswith("/save"):
                raise TimedOut("1 of 2 keepers confirmed within 1 s", partial=row)
            return row

    control = Slow()
    monkeypatch.setattr(Session, "control", control)
    result = CliRunner().invoke(edit.command, ["x", "--flip", "h", "--save", "--json"], obj=Session())
    assert json.loads(result.stdout)["root"] == "bafy"
    assert isinstance(result.exception, TimedOut)
    assert control.asked[-1] == ("DELETE", "/v1/edits/e", None)
