"""The daemon's `Service`: each call goes to the file that knows about it."""

from collections.abc import AsyncIterator, Iterable

from node.add_options import AddOptions
from node.edit_service import ChangeEdit, EditRow, OpenEdit, SaveEdit
from node.governing import AddSteward, CharterRow, Expel, Expelled, RemoveSteward, SetCharter
from node.ingest.crawl.request import CrawlRequest
from node.job_rows import JobEvent, JobRow, PageShown, UploadPut, UploadRow
from node.job_service import Act, AddUrl, FileJob, JobQuery, NewUpload
from node.operations.adding import Adding
from node.operations.alike import Alike
from node.operations.archives import Archives
from node.operations.bin import Bin
from node.operations.content import Contents
from node.operations.crawling import Crawling
from node.operations.editing import Editing
from node.operations.emptying import Emptying
from node.operations.expelling import Expelling
from node.operations.flows import Flows
from node.operations.governing import Charters
from node.operations.health import Health
from node.operations.job_desk import JobDesk
from node.operations.looking import Looking
from node.operations.members import Members
from node.operations.metrics import Metrics
from node.operations.migrating import Migrating
from node.operations.ordering import Ordering
from node.operations.pinning import Pinning
from node.operations.registering import register_sources
from node.operations.removing import Removing
from node.operations.repairing import Repairing
from node.operations.truth import Truth
from node.operations.upload_desk import UploadDesk
from node.operator_rows import (
    DrainPlanRow,
    DrainRow,
    MaintenanceRow,
    MigrationRow,
    MoveRow,
    PlanRow,
    RepairRow,
    ZoneRow,
)
from node.operator_service import SetMaintenance, SetZone
from node.parts import Parts
from node.rows import (
    Added,
    Audit,
    CheckRow,
    Content,
    EventRow,
    FlowRow,
    ImageDetail,
    ImageRow,
    Invite,
    MemberRow,
    Page,
    PeerRow,
    PinRow,
    Removed,
    Resolved,
    Scrub,
    SettingRow,
    SimilarRow,
    TrashRow,
    Verified,
)
from node.service import (
    AddFile,
    AddPin,
    Export,
    ImageQuery,
    ImportOptions,
    MakeInvite,
    Remove,
    SetFlow,
    SimilarTo,
    Verify,
)
from node.status_rows import Status


