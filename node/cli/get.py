"""`get`: write an image out, to a file that appears whole or not at all."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

import click

from node.cli.progress import progress
from node.cli.session import Session
from node.cli.verb import Verb, pass_session
from node.control.client import Answer, quote, with_query
from node.errors import Failed, Usage

STDOUT = "-"


@click.command(cls=Verb)
@click.argument("ref")
@click.option("-o", "--output", metavar="FILE", default=STDOUT, help="Where to write it. Default: standard output.")
@click.option(
    "--variant",
    metavar="V",
    default="original",
    show_default=True,
    help="original, display, large, medium, small, preview or frame-NN.",
)
@click.option("--flow", metavar="F", help="The flow in which REF is meant.")
@pass_session
def command(session: Session, ref: str, output: str, variant: str, flow: str | None) -> None:
    """Write an image, or a smaller variant of it, to FILE or to standard output."""
    if output == STDOUT and sys.stdout.isatty():
        raise Usage("a picture would garble the terminal", hint="name a file with -o, or pipe it on")
    if output != STDOUT and os.path.isdir(output):
        raise Usage(f"{output}: is a directory", hint="name a file with -o")
    answer = session.control.open("GET", with_query(f"/v1/content/{quote(ref)}/{quote(variant)}", {"flow": flow}))
    if output == STDOUT:
        copy(answer, sys.stdout.buffer)
    else:
        with whole_file(output) as file:
            copy(answer, file)


def copy(answer: Answer, out: BinaryIO) -> None:
    """Write an answer's body to `out`."""
    total = int(answer.headers.get("content-length", 0))
    with progress("reading", total, in_bytes=True) as advance:
        for chunk in answer.chunks:
            out.write(chunk)
            advance(len(chunk))
    out.flush()


@contextmanager
def whole_file(path: str) -> Iterator[BinaryIO]:
    """A file that replaces `path` when the `with` ends well, synced first; else nothing is left.

    Raises:
        Failed: it cannot be written; the message names it and the reason.
    """
    folder = os.path.dirname(path) or "."
    unfinished = os.path.join(folder, f".pinakothek-{os.getpid()}.part")
    try:
        try:
            with open(unfinished, "xb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            os.replace(unfinished, path)
            sync_folder(folder)
        except BaseException:
            if os.path.exists(unfinished):
                os.unlink(unfinished)
            raise
    except OSError as error:
        raise Failed(f"{path}: {(error.strerror or str(error)).lower()}") from error


def sync_folder(folder: str) -> None:
    """Make a rename in `folder` durable."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
