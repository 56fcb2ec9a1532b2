"""`/pinakothek/query/1`: what members and guests may ask, answered from what this peer knows, never by asking others.

An expelled peer is answered one thing, whatever it asks: the record that expelled it.
"""

from collections.abc import Callable

from node.lookup import Lookup
from node.reading import Reading
from node.similarity import MAX_BITS, Similarity
from node.swarm.knowledge import Knowledge
from node.swarm.names import QUERY
from node.swarm.speaking import Description
from protocol.errors import Reason, Refused
from protocol.identity import PeerId
from protocol.limits import BEAT_ADDRS, MESSAGE_BYTES, PAGE_BYTES, QUERY_ROWS, THUMB_BYTES
from protocol.messages import QUERY_ASKS, write_message
from protocol.messages import read_message as read
from protocol.net.errors import MALFORMED, RpcRefused
from protocol.net.rpc import Rpc
from protocol.query import (
    CharterAnswer,
    CharterAsk,
    Holder,
    InfoAnswer,
    InfoAsk,
    ListAnswer,
    ListAsk,
    ListRow,
    LocateAnswer,
    NoAnswer,
    RootAsk,
    StatAnswer,
    ThumbAnswer,
    ThumbAsk,
)
from protocol.similar_messages import SimilarAnswer, SimilarAsk
from store.errors import PathNotFound, StoreError
from store.unixfs import read_file_async, resolve_path_async

MAX_REQUEST_BYTES = 4096
CONCURRENCY = 4
"""Of one peer: a page of a listing costs some milliseconds of everybody's time."""
ROWS = 500
"""A page of a listing; what does not fit `PAGE_BYTES` goes into the next."""

Answer = InfoAnswer | StatAnswer | LocateAnswer | ListAnswer | CharterAnswer | ThumbAnswer | SimilarAnswer | NoAnswer


class Answering:
    """Answers queries of members and guests.

    Args:
        describe: what this peer says of itself at this moment.
        addrs_of: where a member was last reachable.
    """

    def __init__(
        self,
        rpc: Rpc,
        knowledge: Knowledge,
        lookup: Lookup,
        reading: Reading,
        similarity: Similarity,
        *,
        name: str,
        version: str,
        swarm: bytes,
        describe: Callable[[], Description],
        addrs_of: Callable[[str], tuple[str, ...]],
    ) -> None:
        self._knowledge = knowledge
        self._lookup = lookup
        self._reading = reading
        self._similarity = similarity
        self._about = (name, version, swarm)
        self._describe = describe
        self._addrs_of = addrs_of
        rpc.register(
            QUERY,
            self._answer,
            max_request_bytes=MAX_REQUEST_BYTES,
            max_response_bytes=MESSAGE_BYTES,
            concurrency=CONCURRENCY,
        )

    async def _answer(self, peer_id: str, body: bytes) -> bytes:
        try:
            ask = read(body, QUERY_ASKS)
        except Refused as error:
            self._knowledge.records.refusals.count_reason(error.reason)
            raise RpcRefused(MALFORMED, str(error)) from error
        if ask is None:
            raise RpcRefused("unknown", "not a question of this version")
        return write_message(self._expulsion(peer_id) or await self._say(ask))

    def _expulsion(self, peer_id: str) -> NoAnswer | None:
        counting = self._knowledge.records.counting
        standing = counting.standing(peer_id)
        if standing is None or not standing.expelled:
            return None
        record = counting.expulsion_of(peer_id)
        return NoAnswer(
            reason=Reason.NOT_ALLOWED, detail="a steward expelled this peer", record=record.raw if record else None
        )

    async def _say(self, ask: object) -> Answer:
        if isinstance(ask, InfoAsk):
            return self._info()
        if isinstance(ask, RootAsk):
            return self._locate(ask.root) if ask.what == "locate" else self._stat(ask.root)
        if isinstance(ask, ListAsk):
            return self._list(ask)
        if isinstance(ask, CharterAsk):
            return CharterAnswer(charters=self._knowledge.records.counting.charter_raws[:QUERY_ROWS])
        if isinstance(ask, SimilarAsk):
            near = self._similarity.near(ask.phash.hex(), within_bits=min(ask.within_bits, MAX_BITS), limit=ROWS)
            return SimilarAnswer(found=tuple((each.root, each.distance_bits) for each in near))
        if isinstance(ask, ThumbAsk):
            return await self._thumb(ask)
        return NoAnswer(reason=Reason.NOT_ALLOWED, detail="not answered here")

    def _info(self) -> InfoAnswer:
        name, version, swarm = self._about
        about = self._describe()
        return InfoAnswer(
            name=name, zone=about.zone or None, version=version, swarm=swarm, roots=len(self._knowledge.own.here),
            capacity_bytes=about.capacity_bytes, used_bytes=about.used_bytes,
        )  # fmt: skip

    def _holders(self, root: bytes) -> list[tuple[str, str]]:
        kinds = {*self._knowledge.book.kinds(root), *self._knowledge.own.kinds_of(root)}
        return [(peer, kind) for kind in sorted(kinds) for peer in sorted(self._knowledge.holders(root, kind))]

    def _stat(self, root: bytes) -> StatAnswer:
        counting = self._knowledge.records.counting
        room, raws = PAGE_BYTES, []
        for pin in counting.live_pins(root):
            room -= len(pin.raw)
            if room < 0:
                break
            raws.append(pin.raw)
        wanted = counting.wanted(root)
        return StatAnswer(
            pins=tuple(raws),
            replicas=None if wanted is None else (wanted.min, wanted.max),  # type: ignore[arg-type]
            copies=len({peer for peer, _ in self._holders(root)}),
        )

    def _locate(self, root: bytes) -> LocateAnswer:
        holders = []
        for peer, kind in self._holders(root):
            member = self._knowledge.membership.get(peer)
            beat = member.beat if member else None
            sees = "alive" if member is None else str(member.sees)
            holders.append(
                Holder(
                    peer=PeerId(peer), kind=kind, state=sees, zone=beat.zone if beat else self._describe().zone or None,
                    addrs=self._addrs_of(peer)[:BEAT_ADDRS],
                )
            )  # fmt: skip
        return LocateAnswer(holders=tuple(holders))

    def _list(self, ask: ListAsk) -> ListAnswer:
        rows: list[ListRow] = []
        room = PAGE_BYTES
        for root in self._lookup.roots_after(ask.cursor or b""):
            for pin in self._lookup.pins(root, ask.flow):
                room -= 256 + len((pin.name or "").encode())
                rows.append(
                    ListRow(
                        root=root, flow=pin.flow, name=pin.name, media_type=pin.media_type,
                        size_bytes=pin.size_bytes, added_at_ms=pin.added_at_ms,
                    )
                )  # fmt: skip
            if len(rows) >= min(ask.limit, ROWS) or room < 0:
                return ListAnswer(rows=tuple(rows[:QUERY_ROWS]), cursor=root)
        return ListAnswer(rows=tuple(rows))

    async def _thumb(self, ask: ThumbAsk) -> ThumbAnswer:
        if not self._knowledge.own.kinds_of(ask.root):
            return ThumbAnswer(image=None)
        try:
            async with self._reading.open(ask.root) as reader:
                cid = await resolve_path_async(ask.root, f"{ask.variant}.webp", reader.get)
                image = b"".join([part async for part in read_file_async(cid, reader.get, 0, THUMB_BYTES + 1)])
        except (PathNotFound, StoreError):
            return ThumbAnswer(image=None)
        return ThumbAnswer(image=image if len(image) <= THUMB_BYTES else None)
