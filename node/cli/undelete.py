"""`undelete`: out of the trash."""

import click

from node.cli.listing import rows_in
from node.cli.output import emit, printable, say
from node.cli.session import Session
from node.cli.verb import Verb, json_option, pass_session
from node.control.client import quote, with_query


@click.command(cls=Verb)
@click.argument("ref")
@click.option("--flow", metavar="F", help="The flow it was removed from.")
@json_option
@pass_session
def command(session: Session, ref: str, flow: str | None, as_json: bool) -> None:
    """Take an image out of the trash."""
    for row in rows_in(session, "POST", with_query(f"/v1/trash/{quote(ref)}/undelete", {"flow": flow})):
        if as_json:
            emit(row)
        else:
            say(f"{printable(row['name'] or row['root'])} is back in {printable(row['flow'])}")
