"""How every root stands and what this peer plans for it, as of the last pass that each was part of.

Passes over a few roots change a few entries, so that `status`, `ls --degraded`, `repair --dry-run` and a drain's
progress are look-ups, however many roots there are.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping

from node.replication.planner import Action, Fetch, Plan
from node.replication.view import RootKey
from node.replication.weighing import Standing

AT_REST: frozenset[Standing] = frozenset({"at_target", "unwanted"})
"""Nobody asks which roots these are: most of them are, and they are only counted."""

Listener = Callable[[Collection[RootKey]], None]


class Outlook:
    """What the last passes found.

    Attributes:
        counts: how many roots stand how; unwanted ones are left out.
        actions: what this peer plans, by root.
        fetch_bytes: of the planned fetches together, as far as their sizes are known.
        listeners: told of the roots of each pass.
    """

    def __init__(self) -> None:
        self.counts: Counter[Standing] = Counter()
        self.actions: dict[RootKey, Action] = {}
        self.fetch_bytes = 0
        self.listeners: list[Listener] = []
        self._standing: dict[RootKey, Standing] = {}
        self._odd: dict[Standing, dict[RootKey, None]] = {}

    def standing_of(self, key: RootKey) -> Standing | None:
        """How a root stood in the last pass that it was part of; None for one that nobody wants."""
        return self._standing.get(key)

    def keys_of(self, *standings: Standing) -> list[RootKey]:
        """The roots that stand so, oldest finding first; of those `AT_REST` nothing is kept."""
        return [key for standing in standings for key in self._odd.get(standing, ())]

    def take_all(self, plan: Plan) -> None:
        """Take over a pass of every root there is; slow for many, so it may run in a thread. Then `announce` it."""
        wanted: dict[RootKey, Standing] = {
            key: standing for key, standing in plan.standing_of.items() if standing != "unwanted"
        }
        counts: Counter[Standing] = Counter(wanted.values())
        odd: dict[Standing, dict[RootKey, None]] = {}
        for key, standing in wanted.items():
            if standing not in AT_REST:
                odd.setdefault(standing, {})[key] = None
        actions = {RootKey(action.root, action.kind): action for action in plan.actions}
        fetch_bytes = sum(map(_fetch_bytes, actions.values()))
        self._standing, self.counts, self._odd = wanted, counts, odd
        self.actions, self.fetch_bytes = actions, fetch_bytes

    def take(self, plan: Plan, keys: Iterable[RootKey]) -> None:
        """Take over a pass of `keys`; those that the plan does not speak of are wanted no more. Then `announce` it."""
        acting = {RootKey(action.root, action.kind): action for action in plan.actions}
        for key in keys:
            self._stand(key, plan.standing_of)
            before = self.actions.pop(key, None)
            self.fetch_bytes += _fetch_bytes(acting.get(key)) - _fetch_bytes(before)
            if key in acting:
                self.actions[key] = acting[key]

    def announce(self, keys: Collection[RootKey]) -> None:
        """Tell the listeners of a pass of `keys` that was taken over."""
        for listener in self.listeners:
            listener(keys)

    def _stand(self, key: RootKey, standing_of: Mapping[RootKey, Standing]) -> None:
        before = self._standing.pop(key, None)
        now = standing_of.get(key)
        if before is not None:
            self.counts[before] -= 1
            if before != now:
                self._odd.get(before, {}).pop(key, None)
        if now is None or now == "unwanted":
            return
        self._standing[key] = now
        self.counts[now] += 1
        if now not in AT_REST:
            self._odd.setdefault(now, {})[key] = None


def _fetch_bytes(action: Action | None) -> int:
    return action.size_bytes if isinstance(action, Fetch) else 0
