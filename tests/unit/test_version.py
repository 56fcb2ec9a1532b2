"""The version is written twice; both say the same."""

import tomllib
from pathlib import Path

from node.version import VERSION


def test_the_project_and_the_program_agree() -> None:
    text = (Path(__file__).parents[2] / "pyproject.toml").read_text()
    assert tomllib.loads(text)["project"]["version"] == VERSION
