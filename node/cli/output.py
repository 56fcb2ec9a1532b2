"""How the command line writes: rows as JSON, tables for people, and one-line errors.

A name in somebody's pin may hold anything, so what goes to a terminal is made printable first.
"""

import json
import os
import re
import sys
from collections.abc import Iterable, Sequence
from typing import Any

import click

from node.quantities import plural as plural


def emit(row: Any) -> None:
    """A row as one line of JSON, out at once: whoever reads it may be waiting."""
    sys.stdout.write(json.dumps(row, ensure_ascii=False) + "\n")
    sys.stdout.flush()


def say(text: str = "") -> None:
    """A line for people; colours are left out where they would not show."""
    click.echo(text, color=None if "NO_COLOR" not in os.environ else False)


def printable(text: object) -> str:
    r"""`text` with control characters written `\xNN`, so that a name cannot move the cursor."""
    return re.sub(r"[\x00-\x1f\x7f-\x9f]", lambda odd: f"\\x{ord(odd[0]):02x}", str(text))


def complain(message: str, hint: str | None = None, candidates: Iterable[str] = ()) -> None:
    """An error: one line, what it could have meant, and what to try, on standard error."""
    sys.stdout.flush()
    lines = [f"pinakothek: {printable(message)}"]
    lines += [f"  {printable(candidate)}" for candidate in candidates]
    if hint:
        lines.append(f"hint: {printable(hint)}")
    sys.stderr.write("\n".join(lines) + "\n")
    sys.stderr.flush()


def table(head: Sequence[str], rows: Iterable[Sequence[object]], right: Sequence[str] = ()) -> None:
    """Columns with a head, numbers on the right; nothing but the head where there are no rows."""
    cells = [[printable(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(head, *cells, strict=True)]
    for index, row in enumerate([list(head), *cells]):
        parts = [
            cell.rjust(width) if name in right else cell.ljust(width)
            for name, cell, width in zip(head, row, widths, strict=True)
        ]
        line = "  ".join(parts).rstrip()
        say(line if index else click.style(line, dim=True))


def short_cid(cid: str) -> str:
    """As much of a CID as is shown to people; still a valid REF where it is unique."""
    return cid[:20]
