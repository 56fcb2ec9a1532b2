"""Planned work as people read it: `repair --dry-run` and `rebalance --dry-run`."""

from collections.abc import Iterable
from typing import Any

from node.cli.output import printable, short_cid, table
from node.quantities import duration_text, size_text

HEAD = ("ROOT", "STATE", "COPIES", "SIZE", "WHO", "WHY")


def show(rows: Iterable[dict[str, Any]]) -> int:
    """Print planned work as a table; how many rows there were."""
    listed = list(rows)
    table(HEAD, [line(row) for row in listed], right=("SIZE",))
    return len(listed)


def line(row: dict[str, Any]) -> tuple[str, ...]:
    """One root's cells."""
    copies = f"{row['copies']} of {row['min']}:{row['max']}"
    size = size_text(row["size_bytes"]) if row["size_bytes"] else "?"
    return (short_cid(row["root"]), row["state"].replace("_", " "), copies, size, who(row), why(row))


def who(row: dict[str, Any]) -> str:
    """Who acts: this peer, or those of whom it is expected."""
    if row["action"] is not None:
        return "this peer"
    return ", ".join(peer["name"] or peer["peer_id"][-8:] for peer in row["by"]) or "nobody"


def why(row: dict[str, Any]) -> str:
    """The planner's reason, and what came of the last try."""
    if row["error"] is None:
        return str(row["reason"])
    wait = f"; next try in {duration_text(row['retry_in_s'])}" if row["retry_in_s"] else ""
    return printable(f"{row['reason']}; {row['tries']} failed: {row['error']}{wait}")
