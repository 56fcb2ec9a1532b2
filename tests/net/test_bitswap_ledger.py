"""What one peer wants of us: answers, order, and bounds."""

from hypothesis import given
from hypothesis import strategies as st

from protocol.net.bitswap_ledger import MAX_TRIES, SMALL_BLOCK_BYTES, Ledger, Queued
from protocol.net.bitswap_wire import Want

HERE = {b"big1": 500_000, b"big2": 500_000, b"tiny": 10}


def ask(ledger: Ledger, *wants: Want, full: bool = False) -> None:
    ledger.receive(wants, full=full, size_of=HERE.get)


def test_a_wanted_block_is_queued_once_and_gone_when_sent() -> None:
    ledger = Ledger()
    ask(ledger, Want(b"big1"))
    ask(ledger, Want(b"big1"))
    assert ledger.take_blocks(1) == [Queued(b"big1", 500_000)]
    ask(ledger, Want(b"big1"))
    assert ledger.take_blocks(1) == []
    ledger.sent(b"big1")
    assert ledger.wants_count == 0
    ask(ledger, Want(b"big1"))
    assert ledger.take_blocks(1) == [Queued(b"big1", 500_000)]


def test_have_is_answered_with_have_and_a_tiny_block_with_itself() -> None:
    ledger = Ledger()
    ask(ledger, Want(b"big1", block=False), Want(b"tiny", block=False), Want(b"none", block=False))
    assert ledger.take_presences(10) == ([b"big1"], [b"none"])
    assert ledger.take_blocks(1 << 20) == [Queued(b"tiny", 10)]
    assert HERE[b"tiny"] <= SMALL_BLOCK_BYTES


def test_dont_have_is_said_only_when_asked_for_and_the_want_is_kept_until_the_block_comes() -> None:
    ledger = Ledger()
    ask(ledger, Want(b"new1"), Want(b"new2", dont_have=False), Want(b"new3", block=False))
    assert ledger.take_presences(10) == ([], [b"new1", b"new3"])
    assert ledger.waits
    assert ledger.arrived(b"new1", 5_000)
    assert ledger.arrived(b"new2", 5_000)
    assert ledger.arrived(b"new3", 5_000)
    assert not ledger.arrived(b"new4", 5_000)
    assert not ledger.waits
    assert ledger.take_blocks(10_000) == [Queued(b"new1", 5_000), Queued(b"new2", 5_000)]
    assert ledger.take_presences(10) == ([b"new3"], [])


def test_a_cancel_takes_a_want_out_wherever_it_is() -> None:
    ledger = Ledger()
    ask(ledger, Want(b"big1"), Want(b"big2"), Want(b"none"))
    ledger.take_blocks(1)
    ask(ledger, *(Want(cid, cancel=True) for cid in (b"big1", b"big2", b"none")))
    assert not ledger.is_wanted(b"big1")
    assert (ledger.wants_count, ledger.queued_count, ledger.has_presences) == (0, 0, False)
    ledger.failed(b"big1")
    ledger.vanished(b"big1")
    assert ledger.wants_count == 0


def test_a_full_list_replaces_the_former() -> None:
    ledger = Ledger()
    ask(ledger, Want(b"big1"), Want(b"none"))
    ask(ledger, Want(b"big2"), full=True)
    assert ledger.take_blocks(1 << 30) == [Queued(b"big2", 500_000)]
    assert not ledger.arrived(b"none", 1)


def test_small_blocks_share_a_message_and_large_ones_do_not() -> None:
    sizes = {bytes((65, 65, 65, n)): 1000 for n in range(10)} | HERE
    ledger = Ledger()
    ledger.receive([Want(cid) for cid in sizes], full=False, size_of=sizes.get)
    assert [len(ledger.take_blocks(4000)) for _ in range(6)] == [4, 4, 2, 1, 1, 1]


def test_a_block_whose_stream_breaks_is_tried_again_a_few_times() -> None:
    ledger = Ledger()
    ask(ledger, Want(b"big1"))
    for _ in range(MAX_TRIES):
        assert ledger.take_blocks(1) == [Queued(b"big1", 500_000)]
        ledger.failed(b"big1")
    assert ledger.take_blocks(1) == []
    assert ledger.wants_count == 0


def test_a_block_that_vanished_is_a_block_we_lack() -> None:
    ledger = Ledger()
    ask(ledger, Want(b"big1"))
    ledger.take_blocks(1)
    ledger.vanished(b"big1")
    assert ledger.take_presences(1) == ([], [b"big1"])
    assert ledger.arrived(b"big1", 1)


def test_newer_wants_push_out_those_already_answered_but_never_queued_blocks() -> None:
    ledger = Ledger(max_wants=4)
    lacking = [Want(b"none%d" % n) for n in range(10)]
    ask(ledger, *lacking)
    assert ledger.wants_count == 4
    ask(ledger, Want(b"big1"), Want(b"big2"))
    assert ledger.wants_count == 4
    assert ledger.queued_count == 2
    assert not ledger.arrived(b"none0", 1)
    assert ledger.arrived(b"none9", 1)


wants = st.builds(
    Want,
    cid=st.integers(0, 40).map(lambda n: b"cid%d" % n),
    block=st.booleans(),
    cancel=st.booleans(),
    dont_have=st.booleans(),
)
steps = st.lists(
    st.one_of(
        st.tuples(st.just("ask"), st.lists(wants, max_size=20), st.booleans()),
        st.tuples(st.just("take"), st.integers(1, 3000), st.just(False)),
        st.tuples(st.just("sent"), st.just(0), st.just(False)),
        st.tuples(st.just("failed"), st.just(0), st.just(False)),
        st.tuples(st.just("vanished"), st.just(0), st.just(False)),
        st.tuples(st.just("arrived"), st.integers(0, 40), st.just(False)),
        st.tuples(st.just("say"), st.integers(1, 9), st.just(False)),
    ),
    max_size=40,
)


@given(steps)
def test_whatever_a_peer_does_the_ledger_stays_bounded_and_sends_no_block_twice_at_once(steps: list) -> None:
    ledger = Ledger(max_wants=12)
    sizes = {b"cid%d" % n: 500 * n for n in range(0, 40, 2)}
    sending: list[bytes] = []
    for step, argument, full in steps:
        match step:
            case "ask":
                ledger.receive(argument, full=full, size_of=sizes.get)
            case "take":
                sending += [cid for cid, _ in ledger.take_blocks(argument)]
            case "sent" | "failed" | "vanished" if sending:
                getattr(ledger, step)(sending.pop())
            case "arrived":
                ledger.arrived(b"cid%d" % argument, 100)
            case "say":
                have, dont_have = ledger.take_presences(argument)
                assert len(have) + len(dont_have) <= argument
        sending = [cid for cid in sending if ledger.is_wanted(cid)]
        assert len(set(sending)) == len(sending)
        assert ledger.wants_count <= 12
        assert len(ledger.take_presences(1000)[0]) <= 12
