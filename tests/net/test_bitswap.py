"""Whole engines against one another and against peers that misbehave, over pipes in one process."""

import hashlib
from collections.abc import Iterable

import pytest
import trio
from trio.testing import MockClock

from protocol.net.bitswap import PROTOCOLS, BlocksUnavailable, Session
from protocol.net.bitswap_cid import prefix_of
from protocol.net.bitswap_ledger import MAX_WANTS
from protocol.net.bitswap_stream import Stream
from protocol.net.bitswap_wire import MAX_MESSAGE_BYTES, Message, Want, decode, encode
from protocol.net.errors import NetError
from tests.net.bitswap_net import PIPE_BYTES, Peer, PipeHost, PipeNet, make_blocks, pipe_net, raw_cid, send_raw, until

MIB = 1 << 20


async def collect(session: Session, cids: Iterable[bytes]) -> dict[bytes, bytes]:
    await session.want(cids)
    return {cid: block async for cid, block in session}


async def send(host: PipeHost, peer_id: str, message: Message) -> Stream:
    stream = await host.open_stream(peer_id, PROTOCOLS, 1)
    await stream.write(encode(message))
    return stream


async def never_read(peer_id: str, stream: Stream) -> None:
    await trio.sleep_forever()


class Scripted:
    """A peer without an engine: keeps the messages it is sent, in the order they came."""

    def __init__(self, net: PipeNet, peer_id: str) -> None:
        self.host = net.host(peer_id)
        self.host.handle(PROTOCOLS[0], self.read)
        self.tell, self.heard = trio.open_memory_channel[Message](1000)

    async def read(self, peer_id: str, stream: Stream) -> None:
        try:
            while (frame := await stream.read_frame(MAX_MESSAGE_BYTES)) is not None:
                self.tell.send_nowait(decode(frame))
        except NetError:
            return


async def test_blocks_of_every_size_come_from_two_sources() -> None:
    blocks = make_blocks(300, 1000) | make_blocks(5, 2 * MIB) | make_blocks(20, 200_000)
    async with pipe_net() as net:
        await net.peer("a", blocks)
        await net.peer("b", blocks)
        peer = await net.peer("c")
        async with peer.bitswap.session(["a", "b"]) as session:
            assert await collect(session, blocks) == blocks
            assert min(session.received_bytes.values()) > 0
        counts = peer.bitswap.counts()
        assert counts.received_blocks == len(blocks)
        assert counts.received_bytes == sum(map(len, blocks.values()))


async def test_an_empty_block_needs_no_source() -> None:
    blake2b = b"\x01\x55\xa0\xe4\x02\x20" + hashlib.blake2b(b"", digest_size=32).digest()
    sha512 = b"\x01\x55\x13\x40" + hashlib.sha512(b"").digest()
    async with pipe_net() as net:
        peer = await net.peer("c")
        async with peer.bitswap.session([]) as session:
            wanted = [raw_cid(b""), blake2b, sha512]
            assert await collect(session, [*wanted, *wanted]) == dict.fromkeys(wanted, b"")


async def test_few_blocks_are_spread_over_all_sources() -> None:
    blocks = make_blocks(6, 100_000)
    async with pipe_net() as net:
        sources = [await net.peer(name, blocks) for name in "abc"]
        peer = await net.peer("d")
        async with peer.bitswap.session(["a", "b", "c"]) as session:
            assert await collect(session, blocks) == blocks
        assert [source.loads_count for source in sources] == [2, 2, 2]


async def test_a_caller_walks_a_dag_by_wanting_more_as_blocks_come() -> None:
    blocks = make_blocks(50)
    chain = list(blocks)
    async with pipe_net() as net:
        await net.peer("a", blocks)
        peer = await net.peer("b")
        got = []
        async with peer.bitswap.session(["a"]) as session:
            await session.want(chain[:1])
            async for cid, _ in session:
                got.append(cid)
                await session.want(chain[len(got) : len(got) + 1])
        assert got == chain


