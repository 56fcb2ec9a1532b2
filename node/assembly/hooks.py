"""What parts tell one another before all of them exist; `Daemon.connect` and the one part that knows fill in the rest."""

from collections.abc import Callable, Iterable, Sequence

from node.events import wall_ms
from protocol.beat import SignedBeat
from protocol.changes import Changes
from protocol.records import Record, Signed


class Hooks:
    """Call them through a lambda: what is passed on is replaced once it exists.

    Attributes:
        offering: this peer offers other kinds of backend than before.
        blocked: why nothing may be planned now, or None.
        owners_of: who is to hold a root of a kind.
        lately_heard: the members heard from in the last 30 days.
    """

    def __init__(self) -> None:
        self.change: Callable[[Changes], None] = lambda _: None
        self.news: Callable[[Sequence[Signed[Record]]], None] = lambda _: None
        self.replan: Callable[[Iterable[bytes] | None], None] = lambda _: None
        self.step: Callable[[], None] = lambda: None
        self.beat: Callable[[SignedBeat], None] = lambda _: None
        self.invites_open: Callable[[], bool] = lambda: False
        self.swarm_ms: Callable[[], int] = wall_ms
        self.offering: Callable[[], None] = lambda: None
        self.unreadable: Callable[[], None] = lambda: None
        self.blocked: Callable[[], str | None] = lambda: "this peer is starting"
        self.owners_of: Callable[[bytes, str], list[str]] = lambda root, kind: []
        self.lately_heard: Callable[[], set[str]] = set
