"""`export`: images and other DAGs as a CARv1 archive, which any IPFS tool reads."""

import os
import sys

import click

from node.cli.get import STDOUT, copy, output_file
from node.cli.session import Session
from node.cli.verb import Verb, pass_session
from node.errors import Usage


@click.command(cls=Verb)
@click.argument("refs", nargs=-1, required=True, metavar="REF...")
@click.option("-o", "--output", metavar="FILE", default=STDOUT, help="Where to write it. Default: standard output.")
@click.option("--flow", metavar="F", help="The flow in which the REFs are meant.")
@pass_session
def command(session: Session, refs: tuple[str, ...], output: str, flow: str | None) -> None:
    """Write whole images, variants included, to one CAR file. Names and flows are not in it."""
    if output == STDOUT and sys.stdout.isatty():
        raise Usage("an archive would garble the terminal", hint="name a file with -o, or pipe it on")
    if output != STDOUT and os.path.isdir(output):
        raise Usage(f"{output}: is a directory", hint="name a file with -o")
    answer = session.control.open("POST", "/v1/export", {"refs": refs, "flow": flow})
    if output == STDOUT:
        copy(answer, sys.stdout.buffer)
    else:
        with output_file(output) as file:
            copy(answer, file)
