"""What the gateway asks the daemon, over the control socket: blocks that are not here, names, metrics.

Called from worker threads, each with a connection of its own.
"""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from node.control.client import Control, quote, with_query
from node.errors import Ambiguous, NotFound, TimedOut, Usage, UserError
from node.gateway.answers import HttpError
from store.cid import cid_text
from store.errors import BlockNotFound

BLOCK_TIMEOUT_S = 30.0
"""A guess: a swarm that has a block finds it within seconds."""
NAME_TIMEOUT_S = 10.0
PROBE_TIMEOUT_S = 2.0

T = TypeVar("T")


class Upstream:
    """The daemon on `data_dir`."""

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir
        self._local = threading.local()

    def block(self, cid: bytes) -> bytes:
        """A block that another peer may have; the caller verifies it.

        Raises:
            BlockNotFound: no peer that answers has it.
            HttpError: 504 if that took too long, 503 where the daemon does not answer.
        """
        path = with_query(f"/v1/block/{cid_text(cid)}", {"fetch": True})
        try:
            return self._ask(lambda control: control.open("GET", path, timeout_s=BLOCK_TIMEOUT_S).read())
        except NotFound as error:
            raise BlockNotFound(cid) from error
        except UserError as error:
            raise as_http(error) from error

    def root(self, ref: str) -> str:
        """The root CID, as text, that a REF stands for.

        Raises:
            HttpError: 404 or 300 for a name that leads nowhere or to several images, 503 or 504 as above.
        """
        try:
            found = self._ask(
                lambda control: control.call("GET", f"/v1/resolve/{quote(ref)}", timeout_s=NAME_TIMEOUT_S)
            )
        except UserError as error:
            raise as_http(error) from error
        return str(found["root"])

    def ready(self) -> bool:
        """Whether the daemon answers."""
        try:
            self._ask(lambda control: control.call("GET", "/v1/config", timeout_s=PROBE_TIMEOUT_S))
        except UserError:
            return False
        return True

    def metrics(self) -> str:
        """The daemon's metrics as Prometheus text; empty while it does not answer."""
        try:
            return self._ask(
                lambda control: (
                    control.open("GET", "/v1/metrics", accept="text/plain", timeout_s=PROBE_TIMEOUT_S)
                    .read()
                    .decode(errors="replace")
                )
            )
        except UserError:
            return ""

    def _ask(self, question: Callable[[Control], T]) -> T:
        control: Any = getattr(self._local, "control", None)
        if control is None:
            control = self._local.control = Control(self._data_dir)
        return question(control)


def as_http(error: UserError) -> HttpError:
    """How a failure of the daemon to answer looks from outside; paths on this machine stay inside."""
    if isinstance(error, Ambiguous):
        return HttpError(300, f"{error.message}: {', '.join(error.candidates)}")
    if isinstance(error, NotFound):
        return HttpError(404, error.message)
    if isinstance(error, Usage):
        return HttpError(400, error.message)
    if isinstance(error, TimedOut):
        return HttpError(504, "the swarm did not answer in time")
    return HttpError(503, "the daemon does not answer", {"Retry-After": "5"})
