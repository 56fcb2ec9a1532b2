"""What the control socket needs of the daemon: the requests and the protocol; `node.rows` has the answers.

`node.control` turns HTTP into these calls and the rows into JSON; the daemon implements `Service`. CIDs and peer ids
are text here, and a path that is not UTF-8 is escaped as `node.quantities.escape_path` says.

Every method may raise a `node.errors.UserError`; `StoreError` and `ProtocolError` are translated by the server.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Annotated, Literal, Protocol

from msgspec import Meta

from node.add_options import AddOptions, Count, Seconds
from node.edit_service import EditService
from node.governing import Governing
from node.job_service import JobService
from node.operator_service import OperatorService
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
    Replicas,
    Resolved,
    Scrub,
    SettingRow,
    SimilarRow,
    TrashRow,
    Verified,
)
from node.status_rows import Status
from protocol.limits import MEMBERS

CountOrNone = Annotated[int, Meta(ge=0)]
PageSize = Annotated[int, Meta(ge=1, le=1000)]


@dataclass(frozen=True, slots=True, kw_only=True)
class AddFile:
    """Add a file of this machine, read by the daemon. `path` is absolute; see `escape_path` for odd names."""

    path: str
    options: AddOptions = field(default_factory=AddOptions)


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageQuery:
    """Which images `ls` wants.

    Attributes:
        degraded: only roots below their `min`, sought or lost.
        sort: `added` (newest last), or `taken`; None: by root.
        since_ms: only images added at or after this instant (wall clock).
        limit: rows a page, at most 1,000.
        after: cursor of the page before, or None.
    """

    flow: str | None = None
    degraded: bool = False
    sort: Literal["added", "taken"] | None = None
    since_ms: int | None = None
    limit: PageSize = 500
    after: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Export:
    """Images and other DAGs to put into one archive."""

    refs: Annotated[tuple[str, ...], Meta(min_length=1, max_length=1000)]
    flow: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SimilarTo:
    """What others are to look like: the image `ref`, or the file at the absolute `path`. `within`: bits of 64."""

    ref: str | None = None
    flow: str | None = None
    path: str | None = None
    within: CountOrNone | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportOptions:
    """Where an archive's roots go. `name`: of its pins; None: what is known of them already."""

    flow: str = "default"
    name: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Verify:
    """Which images `verify` is about: one (`ref`), or those of a flow.

    Attributes:
        deep: also have each other live holder prove it.
        limit: images a page, each of which is read whole.
    """

    ref: str | None = None
    flow: str | None = None
    deep: bool = False
    limit: Annotated[int, Meta(ge=1, le=100)] = 20
    after: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Remove:
    """Move the pins of `ref` to the trash; `purge` deletes them (stewards only). `flow` None: its only flow."""

    ref: str
    flow: str | None = None
    purge: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class AddPin:
    """Pin a DAG by its CID, fetched from `sources` (multiaddrs, at most 20) or whoever has it."""

    cid: str
    name: str | None = None
    flow: str = "default"
    replicas: Replicas | None = None
    expires_s: Seconds | None = None
    wait: CountOrNone = 1
    timeout_s: Seconds = 60.0
    sources: Annotated[tuple[str, ...], Meta(max_length=20)] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SetFlow:
    """Change a flow, or make it; what is None stays as it is.

    Attributes:
        inherit: have the charter's factor again; together with `replicas` it is refused.
        max_bytes: of an image with its variants; 0: no limit.
        max_px: width × height of an original; 0: no limit.
        types: of originals, as names (`jpeg`) or media types; empty: any.
        strip: take metadata out of originals.
        adders: peers that may add to it, by id or name; empty: every curator.
    """

    name: str
    backend: str | None = None
    replicas: Replicas | None = None
    inherit: bool = False
    max_bytes: CountOrNone | None = None
    max_px: CountOrNone | None = None
    types: Annotated[tuple[str, ...], Meta(max_length=32)] | None = None
    strip: bool | None = None
    adders: Annotated[tuple[str, ...], Meta(max_length=MEMBERS)] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MakeInvite:
    """Ask for an invite line."""

    roles: tuple[str, ...] = ("curator", "keeper")
    uses: Count = 1
    expires_s: Seconds = 7 * 86_400.0


