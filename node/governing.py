"""What a steward asks of the daemon: charters, stewards, expulsions, and removing a flow; requests, rows, and the calls.

Part of `node.service`; fields are only ever added.
"""

from dataclasses import dataclass
from typing import Annotated, Any, Literal, Protocol

from msgspec import Meta

from node.rows import FlowRow, Replicas
from protocol.charter import TRASH_DAYS_MAX

Days = Annotated[int, Meta(ge=0, le=TRASH_DAYS_MAX)]


@dataclass(frozen=True, slots=True, kw_only=True)
class SetCharter:
    """Sign the next charter; what is None stays as it is. `backends` empty: any. `force` empties trash at once."""

    name: str | None = None
    replicas: Replicas | None = None
    bounds: Replicas | None = None
    counts: tuple[str, ...] | None = None
    backends: tuple[str, ...] | None = None
    serve: Literal["anyone", "members"] | None = None
    trash_days: Days | None = None
    append_only: bool | None = None
    force: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class AddSteward:
    """Make `key` (a peer's id or another key's) a steward's; None: a new key that stays on this peer.

    `recovery_key`: 64 hexadecimal digits, where no steward's key lies here.
    """

    key: str | None = None
    recovery_key: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoveSteward:
    """Take stewardship from `key`, which needs the recovery key."""

    key: str
    recovery_key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Expel:
    """Expel a peer, named by its id, a unique beginning of it (8 characters) or its name."""

    peer: str
    drop_pins: bool = False
    force: bool = False
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OtherCharter:
    """The last charter of a branch that lost and is not settled: what it says that the one in force does not."""

    hash: str
    number: int
    signed_by: str
    signed_at: str
    says: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class CharterRow:
    """The charter in force.

    Attributes:
        swarm: the swarm's id.
        stewards, recovery: ids of keys.
        backends: empty means any.
        signed_by, signed_at: who signed it, and when by his clock.
        steward_here: the steward's key that lies on this peer, None without one.
        others: branches that no charter has settled; the next one signed settles them.
    """

    swarm: str
    number: int
    hash: str
    name: str
    replicas: Replicas
    bounds: Replicas
    counts: tuple[str, ...]
    backends: tuple[str, ...]
    serve: str
    trash_days: int
    append_only: bool
    stewards: tuple[str, ...]
    recovery: str
    signed_by: str
    signed_at: str
    steward_here: str | None = None
    others: tuple[OtherCharter, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Expelled:
    """What `expel` did: how many records of the peer a steward signed anew, and roots that it alone holds."""

    peer_id: str
    name: str
    resigned: int
    dropped: int
    sole_copies: int


class Governing(Protocol):
    """The calls; all of them raise `RefusedByPolicy` where a steward's or the recovery key is missing."""

    async def charter(self) -> CharterRow:
        """The charter in force."""

    async def set_charter(self, request: SetCharter) -> CharterRow:
        """Sign the next charter, which settles every fork that is known here."""

    async def add_steward(self, request: AddSteward) -> CharterRow:
        """Sign a charter with one more steward."""

    async def remove_steward(self, request: RemoveSteward) -> CharterRow:
        """Sign a charter with one steward less, by the recovery key."""

    async def expel(self, request: Expel) -> Expelled:
        """Expel a peer. Raises `RefusedByPolicy` with the roots that it alone holds, unless `force`."""

    async def remove_flow(self, name: str) -> FlowRow:
        """Delete a flow without live pins. Raises `RefusedByPolicy` while there are any."""
