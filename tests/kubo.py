"""Run a real Kubo on loopback, knowing nobody: no bootstrap list, MDNS, DHT, relay, AutoConf, telemetry or version check.

    with Kubo(tmp_path / "kubo") as kubo:
        kubo.connect(f"/ip4/127.0.0.1/tcp/4001/p2p/{peer_id}")
        text = kubo.cli("add", "-Q", stdin=b"bytes").decode().strip()

`init()` alone is enough for `cli` calls that need no daemon. What it starts, it ends, by process id.
"""

import contextlib
import json
import os
import random
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.programs import program

PROFILE = "unixfs-v1-2025"

ALONE: Mapping[str, object] = {
    "AutoConf.Enabled": False,
    "Bootstrap": [],
    "Routing.Type": "none",
    "Routing.DelegatedRouters": [],
    "Provide.Enabled": False,
    "Discovery.MDNS.Enabled": False,
    "Swarm.DisableNatPortMap": True,
    "Swarm.RelayClient.Enabled": False,
    "Swarm.RelayService.Enabled": False,
    "Swarm.EnableHolePunching": False,
    "Swarm.AddrFilters": [],
    "AutoNAT.ServiceMode": "disabled",
    "AutoTLS.Enabled": False,
    "HTTPRetrieval.Enabled": False,
    "Version.SwarmCheckEnabled": False,
    "DNS.Resolvers": {},
    "Ipns.DelegatedPublishers": [],
    "Gateway.NoFetch": False,
    "Plugins.Plugins.telemetry.Config.Mode": "off",
}
QUIET = {"IPFS_TELEMETRY": "off", "GOLOG_LOG_LEVEL": "error"}


class Kubo:
    """One Kubo peer. Use as a context manager, or `start()` and `end()`.

    Args:
        home: folder for its repository and log; made where absent.
        settings: dotted configuration keys laid over `ALONE`.
        profile: configuration profile of `ipfs init`; None leaves Kubo's defaults for adding files.
    """

    def __init__(
        self, home: Path, *, settings: Mapping[str, object] | None = None, profile: str | None = PROFILE
    ) -> None:
        self.home = home
        self.repo = home / "repo"
        self.log = home / "log"
        self.peer_id = ""
        self._settings = {**ALONE, **(settings or {})}
        self._profile = profile
        self._program = program("ipfs")
        self._running: subprocess.Popen[bytes] | None = None
        self._swarm_port, self._api_port, self._gateway_port = free_port(), free_port(), free_port()

    @property
    def api(self) -> str:
        """Where the RPC answers: `http://127.0.0.1:PORT/api/v0`."""
        return f"http://127.0.0.1:{self._api_port}/api/v0"

    @property
    def api_multiaddr(self) -> str:
        return f"/ip4/127.0.0.1/tcp/{self._api_port}"

    @property
    def gateway(self) -> str:
        """Where the HTTP gateway answers: `http://127.0.0.1:PORT`."""
        return f"http://127.0.0.1:{self._gateway_port}"

    @property
    def addr(self) -> str:
        """The full multiaddress, peer id included."""
        return f"/ip4/127.0.0.1/tcp/{self._swarm_port}/p2p/{self.peer_id}"

    @property
    def pid(self) -> int | None:
        return None if self._running is None else self._running.pid

    def init(self) -> Self:
        """Make the repository and its configuration; nothing runs yet. Once made it is kept."""
        if not (self.repo / "config").exists():
            self.home.mkdir(parents=True, exist_ok=True)
            profiles = ",".join(filter(None, ("test", self._profile)))
            self.cli("init", "--empty-repo", f"--profile={profiles}")
        path = self.repo / "config"
        config = json.loads(path.read_text())
        for key, value in self._settings.items():
            _set(config, key, value)
        _set(config, "Addresses.Swarm", [f"/ip4/127.0.0.1/tcp/{self._swarm_port}"])
        _set(config, "Addresses.API", self.api_multiaddr)
        _set(config, "Addresses.Gateway", f"/ip4/127.0.0.1/tcp/{self._gateway_port}")
        path.write_text(json.dumps(config))
        self.peer_id = config["Identity"]["PeerID"]
        return self

    def start(self, *, deadline_s: float = 60) -> Self:
        """Run the daemon, and return once its RPC answers. Raises: TimeoutError, with the end of its log."""
        self.init()
        with self.log.open("ab") as log:
            argv = [self._program, "daemon", "--migrate=false"]
            self._running = subprocess.Popen(argv, env=self._environment(), stdout=log, stderr=log)
        ends_s = time.monotonic() + deadline_s
        while time.monotonic() < ends_s and self._running.poll() is None:
            with contextlib.suppress(urllib.error.URLError, OSError):
                self.rpc("id", timeout_s=5)
                return self
            time.sleep(0.05)
        self.end()
        raise TimeoutError(f"Kubo did not answer within {deadline_s:.0f} s: {self.log.read_text()[-2000:]}")

    def end(self, *, with_signal: signal.Signals = signal.SIGKILL) -> None:
        """End the daemon, which may be stopped by SIGSTOP, and wait for it. Harmless when it does not run."""
        running, self._running = self._running, None
        if running is None:
            return
        if running.poll() is None:
            running.send_signal(signal.SIGCONT)
            running.send_signal(with_signal)
        try:
            running.wait(30)
        except subprocess.TimeoutExpired:
            running.kill()
            running.wait()

    def cli(self, *args: str, stdin: bytes | None = None, timeout_s: float = 120) -> bytes:
        """Run `ipfs ARGS` on this repository and return what it printed. Raises: RuntimeError with its complaint."""
        done = subprocess.run(
            [self._program, *args],
            env=self._environment(),
            input=b"" if stdin is None else stdin,
            capture_output=True,
            timeout=timeout_s,
            check=False,
        )
        if done.returncode != 0:
            raise RuntimeError(f"ipfs {' '.join(args)}: {done.stderr.decode(errors='replace').strip()}")
        return done.stdout

    def rpc(self, call: str, body: bytes = b"", *, timeout_s: float = 60) -> bytes:
        """POST to the RPC, such as `rpc("block/get?arg=…")`. Raises: urllib.error.URLError."""
        request = urllib.request.Request(f"{self.api}/{call}", data=body, method="POST")
        with urllib.request.urlopen(request, timeout=timeout_s) as answer:
            return bytes(answer.read())

    def connect(self, addr: str) -> None:
        """Dial the peer at the full multiaddress `addr`."""
        self.rpc(f"swarm/connect?arg={addr}")

    def block(self, cid: str) -> bytes:
        """Return one block by its text CID, without the daemon if it does not run."""
        if self._running is not None:
            return self.rpc(f"block/get?arg={cid}")
        return self.cli("block", "get", cid)

    def _environment(self) -> dict[str, str]:
        return {**os.environ, **QUIET, "IPFS_PATH": str(self.repo)}

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()


_GIVEN: set[int] = set()


def free_port() -> int:
    """Return a free port below the range that outgoing connections take theirs from, so that it stays free; each once."""
    while True:
        port = random.randrange(10_000, 32_000)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            if port not in _GIVEN:
                _GIVEN.add(port)
                return port


def _set(config: dict[str, Any], key: str, value: object) -> None:
    *way, last = key.split(".")
    at = config
    for step in way:
        if at.get(step) is None:
            at[step] = {}
        at = at[step]
    at[last] = value