class Operations:
    """`node.service.Service` over the parts of a running daemon. Make it once the records are loaded.

    Attributes:
        migrating: moves flows, as jobs.
        uploads: those that are expected; to be run.
        editing: sessions in which images are edited; to be run.
        invites_open_until_ms: until when an invite made here can be redeemed, wall-clock milliseconds; 0 without one.
    """

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._bin = Bin(parts.records.counting)
        self._adding = Adding(parts)
        register_sources(parts, self._adding)
        self._job_desk = JobDesk(parts.jobs, self._adding)
        self._upload_desk = UploadDesk(parts, self._adding)
        self.uploads = self._upload_desk.uploads
        self._crawling = Crawling(parts, self._job_desk)
        self._looking = Looking(parts, self._bin)
        self._contents = Contents(parts, self._looking)
        self._alike = Alike(parts, self._looking)
        self.editing = Editing(parts, self._looking, self._contents, self._adding)
        self._archives = Archives(parts, self._looking)
        self._removing = Removing(parts, self._bin)
        self._pinning = Pinning(parts)
        self._members = Members(parts)
        self._flows = Flows(parts, self._bin)
        self._charters = Charters(parts, self._bin)
        self._expelling = Expelling(parts)
        self._health = Health(parts, self._bin)
        self._metrics = Metrics(parts, self._health, self._members)
        self._truth = Truth(parts, self._looking)
        self._ordering = Ordering(parts)
        self._emptying = Emptying(parts)
        self.migrating = Migrating(parts)
        self._repairing = Repairing(parts)
        self.invites_open_until_ms = self._members.invites_open_until_ms

    def roots_changed(self, roots: Iterable[bytes]) -> None:
        """The live pins of these roots may have come, gone or changed: to be called at every change of the records."""
        self._removing.tell_of_others(self._bin.changed(roots))
        self._looking.changed()

    async def status(self) -> Status:
        return await self._health.status()

    async def peers(self) -> tuple[PeerRow, ...]:
        return await self._members.peers()

    async def members(self) -> tuple[MemberRow, ...]:
        return await self._members.members()

    async def doctor(self, *, accept: bool) -> tuple[CheckRow, ...]:
        return await self._health.doctor(accept=accept)

    async def audit(self) -> Audit:
        return await self._truth.audit()

    async def scrub(self) -> Scrub:
        return await self._truth.scrub()

    async def verify(self, query: Verify) -> Page[Verified]:
        return await self._truth.verify(query)

    async def add(self, request: AddFile) -> Added:
        return await self._adding.add(request)

    async def upload(self, options: AddOptions, body: AsyncIterator[bytes]) -> Added:
        return await self._adding.upload(options, body)

    async def images(self, query: ImageQuery) -> Page[ImageRow]:
        return await self._looking.images(query)

    async def show(self, ref: str, flow: str | None) -> ImageDetail:
        return await self._looking.show(ref, flow)

    async def resolve(self, ref: str, flow: str | None) -> Resolved:
        return await self._looking.resolve(ref, flow)

    async def content(self, ref: str, variant: str, flow: str | None) -> Content:
        return await self._contents.open(ref, variant, flow)

    async def export(self, request: Export) -> Content:
        return await self._archives.export(request)

    async def similar(self, request: SimilarTo) -> tuple[SimilarRow, ...]:
        return await self._alike.similar(request)

    async def import_archive(self, options: ImportOptions, body: AsyncIterator[bytes]) -> Page[Added]:
        return await self._archives.import_archive(options, body)

    async def remove(self, request: Remove) -> tuple[Removed, ...]:
        return await self._removing.remove(request)

    async def undelete(self, ref: str, flow: str | None) -> tuple[Removed, ...]:
        return await self._removing.undelete(ref, flow)

    async def trash(self, limit: int, after: str | None) -> Page[TrashRow]:
        return await self._looking.trash(limit, after)

    async def pin_add(self, request: AddPin) -> PinRow:
        return await self._pinning.pin_add(request)

    async def pin_remove(self, cid: str, flow: str | None) -> tuple[Removed, ...]:
        return await self._removing.pin_remove(cid, flow)

    async def pins(self, limit: int, after: str | None) -> Page[PinRow]:
        return await self._looking.pins(limit, after)

    async def invite(self, request: MakeInvite) -> Invite:
        made = await self._members.invite(request)
        self.invites_open_until_ms = self._members.invites_open_until_ms
        return made

    async def flows(self) -> tuple[FlowRow, ...]:
        return await self._flows.flows()

    async def set_flow(self, request: SetFlow) -> FlowRow:
        return await self._flows.set_flow(request)

    async def remove_flow(self, name: str) -> FlowRow:
        return await self._flows.remove_flow(name)

    async def charter(self) -> CharterRow:
        return await self._charters.show()

    async def set_charter(self, request: SetCharter) -> CharterRow:
        return await self._charters.change(request)

    async def add_steward(self, request: AddSteward) -> CharterRow:
        return await self._charters.add_steward(request)

    async def remove_steward(self, request: RemoveSteward) -> CharterRow:
        return await self._charters.remove_steward(request)

    async def expel(self, request: Expel) -> Expelled:
        return await self._expelling.expel(request)

    def events(self, after: int | None) -> AsyncIterator[EventRow]:
        return self._parts.events.since(after)

    async def settings(self) -> tuple[SettingRow, ...]:
        settings = self._parts.settings.settings
        return tuple(SettingRow(name=each.name, value=each.value, source=each.source) for each in settings)

    async def block(self, cid: str, *, fetch: bool) -> bytes:
        return await self._contents.block(cid, fetch=fetch)

    async def metrics(self) -> str:
        """The numbers of this peer, as Prometheus reads them."""
        return await self._metrics.text()

    async def open_edit(self, request: OpenEdit) -> EditRow:
        return await self.editing.open_edit(request)

    async def change_edit(self, edit: str, request: ChangeEdit) -> EditRow:
        return await self.editing.change_edit(edit, request)

    async def edited(self, edit: str) -> Content:
        return await self.editing.edited(edit)

    async def edit_frame(self, edit: str, frame: str) -> Content:
        return await self.editing.edit_frame(edit, frame)

    async def save_edit(self, edit: str, request: SaveEdit) -> Added:
        return await self.editing.save_edit(edit, request)

    async def close_edit(self, edit: str) -> EditRow:
        return await self.editing.close_edit(edit)

    async def jobs(self, query: JobQuery) -> Page[JobRow]:
        return await self._job_desk.jobs(query)

    async def job(self, job_id: int, wait_s: float) -> JobRow:
        return await self._job_desk.job(job_id, wait_s)

    async def job_act(self, job_id: int, act: Act) -> JobRow:
        return await self._job_desk.act(job_id, act)

    def job_events(self, after: int | None) -> AsyncIterator[JobEvent]:
        return self._job_desk.events(after)

    async def extern(self, request: AddUrl) -> JobRow:
        return await self._job_desk.extern(request)

    async def crawl(self, request: CrawlRequest) -> JobRow:
        return await self._crawling.crawl(request)

    async def pages(self, ref: str, flow: str | None) -> Page[PageShown]:
        root = self._looking.first_pin(ref, flow).root
        return Page(rows=await self._crawling.pages(root), next=None)

    async def file_job(self, request: FileJob) -> JobRow:
        return await self._job_desk.file_job(request)

    async def open_upload(self, request: NewUpload) -> UploadRow:
        return await self._upload_desk.open(request)

    async def expected_upload(self, upload_id: str, token: str) -> UploadPut:
        return await self._upload_desk.expected(upload_id, token)

    async def put_upload(self, upload_id: str, token: str, body: AsyncIterator[bytes]) -> UploadPut:
        return await self._upload_desk.put(upload_id, token, body)

    async def complete_upload(self, upload_id: str, wait_s: float) -> JobRow:
        job = await self._upload_desk.complete(upload_id)
        return await self._job_desk.job(job.id, wait_s)

    async def maintenance(self) -> MaintenanceRow:
        return await self._ordering.maintenance()

    async def set_maintenance(self, request: SetMaintenance) -> MaintenanceRow:
        return await self._ordering.set_maintenance(request)

    async def set_zone(self, request: SetZone) -> ZoneRow:
        return await self._ordering.set_zone(request)

    async def drain(self) -> DrainRow:
        return await self._emptying.drain()

    async def start_drain(self, *, to_min: bool) -> DrainRow:
        return await self._emptying.start_drain(to_min=to_min)

    async def cancel_drain(self) -> DrainRow:
        return await self._emptying.cancel_drain()

    async def drain_plan(self, *, to_min: bool, limit: int, after: str | None) -> Page[DrainPlanRow]:
        return await self._emptying.drain_plan(to_min=to_min, limit=limit, after=after)

    async def migration_plan(self, flow: str, *, limit: int, after: str | None) -> Page[MoveRow]:
        return await self.migrating.plan(flow, limit, after)

    async def migrate(self, flow: str) -> MigrationRow:
        return await self.migrating.start(flow)

    async def migration(self, flow: str) -> MigrationRow:
        return await self.migrating.look(flow)

    async def repair(self, *, now: bool) -> RepairRow:
        return await self._repairing.repair(now=now)

    async def repair_plan(self, *, limit: int, after: str | None) -> Page[PlanRow]:
        return await self._repairing.repair_plan(limit=limit, after=after)

    async def rebalance_plan(self) -> tuple[PlanRow, ...]:
        return await self._repairing.rebalance_plan()
