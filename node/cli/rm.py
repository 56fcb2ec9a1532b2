"""`rm`: to the trash."""

import click

from node.cli.listing import rows_in
from node.cli.output import emit, printable, say
from node.cli.session import Session
from node.cli.verb import Verb, json_option, pass_session
from node.control.client import quote, with_query


@click.command(cls=Verb)
@click.argument("ref")
@click.option("--flow", metavar="F", help="The flow to take it from; needed where several want it.")
@click.option("--purge", is_flag=True, help="Delete it now instead; needs a steward's key.")
@json_option
@pass_session
def command(session: Session, ref: str, flow: str | None, purge: bool, as_json: bool) -> None:
    """Move an image to the trash: hidden, still replicated, and `undelete` brings it back for 30 days."""
    path = with_query(f"/v1/images/{quote(ref)}", {"flow": flow, "purge": purge or None})
    for row in rows_in(session, "DELETE", path):
        if as_json:
            emit(row)
            continue
        what = printable(row["name"] or row["root"])  # a pin of a CID has no name
        if row["until"]:
            back = f"{session.program} undelete {row['root'][:20]}"
            say(f"{what} is in the trash until {row['until']}: {printable(back)}")
        else:
            say(f"{what} is deleted")
