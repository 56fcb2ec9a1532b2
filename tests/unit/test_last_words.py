"""What an absent peer last said is read back as it was, and not at all where a byte of it is another."""

from pathlib import Path

import pytest

from node.swarm import last_words
from node.swarm.last_words import BEAT, SET, forget, kept, load, save_beat, save_set
from protocol.beat import Beat, sign_beat
from protocol.holdings import ElementSet
from protocol.holdings_messages import Change, Element, HoldingsDelta, sign_delta
from protocol.identity import KeyPair

CYD = KeyPair(b"c" * 32)
EVE = KeyPair(b"e" * 32)
AT_MS = 1_800_000_000_000
HELD = ElementSet(
    Element(b"\x01\x55\x12\x20" + bytes([number % 256, number // 256]) * 16, kind)
    for number in range(20)
    for kind in ("ipfs", "s3")[: 1 + number % 2]
)


def beat_of(key: KeyPair) -> bytes:
    return sign_beat(
        Beat(
            incarnation=2, seq=3, clock_ms=AT_MS, state="away", away_until_ms=AT_MS + 60_000, name="cyd",
            capacity_bytes=1000, used_bytes=10, records_digest=bytes(32), holdings=HELD.summary(1, 40), version="1",
        ),
        key,
    )  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What Cyd last said, its set in several pieces."""
    monkeypatch.setattr(last_words, "ROOTS_AT_ONCE", 7)
    folder = tmp_path / "absent"
    size_bytes = save_set(folder, CYD.peer_id, beat_of(CYD), list(HELD.elements))
    save_beat(folder, CYD.peer_id, beat_of(CYD), AT_MS, True)
    assert kept(folder, SET) == {CYD.peer_id: size_bytes}
    return folder


def test_it_is_read_back(folder: Path) -> None:
    words = load(folder, CYD.peer_id)
    assert words is not None
    assert words.stated is not None
    assert (words.signed.raw, words.at_ms, words.was_down) == (beat_of(CYD), AT_MS, True)
    assert words.stated.summary == HELD.summary(1, 40)
    assert words.stated.held.elements == HELD.elements
    assert kept(folder, BEAT).keys() == {CYD.peer_id}
    forget(folder, CYD.peer_id, BEAT, SET)
    assert load(folder, CYD.peer_id) is None
    assert list(folder.iterdir()) == []


def test_a_set_may_lie_beside_the_signed_change_that_led_to_it(folder: Path) -> None:
    change = Change(*max(HELD.elements), True)
    delta = sign_delta(HoldingsDelta(after=HELD.summary(1, 41), changes=(change,)), CYD)
    save_set(folder, CYD.peer_id, delta, list(HELD.elements))
    words = load(folder, CYD.peer_id)
    assert words is not None
    assert words.stated is not None
    assert words.stated.summary.order == (1, 41)


def test_the_set_counts_only_as_its_owner_signed_it(folder: Path) -> None:
    for statement, elements in (
        (beat_of(CYD), list(HELD.elements)[1:]),
        (beat_of(EVE), list(HELD.elements)),
        (b"nothing", list(HELD.elements)),
    ):
        save_set(folder, CYD.peer_id, statement, elements)
        words = load(folder, CYD.peer_id)
        assert words is not None
        assert words.stated is None


def test_another_peers_heartbeat_is_none_of_its(folder: Path) -> None:
    save_beat(folder, CYD.peer_id, beat_of(EVE), AT_MS, False)
    assert load(folder, CYD.peer_id) is None


@pytest.mark.parametrize("suffix", [BEAT, SET])
@pytest.mark.parametrize("content", [b"", b"\0", bytes(4), b"\0\0\0\x01\xa0", b"\0\0\0\1\1", b"\xff" * 99])
def test_a_damaged_file_costs_no_more_than_what_was_in_it(folder: Path, suffix: str, content: bytes) -> None:
    (folder / (CYD.peer_id + suffix)).write_bytes(content)
    words = load(folder, CYD.peer_id)
    assert words is None if suffix == BEAT else words is not None and words.stated is None


def test_every_flipped_bit_of_a_set_is_found(folder: Path) -> None:
    path = folder / (CYD.peer_id + SET)
    whole = path.read_bytes()
    for at in range(0, len(whole), 41):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 4]) + whole[at + 1 :])
        words = load(folder, CYD.peer_id)
        assert words is not None
        assert words.stated is None or words.stated.held.elements == HELD.elements
