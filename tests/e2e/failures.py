"""What the tests of the failure table share: an album of real photos, what operators are shown, and that nothing is lost.

The table itself is docs/failures.md.
"""

import json
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from node.control.client import Control
from node.demo.peers import Peer, wait_until
from node.demo.story import PHOTOS
from tests.e2e.swarms import assert_doctor_is_content, wait_until_settled

SEEN_TIMEOUT_S = 60.0
"""Four times `suspect_after`: for machines that have much else to do."""
REPAIR_TIMEOUT_S = 150.0


@dataclass
class Album:
    """Every image that was acknowledged, and its bytes."""

    originals: dict[str, bytes] = field(default_factory=dict)

    def add(self, peer: Peer, paths: Sequence[Path], *options: str) -> list[str]:
        """Add files through `peer`, all of which must be taken; their roots."""
        rows = peer.rows("add", *options, *map(str, paths))
        assert [row["error"] for row in rows] == [None] * len(paths)
        self.originals |= {row["root"]: path.read_bytes() for row, path in zip(rows, paths, strict=True)}
        return [row["root"] for row in rows]

    def assert_readable(self, peer: Peer) -> None:
        """Every image, byte for byte; over the control socket, which spares a process for each."""
        with Control(peer.data_dir) as control:
            for root, original in self.originals.items():
                content = control.open("GET", f"/v1/content/{root}/original").read()
                assert content == original, f"{peer.name}: {root}"


def photos(count: int, start: int = 0) -> list[Path]:
    """Real photos of this project, small ones."""
    found = sorted(PHOTOS.glob("*.jpg"))[start : start + count]
    assert len(found) == count
    return found


def assert_all_is_well(peers: Sequence[Peer], album: Album, timeout_s: float = REPAIR_TIMEOUT_S) -> None:
    """All images at factor and none above, every peer reads each of them, and no doctor complains."""
    wait_until_settled(peers, len(album.originals), timeout_s=timeout_s)
    for peer in peers:
        album.assert_readable(peer)
        assert_doctor_is_content(peer)


def wait_until_seen(watchers: Sequence[Peer], peer: Peer, *sees: str, timeout_s: float = SEEN_TIMEOUT_S) -> None:
    """Wait until `peers` of every watcher shows the peer as one of `sees`."""
    for watcher in watchers:
        wait_until(
            lambda w=watcher: row_of(w, peer)["sees"] in sees,
            timeout_s=timeout_s,
            what=f"{watcher.name} sees {peer.name} {' or '.join(sees)}",
        )


def row_of(watcher: Peer, peer: Peer) -> dict[str, Any]:
    """What `peers` of `watcher` shows of a peer."""
    return next(row for row in watcher.rows("peers") if row["peer_id"] == peer.peer_id)


def alerts(peer: Peer) -> dict[str, str]:
    """What `status` says first."""
    return {alert["check"]: alert["detail"] for alert in peer.one("status")["alerts"]}


def holders(watcher: Peer, root: str) -> set[str]:
    """Who holds a root, as `show` says."""
    return {row["peer_id"] for row in watcher.one("show", root)["holders"]}


class Events:
    """What `events` of one peer printed since it was begun."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def rows(self, kind: str) -> list[dict[str, Any]]:
        rows = [json.loads(line) for line in self._path.read_text().splitlines(keepends=True) if line.endswith("\n")]
        return [row for row in rows if row["kind"] == kind]

    def wait_for(self, kind: str, peer: Peer | None = None, timeout_s: float = SEEN_TIMEOUT_S) -> dict[str, Any]:
        """The first event of that kind, about `peer` where one is named."""

        def found() -> dict[str, Any] | None:
            return next((r for r in self.rows(kind) if peer is None or r["peer_id"] == peer.peer_id), None)

        return wait_until(found, timeout_s=timeout_s, what=f"the event {kind}")


@contextmanager
def watched(peer: Peer, home: Path) -> Iterator[Events]:
    """The events of a peer, from now on."""
    path = home / f"{peer.name}.events"
    with (
        path.open("w") as output,
        subprocess.Popen(peer.command("events", "--json"), stdout=output, stderr=subprocess.DEVNULL) as process,
    ):
        try:
            yield Events(path)
        finally:
            process.kill()
