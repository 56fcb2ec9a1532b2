"""What `charter steward add|rm` takes for a key."""

import pytest

from node.errors import Usage
from node.operations.governing import _key_named
from protocol.identity import KeyPair


def test_a_peer_id_names_a_key() -> None:
    key = KeyPair(b"a" * 32).peer_id
    assert _key_named(key) == key


@pytest.mark.parametrize("text", ["bob", "", "12D3KooWnone", "x" * 500])
def test_anything_else_is_answered_with_what_to_give(text: str) -> None:
    with pytest.raises(Usage, match=r"expected a peer id or the id of a key, such as 12D3KooW") as refused:
        _key_named(text)
    assert refused.value.message.startswith(repr(text[:64]))
    assert "members" in (refused.value.hint or "")
