"""Hostile messages over every protocol, from a libp2p client of its own: the daemon lives, its users notice nothing."""

import os
from pathlib import Path

import pytest

from tests.hostile.siege import GROWTH_BYTES, besiege

SEED = int(os.environ.get("PINAKOTHEK_SEED", "20261123"))
MESSAGES = int(os.environ.get("PINAKOTHEK_MESSAGES", "50000"))


@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_hostile_messages_cost_their_sender_the_connection_and_nobody_else_anything(tmp_path: Path) -> None:
    seen = besiege(tmp_path, seed=SEED, messages=MESSAGES)
    assert seen.account.total >= MESSAGES
    assert seen.account.survived.total() == 0
    assert min(seen.account.cut[name] for name in seen.account.sent if seen.account.cut[name]) > 0
    assert seen.rss_peak_bytes < seen.rss_start_bytes + GROWTH_BYTES
    assert seen.added
