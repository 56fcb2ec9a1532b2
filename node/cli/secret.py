"""The recovery key, read from a file, a pipe or the terminal: never from the command's own words, which others can see."""

import sys
from pathlib import Path

import click

from node.errors import Failed, NotFound

LONGEST = 4096


def read_recovery_key(source: str) -> str:
    """The recovery key in the file `source`, or for `-` from standard input, asked for without echo at a terminal.

    Raises:
        NotFound: there is no such file.
        Failed: it cannot be read.
    """
    if source == "-":
        if sys.stdin.isatty():
            return str(click.prompt("recovery key", hide_input=True, err=True)).strip()
        return sys.stdin.read(LONGEST).strip()
    try:
        with Path(source).open() as file:
            return file.read(LONGEST).strip()
    except FileNotFoundError as error:
        raise NotFound(f"{source}: no such file or directory") from error
    except (OSError, UnicodeDecodeError) as error:
        reason = (error.strerror or "unreadable") if isinstance(error, OSError) else "not text"
        raise Failed(f"{source}: {reason.lower()}") from error
