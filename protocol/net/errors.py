"""Everything `protocol.net` raises on purpose. A bug is never one of these: it propagates."""

from typing import ClassVar


class NetError(Exception):
    """Base class: a peer, a stream or the network failed us."""

    retryable: ClassVar[bool] = True


class ListenFailed(NetError):
    """An address cannot be listened on: in use, malformed, or not ours."""

    retryable: ClassVar[bool] = False


class Unreachable(NetError):
    """No connection to the peer, and none of its addresses answered as that peer."""


class ProtocolRefused(NetError):
    """The peer is connected but speaks none of the protocols asked for (with us)."""

    retryable: ClassVar[bool] = False


class StreamEnded(NetError):
    """The stream was closed or reset before what was asked for had arrived or been taken."""


class BrokenProtocol(NetError):
    """A peer sent what no honest peer sends. Where it leaves a stream handler it costs the connection."""

    retryable: ClassVar[bool] = False


class FrameTooLarge(BrokenProtocol):
    """A peer announced a frame above the limit, or a length that is no varint."""


class FrameTooSlow(BrokenProtocol):
    """A peer announced a large frame and did not send it."""


class MessageTooLarge(NetError):
    """We were asked to send more than the limit allows."""

    retryable: ClassVar[bool] = False


class RpcFailed(NetError):
    """A call got no answer: the peer is unreachable, or the stream died under it."""


class RpcTimeout(RpcFailed):
    """A call got no answer in time; the stream lives on."""


MALFORMED = "malformed"
"""The code of a refusal that costs the asker its connection: no honest peer asks such a thing."""


class RpcRefused(RpcFailed):
    """The peer answered that it will not: `code` for programs, `detail` for people."""

    retryable: ClassVar[bool] = False

    def __init__(self, code: str, detail: str = "") -> None:
        super().__init__(f"{code}: {detail}" if detail else code)
        self.code = code
        self.detail = detail
