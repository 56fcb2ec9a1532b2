"""`pin add | rm | ls`: any IPFS DAG, by its CID."""

from typing import Any

import click

from node.cli.listing import emit_all, rows_in, rows_of
from node.cli.output import complain, emit, printable, say, short_cid, table
from node.cli.session import Session
from node.cli.verb import DURATION, FACTOR, VerbGroup, json_option, pass_session, replicas
from node.control.client import DEFAULT_TIMEOUT_S, quote, with_query
from node.errors import TimedOut


@click.group(cls=VerbGroup)
def command() -> None:
    """Pin any IPFS DAG by its CID."""


@command.command("add")
@click.argument("cid")
@click.option("--name", metavar="N", help="What to call it.")
@click.option("--flow", metavar="F", default="default", show_default=True, help="The flow that wants it.")
@click.option("--replicas", "factor", type=FACTOR, metavar="MIN:MAX", help="How many copies it has.")
@click.option("--expires", type=DURATION, metavar="T", help="When the pin ends by itself, such as 30d.")
@click.option(
    "--wait", type=click.IntRange(0), metavar="N", default=1, show_default=True, help="Peers that must hold it durably."
)
@click.option(
    "--timeout", type=DURATION, metavar="T", default="60s", show_default=True, help="How long to wait for them."
)
@click.option("--from", "sources", multiple=True, metavar="ADDR", help="A node that has it, /ip4/…/p2p/…; repeatable.")
@json_option
@pass_session
def add(
    session: Session,
    cid: str,
    name: str | None,
    flow: str,
    factor: tuple[int, int] | None,
    expires: float | None,
    wait: int,
    timeout: float,
    sources: tuple[str, ...],
    as_json: bool,
) -> int:
    """Pin CID: fetch it, keep it, replicate it."""
    request = {
        "cid": cid,
        "name": name,
        "flow": flow,
        "replicas": replicas(factor),
        "expires_s": expires,
        "wait": wait,
        "timeout_s": timeout,
        "sources": sources,
    }
    try:
        row = session.control.call("POST", "/v1/pins", request, timeout_s=timeout + DEFAULT_TIMEOUT_S)
    except TimedOut as error:
        if error.partial:
            _tell(error.partial, as_json)
        complain(error.message, error.hint)
        return error.exit_code
    _tell(row, as_json)
    return 0


def _tell(row: Any, as_json: bool) -> None:
    if as_json:
        emit(row)
    else:
        say(f"pinned {row['cid']} in {printable(row['flow'])}: {row['copies']} of {row['replicas']['max']} copies")


@command.command("rm")
@click.argument("cid")
@click.option("--flow", metavar="F", help="The flow to take it from; needed where several want it.")
@json_option
@pass_session
def remove(session: Session, cid: str, flow: str | None, as_json: bool) -> None:
    """Unpin CID; `undelete` brings it back for 30 days."""
    for row in rows_in(session, "DELETE", with_query(f"/v1/pins/{quote(cid)}", {"flow": flow})):
        if as_json:
            emit(row)
        else:
            say(f"unpinned {row['root']} from {printable(row['flow'])}")


@command.command("ls")
@json_option
@pass_session
def list_pins(session: Session, as_json: bool) -> None:
    """List all live pins, images included."""
    rows = rows_of(session, "/v1/pins")
    if as_json:
        emit_all(rows)
        return
    table(
        ("NAME", "FLOW", "WHAT", "COPIES", "STATE", "CID"),
        [
            (
                row["name"] or "-",
                row["flow"],
                row["content"],
                f"{row['copies']} of {row['replicas']['max']}",
                row["state"].replace("_", " "),
                short_cid(row["cid"]),
            )
            for row in rows
        ],
        right=("COPIES",),
    )
