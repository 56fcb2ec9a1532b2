"""`status` and `doctor`: what a person should know first, and whether every promise holds."""

import os
from collections.abc import Iterator

import trio

from node.config import Config
from node.errors import UserError
from node.jobs.job import State
from node.keys import IDENTITY, read_key
from node.operations import belonging, policy
from node.operations.bin import Bin
from node.operations.linking import unlinked
from node.operations.members import own_word
from node.operations.naming import name_of
from node.operations.sight import reasons, repair_status
from node.operations.written import instant_or_none
from node.parts import Parts
from node.quantities import plural, size_text
from node.rows import CheckRow
from node.status_rows import Alert, ImageCounts, PeerCounts, Status, StoreUse, WorkCounts
from node.version import VERSION
from store.cid import cid_text
from store.errors import StoreError

ROOTS_NAMED = 5
"""Of what was put aside; the events and `records/` name them all."""
LEAST_FREE_BYTES = 256 << 20
"""Of the disk, below which `doctor` warns: the catalogue and its log need room to delete, too. Guess."""


class Health:
    """Answers how this peer and its swarm are."""

    def __init__(self, parts: Parts, bin: Bin) -> None:
        self._parts = parts
        self._records = parts.records.counting
        self._bin = bin

    async def status(self) -> Status:
        """See `Service.status`."""
        parts = self._parts
        config = parts.settings.config
        view = parts.controller.beliefs.view(())
        me = view.peers[parts.key.peer_id]
        store = await self._store_use()
        gateway = parts.gateway.address if parts.gateway is not None else None
        return Status(
            peer_id=parts.key.peer_id,
            name=config.name,
            version=VERSION,
            data_dir=str(config.data_dir),
            addrs=tuple(parts.host.addrs),
            state="recovering" if parts.store.rebuilt else own_word(me),
            zone=config.zone,
            uptime_s=round(trio.current_time() - parts.started_s, 3),
            images=self._images(settled=view.planning_blocked is None),
            peers=self._peers(),
            store=store,
            work=await self._work(),
            swarm=parts.swarm_id,
            gateway=f"http://{gateway}" if gateway else None,
            alerts=tuple(self._alerts(store)),
            away_until=instant_or_none(parts.orders.away_until_ms),
            repair=repair_status(parts),
            reasons=reasons(parts, settled=view.planning_blocked is None),
            roles=self._records.role(parts.key.peer_id),
            refused=parts.records.refusals.counts(),
        )

    def _images(self, *, settled: bool) -> ImageCounts:
        """Roots by how they stand. Before others' holdings are known again after a start, nothing is called lost."""
        standings = self._parts.controller.standings
        lost = standings["lost"] if settled else 0
        return ImageCounts(
            total=self._records.root_count,
            below_min=standings["below_min"],
            below_target=standings["below_target"],
            at_target=standings["at_target"],
            above_target=standings["above_target"],
            sought=standings["sought"] + standings["lost"] - lost,
            lost=lost,
            trashed=self._bin.roots_count,
        )

    def _lost(self) -> int:
        blocked = self._parts.controller.beliefs.view(()).planning_blocked
        return self._parts.controller.standings["lost"] if blocked is None else 0

    def _away(self) -> str:
        """Where a copy may lie that counts as none for now, for whoever reads that something is lost."""
        away = " and ".join(f"backend {kind}" for kind, place in self._parts.offering.places.items() if place.trouble)
        return f"; {away} cannot be asked, and what is only there counts again when that answers" if away else ""

    def _peers(self) -> PeerCounts:
        seen = {"alive": 1, "suspect": 0, "down": 0, "left": 0}
        for peer in self._parts.knowledge.membership.peers().values():
            if peer.standing.member or peer.standing.left:
                seen[peer.sees] += 1
        return PeerCounts(**seen)

    async def _store_use(self) -> StoreUse:
        used_bytes, disk_bytes = await trio.to_thread.run_sync(self._measure_disk)
        capacity_bytes = self._parts.capacity_bytes
        free_bytes = max(0, min(capacity_bytes - used_bytes, disk_bytes))
        return StoreUse(used_bytes=used_bytes, capacity_bytes=capacity_bytes, free_bytes=free_bytes)

    def _measure_disk(self) -> tuple[int, int]:
        """Bytes used by all its stores together, and free on its disk (in a thread)."""
        disk = os.statvfs(self._parts.settings.config.data_dir)
        return self._parts.store.used_bytes_everywhere(), disk.f_bavail * disk.f_frsize

    async def _work(self) -> WorkCounts:
        """Fetches, releases, jobs, and what is being added beside them."""
        work, jobs = self._parts.executor.work, self._parts.jobs
        counts = await jobs.counts()
        return WorkCounts(
            queued=work.queued_count + counts[State.QUEUED],
            running=len(work.fetching) + len(work.releasing) + max(self._parts.intake.running, counts[State.RUNNING]),
            failed=len(work.failed) + counts[State.FAILED],
        )

    def _alerts(self, store: StoreUse) -> Iterator[Alert]:
        parts = self._parts
        lost = self._lost()
        if lost:
            yield Alert(check="lost", detail=f"no live peer holds a copy of {plural(lost, 'root')}{self._away()}")
        if parts.draining.has_left:
            yield Alert(check="left", detail="this peer has left the swarm; its data directory may be deleted")
        if parts.storm.mass_loss():
            yield Alert(check="mass loss", detail=parts.storm.describe())
        yield from belonging.alerts(parts)
        clock = parts.knowledge.membership.clock()
        if clock.wrong or clock.doubtful:
            consequence = "; nothing is written" if clock.wrong else ""
            yield Alert(check="clock", detail=policy.offset_text(clock.ahead_ms) + consequence)
        plan = parts.controller.last_plan
        if plan.no_room_copies:
            lacking = size_text(plan.no_room_bytes)
            what = "1 copy fits" if plan.no_room_copies == 1 else f"{plan.no_room_copies:,} copies fit"
            yield Alert(check="no room", detail=f"{what} nowhere, {lacking} are lacking")
        if parts.aside:
            yield Alert(check="set aside", detail=f"{_do_not_count(len(parts.aside))} any more; see `doctor`")
        if parts.store.rebuilt:
            yield Alert(check="recovering", detail="the catalogue was made anew from the files")
        apart = unlinked(parts)
        if apart:
            names = ", ".join(name_of(parts, peer_id) or peer_id for peer_id in sorted(apart))
            yield Alert(check="links", detail=f"no connection with {names}, alive by what others pass on")
        if trouble := parts.disk.trouble or parts.about.refusal:
            yield Alert(check="disk", detail=f"{trouble}; no copies are placed here")
        for kind, place in parts.offering.places.items():
            if place.trouble:
                yield Alert(check=f"backend {kind}", detail=f"{place.trouble}; no copies are placed there")
        if not store.free_bytes:
            yield Alert(check="full", detail="this peer has no room left")
        gateway = parts.gateway
        if gateway is not None and gateway.address is None and gateway.problem:
            yield Alert(
                check="gateway", detail=f"{gateway.problem}; it is tried again, or set another with `--gateway`"
            )

    async def doctor(self, *, accept: bool) -> tuple[CheckRow, ...]:
        """See `Service.doctor`. A lone peer, or one whose images have few copies, is in order."""
        accepted = [await self._accept()] if accept else []
        rows = await trio.to_thread.run_sync(self._store_checks)
        return (*rows, *self._swarm_checks(), *accepted)

    async def _accept(self) -> CheckRow:
        """The operator vouches for this peer: it is the one that stays, and what it holds is what there is."""
        parts = self._parts
        recovered = "recovery is over; " if parts.store.rebuilt else ""
        recovered += await parts.homecoming.accept()
        epoch = await parts.comeback.vouch()
        parts.twins.told_by = None
        parts.speaking.beat_soon()
        return CheckRow(check="accept", ok=True, detail=f"{recovered}epoch {epoch} of the holdings begins")

    def _store_checks(self) -> list[CheckRow]:
        """What the disk says (in a thread)."""
        try:
            rows = [CheckRow(check=c.check, ok=c.ok, detail=c.detail) for c in self._parts.store.check()]
        except (StoreError, OSError) as error:
            rows = [CheckRow(check="store", ok=False, detail=str(error))]
        config = self._parts.settings.config
        return [*rows, self._identity_check(config), self._room_check(), self._settings_check()]

    def _identity_check(self, config: Config) -> CheckRow:
        try:
            key = read_key(config.data_dir, IDENTITY)
        except UserError as error:
            return CheckRow(check="identity", ok=False, detail=error.message)
        same = key is not None and key.peer_id == self._parts.key.peer_id
        told = self._parts.key.peer_id if same else f"{config.data_dir / IDENTITY}: not the key of the running peer"
        return CheckRow(check="identity", ok=same, detail=told)

    def _room_check(self) -> CheckRow:
        try:
            _, disk_bytes = self._measure_disk()
        except (StoreError, OSError) as error:
            return CheckRow(check="room", ok=False, detail=str(error))
        return CheckRow(check="room", ok=disk_bytes >= LEAST_FREE_BYTES, detail=f"{size_text(disk_bytes)} free")

    def _settings_check(self) -> CheckRow:
        """A variable that is no setting may be a neighbour's: in order, but to be known."""
        unread = self._parts.settings.unread
        return CheckRow(check="settings", ok=True, detail="; ".join(unread) or "all variables are settings")

    def _swarm_checks(self) -> list[CheckRow]:
        lost = self._lost()
        clock = self._parts.knowledge.membership.clock()
        trouble = self._parts.disk.trouble
        return [
            CheckRow(check="reads", ok=not trouble, detail=trouble or "the disk gives back what it was given"),
            *self._backend_checks(),
            CheckRow(
                check="lost",
                ok=not lost,
                detail=f"{plural(lost, 'root')} without a live copy{self._away()}" if lost else "none",
            ),
            CheckRow(check="clock", ok=not clock.wrong, detail=policy.offset_text(clock.ahead_ms)),
            *belonging.checks(self._parts),
            *self._homecoming_checks(),
        ]

    def _backend_checks(self) -> Iterator[CheckRow]:
        for kind, place in self._parts.offering.places.items():
            told = place.trouble or f"{place.backend.place}, store {place.store_id}"
            yield CheckRow(check=f"backend {kind}", ok=not place.trouble, detail=told)

    def _homecoming_checks(self) -> Iterator[CheckRow]:
        """Away for too long: in order, but to be known."""
        yield CheckRow(check="touch", ok=True, detail=self._parts.homecoming.describe())
        if aside := self._parts.aside:
            roots = aside.roots
            named = ", ".join(map(cid_text, roots[:ROOTS_NAMED])) + (", …" if len(roots) > ROOTS_NAMED else "")
            how = f"; `pin add CID` brings one back: {named}" if roots else ""
            yield CheckRow(check="set aside", ok=True, detail=f"{_do_not_count(len(aside))}{how}")


def _do_not_count(records: int) -> str:
    return f"{plural(records, 'record')} {'does' if records == 1 else 'do'} not count"
