"""`trash ls`: what is in the trash."""

import click

from node.cli.listing import emit_all, rows_of
from node.cli.output import short_cid, table
from node.cli.session import Session
from node.cli.verb import VerbGroup, json_option, pass_session


@click.group(cls=VerbGroup)
def command() -> None:
    """What is in the trash."""


@command.command("ls")
@json_option
@pass_session
def list_trash(session: Session, as_json: bool) -> None:
    """List what is in the trash, and until when."""
    rows = rows_of(session, "/v1/trash")
    if as_json:
        emit_all(rows)
        return
    table(
        ("NAME", "FLOW", "REMOVED", "UNTIL", "ROOT"),
        [(r["name"], r["flow"], r["trashed_at"], r["until"], short_cid(r["root"])) for r in rows],
    )
