"""`repair`: what lacks copies, what is being done about it, and having it done now."""

from typing import Any

import click

from node.cli import planned
from node.cli.listing import emit_all, rows_of
from node.cli.output import emit, plural, printable, say
from node.cli.session import Session
from node.cli.verb import Verb, json_option, pass_session
from node.errors import Usage
from node.quantities import size_text


@click.command(cls=Verb)
@click.option("--now", is_flag=True, help="Try everything at once: no back-off, and no storm guard after a mass loss.")
@click.option(
    "--dry-run", is_flag=True, help="Only print which images lack copies or have too many, and what is planned."
)
@json_option
@pass_session
def command(session: Session, now: bool, dry_run: bool, as_json: bool) -> None:
    """Plan all copies anew and tell what this peer will do. Repair goes on by itself: this is for the impatient."""
    if now and dry_run:
        raise Usage("--now and --dry-run exclude each other")
    if dry_run:
        rows = rows_of(session, "/v1/repair/plan", timeout_s=None)
        if as_json:
            emit_all(rows)
        elif not planned.show(rows):
            click.echo("nothing to repair: every image has the copies it should have", err=True)
        return
    row = session.control.call("POST", "/v1/repair", {"now": now})
    if as_json:
        emit(row)
        return
    for line in screen(row, session.program):
        say(line)


def screen(row: dict[str, Any], program: str) -> list[str]:
    """The lines that a person sees."""
    lines = []
    if row["written_off"]:
        names = ", ".join(peer["name"] or peer["peer_id"] for peer in row["written_off"])
        lines.append(printable(f"no longer waiting for {names}"))
    if row["retried"]:
        lines.append(f"{plural(row['retried'], 'image')} tried again at once")
    if row["fetches"]:
        size = f", {size_text(row['bytes_left'])}" if row["bytes_left"] else ""
        lines.append(f"{plural(row['fetches'], 'image')} to copy here{size}")
    if row["releases"]:
        lines.append(f"{plural(row['releases'], 'surplus copy', 'surplus copies')} here to let go")
    if row["degraded"] and not row["fetches"]:
        verb = "is" if row["degraded"] == 1 else "are"
        how = f"`{printable(program)} repair --dry-run` says why"
        lines.append(f"{plural(row['degraded'], 'image')} {verb} degraded; {how}")
    return lines or ["nothing to repair here"]
