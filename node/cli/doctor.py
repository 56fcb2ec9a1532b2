"""`doctor`: does every promise hold?"""

import click

from node.cli.listing import rows_in
from node.cli.output import emit, printable, say
from node.cli.session import Session
from node.cli.verb import Verb, json_option, pass_session
from node.control.client import with_query
from node.errors import DONE, FAILED


@click.command(cls=Verb)
@click.option("--accept", is_flag=True, help="Take a clone's or a recovery's new epoch on this peer.")
@json_option
@pass_session
def command(session: Session, accept: bool, as_json: bool) -> int:
    """Check every promise of this peer. Exits 0 where all hold, 1 where one does not."""
    all_hold = True
    for row in rows_in(session, "POST", with_query("/v1/doctor", {"accept": accept or None})):
        all_hold &= row["ok"]
        if as_json:
            emit(row)
        else:
            mark = click.style("ok  ", fg="green") if row["ok"] else click.style("FAIL", fg="red", bold=True)
            say(f"{mark}  {printable(row['check']).ljust(14)}  {printable(row['detail'])}")
    return DONE if all_hold else FAILED
