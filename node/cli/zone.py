"""`zone set`: this peer's failure domain."""

import click

from node.cli.output import emit, printable, say
from node.cli.session import Session
from node.cli.verb import VerbGroup, json_option, pass_session


@click.group(cls=VerbGroup)
def command() -> None:
    """This peer's failure domain: copies spread over zones first."""


@command.command("set")
@click.argument("zone")
@json_option
@pass_session
def set_zone(session: Session, zone: str, as_json: bool) -> None:
    """Be in zone ZONE from now on, also after a restart; '' is no zone. Copies move as that asks for."""
    row = session.control.call("POST", "/v1/zone", {"zone": zone})
    if as_json:
        emit(row)
        return
    before = printable(row["before"]) or "none"
    now = printable(row["zone"]) or "none"
    say(f"zone is {now}" if now == before else f"zone is {now}, was {before}")
