"""What `rm` and `undelete` say of a pin of a CID, which has no name."""

import json
from typing import Any

import click
import pytest
from click.testing import CliRunner

from node.cli import rm, undelete
from node.cli.session import Session
from node.control.client import Answer, Control

ROW: dict[str, Any] = {"root": "bafybeiroot", "name": "", "flow": "f", "until": None}
UNTIL = "2026-05-31T12:00:00Z"


@pytest.mark.parametrize(
    ("command", "row", "said"),
    [
        (rm.command, ROW, "bafybeiroot is deleted"),
        (rm.command, {**ROW, "name": "a.jpg"}, "a.jpg is deleted"),
        (rm.command, {**ROW, "until": UNTIL}, f"bafybeiroot is in the trash until {UNTIL}: pinakothek undelete bafybeiroot"),
        (undelete.command, ROW, "bafybeiroot is back in f"),
    ],
)  # fmt: skip
def test_it_is_called_by_its_root(
    monkeypatch: pytest.MonkeyPatch, command: click.Command, row: dict[str, Any], said: str
) -> None:
    monkeypatch.setattr(Control, "open", lambda *_, **__: Answer(200, {}, iter([json.dumps(row).encode()])))
    assert CliRunner().invoke(command, ["bafybeiroot"], obj=Session()).output == f"{said}\n"
