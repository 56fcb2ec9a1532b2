"""`verify`: hash the blocks of one image, or of a flow's."""

from typing import Any

import click

from node.cli.listing import rows_in
from node.cli.output import emit, plural, printable, say
from node.cli.session import Session
from node.cli.verb import Verb, json_option, pass_session
from node.control.client import with_query
from node.errors import DONE, FAILED, NotFound


@click.command(cls=Verb)
@click.argument("ref", required=False)
@click.option("--flow", metavar="F", help="The flow in which REF is meant; without REF, all of its images.")
@click.option("--deep", is_flag=True, help="Also have every other live holder prove its copy.")
@json_option
@pass_session
def command(session: Session, ref: str | None, flow: str | None, deep: bool, as_json: bool) -> int:
    """Hash every block of REF as it is stored here, or of all images of a flow. Exits 1 where one is bad.

    What is bad is retracted and fetched anew. What is not stored here is none of this peer's to verify: it exits 3 where
    that is so of all that was asked for.
    """
    if ref is None and flow is None:
        raise click.UsageError("expected REF or --flow F")
    query = with_query("/v1/verify", {"ref": ref, "flow": flow, "deep": deep or None})
    all_good, checked, not_here = True, 0, 0
    for row in rows_in(session, "POST", query):
        all_good &= row["ok"] or not row["held"]
        checked += row["held"]
        not_here += not row["held"]
        if as_json:
            emit(row)
        else:
            say(line(row))
    if not checked:
        what = f"{ref}: not stored here" if ref is not None else f"flow {flow}: none of its images is stored here"
        raise NotFound(
            f"{what}; nothing was checked", hint="`pinakothek show` lists who holds an image: verify it there"
        )
    if not_here:
        click.echo(f"{plural(checked, 'image')} checked, {not_here:,} not: not stored here", err=True)
    return DONE if all_good else FAILED


def line(row: dict[str, Any]) -> str:
    """One image, on one line."""
    if not row["held"]:
        mark, what = click.style("-   ", dim=True), "not stored here"
    elif row["error"]:
        mark, what = click.style("BAD ", fg="red", bold=True), row["error"]
    else:
        mark = click.style("ok  ", fg="green") if row["ok"] else click.style("BAD ", fg="red", bold=True)
        what = f"{plural(row['blocks_checked'], 'block')} good"
    if row["challenges"]:
        what += f", proven by {row['proven']} of {plural(row['challenges'], 'other holder')}"
    return f"{mark} {row['root']}  {printable(row['name'])}  {printable(what)}"