async def test_what_one_lacks_the_other_gives_and_what_none_has_is_named(autojump_clock: MockClock) -> None:
    blocks = make_blocks(60)
    left, right = dict(list(blocks.items())[:30]), dict(list(blocks.items())[30:])
    missing = raw_cid(b"nobody has this")
    async with pipe_net() as net:
        await net.peer("a", left)
        await net.peer("b", right)
        peer = await net.peer("c")
        got = {}
        async with peer.bitswap.session(["a", "b"]) as session:
            await session.want([*blocks, missing])
            with pytest.raises(BlocksUnavailable) as caught:
                async for cid, block in session:
                    got[cid] = block
        assert got == blocks
        assert caught.value.missing == (missing,)
        assert caught.value.reasons == {"a": "does not have 1 of them", "b": "does not have 1 of them"}


async def test_a_silent_source_is_dropped_and_another_takes_over(autojump_clock: MockClock) -> None:
    blocks = make_blocks(40)
    async with pipe_net() as net:
        Scripted(net, "silent")
        await net.peer("b", blocks)
        peer = await net.peer("c")
        async with peer.bitswap.session(["silent"], stall_timeout_s=7) as session:
            await session.want(blocks)
            session.add_source("b")
            assert {cid: block async for cid, block in session} == blocks


async def test_silence_of_all_ends_in_an_error_with_the_reason(autojump_clock: MockClock) -> None:
    async with pipe_net() as net:
        Scripted(net, "silent")
        peer = await net.peer("c")
        began_s = trio.current_time()
        async with peer.bitswap.session(["silent", "stranger"], stall_timeout_s=7) as session:
            with pytest.raises(BlocksUnavailable, match="silent for 7 s") as caught:
                await collect(session, make_blocks(3))
        assert 7 <= trio.current_time() - began_s < 9
        assert caught.value.reasons["stranger"] == "stranger is not connected"


async def test_a_source_that_leaves_is_replaced(autojump_clock: MockClock) -> None:
    blocks = make_blocks(200, 20_000)
    async with pipe_net() as net:
        for name in ("a", "b"):
            await net.peer(name, blocks)
        peer = await net.peer("c")
        got = {}
        async with peer.bitswap.session(["a", "b"]) as session:
            await session.want(blocks)
            async for cid, block in session:
                got[cid] = block
                if len(got) == 20:
                    await net.part("a", "c")
            assert session.sources == {"b"}
        assert got == blocks


async def test_a_liar_is_dropped_at_its_first_lie_and_disconnected_when_it_goes_on(autojump_clock: MockClock) -> None:
    blocks = make_blocks(30)
    async with pipe_net() as net:
        liar = Scripted(net, "liar")
        await net.peer("honest", blocks)
        peer = await net.peer("c")
        async with peer.bitswap.session(["liar"], stall_timeout_s=600) as session:
            await session.want(blocks)
            asked = (await liar.heard.receive()).wants
            lies = [(prefix_of(want.cid), b"not what was asked") for want in asked]
            session.add_source("honest")
            stream = await send(liar.host, "c", Message(blocks=lies[:1]))
            assert {cid: block async for cid, block in session} == blocks
            assert session.sources == {"honest"}
        assert "liar" in peer.host.peers
        await stream.write(encode(Message(blocks=lies[1:])))
        await until(lambda: "liar" not in peer.host.peers)
        assert peer.host.disconnected == ["liar"]


async def test_unsolicited_blocks_are_neither_hashed_nor_kept(autojump_clock: MockClock) -> None:
    async with pipe_net() as net:
        pusher = Scripted(net, "pusher")
        peer = await net.peer("c")
        await send(pusher.host, "c", Message(blocks=[(b"\x01\x55\x12\x20", b"take this")]))
        await until(lambda: peer.bitswap.counts().unsolicited_blocks == 1)
        assert peer.bitswap.counts().received_blocks == 0


async def test_a_late_second_copy_is_a_duplicate_and_no_offence(autojump_clock: MockClock) -> None:
    [(cid, block)] = make_blocks(1).items()
    async with pipe_net() as net:
        twice = Scripted(net, "twice")
        peer = await net.peer("c")
        async with peer.bitswap.session(["twice"]) as session:
            await session.want([cid])
            await twice.heard.receive()
            stream = await send(twice.host, "c", Message(blocks=[(prefix_of(cid), block)] * 2))
            assert [got async for got in session] == [(cid, block)]
        await stream.write(encode(Message(blocks=[(prefix_of(cid), block)])))
        await until(lambda: peer.bitswap.counts().duplicate_blocks == 2)
        assert peer.bitswap.counts().unsolicited_blocks == 0


