"""`similar`: images that look like one, or like a file that is not in the swarm."""

import os

import click

from node.cli.listing import emit_all
from node.cli.output import short_cid, table
from node.cli.session import Session
from node.cli.verb import Verb, json_option, pass_session
from node.errors import Failed
from node.quantities import escape_path

DECODE_TIMEOUT_S = 120.0


@click.command(cls=Verb)
@click.argument("what", metavar="REF|FILE")
@click.option("--flow", metavar="F", help="The flow in which REF is meant.")
@click.option("--within", type=click.IntRange(0, 20), metavar="BITS", help="Bits of 64 that may differ. Default: 8.")
@json_option
@pass_session
def command(session: Session, what: str, flow: str | None, within: int | None, as_json: bool) -> None:
    """List pinned images that look like REF or like FILE, nearest first; 0 bits apart is all but the same picture.

    What exists as a file is taken for one, unless --flow says that a REF is meant.
    """
    request: dict[str, object] = {"ref": what, "flow": flow, "within": within}
    if flow is None and os.path.isfile(what):
        request = {"path": escape_path(os.fsencode(os.path.abspath(what))), "within": within}
    try:
        rows = session.control.call("POST", "/v1/similar", request, timeout_s=DECODE_TIMEOUT_S)["rows"]
    except Failed as error:
        raise Failed(f"{what}: {error.message}" if "path" in request else error.message, hint=error.hint) from error
    if as_json:
        emit_all(iter(rows))
        return
    cells = ((str(row["distance_bits"]), row["name"], row["flow"], short_cid(row["root"])) for row in rows)
    table(("BITS", "NAME", "FLOW", "ROOT"), cells, right=("BITS",))
