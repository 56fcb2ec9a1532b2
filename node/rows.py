"""The frozen rows that the daemon's service answers with; a row's fields are its JSON fields (DESIGN §10).

Fields are only ever added. CIDs and peer ids are text, sizes are bytes, instants are RFC 3339 text in UTC, and a path
that is not UTF-8 is escaped as `node.quantities.escape_path` says.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

Row = TypeVar("Row")


@dataclass(frozen=True, slots=True, kw_only=True)
class Page(Generic[Row]):
    """Part of a listing. `next` is the cursor for the rest, None at the end."""

    rows: tuple[Row, ...]
    next: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerRow:
    """A member. `state` is its own word, `sees` ours; `last_seen_s` is 0 for this peer, None if never heard.

    `linked` is False where it is alive and has no connection with this one, or says so: others pass on what it says.
    """

    peer_id: str
    name: str
    zone: str
    state: str
    sees: str
    roots: int
    used_bytes: int
    capacity_bytes: int
    last_seen_s: float | None
    addrs: tuple[str, ...]
    linked: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberRow:
    """An admission that stands, and who signed it (an invite or a steward)."""

    peer_id: str
    name: str
    roles: tuple[str, ...]
    admitted_at: str
    sees: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckRow:
    """One promise of `doctor`, and whether it holds."""

    check: str
    ok: bool
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Audit:
    """Challenges and what came of them; `wrong`: answered without the right proof."""

    challenges: int
    proven: int
    wrong: int
    silent: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Scrub:
    """A whole scrub. `healed`: of the bad blocks, those that were fetched anew before it returned."""

    blocks_checked: int
    bad: int
    healed: int
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """One root, every block of it hashed here. `error` says which is bad; the rest counts proofs of its other holders.

    `held` False: it is not held here, so nothing was hashed, nobody can be asked for a proof, and `ok` is false.
    """

    root: str
    name: str
    held: bool
    blocks_checked: int
    ok: bool
    error: str | None = None
    challenges: int = 0
    proven: int = 0
    wrong: int = 0
    silent: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Replicas:
    """A replication factor; 1 ≤ min ≤ max."""

    min: int
    max: int

    def __post_init__(self) -> None:
        if not 1 <= self.min <= self.max:
            raise ValueError(f"replicas {self.min}:{self.max}: expected 1 ≤ min ≤ max")


@dataclass(frozen=True, slots=True, kw_only=True)
class Added:
    """One input taken in. `new`: whether this peer did not hold the original before.

    `copies` counts the keepers that confirmed. `stripped`: metadata were taken out of it, as its flow has it, so that
    `original` is not the file's own CID. `error` is always None from the daemon, which raises instead; the
    command line fills it in for its own rows.
    """

    path: str
    root: str | None
    original: str | None
    new: bool
    size_bytes: int
    copies: int
    error: str | None = None
    stripped: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageRow:
    """A live pin that is not in the trash. Pixels are None for what is not an image, sizes None while unknown.

    `state` is one of at_target, below_target, below_min, above_target, sought, lost.
    """

    root: str
    name: str
    flow: str
    size_bytes: int | None
    width_px: int | None
    height_px: int | None
    media_type: str | None
    added_at: str
    copies: int
    replicas: Replicas
    state: str = "at_target"


@dataclass(frozen=True, slots=True, kw_only=True)
class FileRow:
    """A file of the image directory."""

    name: str
    cid: str
    size_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class HolderRow:
    """A peer that says it holds the root complete; `proven_at` is its last proof to us, None before the first.

    `doubt`: what this peer has found against the copy since: unproven, absent or lost; None: nothing.
    """

    peer_id: str
    name: str
    zone: str
    state: str
    proven_at: str | None
    doubt: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageDetail:
    """One root in full: the row of `ls` (its earliest pin's), every flow that wants it, files and holders.

    `parent` is the root that it was edited from, by `operations`.

    `files` is empty while the root's directory is not held here. `reason` is the planner's `explain`.
    """

    root: str
    name: str
    flow: str
    size_bytes: int | None
    width_px: int | None
    height_px: int | None
    media_type: str | None
    added_at: str
    copies: int
    replicas: Replicas
    files: tuple[FileRow, ...]
    holders: tuple[HolderRow, ...]
    state: str = "at_target"
    flows: tuple[str, ...] = ()
    original: str | None = None
    taken_at: str | None = None
    expires_at: str | None = None
    origin: str | None = None
    reason: str = ""
    parent: str | None = None
    operations: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SimilarRow:
    """A live pin of an image that looks alike; `distance_bits` of the 64 of its perceptual hash differ."""

    root: str
    name: str
    flow: str
    distance_bits: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolved:
    """What a REF stands for."""

    root: str
    flow: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """A file of an image, or an archive, about to be read.

    `chunks` yields exactly `size_bytes` bytes, or raises a `UserError`; None: nobody knows how many beforehand.
    """

    root: str
    name: str
    cid: str
    media_type: str
    size_bytes: int | None
    chunks: AsyncIterator[bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class Removed:
    """What `rm` or `undelete` did to one pin. `until`: when the trash forgets it, None if not in the trash."""

    root: str
    name: str
    flow: str
    until: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TrashRow:
    """A trashed pin."""

    root: str
    name: str
    flow: str
    trashed_at: str
    until: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PinRow:
    """A live pin. `state` as in `ImageRow`."""

    id: str
    cid: str
    name: str
    flow: str
    content: str
    size_bytes: int | None
    copies: int
    replicas: Replicas
    state: str
    added_at: str
    expires_at: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowRow:
    """A flow; `replicas` None: the charter's default. `images` counts live pins outside the trash.

    `acts` is the factor that holds, by the charter's default and within its bounds. `max_bytes` (of an image with its
    variants), `max_px` and `types` (media types) say what it takes, None and empty: anything; `strip`: without metadata.
    `adders` are the ids of the peers that may add to it, empty: every curator.
    """

    name: str
    backend: str
    replicas: Replicas | None
    images: int
    author: str = ""
    acts: Replicas | None = None
    max_bytes: int | None = None
    max_px: int | None = None
    types: tuple[str, ...] = ()
    strip: bool = False
    adders: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Invite:
    """One line to give to whoever joins; `role` is comma-separated, `expires` an instant."""

    invite: str
    role: str
    uses: int
    expires: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EventRow:
    """Something that happened. `seq` counts this daemon's events from 1."""

    seq: int
    at: str
    kind: str
    root: str | None = None
    peer_id: str | None = None
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingRow:
    """An effective setting and where its value came from: `default`, `config.toml`, a variable or a flag."""

    name: str
    value: Any
    source: str
