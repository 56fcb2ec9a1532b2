"""Five peers, 200 photos of 4K at factor 3:3, against Kubo with IPFS Cluster; then one peer dies."""

import secrets
import subprocess
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

from node.demo.peers import Peer, swarm, wait_until
from scripts.bench_sections.figures import Figure
from scripts.pillow_alone import pillow_alone
from tests.cluster import ClusterPeer
from tests.kubo import Kubo
from tests.photos import crops
from tests.programs import program

PHOTOS = 200
PEERS = 5
FACTOR = 3
CLIENTS = 8
TIMEOUT_S = 600.0
REPAIR_BAR_S = 40.0
"""IPFS Cluster takes 134 to 143 s for the same, with repinning on."""
VARIANTS_BAR = 1.3


def swarm_against_cluster() -> list[Figure]:
    """Time to three copies of all, ours without and with variants, Cluster's; then ours from a kill to repaired."""
    photos = crops(PHOTOS)
    theirs_s = cluster_replicates(photos)
    plain_s, _ = we_replicate(photos, "--original-only")
    variants_s, repaired_s = we_replicate(photos, kill=True)
    pillow_s = PHOTOS / pillow_alone(photos)
    allowed_s = plain_s + pillow_s
    return [
        Figure("swarm", "200 photos at 3:3, originals only", plain_s, "s", theirs_s, "Kubo + Cluster", theirs_s / plain_s, 1.0),
        Figure(
            "swarm", "200 photos at 3:3, with variants", variants_s, "s", allowed_s, "that + Pillow alone",
            allowed_s / variants_s, 1 / VARIANTS_BAR,
        ),
        Figure("swarm", "kill → repaired at 3:3", repaired_s, "s", REPAIR_BAR_S, "bar", REPAIR_BAR_S / repaired_s, 1.0),
    ]  # fmt: skip


def we_replicate(photos: list[Path], *options: str, kill: bool = False) -> tuple[float, float]:
    """Seconds until all are held thrice; with `kill`, seconds from SIGKILL of a peer until they are again, else 0."""
    names = ("ada", "bob", "cyd", "dan", "eve")[:PEERS]
    with tempfile.TemporaryDirectory(prefix="bench-") as home, swarm(Path(home), names) as peers:
        start_s = time.monotonic()
        factor = f"{FACTOR}:{FACTOR}"
        peers[0].call("add", "--replicas", factor, *options, *map(str, photos), timeout_s=TIMEOUT_S)
        _wait_until_at_factor(peers[0])
        replicated_s = time.monotonic() - start_s
        if not kill:
            return replicated_s, 0.0
        wait_until(lambda: _counts(peers[0])["above_target"] == 0, timeout_s=TIMEOUT_S, what="settled")
        peers[-1].kill()
        start_s = time.monotonic()
        wait_until(lambda: _counts(peers[0])["below_min"] > 0, timeout_s=TIMEOUT_S, what="the loss is noticed")
        _wait_until_at_factor(peers[0])
        return replicated_s, time.monotonic() - start_s


def _counts(peer: Peer) -> dict[str, int]:
    return dict(peer.one("status")["images"])


def _wait_until_at_factor(peer: Peer) -> None:
    def at_factor() -> bool:
        now = _counts(peer)
        return now["at_target"] + now["above_target"] == now["total"] == PHOTOS

    wait_until(at_factor, timeout_s=TIMEOUT_S, what=f"{PHOTOS} images at {FACTOR} copies", every_s=0.1)


def cluster_replicates(photos: list[Path]) -> float:
    """Seconds until all are pinned thrice, each a pin of its own.

    By `ipfs-cluster-ctl add`, eight at a time, which sends blocks straight to the peers chosen: some ten times faster than
    adding to one Kubo and pinning the CIDs.
    """
    with tempfile.TemporaryDirectory(prefix="bench-") as home, kubo_and_cluster(Path(home)) as (_, clusters):
        argv = [program("ipfs-cluster-ctl"), "--host", clusters[0].api_multiaddr, "add", "--quieter", "--no-stream"]

        def add(photo: Path) -> None:
            subprocess.run([*argv, str(photo)], check=True, capture_output=True)

        start_s = time.monotonic()
        with ThreadPoolExecutor(CLIENTS) as clients:
            list(clients.map(add, photos))

        def pinned() -> bool:
            rows = clusters[0].request("GET", "/pins")
            thrice = [r for r in rows if sum(p["status"] == "pinned" for p in r["peer_map"].values()) >= FACTOR]
            return len(thrice) == len(photos)

        # Its status asks every peer about every pin: looked at often, it would slow what it measures.
        wait_until(pinned, timeout_s=TIMEOUT_S, what="Cluster pins all", every_s=0.5)
        return time.monotonic() - start_s


@contextmanager
def kubo_and_cluster(home: Path, peers: int = PEERS) -> Iterator[tuple[list[Kubo], list[ClusterPeer]]]:
    """`peers` Kubos, all connected, and a Cluster peer over each."""
    secret = secrets.token_hex(32)
    with ExitStack() as stack:
        kubos = [stack.enter_context(Kubo(home / f"kubo{i}")) for i in range(peers)]
        for i, kubo in enumerate(kubos):
            for other in kubos[:i]:
                kubo.connect(other.addr)
        clusters: list[ClusterPeer] = []
        for i, kubo in enumerate(kubos):
            cluster = ClusterPeer(home / f"cluster{i}", kubo, secret, FACTOR)
            stack.callback(cluster.kill)
            cluster.start([c.addr for c in clusters])
            clusters.append(cluster)
        for cluster in clusters:
            wait_until(lambda c=cluster: len(c.request("GET", "/peers")) >= peers, timeout_s=90, what="Cluster's peers")  # type: ignore[misc]
        yield kubos, clusters
