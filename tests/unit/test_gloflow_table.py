"""docs/gloflow.md names calls, commands and tests: each of them exists, and each row has all three or says so."""

import ast
import re
from pathlib import Path

import pytest

from node.cli.group import COMMANDS

ROOT = Path(__file__).resolve().parents[2]
NOT_YET = "not here yet"
TEXT = (ROOT / "docs/gloflow.md").read_text()
ROWS = [[cell.strip() for cell in line.strip("|").split("|")] for line in TEXT.splitlines() if re.match(r"\|.*`", line)]


def names_in(path: Path) -> set[str]:
    """Functions and classes of a module, methods as `Class.method`."""
    found = set()
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.ClassDef):
            found |= {f"{node.name}.{inner.name}" for inner in node.body if hasattr(inner, "name")}
        if hasattr(node, "name"):
            found.add(node.name)
    return found


def test_every_function_of_the_page_has_a_row() -> None:
    functions = re.findall(r"`(\w+)\(\)`", TEXT)
    assert len(functions) == 12
    assert len(set(functions)) == 12


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[1][:40])
def test_what_a_row_names_exists(row: list[str]) -> None:
    assert all(row[-3:])
    for module, name in re.findall(r"`((?:node|store)(?:\.[a-z0-9_]+)+)\.([\w.]+)`", " ".join(row)):
        path = ROOT / (module.replace(".", "/") + ".py")
        assert name in names_in(path), f"{module} has no {name}"
    for command in re.findall(r"`pina (\w+)", " ".join(row)):
        assert command in COMMANDS
    for path, test in re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", " ".join(row)):
        assert test in names_in(ROOT / path), f"{path} has no {test}"
    if NOT_YET not in row[-1]:
        assert "tests/" in row[-1]
