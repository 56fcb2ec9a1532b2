"""A daemon whose wall clock is wrong while time passes as ever: libfaketime, package `faketime`."""

import os
from pathlib import Path

import pytest


def shifted(offset: str) -> dict[str, str]:
    """The environment under which a program's clock is off by `offset`, such as `+1d`."""
    found = sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))
    if not found:
        reason = "libfaketime is not installed: apt-get install faketime"
        if os.environ.get("PINAKOTHEK_REQUIRE_ALL") == "1":
            pytest.fail(reason, pytrace=False)
        pytest.skip(reason)
    return {
        "LD_PRELOAD": str(found[0]),
        "FAKETIME": offset,
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "DONT_FAKE_MONOTONIC": "1",
        "NO_FAKE_STAT": "1",
        "FAKETIME_DISABLE_SHM": "1",
    }
