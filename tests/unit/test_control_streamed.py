"""A body that is written as it is made, to a client that stays and to one that leaves."""

from collections.abc import AsyncGenerator

import trio
from starlette.types import Message
from trio.testing import MockClock

from node.control.streamed import Streamed

START = {"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"6")]}


def part(body: bytes, *, more: bool = True) -> Message:
    return {"type": "http.response.body", "body": body, "more_body": more}


async def answer(chunks: AsyncGenerator[bytes, None], left: trio.Event) -> list[Message]:
    """What is sent to a client that leaves once `left` is set."""
    sent: list[Message] = []

    async def send(message: Message) -> None:
        await trio.lowlevel.checkpoint()
        sent.append(message)

    async def receive() -> Message:
        await left.wait()
        return {"type": "http.disconnect"}

    await Streamed(chunks, {"content-length": "6"})({}, receive, send)
    return sent


async def test_a_client_that_stays_gets_an_end(autojump_clock: MockClock) -> None:
    async def chunks() -> AsyncGenerator[bytes, None]:
        yield b"abc"
        yield b"def"

    assert await answer(chunks(), trio.Event()) == [START, part(b"abc"), part(b"def"), part(b"", more=False)]


async def test_a_client_that_leaves_early_is_sent_no_end_that_its_length_contradicts(
    autojump_clock: MockClock,
) -> None:
    left, closed = trio.Event(), trio.Event()

    async def chunks() -> AsyncGenerator[bytes, None]:
        try:
            yield b"abc"
            left.set()
            await trio.sleep_forever()
        finally:
            closed.set()

    assert await answer(chunks(), left) == [START, part(b"abc")]
    assert closed.is_set()
