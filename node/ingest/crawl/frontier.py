"""What crawls know: `crawls.db`. What is still to be visited, what became of it, and which pages show which image.

`visits` are those of crawls that have not ended. `images` and `sightings` stay: they are what a second crawl need not
fetch again, and the only place where all pages of an image are written down. Each method is one transaction, durable
when it returns; it blocks on the disk, so call it in a thread. They may be called from any, one at a time.

The file has a bound. Once it is reached no crawl begins; those under way visit what they have found and write down
nothing new, so that they end, and a later crawl asks again for what this one could not note.
"""

import threading
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import apsw

from node.errors import RefusedByPolicy
from node.ingest.crawl.schema import migrate
from node.ingest.crawl.scope import Kind
from node.ingest.web_address import WebAddress
from node.quantities import size_text
from store.catalogue import open_writer, rows_of, sql_errors
from store.errors import StoreDamaged

NAME = "crawls.db"
MAX_VISITS = 2_000_000
"""Of one crawl: what is found beyond is not written down. Some 400 MB; a guess."""
MAX_BYTES = 2 << 30
"""Of the file, where nobody says otherwise: a tenth of the workspace's quota as it is by default. Guess."""
KEPT_MS = 30 * 86_400_000
"""Visits of a crawl that nobody goes on with. Guess."""


class Visit(NamedTuple):
    """A URL to visit, or one that was."""

    seq: int
    kind: Kind
    address: WebAddress
    depth: int
    hops: int
    tries: int


class Visited(NamedTuple):
    """What became of a visit."""

    url: str
    state: str
    reason: str | None


class Found(NamedTuple):
    """A URL that a page or a redirect leads to."""

    kind: Kind
    address: WebAddress
    depth: int
    hops: int = 0


class ImageKnown(NamedTuple):
    """What came of an image's URL, in a flow. `digest`: BLAKE3 of the bytes; `root` None: it was not taken."""

    digest: bytes
    root: bytes | None
    etag: str | None
    last_modified: str | None


