"""No request looks at all blocks, owners or records: a million more of them must not make an add slower."""

from collections.abc import Iterator
from pathlib import Path

import apsw
import pytest

from store.store import Owner, RecordEntry, Store
from tests.unit.store.made import HOUR_MS, Clock, block, large

GROWING = ("blocks", "owned", "records", "packs", "owners", "holdings")
PARTIAL = ("blocks_unowned", "blocks_missing")
"""Indexes that hold only the few rows asked for."""
JOB = Owner("job", b"add 1")


@pytest.fixture
def statements() -> Iterator[set[str]]:
    """Every statement that any connection runs."""
    seen: set[str] = set()

    def trace(connection: apsw.Connection) -> None:
        connection.exec_trace = lambda cursor, sql, bindings: seen.add(sql) is None

    apsw.connection_hooks.append(trace)
    yield seen
    apsw.connection_hooks.remove(trace)


def a_day(store: Store, clock: Clock) -> None:
    blocks = [large("big"), block("small"), *(block(f"go {n}") for n in range(9))]
    cids = [cid for cid, _ in blocks]
    entry = RecordEntry(key=b"key", kind="pin", raw=b"raw")
    store.begin(JOB)
    store.put(blocks, owner=JOB)
    store.put(blocks, owner=Owner("fetch", b"1"))
    store.commit_image(cids[0], "ipfs", cids[:2], 1, JOB, [entry])
    store.append_records([entry])
    store.forget_records([b"key"])
    store.set_fact("a", b"b")
    store.facts("a")
    store.drop(JOB)
    store.drop(Owner("fetch", b"1"))
    store.stale_fetches(clock.now_ms)
    for cid in cids:
        store.get(cid)
        store.has(cid)
    clock.now_ms += 2 * HOUR_MS
    store.collect(clock.now_ms)
    store.release(cids[0], "ipfs")
    store.missing()
    store.used_bytes()
    store.scrub(max_bytes=100)
    store.settle()


def test_no_statement_of_a_request_scans_a_table_that_grows(home: Path, clock: Clock, statements: set[str]) -> None:
    Store.open(home, clock_ms=clock).close()
    store = Store.open(home, clock_ms=clock)
    statements.clear()
    try:
        a_day(store, clock)
    finally:
        store.close()
    db = apsw.Connection(str(home / "catalogue.db"))
    scans = []
    names = {alias for table in GROWING for alias in (table, table[0])}
    for sql in sorted(statements):
        if sql.split()[0] in ("SELECT", "INSERT", "UPDATE", "DELETE"):
            for _, _, _, step in db.execute("EXPLAIN QUERY PLAN " + sql, _nothing(sql)):
                words = step.split()
                if words[0] == "SCAN" and words[1] in names and not any(part in step for part in PARTIAL):
                    scans.append(f"{step}: {sql}")
    db.close()
    assert len(statements) > 30
    assert scans == []


def _nothing(sql: str) -> list[None]:
    numbered = [int(part[0]) for part in sql.split("?")[1:] if part[:1].isdigit()]
    return [None] * (max(numbered) if numbered else sql.count("?"))