@pytest.mark.parametrize("body", [b"\x0b", b"\x0a\x05abc"], ids=["wire type", "cut"])
async def test_malformed_bytes_cost_the_connection(body: bytes, autojump_clock: MockClock) -> None:
    async with pipe_net() as net:
        odd = Scripted(net, "odd")
        peer = await net.peer("c")
        await send_raw(odd.host, "c", body)
        await until(lambda: "odd" not in peer.host.peers)


async def test_an_oversized_message_costs_the_connection_before_it_is_read(autojump_clock: MockClock) -> None:
    async with pipe_net() as net:
        odd = Scripted(net, "odd")
        peer = await net.peer("c")
        stream = await odd.host.open_stream("c", PROTOCOLS, 1)
        await stream.write(b"\xff\xff\xff\x7f")
        await until(lambda: "odd" not in peer.host.peers)


async def test_have_dont_have_and_blocks_are_answered_as_asked(autojump_clock: MockClock) -> None:
    blocks = make_blocks(2, 5000)
    first, second = blocks
    none = raw_cid(b"none")
    async with pipe_net() as net:
        asker = Scripted(net, "asker")
        await net.peer("a", blocks)
        wants = [Want(first, block=False), Want(none, block=False), Want(raw_cid(b"x"), dont_have=False), Want(second)]
        await send(asker.host, "a", Message(wants=wants, full=True))
        answers = [await asker.heard.receive(), await asker.heard.receive()]
        [presences] = [answer for answer in answers if not answer.blocks]
        [served] = [answer for answer in answers if answer.blocks]
        assert (presences.have, presences.dont_have) == ([first], [none])
        assert served.blocks == [(prefix_of(second), blocks[second])]
        with trio.move_on_after(60):
            await asker.heard.receive()
            pytest.fail("a want without DONT_HAVE asked for is not answered")


async def test_a_block_that_comes_later_goes_to_whoever_asked_for_it(autojump_clock: MockClock) -> None:
    [(cid, block)] = make_blocks(1, 5000).items()
    async with pipe_net() as net:
        asker = Scripted(net, "asker")
        peer = await net.peer("a")
        await send(asker.host, "a", Message(wants=[Want(cid)]))
        assert (await asker.heard.receive()).dont_have == [cid]
        peer.blocks[cid] = block
        peer.bitswap.notify_new([raw_cid(b"another"), cid])
        assert (await asker.heard.receive()).blocks == [(prefix_of(cid), block)]


async def test_whom_we_may_not_serve_is_told_that_we_have_nothing(autojump_clock: MockClock) -> None:
    blocks = make_blocks(3, 5000)
    async with pipe_net() as net:
        peer = await net.peer("a", blocks, may_serve=lambda peer_id: peer_id == "friend")
        friend, other = await net.peer("friend"), await net.peer("other")
        async with friend.bitswap.session(["a"]) as session:
            assert await collect(session, blocks) == blocks
        async with other.bitswap.session(["a"]) as session:
            with pytest.raises(BlocksUnavailable, match="does not have 3"):
                await collect(session, blocks)
        peer.bitswap.notify_new(blocks)
        assert peer.bitswap.counts().sent_bytes == 15_000


async def test_a_session_that_ends_early_takes_its_wants_back(autojump_clock: MockClock) -> None:
    async with pipe_net() as net:
        silent = Scripted(net, "silent")
        peer = await net.peer("c")
        async with peer.bitswap.session(["silent"]) as session:
            await session.want(make_blocks(3))
            asked = await silent.heard.receive()
        taken_back = await silent.heard.receive()
        assert [want.cid for want in taken_back.wants] == [want.cid for want in asked.wants]
        assert all(want.cancel for want in taken_back.wants)


