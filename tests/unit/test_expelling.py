"""Which roots go with a peer that is to be expelled, and that none goes of which it has told in time."""

from collections.abc import Sequence
from types import SimpleNamespace

import pytest

from node.operations.expelling import ROUNDS, Expelling
from protocol.author import Author
from protocol.holdings_messages import Element
from protocol.pin import Pin
from protocol.records import Record, Signed
from protocol.recordset import RecordSet
from tests.swarm.fellows import Founded

ROOT = b"root"


@pytest.mark.parametrize(
    ("kind", "held", "sole"),
    [
        ("s3", {"s3": "ab"}, False),
        ("s3", {"s3": "a", "ipfs": "b"}, True),
        ("ipfs", {"ipfs": "a"}, True),
        ("ipfs", {"ipfs": "ab"}, False),
        ("ipfs", {"ipfs": "a", "s3": "b"}, False),
        ("ipfs", {"ipfs": "ac"}, True),
    ],
)
def test_the_last_copy_of_a_root_is_named_on_whatever_kind_it_lies(kind: str, held: dict[str, str], sole: bool) -> None:
    """A pin wants it on `s3`; `a` is to be expelled, and `c` is no live peer."""
    knowledge = SimpleNamespace(
        holders=lambda _, kind: frozenset(held.get(kind, "")),
        holders_of_any=lambda _: frozenset("".join(held.values())),
    )
    counting = SimpleNamespace(wanted=lambda _: SimpleNamespace(kinds=("s3",)))
    expelling = Expelling(
        SimpleNamespace(knowledge=knowledge, records=SimpleNamespace(counting=counting))  # type: ignore[arg-type]
    )
    assert expelling._is_sole(Element(ROOT, kind), frozenset("b")) is sole


@pytest.mark.parametrize(("late", "stay"), [(3, True), (10 * ROUNDS, False)])
async def test_what_it_writes_while_its_records_are_signed_anew_is_signed_too(late: int, stay: bool) -> None:
    founded = Founded(2)
    steward, theirs = Author(founded.keys[0]), Author(founded.keys[1])
    peer, now_ms = founded.keys[1].peer_id, 1_800_000_000_000
    counting = RecordSet(founded.swarm)
    pins = [
        theirs.write(Pin(id=n.to_bytes(16, "big"), flow="f", root=ROOT + bytes([n])), now_ms) for n in range(late + 1)
    ]
    counting.merge_all([*founded.records, pins[0]], 2 * now_ms)
    anew: list[Signed[Record]] = []

    async def put(signed: Sequence[Signed[Record]]) -> None:
        anew.extend(signed)
        counting.merge_all(pins[len(anew) : len(anew) + 1], 2 * now_ms)  # another one has come

    parts = SimpleNamespace(records=SimpleNamespace(counting=counting, put=put))
    signed = await Expelling(parts)._sign_anew(peer, steward.key)  # type: ignore[arg-type]
    assert signed == len(anew) == (len(pins) if stay else ROUNDS)
    assert [one.record for one in anew] == [one.record for one in pins[:signed]]
