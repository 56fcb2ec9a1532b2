"""A real IPFS Cluster peer on loopback over a Kubo of ours: the yardstick of the bench. Ended by process id."""

import json
import os
import subprocess
import time
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.kubo import QUIET, Kubo, free_port
from tests.programs import program

START_TIMEOUT_S = 60.0


@dataclass
class ClusterPeer:
    """One `ipfs-cluster-service`, crdt consensus, repinning on, talking to `kubo`."""

    home: Path
    kubo: Kubo
    secret: str
    factor: int
    api_port: int = field(default_factory=free_port)
    swarm_port: int = field(default_factory=free_port)
    peer_id: str = ""
    process: subprocess.Popen[bytes] | None = None

    @property
    def api(self) -> str:
        """The REST API's address."""
        return f"http://127.0.0.1:{self.api_port}"

    @property
    def api_multiaddr(self) -> str:
        """The same as `ipfs-cluster-ctl` wants it."""
        return f"/ip4/127.0.0.1/tcp/{self.api_port}"

    @property
    def addr(self) -> str:
        """Where other cluster peers reach this one."""
        return f"/ip4/127.0.0.1/tcp/{self.swarm_port}/p2p/{self.peer_id}"

    @property
    def _env(self) -> dict[str, str]:
        return {**os.environ, **QUIET, "IPFS_CLUSTER_PATH": str(self.home), "CLUSTER_SECRET": self.secret}

    def start(self, bootstrap: list[str]) -> None:
        """Write the configuration, start, wait until the API answers."""
        self.home.mkdir(parents=True)
        service = program("ipfs-cluster-service")
        subprocess.run([service, "init", "--consensus", "crdt"], env=self._env, check=True, capture_output=True)
        self._configure()
        argv = [service, "daemon", *(["--bootstrap", ",".join(bootstrap)] if bootstrap else [])]
        with (self.home / "log").open("ab") as log:
            self.process = subprocess.Popen(argv, env=self._env, stdout=log, stderr=log)
        end_s = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < end_s:
            try:
                self.request("GET", "/id")
                return
            except (urllib.error.URLError, ConnectionError):
                time.sleep(0.1)
        raise TimeoutError(f"{service} on {self.api} did not answer")

    def _configure(self) -> None:
        path = self.home / "service.json"
        config = json.loads(path.read_text())
        config["cluster"] |= {
            "listen_multiaddress": [f"/ip4/127.0.0.1/tcp/{self.swarm_port}"],
            "enable_relay_hop": False,
            "mdns_interval": "0s",
            "disable_repinning": False,
            "replication_factor_min": self.factor,
            "replication_factor_max": self.factor,
            "peername": self.home.name,
        }
        config["consensus"]["crdt"]["trusted_peers"] = ["*"]
        api, kubo = config["api"], self.kubo.api_multiaddr
        api["restapi"]["http_listen_multiaddress"] = f"/ip4/127.0.0.1/tcp/{self.api_port}"
        api["ipfsproxy"] |= {
            "listen_multiaddress": f"/ip4/127.0.0.1/tcp/{free_port()}",
            "node_multiaddress": kubo,
        }
        api["pinsvcapi"]["http_listen_multiaddress"] = f"/ip4/127.0.0.1/tcp/{free_port()}"
        config["ipfs_connector"]["ipfshttp"]["node_multiaddress"] = kubo
        path.write_text(json.dumps(config))
        self.peer_id = json.loads((self.home / "identity.json").read_text())["id"]

    def request(self, method: str, path: str) -> list[dict[str, Any]]:
        """Ask the REST API; the JSON objects it streams."""
        request = urllib.request.Request(f"{self.api}{path}", method=method)
        with urllib.request.urlopen(request, timeout=60) as answer:
            return [json.loads(line) for line in answer.read().splitlines() if line]

    def kill(self) -> None:
        """SIGKILL and reap."""
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
