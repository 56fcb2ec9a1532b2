"""`maintenance`: be away for a while without being replaced."""

from typing import Any

import click

from node.cli.output import emit, say
from node.cli.session import Session
from node.cli.verb import PAUSE, Verb, json_option, pass_session
from node.errors import Usage


@click.command(cls=Verb)
@click.option("--for", "for_s", type=PAUSE, metavar="T", help="How long from now, such as 2h; at most 7d.")
@click.option("--off", is_flag=True, help="Be back.")
@json_option
@pass_session
def command(session: Session, for_s: float | None, off: bool, as_json: bool) -> None:
    """Be away for a while: the other peers then copy only what has one live copy left without this one.

    The daemon may be stopped meanwhile. It ends by itself, or with --off. Without options, tells how it stands.
    """
    if off and for_s is not None:
        raise Usage("--for and --off exclude each other")
    if for_s is not None and for_s <= 0:
        raise Usage("--for: expected more than 0 s", hint="to be back: --off")
    if off or for_s is not None:
        row = session.control.call("POST", "/v1/maintenance", {"for_s": for_s})
    else:
        row = session.control.call("GET", "/v1/maintenance")
    if as_json:
        emit(row)
    else:
        say(_told(row))


def _told(row: dict[str, Any]) -> str:
    if row["away_until"] is None:
        return f"this peer is {row['state']}"
    return f"away until {row['away_until']}, also while the daemon is stopped"
