"""`invite`: one line that lets a peer in."""

import click

from node.cli.output import emit, plural, say
from node.cli.session import Session
from node.cli.verb import DURATION, Verb, json_option, pass_session


@click.command(cls=Verb)
@click.option(
    "--role",
    metavar="R",
    default="curator,keeper",
    show_default=True,
    help="curator, keeper or guest; comma-separated.",
)
@click.option(
    "--uses", type=click.IntRange(1), metavar="N", default=1, show_default=True, help="How many peers may use it."
)
@click.option("--expires", type=DURATION, metavar="T", default="7d", show_default=True, help="How long it can be used.")
@json_option
@pass_session
def command(session: Session, role: str, uses: int, expires: float, as_json: bool) -> None:
    """Print an invite: `pinakothek init --join LINE` on the other machine redeems it.

    Whoever has the line can join: hand it over as you would a password.
    """
    roles = [part.strip() for part in role.split(",") if part.strip()]
    made = session.control.call("POST", "/v1/invites", {"roles": roles, "uses": uses, "expires_s": expires})
    if as_json:
        emit(made)
        return
    say(made["invite"])
    click.echo(f"for {plural(made['uses'], 'peer')} as {made['role']}, until {made['expires']}", err=True)
