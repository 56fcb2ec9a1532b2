"""Run a real S3 server on loopback, SeaweedFS, which checks signatures: only `KEY` with `SECRET` may do anything.

    with S3Server(tmp_path / "s3") as server:
        server.make_bucket("archive")

What it starts, it ends, by process id.
"""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx

from store.backends.sigv4 import Credentials, presigned
from tests.kubo import free_port

KEY = "AKIAPINAKOTHEK"
SECRET = "a secret that is used by tests alone"
LESSER_KEY = "AKIAREADONLY"
"""May read and list, with the same secret; not write."""
REGION = "us-east-1"


class S3Server:
    """One server with its folder. Use as a context manager."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.log = home / "log"
        self.port = free_port()
        self._running: subprocess.Popen[bytes] | None = None

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self, *, deadline_s: float = 90) -> Self:
        """Run it, and return once a bucket can be made. Raises: TimeoutError, with the end of its log."""
        (self.home / "data").mkdir(parents=True, exist_ok=True)
        config = self.home / "s3.json"
        config.write_text(json.dumps({"identities": [_identity(KEY, "Admin"), _identity(LESSER_KEY, "Read", "List")]}))
        ports = {name: free_port() for name in ("master", "volume", "filer")}
        argv = [
            str(Path(sys.executable).with_name("weed")), "-logtostderr=true", "-v=0", "server",
            "-ip=127.0.0.1", "-ip.bind=127.0.0.1", f"-dir={self.home / 'data'}", "-master.telemetry=false",
            "-master.volumeSizeLimitMB=64", "-volume.max=100", "-volume.preStopSeconds=0", "-filer", "-s3",
            f"-s3.port={self.port}", f"-s3.config={config}", "-s3.iam=false",
            "-s3.autoCreateBucket=false", "-s3.port.iceberg=0", "-s3.port.lance=0", f"-s3.port.grpc={free_port()}",
            f"-filer.localSocket={self.home / 'filer.sock'}", f"-s3.localSocket={self.home / 's3.sock'}",
            *(f"-{name}.port={port}" for name, port in ports.items()),
            *(f"-{name}.port.grpc={free_port()}" for name in ports),
        ]  # fmt: skip
        with self.log.open("ab") as log:
            self._running = subprocess.Popen(
                argv, cwd=self.home, env={**os.environ, "HOME": str(self.home)}, stdout=log, stderr=log
            )
        ends_s = time.monotonic() + deadline_s
        while time.monotonic() < ends_s and self._running.poll() is None:
            if self._takes_an_object():
                return self
            time.sleep(0.1)
        self.end()
        raise TimeoutError(f"the S3 server did not answer within {deadline_s:.0f} s: {self.log.read_text()[-2000:]}")

    def end(self) -> None:
        """End it. Harmless when it does not run."""
        running, self._running = self._running, None
        if running is not None:
            running.kill()
            running.wait()

    def request(self, method: str, path: str, content: bytes = b"", *, key: str = KEY) -> httpx.Response:
        """A signed request of one's own, such as `request("PUT", "/bucket")`."""
        url = presigned(
            method, f"{self.endpoint}{path}", Credentials(key, SECRET), region=REGION, expires_s=60, now_s=time.time()
        )
        return httpx.request(method, url, content=content, timeout=30)

    def make_bucket(self, bucket: str, *, deadline_s: float = 60) -> None:
        """Make it, and return once it takes an object: each has volumes of its own, which come with the first."""
        self.request("PUT", f"/{bucket}").raise_for_status()
        ends_s = time.monotonic() + deadline_s
        while self.request("PUT", f"/{bucket}/first", b"content").status_code != 200:
            if time.monotonic() > ends_s:
                raise TimeoutError(f"bucket {bucket} takes nothing: {self.log.read_text()[-2000:]}")
            time.sleep(0.1)
        self.request("DELETE", f"/{bucket}/first").raise_for_status()

    def drop_bucket(self, bucket: str) -> None:
        """Take a bucket away with all that is in it."""
        self.request("DELETE", f"/{bucket}").raise_for_status()

    def _takes_an_object(self) -> bool:
        try:
            self.make_bucket("ready", deadline_s=0)
        except (httpx.HTTPError, TimeoutError):
            return False
        return True

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()


def _identity(key: str, *actions: str) -> dict[str, object]:
    return {"name": key, "credentials": [{"accessKey": key, "secretKey": SECRET}], "actions": list(actions)}
