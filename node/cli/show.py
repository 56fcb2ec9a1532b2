"""`show`: one image in full."""

from typing import Any

import click

from node.cli.listing import emit_all, rows_of
from node.cli.ls import pixels
from node.cli.output import emit, printable, say, short_cid, table
from node.cli.session import Session
from node.cli.verb import Verb, json_option, pass_session
from node.control.client import quote, with_query
from node.quantities import size_text


@click.command(cls=Verb)
@click.argument("ref")
@click.option("--flow", metavar="F", help="The flow in which REF is meant.")
@click.option("--pages", is_flag=True, help="Only list the web pages that crawls saw it on.")
@json_option
@pass_session
def command(session: Session, ref: str, flow: str | None, pages: bool, as_json: bool) -> None:
    """Show an image: its files, who holds it, and why it has the copies it has.

    REF is a root CID, a unique prefix of one, an original's CID, or a name.
    """
    if pages:
        shown = rows_of(session, with_query(f"/v1/pages/{quote(ref)}", {"flow": flow}))
        if as_json:
            emit_all(shown)
        else:
            table(("FLOW", "PAGE", "IMAGE"), [(row["flow"], row["page"], row["image"]) for row in shown])
        return
    image = session.control.call("GET", with_query(f"/v1/images/{quote(ref)}", {"flow": flow}))
    if as_json:
        emit(image)
        return
    for line in screen(image):
        say(line)


def screen(image: dict[str, Any]) -> list[str]:
    """The lines that a person sees."""
    factor = image["replicas"]
    copies = (
        f"{image['copies']} of {factor['max']} wanted, at least {factor['min']}: {image['state'].replace('_', ' ')}"
    )
    what = [image["media_type"] or "not an image", pixels(image)]
    what += [] if image["size_bytes"] is None else [size_text(image["size_bytes"])]
    shown = [
        ("root", image["root"]),
        ("original", image["original"]),
        ("what", " · ".join(part for part in what if part != "-")),
        ("flow", ", ".join(image["flows"] or [image["flow"]])),
        ("added", image["added_at"]),
        ("taken", image["taken_at"]),
        ("expires", image["expires_at"]),
        ("origin", image["origin"]),
        ("parent", image["parent"]),
        ("edited", ", ".join(image["operations"])),
        ("copies", copies),
        ("why", image["reason"]),
    ]
    lines = [click.style(printable(image["name"] or short_cid(image["root"])), bold=True), ""]
    lines += [f"  {click.style(name.ljust(9), dim=True)} {printable(text)}" for name, text in shown if text]
    lines += _section("held by", [_holder(holder) for holder in image["holders"]] or ["nobody"])
    lines += _section("files", [f"{f['name']:<14} {size_text(f['size_bytes']):>9}  {f['cid']}" for f in image["files"]])
    return lines


def _section(title: str, entries: list[str]) -> list[str]:
    return (
        ["", f"  {click.style(title, dim=True)}", *(f"    {printable(entry)}" for entry in entries)] if entries else []
    )


def _holder(holder: dict[str, Any]) -> str:
    zone = f" in {holder['zone']}" if holder["zone"] else ""
    proof = f", proven {holder['proven_at']}" if holder["proven_at"] else ""
    doubt = f", {holder['doubt']}" if holder["doubt"] else ""
    return f"{holder['name']}{zone} ({holder['state']}{doubt}{proof})  {holder['peer_id']}"
