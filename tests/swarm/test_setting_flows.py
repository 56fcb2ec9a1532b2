"""What `flow set` writes for a factor: one of the flow's own, and the charter's again."""

from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from node.errors import Usage
from node.events import Events
from node.operations.flows import Flows
from node.rows import Replicas
from node.service import SetFlow
from store.store import Store
from tests.swarm.fellows import Founded, Honest

OWN = Replicas(min=1, max=2)


@pytest.fixture
async def flows(tmp_path: Path) -> AsyncIterator[Flows]:
    founded = Founded(1)
    store = Store.open(tmp_path)
    peer = Honest(founded, founded.keys[0], store)
    await peer.records.accept([signed.raw for signed in founded.records])
    parts: Any = SimpleNamespace(
        records=peer.records,
        key=peer.key,
        knowledge=peer.knowledge,
        events=Events(),
        offering=SimpleNamespace(default="ipfs"),
    )
    nothing: Any = SimpleNamespace(count_in=lambda name: 0)
    yield Flows(parts, nothing)
    store.close()


async def test_a_flow_has_the_charters_factor_again_and_keeps_all_else(flows: Flows) -> None:
    own = await flows.set_flow(SetFlow(name="album", replicas=OWN, max_px=100))
    assert own.replicas == OWN
    assert (await flows.set_flow(SetFlow(name="album", max_px=200))).replicas == OWN
    again = await flows.set_flow(SetFlow(name="album", inherit=True))
    assert (again.replicas, again.max_px) == (None, 200)
    assert again.acts == Replicas(min=2, max=3)


async def test_both_at_once_are_refused(flows: Flows) -> None:
    with pytest.raises(Usage, match="flow album: a factor of its own, or the charter's"):
        await flows.set_flow(SetFlow(name="album", replicas=OWN, inherit=True))
