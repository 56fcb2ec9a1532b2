"""The outlook is the last plan, looked up."""

from collections import Counter
from collections.abc import Collection

from node.replication.outlook import Outlook
from node.replication.survey import Survey
from node.replication.view import RootKey
from tests.swarm_views import peers_named, root, swarm


def test_it_tells_how_roots_stand_and_what_is_planned() -> None:
    survey = Survey()
    roots = [root("r1", "2:2", "bc"), root("r2", "2:2", "b"), root("r3", "1:2", "c"), root("r4", "0:0", "a")]
    for one in roots:
        survey.put(one)
    outlook = Outlook(survey)
    heard: list[Collection[RootKey]] = []
    outlook.listeners.append(heard.append)
    view = swarm("a", peers_named("abc"), [])
    plan = survey.plan(view)
    outlook.take(plan)
    outlook.announce(survey.touched)
    assert +outlook.counts == Counter(at_target=1, below_min=1, below_target=1)
    assert outlook.keys_of("below_min", "below_target") == [roots[1].key, roots[2].key]
    assert outlook.standing_of(roots[0].key) == "at_target"
    assert outlook.standing_of(roots[3].key) is None, "nobody wants it"
    assert list(outlook.actions.values()) == list(plan.actions)
    assert roots[3].key in outlook.actions, "it goes from here"
    assert [set(keys) for keys in heard] == [{one.key for one in roots}]
    survey.drop(roots[1].key)
    outlook.take(survey.plan(view))
    assert outlook.keys_of("below_min") == []
    assert outlook.standing_of(roots[1].key) is None
