"""Those who talk with the other members: beats, records and holdings, spoken, heard and caught up with."""

from dataclasses import dataclass

import trio

from node.assembly.ground import Ground
from node.assembly.truth import Truth
from node.events import wall_ms
from node.swarm.catching_up import CatchingUp
from node.swarm.comeback import INCARNATION_FACT, Comeback
from node.swarm.contacts import Contacts
from node.swarm.homecoming import Homecoming, load_touch
from node.swarm.listening import Listening
from node.swarm.speaking import Speaking
from node.swarm.sync_answers import SyncAnswers
from node.version import VERSION
from store.store import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class Talk:
    """With members alone."""

    contacts: Contacts
    comeback: Comeback
    speaking: Speaking
    listening: Listening
    catching_up: CatchingUp
    homecoming: Homecoming


async def talk(ground: Ground, truth: Truth) -> Talk:
    """Make them; who answers sync is bound to its protocol."""
    knowledge, hooks = ground.knowledge, ground.hooks
    host, gossip, rpc, _ = ground.network
    rpc.on_refusal = ground.records.refusals.count_call
    contacts = Contacts(host, ground.store, ground.config.data_dir, knowledge)
    comeback = Comeback(
        rpc, ground.store, knowledge, reachable=contacts.linked,
        incarnation=await trio.to_thread.run_sync(_next_incarnation, ground.store),
    )  # fmt: skip
    speaking = Speaking(
        host, gossip, ground.swarm_id, knowledge, name=ground.config.name, version=VERSION, comeback=comeback,
        describe=ground.about.describe, muted=lambda: truth.retracting.overdue,
    )  # fmt: skip
    listening = Listening(
        gossip, ground.swarm_id, knowledge, on_beat=lambda signed: hooks.beat(signed), on_offence=host.cut_off
    )
    catching_up = CatchingUp(
        rpc, ground.records, knowledge.book, reachable=contacts.linked, unsynced=lambda: homecoming.unsynced(),
        on_holders=lambda roots: hooks.replan(roots), on_offence=host.cut_off,
    )  # fmt: skip
    homecoming = Homecoming(
        ground.store, knowledge, catching_up, ground.aside,
        await trio.to_thread.run_sync(load_touch, ground.store, ground.heard, ground.records.author.clock.last),
        linked=contacts.linked, on_over=lambda roots: hooks.replan(roots),
    )  # fmt: skip
    ground.about.unsynced_since_ms = lambda: homecoming.unsynced_since_ms
    SyncAnswers(
        rpc, ground.records.counting, stated=knowledge.stated_of, last_heard=knowledge.last_heard,
        withheld=homecoming.reason,
    )  # fmt: skip
    return Talk(
        contacts=contacts,
        comeback=comeback,
        speaking=speaking,
        listening=listening,
        catching_up=catching_up,
        homecoming=homecoming,
    )


def _next_incarnation(store: Store) -> int:
    """One more than the last; with the count lost, more than it can have been: far fewer starts than seconds."""
    last = store.fact(INCARNATION_FACT)
    incarnation = (wall_ms() // 1000 if last is None and store.rebuilt else int(last or b"0")) + 1
    store.set_fact(INCARNATION_FACT, str(incarnation).encode())
    return incarnation
