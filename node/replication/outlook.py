"""How every root stands and what this peer plans for it, as of the last plan.

`status`, `ls --degraded`, `repair --dry-run` and a drain's progress are look-ups here, however many roots there are.
"""

from collections import Counter
from collections.abc import Callable, Collection, Mapping
from itertools import islice

from node.replication.planner import Action, Fetch, Plan, Urgency
from node.replication.survey import Survey
from node.replication.view import RootKey
from node.replication.weighing import Standing

Listener = Callable[[Collection[RootKey]], None]


class Outlook:
    """What the last plan found.

    Attributes:
        counts: how many roots stand how; unwanted ones are left out.
        actions: what this peer plans, by root; of very many only the most urgent.
        fetch_count, fetch_bytes: copies to be made here, those beyond `actions` included; bytes as far as sizes are known.
        listeners: told of the roots that a plan looked at anew.
    """

    def __init__(self, survey: Survey) -> None:
        self._survey = survey
        self.counts: Counter[Standing] = Counter()
        self.actions: Mapping[RootKey, Action] = {}
        self.fetch_count = self.fetch_bytes = 0
        self.listeners: list[Listener] = []

    def standing_of(self, key: RootKey) -> Standing | None:
        """How a root stood in the last plan; None for one that nobody wants."""
        standing = self._survey.standing_of(key)
        return None if standing == "unwanted" else standing

    def keys_of(self, *standings: Standing) -> list[RootKey]:
        """The roots that stand so."""
        return list(self._survey.standing_so(*standings))

    def some_of(self, standing: Standing, count: int) -> list[RootKey]:
        """A few of the roots that stand so."""
        return list(islice(self._survey.standing_so(standing), count))

    def take(self, plan: Plan) -> None:
        """Take a plan over. Then `announce` what it looked at."""
        self.counts = Counter({name: count for name, count in plan.standings.items() if name != "unwanted"})
        self.actions = {RootKey(action.root, action.kind): action for action in plan.actions}
        moves = [act.size_bytes for act in plan.actions if isinstance(act, Fetch) and act.urgency >= Urgency.SPREAD]
        self.fetch_count = self._survey.due_count + len(moves)
        self.fetch_bytes = self._survey.due_bytes + sum(moves)

    def announce(self, keys: Collection[RootKey]) -> None:
        """Tell the listeners which roots were looked at."""
        for listener in self.listeners:
            listener(keys)
