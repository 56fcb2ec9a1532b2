"""Visit the images that pages show: fetch what is not known yet, and give it to the one pipeline.

An image is known by its URL, while the server says that it is as it was; and by its bytes, whatever its URL. Either way
it counts as known only while a live pin of the flow wants it: what was purged since is taken again, and what was too
small, or not the flow's, is looked at anew: this crawl may ask for less, the flow for more.
"""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Final, NamedTuple

import trio
from blake3 import blake3

from node.errors import UserError
from node.ingest.body import image_type
from node.ingest.crawl.frontier import Frontier, ImageKnown, Visit
from node.ingest.flow_limits import TooSmall
from node.ingest.not_fetched import NotModified, TooLarge
from node.ingest.strangers import Fetched, FetchLimits, Known, Strangers
from node.ingest.web_address import WebAddress
from node.jobs.errors import Trouble
from node.jobs.workplace import Workplace
from store.errors import StoreError

IMAGE_LIMITS: Final = FetchLimits(redirects=0)


class ToTake(NamedTuple):
    """An image that was fetched. `name`: of its pin. `origin`: its URL."""

    path: Path
    name: str
    origin: str


class ImageVisits:
    """Of one flow.

    Args:
        take: takes an image into the flow; its root. Raises: UserError.
        wants: whether a live pin of the flow wants a root.
        check: raises what ends the crawl: nothing may be added any more.
        workplace: what may lie in it bounds what is fetched.
    """

    def __init__(
        self,
        flow: str,
        frontier: Frontier,
        strangers: Strangers,
        *,
        take: Callable[[ToTake], Awaitable[bytes]],
        wants: Callable[[bytes], bool],
        check: Callable[[], None],
        workplace: Workplace,
    ) -> None:
        self._flow = flow
        self._frontier = frontier
        self._strangers = strangers
        self._take = take
        self._wants = wants
        self._check = check
        self._workplace = workplace
        self._in_hand: dict[bytes, trio.Event] = {}

    async def fetch(self, visit: Visit, into: Path) -> Fetched | None:
        """Fetch an image; None where it is known and has not changed.

        Raises:
            NotFetched: it is not to be had.
            Trouble: the workspace is full.
        """
        known = await trio.to_thread.run_sync(self._frontier.image, self._flow, str(visit.address))
        asked = Known()
        if known is not None and known.root is not None and self._wants(known.root):
            asked = Known(etag=known.etag, last_modified=known.last_modified)
        room_bytes = await trio.to_thread.run_sync(self._workplace.room_bytes)
        limits = replace(IMAGE_LIMITS, max_bytes=min(IMAGE_LIMITS.max_bytes, room_bytes))
        try:
            return await self._strangers.fetch(visit.address, into, limits, kind=image_type, known=asked)
        except NotModified:
            return None
        except TooLarge as error:
            # Half the workspace free and still too small: waiting would not help.
            if room_bytes < min(IMAGE_LIMITS.max_bytes, self._workplace.quota_bytes // 2):
                raise Trouble(f"{visit.address}: {error.message}: the workspace is full") from error
            raise

    async def take(self, visit: Visit, fetched: Fetched) -> str:
        """Take a fetched image in, unless its bytes are known, and write down what came of it; its state.

        Raises:
            Trouble: the store is in no state to take images.
            RefusedByPolicy: nothing may be added any more.
        """
        try:
            digest = await trio.to_thread.run_sync(_digest, fetched.path)
            while digest in self._in_hand:  # the same bytes by another URL: one of both takes them
                await self._in_hand[digest].wait()
            self._in_hand[digest] = trio.Event()
            try:
                state, reason, root = await self._take_once(visit, fetched, digest)
                known = ImageKnown(digest, root, fetched.etag, fetched.last_modified)
                await trio.to_thread.run_sync(self._frontier.image_done, visit, state, reason, self._flow, known)
            finally:
                self._in_hand.pop(digest).set()
            return state
        finally:
            with trio.CancelScope(shield=True):
                await trio.Path(fetched.path).unlink(missing_ok=True)

    async def _take_once(self, visit: Visit, fetched: Fetched, digest: bytes) -> tuple[str, str | None, bytes | None]:
        """State, reason, root."""
        same = await trio.to_thread.run_sync(self._frontier.image_by_bytes, self._flow, digest)
        if same is not None and same.root is not None and self._wants(same.root):
            return "known", None, same.root
        self._check()
        try:
            root = await self._take(ToTake(fetched.path, name_of(visit.address), str(visit.address)))
        except TooSmall as error:
            return "small", error.message, None
        except Trouble:
            raise
        except UserError as error:
            if isinstance(error.__cause__, StoreError) and error.__cause__.retryable:
                raise Trouble(error.message, hint=error.hint) from error
            return "refused", error.message, None
        return "done", None, root


def name_of(address: WebAddress) -> str:
    """The name of an image's pin: host and path, so that a restored flow is a tree of its sites."""
    return "/".join([address.host.replace(":", "-"), *address.folders, address.name])


def _digest(path: Path) -> bytes:
    return blake3(max_threads=1).update_mmap(path).digest()
