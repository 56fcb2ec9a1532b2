"""`flow migrate`: move a flow's images to the backend that its flow names now, as a job of the kind `migrate`.

1. Its pins are signed anew with that backend, some at a time: so many roots at most are short of copies there.
2. The keepers that offer it make the copies, each from its own old one where it has one: replication, as ever.
3. An image has moved once it has as many copies there as can be had, and the one here was read back and hashed.
4. Old copies go as plans let them: with leases from `max` holders on the new backend. Where there cannot be so many, they
   stay, and the move is over without them.

That there is a move is the job; how far it is, pins and holdings say. So a pause, a restart or a power cut costs it
nothing, and after a cancel every image is where its pin says, or on the way there.
"""

import json
import logging
from collections.abc import Mapping
from functools import partial
from typing import Any

import trio

from node.errors import Failed, NotFound, UserError
from node.jobs.handler import Run
from node.jobs.job import Job, State
from node.operations.moving import Move, check_target, elsewhere
from node.operator_rows import MigrationRow, MoveRow
from node.parts import Parts
from node.rows import Page
from protocol.pin import Pin
from protocol.records import Signed
from store.cid import cid_text
from store.errors import StoreError

log = logging.getLogger("pinakothek.migrate")

KIND = "migrate"
AT_ONCE = 8
"""Flows that move together; one that waits for an absent peer must not keep the others. Guess."""
TRIES = 1_000_000
"""A daemon that ends in the middle of a move is no failure of the move."""
LOOK_S = 0.5
END_S = 5.0
"""A job whose move is over ends within that, unless the disk refuses to note it. Guess."""
FACT = "migrate/"
"""Where releases without the job kept that there is a move."""