class Service(OperatorService, Governing, JobService, EditService, Protocol):
    """The daemon, as its operator's tools see it. All of it runs on the daemon's trio loop."""

    async def status(self) -> Status:
        """Everything `status` shows; a look-up, never a fan-out."""

    async def peers(self) -> tuple[PeerRow, ...]:
        """All members, this peer first."""

    async def members(self) -> tuple[MemberRow, ...]:
        """The admissions that stand."""

    async def doctor(self, *, accept: bool) -> tuple[CheckRow, ...]:
        """Check every promise; `accept` takes a clone's or a recovery's new epoch (DESIGN §5, §8)."""

    async def audit(self) -> Audit:
        """Have the live holders of everything held here prove it, now; returns when that is done."""

    async def scrub(self) -> Scrub:
        """Hash every block of this peer's store, now; returns when what was bad is healed, or cannot be for a minute."""

    async def verify(self, query: Verify) -> Page[Verified]:
        """Hash every block of some images here, a page of them."""

    async def add(self, request: AddFile) -> Added:
        """Take a file in; `Added.path` repeats the request's. Raises `TimedOut` with `partial=Added(…)`."""

    async def upload(self, options: AddOptions, body: AsyncIterator[bytes]) -> Added:
        """Take in bytes that a client sends; `options.name` names the pin. A broken upload leaves nothing."""

    async def images(self, query: ImageQuery) -> Page[ImageRow]:
        """A page of `ls`."""

    async def show(self, ref: str, flow: str | None) -> ImageDetail:
        """One image. Raises `NotFound`, or `Ambiguous` with the roots it could be."""

    async def resolve(self, ref: str, flow: str | None) -> Resolved:
        """A root CID, a unique prefix (at least 4 characters) of one, an original's CID, or a name in a flow."""

    async def content(self, ref: str, variant: str, flow: str | None) -> Content:
        """Open a variant: original, display, large, medium, small, preview, frame-NN, image.json; fetched if absent."""

    async def export(self, request: Export) -> Content:
        """A CARv1 archive of whole DAGs, fetched where they are not here."""

    async def similar(self, request: SimilarTo) -> tuple[SimilarRow, ...]:
        """Pins of images that look alike, nearest first, wherever in the swarm they are."""

    async def import_archive(self, options: ImportOptions, body: AsyncIterator[bytes]) -> Page[Added]:
        """Take in a CARv1 archive and pin its roots; `Added.error` says why one was not."""

    async def remove(self, request: Remove) -> tuple[Removed, ...]:
        """To the trash. `Ambiguous` with the flows when `flow` is None and several want it."""

    async def undelete(self, ref: str, flow: str | None) -> tuple[Removed, ...]:
        """Out of the trash again."""

    async def trash(self, limit: int, after: str | None) -> Page[TrashRow]:
        """A page of `trash ls`."""

    async def pin_add(self, request: AddPin) -> PinRow:
        """Pin any DAG. Raises `TimedOut` with `partial=PinRow(…)`: the pin stands and is sought."""

    async def pin_remove(self, cid: str, flow: str | None) -> tuple[Removed, ...]:
        """As `remove`, for a DAG by its CID."""

    async def pins(self, limit: int, after: str | None) -> Page[PinRow]:
        """A page of all live pins, images included."""

    async def invite(self, request: MakeInvite) -> Invite:
        """Sign an invite; needs a steward's key here (`RefusedByPolicy` otherwise)."""

    async def flows(self) -> tuple[FlowRow, ...]:
        """All flows."""

    async def set_flow(self, request: SetFlow) -> FlowRow:
        """Change a flow at once for new images."""

    def events(self, after: int | None) -> AsyncIterator[EventRow]:
        """Events as they happen, from after `seq` where the daemon still remembers it; a slow reader loses the oldest."""

    async def settings(self) -> tuple[SettingRow, ...]:
        """The effective settings of the running daemon."""

    async def metrics(self) -> str:
        """The numbers of this peer in Prometheus' text format."""

    async def block(self, cid: str, *, fetch: bool) -> bytes:
        """One block, verified, for the gateway; with `fetch` from other peers too. Raises `NotFound`."""