async def test_sessions_share_a_source_without_taking_back_each_others_wants(autojump_clock: MockClock) -> None:
    [(cid, block)] = make_blocks(1).items()
    async with pipe_net() as net:
        slow = Scripted(net, "slow")
        peer = await net.peer("c")
        async with peer.bitswap.session(["slow"]) as stays:
            await stays.want([cid])
            async with peer.bitswap.session(["slow"]) as leaves:
                await leaves.want([cid])
                await slow.heard.receive()
            await send(slow.host, "c", Message(blocks=[(prefix_of(cid), block)]))
            assert [got async for got in stays] == [(cid, block)]
        assert slow.heard.statistics().current_buffer_used == 0


async def test_a_peer_that_wants_everything_and_reads_nothing_costs_little(autojump_clock: MockClock) -> None:
    blocks = make_blocks(3000, 100_000)
    async with pipe_net() as net:
        greedy = net.host("greedy")
        greedy.handle(PROTOCOLS[0], never_read)
        peer = await net.peer("a", blocks)
        for _ in range(3):
            await send(greedy, "a", Message(wants=[Want(cid) for cid in blocks]))
        await trio.sleep(60)
        assert peer.loads_count <= 8 * (PIPE_BYTES // 100_000 + 2)
        assert peer.bitswap.waiting_wants("greedy") <= MAX_WANTS


async def test_strangers_share_a_bandwidth(autojump_clock: MockClock) -> None:
    blocks = make_blocks(20, MIB)
    async with pipe_net() as net:
        options = {"is_member": lambda peer_id: peer_id == "member", "strangers_bytes_per_s": 1_000_000.0}
        await net.peer("a", blocks, **options)
        member, stranger = await net.peer("member"), await net.peer("stranger")
        took_s = []
        for peer in (member, stranger):
            began_s = trio.current_time()
            async with peer.bitswap.session(["a"], stall_timeout_s=60) as session:
                assert await collect(session, blocks) == blocks
            took_s.append(trio.current_time() - began_s)
        assert took_s[0] < 1
        assert 11 < took_s[1] < 15


async def test_a_slow_caller_holds_the_senders_back(autojump_clock: MockClock) -> None:
    blocks = make_blocks(100, MIB)
    async with pipe_net() as net:
        source = await net.peer("a", blocks)
        peer = await net.peer("c")
        async with peer.bitswap.session(["a"], window_bytes=4 * MIB) as session:
            await session.want(blocks)
            await trio.sleep(60)
            assert source.loads_count < 40
            assert {cid: block async for cid, block in session} == blocks


async def test_streams_are_reused_and_closed_when_idle(autojump_clock: MockClock) -> None:
    blocks = make_blocks(200, 100_000)
    async with pipe_net() as net:
        source = await net.peer("a", blocks)
        peer = await net.peer("c")
        async with peer.bitswap.session(["a"]) as session:
            await collect(session, blocks)
        assert peer.host.opened_count == 1
        assert 1 <= source.host.opened_count <= 8
        await trio.sleep(300)
        assert all(stream.outgoing.ended for host in (source.host, peer.host) for _, stream in host.streams)
        async with peer.bitswap.session(["a"]) as session:
            assert await collect(session, blocks) == blocks


async def test_a_stream_that_breaks_is_opened_anew(autojump_clock: MockClock) -> None:
    blocks = make_blocks(60, 100_000)
    async with pipe_net() as net:
        source = await net.peer("a", blocks)
        peer = await net.peer("c")
        got = {}
        async with peer.bitswap.session(["a"]) as session:
            await session.want(blocks)
            async for cid, block in session:
                got[cid] = block
                if len(got) in (5, 25):
                    await source.host.streams[-1][1].reset()
        assert got == blocks


async def test_a_peer_of_version_1_0_hash_gets_its_prefix() -> None:
    block = b"dag-pb, once"
    v0 = raw_cid(block)[2:]
    async with pipe_net() as net:
        await net.peer("a", {v0: block})
        peer = await net.peer("c")
        async with peer.bitswap.session(["a"]) as session:
            assert await collect(session, [v0]) == {v0: block}


async def test_wanting_when_nothing_runs_is_an_error() -> None:
    async with pipe_net() as net:
        peer = Peer(net.host("a"), {})
        async with peer.bitswap.session(["b"]) as session:
            with pytest.raises(NetError, match="does not run"):
                await session.want(make_blocks(1))
