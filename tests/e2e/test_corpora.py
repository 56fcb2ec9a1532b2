"""The test images of Pillow and of thumbor, hostile and broken ones among them, through `add --recursive` of a real daemon.

Every file ends as an image or with a reason, and the daemon is the same process afterwards. `scripts/get-images` unpacks
them. All are added where PINAKOTHEK_CORPORA=all; every fifth otherwise.
"""

import json
import os
import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from node.demo.peers import Peer, swarm
from tests.corpora import corpus

ALL = os.environ.get("PINAKOTHEK_CORPORA") == "all"
EVERY = 1 if ALL else 5
TIMEOUT_S = 3600 if ALL else 300

pytestmark = [pytest.mark.slow, pytest.mark.timeout(TIMEOUT_S + 60)]


@pytest.fixture(scope="module")
def peer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Peer]:
    with swarm(tmp_path_factory.mktemp("corpora"), ("solo",)) as peers:
        yield peers[0]


@pytest.mark.parametrize("name", ["pillow", "thumbor"])
def test_every_file_is_added_or_refused_with_a_reason(peer: Peer, tmp_path: Path, name: str) -> None:
    chosen = corpus(name)[::EVERY]
    folder = tmp_path / name
    folder.mkdir()
    for number, path in enumerate(chosen):
        shutil.copy(path, folder / f"{number:04} {path.name}")
    process = peer.process
    assert process is not None
    done = peer.run("add", "--recursive", "--flow", name, "--json", str(folder), timeout_s=TIMEOUT_S)
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 1, done.stderr
    assert len(rows) == len(chosen)
    assert all((row["root"] is None) == bool(row["error"]) for row in rows)
    reasons = Counter(str(row["error"]) for row in rows if row["error"])
    print(f"{name}: {len(rows)} files, {len(rows) - sum(reasons.values())} added")
    for reason, count in reasons.most_common():
        print(f"{count:5} {reason}")
    assert not [reason for reason in reasons if "crashed" in reason or "exit code" in reason or "\n" in reason]
    assert process.poll() is None, "the daemon is the one it was"
    assert peer.one("status")["peer_id"] == peer.peer_id
    listed = {row["name"] for row in peer.rows("ls", "--flow", name)}
    assert len(listed) == len([row for row in rows if row["root"]])
    assert [path.name for path in (peer.data_dir / "workspace").iterdir() if path.name != "jobs"] == []
