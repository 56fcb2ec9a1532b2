"""The daemon's side of the gateway: start its process, watch it, start it anew when it ends."""

import logging
import os
import signal
import subprocess
import sys
from pathlib import Path

import trio

from node.gateway.handshake import FAILED, READY

log = logging.getLogger("pinakothek.gateway")

FIRST_RESTART_S = 0.5
MAX_RESTART_S = 30.0
HEALTHY_S = 60.0
"""A gateway that lived this long was well; its next end is followed by the shortest wait again."""
STOP_GRACE_S = 3.0
MAX_LINE_BYTES = 4096


class GatewayProcess:
    """Runs `python -m node.gateway` while `run` runs.

    Attributes:
        address: `HOST:PORT` where it listens, with the real port; None while it does not.
        problem: one line saying why it does not listen, None while all is well.
        listening: set while it listens; another event from each start to the next.
        restarts: how often it had to be started anew.
    """

    def __init__(self, data_dir: Path, bind: str) -> None:
        self._data_dir = data_dir
        self._bind = bind
        self.address: str | None = None
        self.problem: str | None = None
        self.restarts = 0
        self.listening = trio.Event()

    async def run(self) -> None:
        """Keep one gateway process alive until cancelled; then end it."""
        backoff_s = FIRST_RESTART_S
        while True:
            started_s = trio.current_time()
            self.problem = await self._run_once()
            if trio.current_time() - started_s > HEALTHY_S:
                backoff_s = FIRST_RESTART_S
            log.warning("gateway: %s; starting it anew in %.1f s", self.problem, backoff_s)
            await trio.sleep(backoff_s)
            backoff_s = min(backoff_s * 2, MAX_RESTART_S)
            self.restarts += 1

    async def _run_once(self) -> str:
        """Run one process to its end. Returns: why it ended."""
        # The write end of the pipe lives in this process only: when the daemon dies, however, the gateway reads EOF.
        alive_r, alive_w = os.pipe()
        argv = [sys.executable, "-m", "node.gateway", str(self._data_dir), self._bind, str(alive_r)]
        try:
            process = await trio.lowlevel.open_process(
                argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, pass_fds=(alive_r,), start_new_session=True
            )
        except OSError as error:
            os.close(alive_w)
            return f"cannot be started: {(error.strerror or str(error)).lower()}"
        finally:
            os.close(alive_r)
        try:
            assert process.stdout is not None
            said = await self._read_line(process.stdout)
            if said.startswith(READY):
                self.address, self.problem = said.removeprefix(READY).decode(), None
                self.listening.set()
                log.info("gateway on http://%s", self.address)
            code = await process.wait()
        finally:
            self.address = None
            if self.listening.is_set():
                self.listening = trio.Event()
            os.close(alive_w)
            with trio.CancelScope(shield=True):
                await _end(process)
        if said.startswith(FAILED):
            return said.removeprefix(FAILED).decode(errors="replace")
        return f"ended by signal {-code}" if code < 0 else f"ended with code {code}"

    async def _read_line(self, output: trio.abc.ReceiveStream) -> bytes:
        line = b""
        while not line.endswith(b"\n") and len(line) < MAX_LINE_BYTES:
            more = await output.receive_some(MAX_LINE_BYTES)
            if not more:
                break
            line += more
        return line.rstrip(b"\n")


async def _end(process: trio.Process) -> None:
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        with trio.move_on_after(STOP_GRACE_S):
            await process.wait()
        if process.poll() is None:
            process.kill()
            await process.wait()
    if process.stdout is not None:
        await process.stdout.aclose()
