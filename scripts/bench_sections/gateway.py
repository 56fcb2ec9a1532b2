"""Requests per second for one thumbnail over HTTP, against Kubo's gateway serving the same bytes. Needs `wrk`."""

import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from node.demo.peers import swarm
from scripts.bench_sections.figures import Figure
from tests.kubo import Kubo, free_port
from tests.photos import crops

CONNECTIONS = 16
SECONDS = 8
ROUNDS = 3


def gateway() -> list[Figure]:
    """A medium thumbnail (about 20 KB) by `/ipfs/<root>/medium.webp`, alternating between the two gateways."""
    if shutil.which("wrk") is None:
        raise SystemExit("bench: the gateway section needs wrk: apt-get install wrk")
    port = free_port()
    options = ("--gateway", f"127.0.0.1:{port}")
    with (
        tempfile.TemporaryDirectory(prefix="bench-") as home,
        swarm(Path(home) / "ours", ("solo",), run_options=options) as [peer],
        Kubo(Path(home) / "kubo") as kubo,
    ):
        root = peer.one("add", str(crops(1)[0]))["root"]
        kubo.connect(peer.addrs[0])
        kubo.cli("get", "-o", str(Path(home) / "copy"), root)
        path = f"/ipfs/{root}/medium.webp"
        pairs = [(rate(f"http://127.0.0.1:{port}{path}"), rate(f"{kubo.gateway}{path}")) for _ in range(ROUNDS)]
    ours, theirs = sorted(pairs, key=lambda pair: pair[0] / pair[1])[ROUNDS // 2]
    return [Figure("gateway", "thumbnail over HTTP", ours, "req/s", theirs, "Kubo's gateway", ours / theirs, 1.0)]


def rate(url: str) -> float:
    """Requests per second, all of them answered with success."""
    argv = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{SECONDS}s", url]
    report = subprocess.run(argv, check=True, capture_output=True, text=True).stdout
    if "Non-2xx" in report:
        raise SystemExit(f"bench: {url}: {report}")
    found = re.search(r"Requests/sec:\s+([\d.]+)", report)
    assert found is not None, report
    return float(found.group(1))
