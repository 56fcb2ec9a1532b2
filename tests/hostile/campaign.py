"""Send a daemon so many hostile messages, under fresh identities as each is cut off, and keep account of what became of it."""

import contextlib
import random
import socket
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import trio

from protocol.identity import KeyPair
from protocol.invite import Invite
from tests.hostile import client as c
from tests.hostile.attacks import ANYONES, MEMBERS, Attack, Sender
from tests.hostile.membership import join

CUT_S = 30.0
"""What must cost the connection does so within this, on a machine that is busy with nothing else but this."""
AGAIN_S = 3.0
HARMLESS = 24
"""Messages of a connection before the one that ends it, at most."""
AT_ONCE = 12
CUTS_OF_A_MEMBER = 200
"""After so many a hostile member gets itself admitted anew, under another key, while the invite lasts."""
RAW = (
    b"GET / HTTP/1.1\r\nhost: x\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(300),
    c.varint(1 << 40) + bytes(5000),
    c.MULTISTREAM + c.delimited(b"/plaintext/2.0.0\n") + b"\xff" * 4000,
    c.selecting("/noise") + b"\x00\x20" + bytes(32) + b"\xff" * 4000,
    c.selecting("/noise") + b"\xff\xff" + bytes(70_000),
)


@dataclass(slots=True)
class Account:
    """What was sent and what it cost.

    Attributes:
        sent: messages by name.
        cut: connections that a message which must cost one did cost.
        survived: those that it did not, by name: a defect.
        by_chance: connections that ended before; mutations are now and then worse than was meant.
    """

    sent: Counter[str] = field(default_factory=Counter)
    cut: Counter[str] = field(default_factory=Counter)
    survived: Counter[str] = field(default_factory=Counter)
    by_chance: int = 0
    unreached: int = 0

    @property
    def total(self) -> int:
        return sum(self.sent.values())

    def lines(self) -> list[str]:
        """One for each kind of message."""
        return [
            f"{name:32} {sent:8} sent {self.cut[name]:8} cut off {self.survived[name]:4} survived"
            for name, sent in sorted(self.sent.items())
        ]


class Campaign:
    """An attack on one daemon.

    Args:
        messages: how many are sent.
        invite: gets the hostile members in.
    """

    def __init__(self, port: int, invite: Invite, *, seed: int, messages: int, members: int) -> None:
        self._port = port
        self._invite = invite
        self._chance = random.Random(seed)
        self._messages = messages
        self._members = members
        self.account = Account()

    async def run(self) -> Account:
        """Attack until all is sent."""
        async with trio.open_nursery() as nursery:
            for _ in range(self._members):
                nursery.start_soon(self._as_member)
            for _ in range(AT_ONCE - self._members):
                nursery.start_soon(self._as_strangers)
            nursery.start_soon(self._below)
        return self.account

    def _on(self) -> bool:
        return self.account.total < self._messages and sum(self.account.survived.values()) < 20

    def _sender(self, key: KeyPair | None = None) -> Sender:
        key = key or KeyPair(self._chance.randbytes(32))
        return Sender.of(key, self._invite.swarm_id, self._chance.getrandbits(60))

    async def _as_member(self) -> None:
        while self._on():
            sender = self._sender()
            admitted = await self._admitted(sender)
            if admitted is None:
                continue
            if admitted:
                await trio.sleep(2)  # its first connection is closed, because its standing has changed
            for _ in range(CUTS_OF_A_MEMBER):
                if self._on():
                    await self._connection(sender, MEMBERS if admitted else ANYONES)

    async def _admitted(self, sender: Sender) -> bool | None:
        """Whether the invite still gets one in; None where the attempt itself was cut off, as a busy daemon may."""
        try:
            return (await join(self._port, self._invite, sender.key)).admitted
        except* (c.CutOff, OSError, trio.TooSlowError):
            self.account.unreached += 1
        return None

    async def _as_strangers(self) -> None:
        while self._on():
            await self._connection(self._sender(), ANYONES)

    async def _connection(self, sender: Sender, attacks: Sequence[Attack]) -> None:
        harmless = [attack for attack in attacks if not attack.fatal]
        chosen = self._chance.choices(harmless, k=self._chance.randrange(HARMLESS + 1))
        last = self._chance.choice([attack for attack in attacks if attack.fatal])
        source = f"127.0.{self._chance.randrange(100)}.{self._chance.randrange(1, 250)}"
        try:
            async with trio.open_nursery() as nursery:
                client = await c.dial(nursery, self._port, sender.key, source=source)
                try:
                    await self._one_after_the_other(client, sender, chosen, last)
                finally:
                    client.close()
                    nursery.cancel_scope.cancel()
        except* (OSError, trio.TooSlowError, c.CutOff):
            self.account.unreached += 1

    async def _one_after_the_other(
        self, client: c.Client, sender: Sender, chosen: Sequence[Attack], last: Attack
    ) -> None:
        streams: dict[str, int] = {}
        try:
            for attack in chosen:
                await client.write(_frames_of(client, streams, attack, sender))
                self.account.sent[attack.name] += 1
            if chosen and self._chance.random() < 0.5:
                with trio.fail_after(CUT_S):
                    await client.ping()
        except c.CutOff:
            self.account.by_chance += 1
            return
        await self._until_cut_off(client, sender, last)

    async def _until_cut_off(self, client: c.Client, sender: Sender, last: Attack) -> None:
        """Send what must cost the connection; once more where it may have been refused unread, or lost by gossip."""
        for _ in range(int(CUT_S / AGAIN_S)):
            with contextlib.suppress(c.CutOff):
                await client.write(_frames_of(client, {}, last, sender))
                self.account.sent[last.name] += 1
            with trio.move_on_after(AGAIN_S):
                await client.cut.wait()
                self.account.cut[last.name] += 1
                return
        self.account.survived[last.name] += 1

    async def _below(self) -> None:
        """What never gets as far as Noise: bytes that are no handshake."""
        while self._on():
            sent = self._chance.choice((self._chance.randbytes(self._chance.randrange(1, 2000)), *RAW))
            try:
                stream = await c.connected(self._port, f"127.0.{self._chance.randrange(100)}.7")
            except OSError:
                self.account.unreached += 1
                continue
            async with stream:
                with trio.move_on_after(CUT_S) as waiting:
                    try:
                        await stream.send_all(sent + c.delimited(b"\xff" * 9))
                        stream.socket.shutdown(socket.SHUT_WR)
                        while await stream.receive_some(4096):
                            pass
                    except (trio.BrokenResourceError, OSError):
                        pass
                self.account.sent["socket: garbage"] += 1
                (self.account.survived if waiting.cancelled_caught else self.account.cut)["socket: garbage"] += 1


def _frames_of(client: c.Client, streams: dict[str, int], attack: Attack, sender: Sender) -> bytes:
    body = attack.make(sender)
    if not attack.protocol:
        return body
    if attack.protocol in streams:
        return b"".join(c.data_frames(streams[attack.protocol], body, 0, 0))
    streams[attack.protocol], frames = client.opening(attack.protocol, body)
    return frames
