"""Which removals end a pin before people had time to see them."""

from dataclasses import replace

import pytest

from protocol.life import cut_short
from protocol.limits import MS_PER_DAY
from protocol.pin import Pin

NOW_MS = 1_800_000_000_000
PIN = Pin(id=bytes(16), flow="f", root=bytes(36))


@pytest.mark.parametrize("trash_days", [0, 1, 30])
def test_a_removal_of_this_moment_cuts_nothing_short(trash_days: int) -> None:
    """Where the charter wants no trash it ends at once, as was wanted."""
    assert cut_short(PIN, replace(PIN, trashed_ms=NOW_MS - 60_000), trash_days, NOW_MS) == ""


@pytest.mark.parametrize("trash_days", [1, 30])
def test_a_removal_that_is_dated_back_does(trash_days: int) -> None:
    assert cut_short(PIN, replace(PIN, trashed_ms=NOW_MS - trash_days * MS_PER_DAY), trash_days, NOW_MS)
