"""Reach the socket under a libp2p connection, to close it when closing politely would wait for the peer."""

from typing import Any

import trio

_LAYERS = ("conn", "read_writer", "read_write_closer", "stream")


def socket_stream(muxed_conn: Any) -> trio.SocketStream | None:
    """The TCP stream below Yamux, Noise and their framing; None if the connection is of another make."""
    layer = muxed_conn.secured_conn
    while layer is not None and not isinstance(layer, trio.SocketStream):
        layer = next((below for name in _LAYERS if (below := getattr(layer, name, None)) is not None), None)
    return layer


def cut(muxed_conn: Any) -> None:
    """Close the connection's socket at once; whoever reads or writes on it wakes up and cleans up.

    `close()` of the connection itself sends a farewell, and so waits for ever on a peer that reads nothing.
    """
    stream = socket_stream(muxed_conn)
    if stream is not None:
        stream.socket.close()


def alive(connection: Any) -> bool:
    """Whether the connection can still carry a stream: neither closing, nor cut a moment ago."""
    if connection.is_closed or connection.muxed_conn.event_shutting_down.is_set():
        return False
    stream = socket_stream(connection.muxed_conn)
    return stream is None or stream.socket.fileno() != -1
