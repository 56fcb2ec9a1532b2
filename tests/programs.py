"""Find the other programs that the interop tests and the bench speak with: Kubo and IPFS Cluster.

Looked for in $PINAKOTHEK_BIN, else in the folder where `scripts/get-kubo` puts them, else on PATH. A test whose program
is absent is skipped by name, and fails where PINAKOTHEK_REQUIRE_ALL=1 says that nothing may be skipped.
"""

import os
import shutil
from pathlib import Path

import pytest


def program(name: str) -> str:
    """Return the path of the program `name`, or skip (or fail) the running test."""
    found = find_program(name)
    if found is not None:
        return found
    absent = f"{name} is not installed: run scripts/get-kubo"
    if os.environ.get("PINAKOTHEK_REQUIRE_ALL") == "1":
        pytest.fail(absent, pytrace=False)
    pytest.skip(absent)


def find_program(name: str) -> str | None:
    """Return the path of the program `name`, None where it is absent."""
    if chosen := os.environ.get("PINAKOTHEK_BIN"):
        return shutil.which(name, path=chosen)
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return shutil.which(name, path=str(cache / "pinakothek" / "bin")) or shutil.which(name)