class Migrating:
    """Moves flows: what the operator asks for, and the handler of the jobs."""

    kind = KIND
    at_once = AT_ONCE
    steps: tuple[str, ...] = ("signed", "moved", "left")
    keeps_failed = False

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._moves: dict[str, Move] = {}
        self._running: dict[str, int] = {}
        self._jobs: dict[str, int] | None = None
        self._turn = trio.Lock()
        parts.jobs.register(self)

    # what the operator asks

    async def plan(self, flow: str, limit: int, after: str | None) -> Page[MoveRow]:
        """See `OperatorService.migration_plan`."""
        backend = check_target(self._parts, flow)
        start = int(after or 0)
        found = elsewhere(self._parts, flow, backend)
        in_order = partial(sorted, found, key=lambda pin: (pin.record.name or "", pin.key))
        pins = await trio.to_thread.run_sync(in_order)  # of a large flow for each page: heartbeats must not wait for it
        end = start + limit
        rows = tuple(_planned(signed, backend) for signed in pins[start:end])
        return Page(rows=rows, next=str(end) if end < len(pins) else None)

    async def start(self, flow: str) -> MigrationRow:
        """See `OperatorService.migrate`."""
        backend = check_target(self._parts, flow)
        async with self._turn:
            job = await self._last_job(flow)
            move = self._moves.get(flow)
            if job is not None and not job.has_ended and move is not None and move.over:
                job = await self._ended(job)
            if job is None or job.has_ended:
                job = await self._submit(flow)
                self._parts.events.tell("migration", detail=f"{flow}: to {backend}")
        return self._row(flow, job)

    async def look(self, flow: str) -> MigrationRow:
        """See `OperatorService.migration`."""
        job = await self._last_job(flow)
        if job is None or (job.has_ended and flow not in self._moves):
            raise NotFound(f"flow {flow}: no migration", hint=f"begin one with `pinakothek flow migrate {flow}`")
        return self._row(flow, job)

    async def adopt(self) -> None:
        """Make jobs of what releases without them were moving."""
        try:
            kept = await trio.to_thread.run_sync(self._parts.store.facts, FACT)
            for name, fact in kept.items():
                flow = json.loads(fact)["flow"]
                async with self._turn:  # somebody may begin it anew this moment
                    job = await self._last_job(flow)
                    if job is None or job.has_ended:
                        await self._submit(flow)
                await trio.to_thread.run_sync(self._parts.store.set_fact, name, None)
        except (StoreError, UserError) as error:
            log.warning("moves of an earlier release wait for the next start: %s", error)

    async def _ended(self, job: Job) -> Job:
        """A job whose move is over, once that is written down; as it is where it was paused just then, or the disk refuses."""
        with trio.move_on_after(END_S):
            return await self._parts.jobs.ended(job.id)
        job = await self._parts.jobs.get(job.id)
        if job.state is not State.RUNNING:
            self._moves.pop(job.name, None)  # its next run looks at everything anew
        return job

    async def _submit(self, flow: str) -> Job:
        job = await self._parts.jobs.submit(KIND, {"flow": flow}, name=flow, tries=TRIES)
        (await self._by_flow())[flow] = job.id
        self._moves.pop(flow, None)
        return job

    async def _last_job(self, flow: str) -> Job | None:
        """The last job that moved a flow, as far as it is known; one that has not ended always is."""
        job_id = (await self._by_flow()).get(flow)
        try:
            return None if job_id is None else await self._parts.jobs.get(job_id)
        except NotFound:  # ended long ago
            return None

    async def _by_flow(self) -> dict[str, int]:
        """Flow -> the last job that moved it; those of an earlier start are looked for once."""
        if self._jobs is None:
            found: dict[str, int] = {}
            for state in (State.PAUSED, State.QUEUED, State.RUNNING):
                jobs = await self._parts.jobs.page(after=0, limit=1000, state=state, kind=KIND)
                found |= {job.request["flow"]: job.id for job in jobs}
            self._jobs = found | (self._jobs or {})
        return self._jobs

    def _row(self, flow: str, job: Job) -> MigrationRow:
        move = self._moves.get(flow)
        if move is None:
            move = self._moves[flow] = Move(self._parts, flow)
        if job.state in (State.FAILED, State.CANCELLED):
            return move.row(job.id, state=str(job.state), waiting=job.error)
        if job.state is State.PAUSED:
            return move.row(job.id, waiting=f"job {job.id} is paused: `pinakothek jobs resume {job.id}`")
        return move.row(job.id)

    # the handler

    async def run(self, run: Run) -> Mapping[str, Any]:
        """See `node.jobs.handler.Handler`."""
        flow = run.request["flow"]
        if flow in self._running:
            raise Failed(f"flow {flow}: job {self._running[flow]} moves it already")
        self._running[flow] = run.job.id
        try:
            (await self._by_flow())[flow] = run.job.id
            move = self._moves[flow] = Move(self._parts, flow)
            await _until_over(run, move)
        finally:
            del self._running[flow]
        row = move.row(run.job.id)
        return {
            "flow": flow, "backend": row.backend, "images": row.images, "moved": row.moved, "bytes": row.bytes,
            "bytes_moved": row.bytes_moved, "old_copies": row.old_copies,
        }  # fmt: skip


async def _until_over(run: Run, move: Move) -> None:
    try:
        while not move.over:
            await move.go_on()
            run.progress(len(move.moved), len(move.sizes), "images")
            await _tell_steps(run, move)
            if not move.over:
                await trio.sleep(LOOK_S)
    finally:
        run.left = move.left()


async def _tell_steps(run: Run, move: Move) -> None:
    """Which steps are finished: all pins signed, all images moved, all old copies gone that can."""
    reached = {"signed": not move.unsigned, "moved": not move.unsigned and not move.open, "left": move.over}
    new = {step: True for step, is_reached in reached.items() if is_reached and run.result_of(step) is None}
    if new:
        await run.steps(new)


def _planned(signed: Signed[Pin], backend: str) -> MoveRow:
    pin = signed.record
    return MoveRow(
        root=cid_text(pin.root), name=pin.name or "", backend=pin.backend, to=backend, size_bytes=pin.size_bytes or 0
    )
