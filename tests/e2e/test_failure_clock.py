"""The failure table, row "clock off by a day": ahead and behind."""

from pathlib import Path

import pytest

from node.demo.peers import swarm, wait_for_links, wait_until
from tests.e2e.clocks import shifted
from tests.e2e.failures import Album, alerts, assert_all_is_well, photos
from tests.e2e.swarms import complaints, wait_until_settled

pytestmark = [pytest.mark.slow, pytest.mark.timeout(500)]


def test_a_clock_off_by_a_day(tmp_path: Path) -> None:
    """The peer says so and writes nothing; keeping, fetching and serving go on, and nobody else is disturbed."""
    with swarm(tmp_path / "s", ("ada", "bob", "cyd", "dan")) as peers:
        ada, _, _, dan = peers
        album = Album()
        album.add(ada, photos(3), "--replicas", "3:3")
        wait_until_settled(peers, 3)
        for turn, (offset, told) in enumerate((("+1d", "ahead of"), ("-1d", "behind"))):
            assert dan.stop() == 0
            dan.env = shifted(offset)
            dan.start()
            wait_for_links(peers)
            wait_until(lambda: "clock" in alerts(dan), timeout_s=60, what="dan's clock is found wrong")
            refused = dan.run("add", str(photos(1, start=11)[0]))
            assert refused.returncode == 5
            assert f"{told} the other peers' median: nothing is written by it" in refused.stderr
            assert complaints(dan).keys() == {"clock"}
            album.add(ada, photos(4, start=3 + 4 * turn), "--replicas", "3:3")
            wait_until_settled(peers, len(album.originals), timeout_s=120)
            for peer in peers:
                album.assert_readable(peer)
            for peer in peers[:3]:
                assert complaints(peer) == {}
        assert dan.stop() == 0
        dan.env = {}
        dan.start()
        wait_for_links(peers)
        assert_all_is_well(peers, album)