class Frontier:
    """The crawls of one data directory. Open it with `opened`."""

    def __init__(self, db: apsw.Connection, path: str, max_bytes: int) -> None:
        self._db = db
        self._max_bytes = max_bytes
        self._path = path
        self._turn = threading.Lock()

    @classmethod
    def opened(cls, folder: Path | None, max_bytes: int = MAX_BYTES) -> "Frontier":
        """That of a data directory, made where there is none; None: one in memory.

        A damaged one is moved aside, and a new one begun: images are safe without it.

        Raises:
            StoreError: the disk refuses.
            Failed: a newer release wrote it.
        """
        path = ":memory:" if folder is None else str(folder / NAME)
        try:
            return cls._opened(path, max_bytes)
        except StoreDamaged:
            for end in ("", "-wal", "-shm"):
                with suppress(FileNotFoundError):
                    Path(f"{path}{end}").replace(f"{path}.damaged{end}")
            return cls._opened(path, max_bytes)

    @classmethod
    def _opened(cls, path: str, max_bytes: int) -> "Frontier":
        with sql_errors(path):
            db = open_writer(path, "")
            try:
                migrate(db)
            except BaseException:
                db.close()
                raise
        return cls(db, path, max_bytes)

    def close(self) -> None:
        """Close the file."""
        with self._turn:
            self._db.close()

    @contextmanager
    def _transaction(self) -> Iterator[apsw.Connection]:
        with self._turn, sql_errors(self._path), self._db:
            yield self._db

    def _is_full(self, db: apsw.Connection) -> bool:
        """Whether what is written down, free pages left out, takes as much as it may."""
        pages, free, page_bytes = (db.pragma(name) for name in ("page_count", "freelist_count", "page_size"))
        return bool((pages - free) * page_bytes >= self._max_bytes)

    # changes

    def begin(self, crawl: bytes, starts: Sequence[Found], now_ms: int) -> None:
        """Begin a crawl; nothing happens where it has begun. Crawls that nobody went on with are forgotten.

        Raises:
            RefusedByPolicy: the file is full.
        """
        with self._transaction() as db:
            db.execute("DELETE FROM visits WHERE crawl IN (SELECT id FROM crawls WHERE at_ms < ?)", (now_ms - KEPT_MS,))
            db.execute("DELETE FROM crawls WHERE at_ms < ?", (now_ms - KEPT_MS,))
            if not rows_of(db, "SELECT 1 FROM crawls WHERE id = ?", (crawl,)):
                if self._is_full(db):
                    raise RefusedByPolicy(
                        f"{NAME} is full: {size_text(self._max_bytes)} of what crawls know",
                        hint="raise workspace_quota: a tenth of it is for that; or stop the daemon and remove the file",
                    )
                db.execute("INSERT INTO crawls VALUES(?, ?, 0)", (crawl, now_ms))
                _add(db, crawl, starts)
            db.execute("UPDATE crawls SET at_ms = ? WHERE id = ?", (now_ms, crawl))

    def page_read(self, crawl: bytes, visit: Visit, found: Iterable[Found], flow: str, images: Iterable[str]) -> None:
        """A page was read: whereto it leads, and all images that it shows, visited or not."""
        with self._transaction() as db:
            _end(db, visit, "done", None)
            if self._is_full(db):
                return
            _add(db, crawl, found)
            page = str(visit.address)
            db.executemany("INSERT OR IGNORE INTO sightings VALUES(?, ?, ?)", [(flow, image, page) for image in images])

    def redirected(self, crawl: bytes, visit: Visit, to: Found, flow: str) -> None:
        """A URL leads to another; who shows the one shows the other."""
        with self._transaction() as db:
            _end(db, visit, "moved", str(to.address))
            _add(db, crawl, [to])
            db.execute(
                "INSERT OR IGNORE INTO sightings SELECT flow, ?, page FROM sightings WHERE flow = ? AND image = ?",
                (str(to.address), flow, str(visit.address)),
            )

    def image_done(self, visit: Visit, state: str, reason: str | None, flow: str, known: ImageKnown | None) -> None:
        """An image was visited, with what is known of it from now on."""
        with self._transaction() as db:
            _end(db, visit, state, reason)
            if known is not None and not self._is_full(db):
                db.execute("INSERT OR REPLACE INTO images VALUES(?, ?, ?, ?, ?, ?)", (flow, str(visit.address), *known))

    def ended(self, visit: Visit, state: str, reason: str | None) -> None:
        """A URL was visited, or will not be."""
        with self._transaction() as db:
            _end(db, visit, state, reason)

    def later(self, visit: Visit, due_ms: int, reason: str) -> None:
        """A URL is to be tried once more."""
        with self._transaction() as db:
            db.execute(
                "UPDATE visits SET tries = tries + 1, due_ms = ?, reason = ? WHERE seq = ?", (due_ms, reason, visit.seq)
            )

    def forget(self, crawl: bytes) -> None:
        """A crawl has ended: its visits go."""
        with self._transaction() as db:
            db.execute("DELETE FROM visits WHERE crawl = ?", (crawl,))
            db.execute("DELETE FROM crawls WHERE id = ?", (crawl,))

    # questions

    def origins(
        self, crawl: bytes, most: int, *, pages: bool, in_hand: Collection[int] = (), but: Collection[str] = ()
    ) -> list[str]:
        """Origins with something waiting, as `next` has it, except for those named."""
        with self._transaction() as db:
            rows = rows_of(
                db,
                f"SELECT DISTINCT origin FROM visits WHERE {_waiting(in_hand)}"
                f" AND origin NOT IN ({','.join('?' * len(but))}) LIMIT ?",
                (crawl, pages, *in_hand, *but, most),
            )
        return [origin for (origin,) in rows]

    def next(
        self, crawl: bytes, origin: str, now_ms: int, *, pages: bool, in_hand: Collection[int]
    ) -> Visit | int | None:
        """What to visit next of an origin: the first that was found and may be tried now.

        Args:
            pages: pages, too, not only images.
            in_hand: what is being visited.

        Returns:
            A visit; or when (wall clock, ms) there will be one; None: never.
        """
        waiting = f"FROM visits WHERE {_waiting(in_hand)} AND origin = ?"
        given = (crawl, pages, *in_hand, origin)
        with self._transaction() as db:
            rows = rows_of(
                db,
                f"SELECT seq, kind, url, depth, hops, tries {waiting} AND due_ms <= ? ORDER BY seq LIMIT 1",
                (*given, now_ms),
            )
            due_ms: int | None = None if rows else rows_of(db, f"SELECT min(due_ms) {waiting}", given)[0][0]
        return _visit(rows[0]) if rows else due_ms

    def counts(self, crawl: bytes) -> dict[tuple[str, str], int]:
        """(kind, state) → how many."""
        with self._transaction() as db:
            rows = rows_of(
                db, "SELECT kind, state, count(*) FROM visits WHERE crawl = ? GROUP BY kind, state", (crawl,)
            )
        return {(kind, state): count for kind, state, count in rows}

    def listed(self, crawl: bytes, kind: Kind, limit: int) -> list[Visited]:
        """The first visits of a kind, whatever became of them."""
        with self._transaction() as db:
            rows = rows_of(
                db, "SELECT url, state, reason FROM visits WHERE crawl = ? AND kind = ? ORDER BY seq LIMIT ?",
                (crawl, kind, limit),
            )  # fmt: skip
        return [Visited(*row) for row in rows]

    def problems(self, crawl: bytes, limit: int) -> list[Visited]:
        """The first visits that came to nothing, and not because we were asked to leave them alone."""
        with self._transaction() as db:
            rows = rows_of(
                db,
                "SELECT url, state, reason FROM visits WHERE crawl = ? AND state IN ('refused', 'forbidden', 'failed')"
                " ORDER BY seq LIMIT ?",
                (crawl, limit),
            )
        return [Visited(*row) for row in rows]

    def image(self, flow: str, url: str) -> ImageKnown | None:
        """What is known of an image's URL."""
        return self._image("url", flow, url)

    def image_by_bytes(self, flow: str, digest: bytes) -> ImageKnown | None:
        """An image of these bytes that the flow has taken."""
        return self._image("root IS NOT NULL AND digest", flow, digest)

    def _image(self, column: str, flow: str, value: str | bytes) -> ImageKnown | None:
        with self._transaction() as db:
            rows = rows_of(
                db, f"SELECT digest, root, etag, last_modified FROM images WHERE flow = ? AND {column} = ? LIMIT 1",
                (flow, value),
            )  # fmt: skip
        return ImageKnown(*rows[0]) if rows else None

    def pages_of(self, root: bytes, limit: int) -> list[tuple[str, str, str]]:
        """(flow, image URL, page URL) of every page that was seen to show an image."""
        with self._transaction() as db:
            return rows_of(
                db,
                "SELECT i.flow, i.url, s.page FROM images i JOIN sightings s ON s.flow = i.flow AND s.image = i.url"
                " WHERE i.root = ? ORDER BY i.flow, i.url, s.page LIMIT ?",
                (root, limit),
            )


