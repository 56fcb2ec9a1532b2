"""`export`: images and other DAGs as a CARv1 archive, which any IPFS tool reads."""

import click

from node.cli.get import STDOUT, check_output, write_out
from node.cli.output import emit
from node.cli.session import Session
from node.cli.verb import Verb, json_option, pass_session


@click.command(cls=Verb)
@click.argument("refs", nargs=-1, required=True, metavar="REF...")
@click.option("-o", "--output", metavar="FILE", default=STDOUT, help="Where to write it. Default: standard output.")
@click.option("--flow", metavar="F", help="The flow in which the REFs are meant.")
@json_option
@pass_session
def command(session: Session, refs: tuple[str, ...], output: str, flow: str | None, as_json: bool) -> None:
    """Write whole images, variants included, to one CAR file. Names and flows are not in it."""
    check_output(output, "an archive", as_json=as_json)
    answer = session.control.open("POST", "/v1/export", {"refs": refs, "flow": flow})
    size_bytes = write_out(answer, output)
    if as_json:
        media_type = answer.headers["content-type"]
        emit({"path": output, "refs": refs, "media_type": media_type, "size_bytes": size_bytes})
