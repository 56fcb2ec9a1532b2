"""The house rules that a test can keep: who may import whom, what stays pure, how long a file may be.

`protocol` and `store` know nothing of each other, so that either can be read, tested and replaced alone. The root of
`protocol` and the planner are pure: they are run by the thousand in simulations, where a clock or a socket would lie.
The command line starts in a moment because it imports neither trio nor libp2p.
"""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("node", "protocol", "store")
MAY_IMPORT = {"node": {"node", "protocol", "store"}, "protocol": {"protocol"}, "store": {"store"}}
IO_MODULES = {"trio", "libp2p", "socket", "time", "random", "logging", "structlog", "subprocess", "threading", "httpx"}
PURE = (
    "view", "placement", "weighing", "moves", "links", "planner", "explain",
    "shortlist", "board", "picking", "facts", "columns", "desk", "calling", "survey", "outlook",
)  # fmt: skip
PURE_FILES = (
    *(f"node/replication/{name}.py" for name in PURE),
    *(f"node/ingest/{name}.py" for name in ("public_address",)),
)
MAX_LINES = 400
FILES = sorted(p for package in (*PACKAGES, "tests", "scripts") for p in (ROOT / package).rglob("*.py"))


def is_pure(relative: Path) -> bool:
    return relative.parent == Path("protocol") or str(relative) in PURE_FILES


def imported(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_layers(path: Path) -> None:
    relative = path.relative_to(ROOT)
    modules = imported(path)
    tops = {module.partition(".")[0] for module in modules}
    if relative.parts[0] in PACKAGES:
        assert tops & set(PACKAGES) <= MAY_IMPORT[relative.parts[0]]
        if "libp2p" in tops:
            assert relative.is_relative_to("protocol/net"), "libp2p is imported in protocol/net only"
    if is_pure(relative):
        assert not tops & IO_MODULES
        assert not any(module.startswith("protocol.net") for module in modules)
    assert len(path.read_text().splitlines()) <= MAX_LINES


def test_every_folder_of_the_packages_is_a_package() -> None:
    folders = {p.parent for package in PACKAGES for p in (ROOT / package).rglob("*.py")}
    assert [str(f.relative_to(ROOT)) for f in folders if not (f / "__init__.py").exists()] == []


def test_the_command_line_imports_nothing_slow() -> None:
    check = "import sys, node.cli; print([m for m in ('trio', 'libp2p', 'httpx', 'PIL', 'numpy') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", check], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
