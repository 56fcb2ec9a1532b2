"""Members that are lost are found again; addresses are remembered, bounded, and tried in the best order."""

import trio
from hypothesis import given
from hypothesis import strategies as st

from protocol.net.addresses import MAX_ADDRESSES, dialable, expand
from protocol.net.redial import FIRST_WAIT_S, LONGEST_WAIT_S, AddressBook, Backoff, Redial
from tests.net.hosts import eventually, make_host, running

ONE, TWO = make_host(1).peer_id, make_host(2).peer_id


async def test_a_lost_member_is_dialled_until_it_is_back() -> None:
    a, b = make_host(1), make_host(2)
    redial = Redial(a, AddressBook(), lambda: [a.peer_id, b.peer_id])
    async with running(a), trio.open_nursery() as nursery:
        nursery.start_soon(redial.run)
        async with running(b):
            listening = b.addrs
            redial.book.claim(b.peer_id, ["/ip4/127.0.0.1/tcp/1", *listening])
            await eventually(lambda: a.connected() == {b.peer_id})
        await eventually(lambda: a.connected() == set())
        assert redial.book.get(b.peer_id)[0] == dialable(listening[0])
        async with running(make_host(2), [dialable(listening[0]) or ""]):
            await eventually(lambda: a.connected() == {b.peer_id})
            nursery.cancel_scope.cancel()


async def test_a_connection_cut_by_us_comes_back() -> None:
    a, b = make_host(1), make_host(2)
    redial = Redial(a, AddressBook(), lambda: [b.peer_id])
    async with running(a), running(b), trio.open_nursery() as nursery:
        redial.book.claim(b.peer_id, b.addrs)
        nursery.start_soon(redial.run)
        for _ in range(3):
            await eventually(lambda: a.connected() == {b.peer_id} and b.connected() == {a.peer_id})
            await a.standing_changed(b.peer_id)
        await eventually(lambda: a.connected() == {b.peer_id})
        nursery.cancel_scope.cancel()


def test_the_book_puts_what_worked_first_and_keeps_it_over_claims() -> None:
    book = AddressBook()
    book.claim(
        ONE, ["/ip4/10.0.0.1/tcp/1", f"/ip4/10.0.0.2/tcp/2/p2p/{ONE}", f"/ip4/10.0.0.3/tcp/3/p2p/{TWO}", "nonsense"]
    )
    assert book.get(ONE) == ["/ip4/10.0.0.1/tcp/1", "/ip4/10.0.0.2/tcp/2"]
    book.worked(ONE, "/ip4/10.0.0.2/tcp/2")
    book.claim(ONE, ["/ip4/10.0.0.9/tcp/9"])
    assert book.get(ONE) == ["/ip4/10.0.0.2/tcp/2", "/ip4/10.0.0.9/tcp/9", "/ip4/10.0.0.1/tcp/1"]
    book.claim(ONE, [f"/ip4/10.0.1.{n}/tcp/9" for n in range(100)])
    assert len(book.get(ONE)) == MAX_ADDRESSES
    assert book.get(ONE)[0] == "/ip4/10.0.0.2/tcp/2"
    other = AddressBook()
    other.restore({**book.snapshot(), TWO: ["nonsense"]})
    assert other.snapshot() == book.snapshot()


def test_waiting_doubles_up_to_a_minute_and_ends_with_success() -> None:
    backoff = Backoff()
    waits = [backoff.failed(ONE, 0.0, 1.0) for _ in range(9)]
    assert waits == [min(LONGEST_WAIT_S, FIRST_WAIT_S * 2**n) for n in range(9)]
    assert backoff.failed(ONE, 100.0, 0.0) == LONGEST_WAIT_S / 2
    assert not backoff.due(ONE, 129.0)
    assert backoff.due(ONE, 130.0)
    backoff.reset(ONE)
    assert backoff.due(ONE, 0.0)


def test_what_can_be_dialled() -> None:
    good = {
        "/ip4/127.0.0.1/tcp/4001": "/ip4/127.0.0.1/tcp/4001",
        f"/ip6/0:0:0:0:0:0:0:1/tcp/4001/p2p/{ONE}": "/ip6/::1/tcp/4001",
        "/dns4/example.org/tcp/80/": "/dns4/example.org/tcp/80",
    }
    assert {address: dialable(address, ONE) for address in good} == good
    bad = [
        "",
        "/ip4/127.0.0.1/tcp/0",
        "/ip4/127.0.0.1/tcp/65536",
        "/ip4/127.0.0.1/udp/4001/quic-v1",
        "/ip4/0.0.0.0/tcp/4001",
        "/ip4/224.0.0.1/tcp/4001",
        "/ip6/127.0.0.1/tcp/1",
        "/ip4/::1/tcp/1",
        f"/ip4/127.0.0.1/tcp/4001/p2p/{TWO}",
        f"/ip4/127.0.0.1/tcp/4001/p2p/{TWO}/p2p-circuit",
        "/dns4/" + "x" * 400 + "/tcp/80",
    ]
    assert [address for address in bad if dialable(address, ONE) is not None] == []


@given(st.text(max_size=400))
def test_any_text_is_an_address_or_none(text: str) -> None:
    assert dialable(text) is None or dialable(dialable(text) or "") == dialable(text)


def test_listening_everywhere_is_told_as_each_address() -> None:
    ips = ["192.0.2.7", "2001:db8::7", "fe80::1%eth0", "127.0.0.1", "::1"]
    assert expand("/ip4/0.0.0.0/tcp/4001", ips) == ["/ip4/192.0.2.7/tcp/4001", "/ip4/127.0.0.1/tcp/4001"]
    assert expand("/ip6/::/tcp/4001", ips) == ["/ip6/2001:db8::7/tcp/4001", "/ip6/::1/tcp/4001"]
    assert expand("/ip4/127.0.0.1/tcp/4001", ips) == ["/ip4/127.0.0.1/tcp/4001"]
