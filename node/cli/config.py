"""`config show`: the effective settings."""

import os
from typing import Any

import click

from node.cli.listing import rows_of
from node.cli.output import complain, emit, table
from node.cli.session import Session
from node.cli.verb import VerbGroup, json_option, pass_session
from node.errors import DaemonNotRunning


@click.group(cls=VerbGroup)
def command() -> None:
    """The daemon's settings."""


@command.command("show")
@json_option
@pass_session
def show(session: Session, as_json: bool) -> None:
    """Print every setting, its value, and where that came from.

    Asks the running daemon, which knows its flags; without one, tells what `run` would use.
    """
    try:
        rows = list(rows_of(session, "/v1/config"))
    except DaemonNotRunning:
        rows = _without_daemon(session)
    if as_json:
        for row in rows:
            emit(row)
        return
    table(("SETTING", "VALUE", "FROM"), [(r["name"], _shown(r["value"]), r["source"]) for r in rows])


def _without_daemon(session: Session) -> list[dict[str, Any]]:
    from node.config import load

    effective = load(session.data_dir, os.environ)
    for told in effective.unread:
        complain(told)
    return [{"name": s.name, "value": s.value, "source": s.source} for s in effective.settings]


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "-"
    return "-" if value in (None, "") else str(value)
