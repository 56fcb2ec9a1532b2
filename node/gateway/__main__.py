"""`python -m node.gateway DATA_DIR HOST:PORT PIPE`: the gateway process. Started by the daemon, ends with it."""

import asyncio
import logging
import os
import resource
import socket
import sys
from pathlib import Path

import uvicorn
import uvloop

from node.config import parse_gateway
from node.gateway.app import Gateway
from node.gateway.blocks import Blocks
from node.gateway.connections import IDLE_S, MAX_CONNECTIONS, PublicConnection, sweep
from node.gateway.content import Contents
from node.gateway.handshake import FAILED, READY
from node.gateway.metrics import Counts
from node.gateway.upstream import Upstream
from store.errors import StoreError
from store.reader import Reader

BACKLOG = 512
OPEN_FILES = MAX_CONNECTIONS + 256
GRACE_S = 2


def main() -> None:
    """Serve until the daemon's end of the pipe closes; never returns."""
    data_dir, bind, pipe = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s gateway: %(message)s")
    logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)  # what strangers send is no news for the operator
    _raise_open_files()
    try:
        listener = listen(bind)
        reader = Reader.open(data_dir)
    except OSError as error:
        _say(FAILED, f"{bind}: {why(error)}")
        sys.exit(1)
    except StoreError as error:
        _say(FAILED, str(error))
        sys.exit(1)
    host, port = listener.getsockname()[:2]
    _say(READY, f"{f'[{host}]' if ':' in host else host}:{port}")
    uvloop.run(_serve(data_dir, reader, listener, pipe))
    os._exit(0)  # threads may still wait for the daemon; nothing here is to be put in order


def listen(bind: str) -> socket.socket:
    """A listening socket at `HOST:PORT`. Raises: OSError."""
    address = parse_gateway(bind)
    assert address is not None
    family, _, _, _, found = socket.getaddrinfo(*address, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    return socket.create_server((str(found[0]), int(found[1])), family=family, backlog=BACKLOG)


def why(error: OSError) -> str:
    """The system's own words, to which `socket` adds some."""
    known = error.errno is not None and error.errno > 0  # a name that cannot be resolved has a number of its own
    return (os.strerror(error.errno or 0) if known else error.strerror or str(error)).lower()


def _raise_open_files() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = OPEN_FILES if hard == resource.RLIM_INFINITY else min(OPEN_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _say(word: bytes, text: str) -> None:
    sys.stdout.buffer.write(word + text.encode() + b"\n")
    sys.stdout.flush()


async def _serve(data_dir: Path, reader: Reader, listener: socket.socket, pipe: int) -> None:
    upstream, counts = Upstream(data_dir), Counts()
    blocks = Blocks(reader, upstream.block)
    server = uvicorn.Server(
        uvicorn.Config(
            Gateway(Contents(blocks), upstream, counts, data_dir), http=PublicConnection, ws="none", loop="none",
            log_config=None, access_log=False, lifespan="off", interface="asgi3", server_header=False,
            backlog=BACKLOG, timeout_keep_alive=int(IDLE_S), timeout_graceful_shutdown=GRACE_S,
        )
    )  # fmt: skip
    connections = server.server_state.connections
    counts.watch("connections", "Open connections.", lambda: len(connections))
    counts.watch("dropped_total", "Connections ended by a bound.", lambda: PublicConnection.dropped)
    counts.watch("cache_hits_total", "Blocks found in memory.", lambda: blocks.hits)
    counts.watch("cache_misses_total", "Blocks looked for on disk.", lambda: blocks.misses)
    counts.watch("asked_total", "Blocks asked of the daemon.", lambda: blocks.asked)
    counts.watch("turned_away_total", "Blocks not asked for, as too many were.", lambda: blocks.turned_away)
    asyncio.get_running_loop().add_reader(pipe, _end_if_closed, server, pipe)
    sweeping = asyncio.ensure_future(sweep(connections))
    await server.serve(sockets=[listener])
    sweeping.cancel()


def _end_if_closed(server: uvicorn.Server, pipe: int) -> None:
    if not os.read(pipe, 1):
        asyncio.get_running_loop().remove_reader(pipe)
        server.should_exit = True


if __name__ == "__main__":
    main()
