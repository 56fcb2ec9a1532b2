"""`audit`: have the other holders of what is held here prove it."""

import click

from node.cli.output import emit, plural, say
from node.cli.session import Session
from node.cli.verb import Verb, json_option, pass_session


@click.command(cls=Verb)
@json_option
@pass_session
def command(session: Session, as_json: bool) -> None:
    """Challenge the other live holders of everything held here, now; return when that is done.

    Peers audit one another all the time; this does not wait for that. A copy that is not proven no longer counts for
    this peer's releases; one that stays so is made anew elsewhere.
    """
    found = session.control.call("POST", "/v1/audit", timeout_s=None)
    if as_json:
        emit(found)
        return
    for line in screen(found):
        say(line)


def screen(found: dict[str, int]) -> list[str]:
    """The lines that a person sees."""
    if not found["challenges"]:
        return ["nothing to audit: no other live peer holds what is held here"]
    lines = [f"{plural(found['challenges'], 'challenge')}: {found['proven']:,} proven"]
    if found["wrong"]:
        lines.append(f"{found['wrong']:,} answered without the right proof")
    if found["silent"]:
        lines.append(f"{found['silent']:,} not answered")
    return lines
