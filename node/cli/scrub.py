"""`scrub`: hash every block stored here."""

import click

from node.cli.output import emit, plural, printable, say
from node.cli.session import Session
from node.cli.verb import Verb, json_option, pass_session
from node.quantities import duration_text


@click.command(cls=Verb)
@json_option
@pass_session
def command(session: Session, as_json: bool) -> None:
    """Hash every block stored here, now, and have bad ones fetched anew; return when that is done.

    The daemon does so by itself, a little at a time, within thirty days. Files of bad blocks go to quarantine/.
    """
    found = session.control.call("POST", "/v1/scrub", timeout_s=None)
    if as_json:
        emit(found)
        return
    bad, healed = found["bad"], found["healed"]
    checked = f"{plural(found['blocks_checked'], 'block')} checked in {duration_text(found['seconds'])}"
    if not bad:
        say(f"{checked}: all good")
        return
    say(f"{checked}: {bad:,} bad, {healed:,} of them fetched anew")
    if healed < bad:
        how = f"see '{printable(session.program)} status'"
        say(f"{bad - healed:,} still missing: they are fetched as soon as a peer has them; {how}")
