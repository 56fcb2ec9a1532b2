"""What `status` says of images that lack copies."""

from collections import Counter
from types import SimpleNamespace
from typing import Any

import pytest

from node.operations.sight import reasons
from node.replication.view import RootKey
from store.cid import RAW, cid_of


@pytest.mark.parametrize(("settled", "word"), [(True, "lost"), (False, "sought")])
def test_nothing_is_called_lost_before_the_others_are_heard(settled: bool, word: str) -> None:
    key = RootKey(cid_of(RAW, b"a"), "ipfs")
    outlook = SimpleNamespace(counts=Counter(lost=2), some_of=lambda standing, count: [key])
    controller = SimpleNamespace(outlook=outlook, assess=lambda key: SimpleNamespace(why="planning is off"))
    executor = SimpleNamespace(work=SimpleNamespace(failed={}))
    parts: Any = SimpleNamespace(controller=controller, executor=executor)
    [row] = reasons(parts, settled=settled)
    assert (row.state, row.roots, row.why) == (word, 2, "planning is off")