def _waiting(in_hand: Collection[int]) -> str:
    """What may be visited of a crawl: its id, whether pages may, and what is in hand are to be bound."""
    marks = ",".join("?" * len(in_hand))
    return f"crawl = ? AND state = 'waiting' AND (? OR kind = 'image') AND seq NOT IN ({marks})"


def _add(db: apsw.Connection, crawl: bytes, found: Iterable[Found]) -> None:
    """Add what is new. What waits, and was found nearer now, is nearer from now on."""
    (count,) = rows_of(db, "SELECT found FROM crawls WHERE id = ?", (crawl,))[0]
    rows = [(crawl, str(each.kind), str(each.address), each.address.origin, each.depth, each.hops) for each in found]
    rows = rows[: max(0, MAX_VISITS - count)]
    before = db.total_changes()
    db.executemany(
        "INSERT INTO visits(crawl, kind, url, origin, depth, hops) VALUES(?, ?, ?, ?, ?, ?)"
        " ON CONFLICT(crawl, kind, url) DO UPDATE SET depth = excluded.depth"
        " WHERE state = 'waiting' AND excluded.depth < depth",
        rows,
    )
    db.execute("UPDATE crawls SET found = found + ? WHERE id = ?", (db.total_changes() - before, crawl))


def _end(db: apsw.Connection, visit: Visit, state: str, reason: str | None) -> None:
    db.execute("UPDATE visits SET state = ?, reason = ? WHERE seq = ?", (state, reason, visit.seq))


def _visit(row: tuple[int, str, str, int, int, int]) -> Visit:
    seq, kind, url, depth, hops, tries = row
    return Visit(seq, Kind(kind), WebAddress.parse(url), depth, hops, tries)
