"""The daemon: put together, started in order, stopped in the reverse of it.

`serve` reads as the start-up: 1. store, keys, records; 2. what this peer knows of the swarm; 3. the network; 4. who
decides and who acts; 5. the control socket and the gateway; 6. ready. Everything runs in one nursery; the store is
closed after the last task has ended.
"""

import gc
import json
import logging
import signal
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from functools import partial

import trio

from node.assembly.daemon import assemble
from node.backends_opening import make_backends
from node.config import Effective
from node.control.server import serve as serve_control
from node.errors import Failed, UserError
from node.ingest.decoder import DecoderPool
from node.jobs.ledger import Ledger
from node.last_resort import STOP_LIMIT_S, end_within, ended_by_bugs
from node.log import set_up
from node.operations import Operations
from node.running import Daemon
from node.swarm.verifiers import Verifiers
from node.version import VERSION
from protocol.net.errors import ListenFailed
from store.backends import Backend
from store.errors import StoreError, StoreFull
from store.store import Store

log = logging.getLogger("pinakothek.daemon")

GRACE_S = 5.0
"""What is under way at a stop may take this long; with the network's own end that stays within 10 s (DESIGN §11)."""
COLLECT_AFTER = (5_000, 20, 10)
"""Containers made and not freed before Python looks for cycles among the youngest, the younger, and all: a million before
the last, not 70,000. Records are millions of containers without any cycle, and looking at all stops everything meanwhile.
"""


def run(effective: Effective, *, as_json: bool) -> int:
    """Run the daemon until a signal; the exit code.

    Raises:
        UserError: it could not start.
    """
    config = effective.config
    set_up(config.log_level, config.log_format)
    gc.set_threshold(*COLLECT_AFTER)
    try:
        return trio.run(partial(serve, effective, as_json=as_json))
    except* UserError as group:
        raise _first(group) from None
    except* StoreFull as group:
        raise Failed(f"{effective.config.data_dir}: {_first(group)}", hint="make room on its disk") from None
    except* (StoreError, ListenFailed) as group:
        raise Failed(str(_first(group))) from None
    except* Exception:
        log.critical("a bug stopped the daemon; please report it", exc_info=True)
        raise


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    inner = group.exceptions[0]
    return _first(inner) if isinstance(inner, BaseExceptionGroup) else inner


async def serve(effective: Effective, *, as_json: bool) -> int:
    """Start everything, say that it is ready, and run until a signal."""
    config = effective.config
    stop = trio.Event()
    backends = make_backends(config.backends, config.allow_backends)
    async with (
        opened(effective, backends) as store,
        opened_ledger(effective) as ledger,
        DecoderPool() as decoder,
        Verifiers() as verifiers,
        trio.open_nursery() as nursery,
    ):
        with ended_by_bugs(nursery):
            await nursery.start(_stop_on_signals, stop)
            gc.disable()  # what a start reads is here to stay: no search for cycles need look at it, now or ever
            daemon = await assemble(effective, store, decoder, backends=backends, check=verifiers.check, ledger=ledger)
            gc.freeze()
            gc.enable()
            parts = daemon.parts
            if daemon.is_newcomer:
                nursery.start_soon(verifiers.warm_up)
            operations = Operations(parts)
            daemon.connect_operations(operations)

            await daemon.start(nursery, stop, grace_s=GRACE_S)
            await nursery.start(partial(serve_control, operations, config.data_dir, stop, version=VERSION))
            await nursery.start(parts.jobs.run)
            nursery.start_soon(operations.migrating.adopt)
            nursery.start_soon(operations.uploads.run)
            nursery.start_soon(operations.editing.run)
            if parts.gateway is not None:
                nursery.start_soon(parts.gateway.run)

            for told in effective.unread:  # not before: what stops a start is told in one line
                log.warning("%s", told)
            _say_ready(daemon, as_json=as_json)
            await stop.wait()
            log.info("stopping")
            await daemon.finish()
            nursery.cancel_scope.cancel()
    log.info("stopped")
    return 0


@asynccontextmanager
async def opened(effective: Effective, backends: Mapping[str, Backend]) -> AsyncIterator[Store]:
    """The store on the data directory, closed at the end whatever happens."""
    store = await trio.to_thread.run_sync(partial(Store.open, effective.config.data_dir, backends=backends))
    try:
        yield store
    finally:
        with trio.CancelScope(shield=True):
            await trio.to_thread.run_sync(store.close)


@asynccontextmanager
async def opened_ledger(effective: Effective) -> AsyncIterator[Ledger]:
    """The jobs on the data directory, closed as the store is."""
    ledger = await trio.to_thread.run_sync(Ledger.opened, effective.config.data_dir)
    try:
        yield ledger
    finally:
        with trio.CancelScope(shield=True):
            await trio.to_thread.run_sync(ledger.close)


async def _stop_on_signals(stop: trio.Event, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
    """Set `stop` at the first SIGTERM or SIGINT; a second one ends the process as the system would."""
    with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        task_status.started()
        async for number in signals:
            if stop.is_set():
                signal.signal(number, signal.SIG_DFL)
                signal.raise_signal(number)
            end_within(STOP_LIMIT_S)
            log.info("received %s", signal.Signals(number).name)
            stop.set()


def _say_ready(daemon: Daemon, *, as_json: bool) -> None:
    parts = daemon.parts
    config = parts.settings.config
    addrs = parts.host.addrs
    if as_json:
        line = json.dumps(
            {
                "peer_id": parts.key.peer_id, "name": config.name, "version": VERSION,
                "data_dir": str(config.data_dir), "addrs": addrs,
            }
        )  # fmt: skip
    else:
        line = f"ready {parts.key.peer_id} {' '.join(addrs)}"
    print(line, flush=True)  # noqa: T201 - the one line on standard output that DESIGN §10 promises
    log.info("ready: peer %s in %s", parts.key.peer_id, config.data_dir)
