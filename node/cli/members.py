"""`members`: who was admitted."""

import click

from node.cli.listing import emit_all, rows_of
from node.cli.output import table
from node.cli.session import Session
from node.cli.verb import Verb, json_option, pass_session


@click.command(cls=Verb)
@json_option
@pass_session
def command(session: Session, as_json: bool) -> None:
    """List the peers that were admitted, and as what."""
    rows = rows_of(session, "/v1/members")
    if as_json:
        emit_all(rows)
        return
    table(
        ("NAME", "ROLES", "SEEN AS", "ADMITTED", "PEER"),
        [(r["name"], ",".join(r["roles"]), r["sees"], r["admitted_at"], r["peer_id"]) for r in rows],
    )
