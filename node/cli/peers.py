"""`peers`: who is there."""

import click

from node.cli.listing import emit_all, rows_of
from node.cli.output import table
from node.cli.session import Session
from node.cli.verb import Verb, json_option, pass_session
from node.quantities import duration_text, size_text


@click.command(cls=Verb)
@json_option
@pass_session
def command(session: Session, as_json: bool) -> None:
    """List the swarm's peers, this one first, as it sees them."""
    rows = rows_of(session, "/v1/peers")
    if as_json:
        emit_all(rows)
        return
    head = ("NAME", "ZONE", "SEEN AS", "SAYS", "ROOTS", "USED", "CAPACITY", "HEARD", "PEER")
    table(
        head,
        [
            (
                row["name"],
                row["zone"] or "-",
                row["sees"] if row["linked"] else f"{row['sees']}, no link",
                row["state"],
                f"{row['roots']:,}",
                size_text(row["used_bytes"]),
                size_text(row["capacity_bytes"]),
                _heard(row["last_seen_s"]),
                row["peer_id"],
            )
            for row in rows
        ],
        right=("ROOTS", "USED", "CAPACITY"),
    )


def _heard(last_seen_s: float | None) -> str:
    if last_seen_s is None:
        return "never"
    return "now" if last_seen_s < 1 else f"{duration_text(last_seen_s)} ago"
