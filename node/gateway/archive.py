"""CARv1 answers: the blocks of a path and of what it leads to, one after the other, none of them kept.

Source: https://specs.ipfs.tech/http-gateways/trustless-gateway/#car-responses-application-vnd-ipld-car
"""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from hashlib import sha256
from itertools import pairwise
from typing import Any

from node.gateway.asked import CAR_TYPE, CarAsked, Scope
from node.gateway.blocks import Blocks
from node.gateway.content import Place
from node.gateway.fairly import Finished, advance, run_fairly
from store.car import car_header, frame_prefix
from store.cid import DAG_PB, RAW, cid_text, codec_of
from store.dag import check_codec, links
from store.errors import DagTooLarge
from store.traversal import GetBlockAsync, Limits, Plan, Query, Want, run_async, want
from store.unixfs_read import plan_directory, plan_file, query_path, query_stat

CONTENT_TYPE = f"{CAR_TYPE}; version=1; order=dfs; dups=n"
ARCHIVE_LIMITS = Limits(max_blocks=1 << 16)
"""64 GiB of 1 MiB chunks; their CIDs, remembered so that none is sent twice, take 8 MB."""
MAX_WAITING_LINKS = 1 << 17


def archive_fields(place: Place, wanted: CarAsked) -> dict[str, str]:
    """Headers of the answer. The tag is weak: another peer may send the same blocks in another order."""
    asked = sha256(f"{place.path}\n{wanted}".encode()).hexdigest()[:16]
    name = cid_text(place.cid)
    return {
        **place.fields(),
        "ETag": f'W/"{name}.car.{asked}"',
        "Content-Type": CONTENT_TYPE,
        "Content-Disposition": f'attachment; filename="{name}.car"',
        "Accept-Ranges": "none",
    }


async def plan_archive(place: Place, wanted: CarAsked, blocks: Blocks) -> Plan[Any] | Query[Any]:
    """How to read what is wanted at `place`, whose own block can be had when this returns. Raises: as `archive`."""
    await run_async(want(place.cid), blocks.get)
    if wanted.scope is Scope.ALL:
        check_codec(place.cid)
        return _plan_depth_first(place.cid)
    if wanted.scope is Scope.ENTITY and codec_of(place.cid) in (RAW, DAG_PB):
        found = await run_fairly(query_stat(place.cid), blocks.get)
        if found.is_file:
            return plan_file(place.cid, wanted.start_bytes, wanted.length_bytes, ARCHIVE_LIMITS)
        if found.is_directory:
            return plan_directory(place.cid, ARCHIVE_LIMITS)
    return want(place.cid)


def _plan_depth_first(root: bytes) -> Plan[None]:
    """Read a DAG in the order that `order=dfs` promises: a block comes where it is met first, not where linked first.

    That is what a client which verifies while it reads follows, and what `store.dag.walk`, with less memory, is not.
    """
    read: set[bytes] = set()
    waiting = [(root, 1)]
    while waiting:
        cid, depth = waiting.pop()
        if cid in read:
            continue
        read.add(cid)
        for what, count, limit in (
            ("depth of a DAG in nodes", depth, ARCHIVE_LIMITS.max_depth),
            ("blocks of a DAG", len(read), ARCHIVE_LIMITS.max_blocks),
            ("links of a DAG waiting to be followed", len(waiting), MAX_WAITING_LINKS),
        ):
            if count > limit:
                raise DagTooLarge(what, count, limit, root)
        block = yield from want(cid)
        waiting += [(link, depth + 1) for link in reversed(links(cid, block)) if link not in read]


async def archive(place: Place, plan: Plan[Any] | Query[Any], blocks: Blocks) -> AsyncGenerator[bytes, None]:
    """The archive: the directories that the path goes through, then the blocks that `plan` reads, each once.

    Raises:
        StoreError, HttpError: a block cannot be had. What was sent until then is no whole archive.
    """
    names = [part for part in place.path.split("/") if part][1:]
    steps: list[Plan[Any] | Query[Any]] = [
        query_path(above, name, ARCHIVE_LIMITS) for (above, _), name in zip(pairwise(place.roots), names, strict=True)
    ]
    sent: set[bytes] = set()
    yield car_header([place.cid])
    for step in (*steps, plan):
        async with aclosing(_blocks_read(step, blocks.get)) as read:
            async for cid, block in read:
                if cid not in sent:
                    sent.add(cid)
                    yield frame_prefix(cid, len(block))
                    yield block


async def _blocks_read(
    plan: Plan[Any] | Query[Any], get_block: GetBlockAsync
) -> AsyncGenerator[tuple[bytes, bytes], None]:
    """The blocks that `plan` wants, as it comes to want them; what it makes of them is of no interest here."""
    step = await advance(plan, None, None)
    while not isinstance(step, Finished):
        if isinstance(step, Want):
            block = await get_block(step.cid)
            yield step.cid, block
            step = await advance(plan, step.cid, block)
        else:
            step = await advance(plan, None, None)
