"""Numbered migrations of an SQLite file: number n takes it from version n - 1 to n. One once released is never edited."""

from collections.abc import Callable, Sequence

import apsw


def bring_up(db: apsw.Connection, name: str, migrations: Sequence[str], too_new: Callable[[str], Exception]) -> None:
    """Bring a file to the newest version, each step in a transaction of its own.

    Args:
        name: of the file, for people.
        too_new: makes what is raised where a newer release wrote it.
    """
    version = db.pragma("user_version")
    if version > len(migrations):
        raise too_new(f"{name} is of version {version}, this release knows up to {len(migrations)}")
    for number, migration in enumerate(migrations[version:], start=version + 1):
        with db:
            db.execute(migration)
            db.pragma("user_version", number)
