"""`rebalance --dry-run`: copies that are to move although none is missing."""

import click

from node.cli import planned
from node.cli.listing import emit_all, rows_of
from node.cli.session import Session
from node.cli.verb import Verb, json_option, pass_session
from node.errors import Usage


@click.command(cls=Verb)
@click.option("--dry-run", is_flag=True, help="Print what is planned; it happens by itself.")
@json_option
@pass_session
def command(session: Session, dry_run: bool, as_json: bool) -> None:
    """Print the copies that this peer is next to take over or let go, and why: zones, shares, surplus."""
    if not dry_run:
        raise Usage("peers rebalance by themselves", hint="--dry-run prints what is planned")
    rows = rows_of(session, "/v1/rebalance/plan", timeout_s=None)
    if as_json:
        emit_all(rows)
    elif not planned.show(rows):
        click.echo("nothing to move", err=True)
