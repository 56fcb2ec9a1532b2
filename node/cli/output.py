"""How the command line writes: rows as JSON, tables for people, and one-line errors.

A name in somebody's pin may hold anything, so what goes to a terminal is made printable first.
"""

import json
import os
import re
import shutil
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


NAMES = frozenset({"NAME", "FLOW"})
"""Columns of what people have named: the only ones of any width, and without a word to be copied whole."""
LEAST_CELLS = 24
"""No name is cut to less, however narrow the terminal. Guess."""
GAP = "  "


def table(head: Sequence[str], rows: Iterable[Sequence[object]], right: Sequence[str] = ()) -> None:
    """Columns with a head, numbers on the right; nothing but the head where there are no rows.

    On a terminal that is too narrow names are cut in the middle; what is piped is whole.
    """
    cells = [[printable(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(head, *cells, strict=True)]
    if sys.stdout.isatty():
        widths = _narrowed(head, widths, shutil.get_terminal_size().columns)
    for index, row in enumerate([list(head), *cells]):
        shown = [_cut(cell, width) for cell, width in zip(row, widths, strict=True)]
        parts = [
            cell.rjust(width) if name in right else cell.ljust(width)
            for name, cell, width in zip(head, shown, widths, strict=True)
        ]
        line = GAP.join(parts).rstrip()
        say(line if index else click.style(line, dim=True))


def _narrowed(head: Sequence[str], widths: Sequence[int], room: int) -> list[int]:
    """The columns' widths with the widest names taken back until all fits, as far as that can be."""
    narrowed = list(widths)
    over = sum(widths) + len(GAP) * (len(widths) - 1) - room
    names = [index for index, name in enumerate(head) if name in NAMES]
    while over > 0 and names:
        widest = max(names, key=narrowed.__getitem__)
        if narrowed[widest] <= LEAST_CELLS:
            break
        narrowed[widest] -= 1
        over -= 1
    return narrowed


def _cut(text: str, width: int) -> str:
    """`text` without its middle where it is longer: names that begin alike often end differently."""
    if len(text) <= width:
        return text
    end = (width - 1) // 2
    return f"{text[: width - 1 - end]}…{text[len(text) - end :]}"


def short_cid(cid: str) -> str:
    """As much of a CID as is shown to people; still a valid REF where it is unique."""
    return cid[:20]
