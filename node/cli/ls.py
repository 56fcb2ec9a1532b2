"""`ls`: the images."""

import time
from typing import Any

import click

from node.cli.listing import emit_all, rows_of
from node.cli.output import short_cid, table
from node.cli.session import Session
from node.cli.verb import Verb, json_option, pass_session
from node.control.client import with_query
from node.quantities import parse_since, size_text


@click.command(cls=Verb)
@click.option("--flow", metavar="F", help="Only this flow's images.")
@click.option("--degraded", is_flag=True, help="Only images with fewer copies than their minimum.")
@click.option("--sort", type=click.Choice(["added", "taken"]), help="By when it was added or taken, oldest first.")
@click.option("--since", metavar="T", help="Only those added since: 7d, 2026-05-31, 2026-05-31T12:00:00Z.")
@json_option
@pass_session
def command(
    session: Session, flow: str | None, degraded: bool, sort: str | None, since: str | None, as_json: bool
) -> None:
    """List images: a row for each pin that is not in the trash."""
    since_ms = None if since is None else parse_since(since, int(time.time() * 1000))
    query = {"flow": flow, "degraded": degraded or None, "sort": sort, "since_ms": since_ms}
    rows = rows_of(session, with_query("/v1/images", query))
    if as_json:
        emit_all(rows)
        return
    head = ("NAME", "FLOW", "SIZE", "PIXELS", "COPIES", "ADDED", "ROOT")
    table(head, map(_cells, rows), right=("SIZE", "PIXELS", "COPIES"))


def _cells(row: dict[str, Any]) -> tuple[str, ...]:
    return (
        row["name"] or "-",
        row["flow"],
        "-" if row["size_bytes"] is None else size_text(row["size_bytes"]),
        pixels(row),
        f"{row['copies']} of {row['replicas']['max']}",
        row["added_at"][:16].replace("T", " "),
        short_cid(row["root"]),
    )


def pixels(row: dict[str, Any]) -> str:
    """`640 × 480`, or a dash for what is not an image."""
    return f"{row['width_px']} × {row['height_px']}" if row["width_px"] and row["height_px"] else "-"
