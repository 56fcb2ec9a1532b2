"""`get`: write an image out, to a file that appears whole or not at all."""

import os
import re
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import BinaryIO

import click

from node.cli.output import emit
from node.cli.progress import progress
from node.cli.session import Session
from node.cli.verb import Verb, json_option, pass_session
from node.control.client import Answer, quote, with_query
from node.errors import Failed, Usage

STDOUT = "-"


@click.command(cls=Verb)
@click.argument("ref", required=False)
@click.option(
    "-o",
    "--output",
    metavar="PATH",
    default=STDOUT,
    help="The file to write, or without REF the directory. Default: standard output.",
)
@click.option(
    "--variant",
    metavar="V",
    default="original",
    show_default=True,
    help="original, display, large, medium, small, preview or frame-NN.",
)
@click.option("--flow", metavar="F", help="The flow in which REF is meant; without REF, all of it.")
@json_option
@pass_session
def command(
    session: Session, ref: str | None, output: str, variant: str, flow: str | None, as_json: bool
) -> int | None:
    """Write an image, or a smaller variant of it, to a file or to standard output.

    Without REF: bring a flow back, `get --flow F -o DIR`: every original under its own name. What is there already is
    not fetched again, so an interrupted restore goes on where it ended.
    """
    if ref is None:
        return _restore(session, flow, output, variant, as_json=as_json)
    if not variant or "/" in variant:
        raise Usage(f"variant {variant!r}: expected original, display, large, medium, small, preview or frame-NN")
    check_output(output, "a picture", as_json=as_json)
    answer = session.control.open("GET", with_query(f"/v1/content/{quote(ref)}/{quote(variant)}", {"flow": flow}))
    size_bytes = write_out(answer, output)
    if as_json:
        about = {"root": answer.headers["x-pinakothek-root"], "cid": answer.headers["x-pinakothek-cid"]}
        media_type = answer.headers["content-type"]
        emit({"path": output, **about, "variant": variant, "media_type": media_type, "size_bytes": size_bytes})
    return None


def _restore(session: Session, flow: str | None, folder: str, variant: str, *, as_json: bool) -> int:
    from node.cli.restore import restore

    if flow is None:
        raise Usage("which image?", hint="name one, or a whole flow: get --flow F -o DIR")
    if folder == STDOUT or (os.path.lexists(folder) and not os.path.isdir(folder)):
        raise Usage("a flow is written to a directory", hint="name it with -o DIR")
    if variant != "original":
        raise Usage("a flow is restored as it came", hint="name one image to get a variant of it")
    return restore(session, flow, folder, as_json=as_json)


def check_output(output: str, what: str, *, as_json: bool) -> None:
    """Raises: Usage: `what` cannot be written to where `-o` says, or to standard output."""
    if output == STDOUT and as_json:
        raise Usage(f"--json and {what} on standard output do not go together", hint="name a file with -o")
    if output == STDOUT and sys.stdout.isatty():
        raise Usage(f"{what} would garble the terminal", hint="name a file with -o, or pipe it on")
    if output != STDOUT and os.path.isdir(output):
        raise Usage(f"{output}: is a directory", hint="name a file with -o")


def write_out(answer: Answer, output: str) -> int:
    """Write an answer's body to the file `output`, or for - to standard output; its size in bytes."""
    if output == STDOUT:
        return _copy(answer, sys.stdout.buffer)
    with output_file(output) as file:
        return _copy(answer, file)


def _copy(answer: Answer, out: BinaryIO) -> int:
    total = int(answer.headers.get("content-length", 0))
    size_bytes = 0
    with progress("reading", total, in_bytes=True) as advance:
        for chunk in answer.chunks:
            out.write(chunk)
            size_bytes += len(chunk)
            advance(len(chunk))
    out.flush()
    return size_bytes


@contextmanager
def output_file(path: str) -> Iterator[BinaryIO]:
    """What `-o` names: a regular file is replaced whole, through symbolic links; a device or a pipe is written into.

    Raises:
        Failed: it cannot be written; the message names it and the reason.
    """
    if not os.path.exists(path) or os.path.isfile(path):
        with whole_file(os.path.realpath(path) if os.path.islink(path) else path) as file:
            yield file
        return
    try:
        with open(path, "wb") as file:  # as it was named: /dev/stdout leads to a pipe, which has no path
            yield file
    except OSError as error:
        raise Failed(f"{path}: {(error.strerror or str(error)).lower()}") from error


@contextmanager
def whole_file(path: str) -> Iterator[BinaryIO]:
    """A file that replaces `path` when the `with` ends well, synced first; else nothing is left.

    Raises:
        Failed: it cannot be written; the message names it and the reason.
    """
    folder = os.path.dirname(path) or "."
    unfinished = os.path.join(folder, f".pinakothek-{os.getpid()}-{threading.get_ident()}.part")
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


def remove_leftovers(folder: str | bytes) -> None:
    """Unlink what `whole_file` left in `folder` in programs that were killed; of those that run nothing is touched."""
    with os.scandir(folder) as entries:
        for entry in entries:
            found = re.fullmatch(r"\.pinakothek-(\d{1,9})-\d+\.part", os.fsdecode(entry.name))
            if found and not _runs(int(found[1])):
                with suppress(FileNotFoundError):
                    os.unlink(entry.path)


def _runs(process_id: int) -> bool:
    try:
        os.kill(process_id, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def sync_folder(folder: str) -> None:
    """Make a rename in `folder` durable."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
