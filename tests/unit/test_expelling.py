"""Which roots go with a peer that is to be expelled."""

from types import SimpleNamespace

import pytest

from node.operations.expelling import Expelling
from protocol.holdings_messages import Element

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
