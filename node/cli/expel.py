"""`expel`: a peer belongs no more."""

import click

from node.cli.output import emit, plural, printable, say
from node.cli.session import Session
from node.cli.verb import Verb, json_option, pass_session


@click.command(cls=Verb)
@click.argument("peer")
@click.option(
    "--drop-pins", is_flag=True, help="Let what it pinned go, instead of keeping it under the steward's name."
)
@click.option("--force", is_flag=True, help="Even while it alone holds some images.")
@click.option("--reason", metavar="TEXT", help="Why; every peer can read it.")
@json_option
@pass_session
def command(session: Session, peer: str, drop_pins: bool, force: bool, reason: str | None, as_json: bool) -> None:
    """Expel a peer: needs a steward's key here. PEER is an id, a part of one, or a name.

    Its copies do not count any more, and nothing that it signs. What it pinned stays, signed anew by the steward.
    """
    asked = {"peer": peer, "drop_pins": drop_pins, "force": force, "reason": reason}
    done = session.control.call("POST", "/v1/expulsions", asked, timeout_s=None)
    if as_json:
        emit(done)
        return
    say(f"{printable(done['name'] or done['peer_id'])} is expelled")
    if done["resigned"]:
        say(f"{plural(done['resigned'], 'record')} of it signed anew")
    if done["dropped"]:
        say(f"{plural(done['dropped'], 'record')} of it dropped")
    if done["sole_copies"]:
        say(f"{plural(done['sole_copies'], 'image')} only it holds: they can be fetched from it while it runs")
