"""`import`: take in a CARv1 archive and pin its roots."""

import json
import os
import sys
from collections.abc import Iterator
from typing import Any, BinaryIO

import click

from node.cli.output import complain, emit, printable, say, short_cid
from node.cli.session import Session
from node.cli.verb import Verb, json_option, pass_session
from node.control.client import with_query
from node.errors import DONE, FAILED, Failed, NotFound, Usage
from node.quantities import size_text

STDIN = "-"
READ_BYTES = 256 * 1024


@click.command(cls=Verb)
@click.argument("archive", metavar="FILE")
@click.option("--flow", metavar="F", default="default", show_default=True, help="The flow that wants its roots.")
@click.option("--name", metavar="N", help="What to call them. Default: as they are called already.")
@json_option
@pass_session
def command(session: Session, archive: str, flow: str, name: str | None, as_json: bool) -> int:
    """Take in a CAR file, or - for standard input: every block is hashed, every whole root pinned.

    Exits 1 when a root is not pinned because the archive lacks a part of it; the others are.
    """
    if archive == STDIN:
        rows = _send(session, sys.stdin.buffer, flow, name)
    else:
        if os.path.isdir(archive):
            raise Usage(f"{archive}: is a directory", hint="name a CAR file")
        try:
            with open(archive, "rb") as file:
                rows = _send(session, file, flow, name)
        except FileNotFoundError as error:
            raise NotFound(f"{archive}: no such file or directory") from error
        except OSError as error:
            raise Failed(f"{archive}: {(error.strerror or str(error)).lower()}") from error
    for row in rows:
        if as_json:
            emit(row)
        elif row["error"]:
            complain(f"{row['path']}: {row['error']}")
        else:
            root = short_cid(row["root"]) if sys.stdout.isatty() else row["root"]
            say(f"{'added' if row['new'] else 'known'}  {root}  ({printable(size_text(row['size_bytes']))})")
    return FAILED if any(row["error"] for row in rows) else DONE


def _send(session: Session, file: BinaryIO, flow: str, name: str | None) -> list[dict[str, Any]]:
    pieces: Iterator[bytes] = iter(lambda: file.read(READ_BYTES), b"")
    path = with_query("/v1/import", {"flow": flow, "name": name})
    answer = json.loads(session.control.open("POST", path, upload=pieces, timeout_s=None).read())
    rows: list[dict[str, Any]] = answer["rows"]
    return rows
