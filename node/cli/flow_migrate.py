"""`flow migrate`: move a flow's images to the backend that it names."""

import time
from typing import Any

import click

from node.cli.listing import rows_of
from node.cli.output import emit, plural, printable, say, short_cid, table
from node.cli.progress import progress
from node.cli.session import Session
from node.cli.verb import Verb, json_option, pass_session
from node.control.client import quote
from node.errors import DONE, INTERRUPTED, DaemonNotRunning, Failed
from node.quantities import size_text

LOOK_S = 0.3
ENDS = ("done", "cancelled", "failed")


@click.command("migrate", cls=Verb)
@click.argument("name")
@click.option("--dry-run", is_flag=True, help="Only print what would be moved.")
@json_option
@pass_session
def migrate_flow(session: Session, name: str, dry_run: bool, as_json: bool) -> int:
    """Move a flow's images to the backend that it names now: see `flow set --backend`.

    Each is copied there and checked; an old copy goes once every copy that the image should have is on the new backend.
    Ctrl-C leaves it moving, and so does a restart; called again, it is watched again. It is a job: see `jobs` for how to
    pause or cancel it.
    """
    path = f"/v1/flows/{quote(name)}/migration"
    if dry_run:
        _dry_run(session, f"{path}/plan", as_json=as_json)
        return DONE
    row = session.control.call("POST", path, timeout_s=None)
    try:
        _follow(session, path, row, as_json=as_json)
    except KeyboardInterrupt:
        click.echo(printable(f"it goes on moving; `{session.program} flow migrate {name}` watches it"), err=True)
        return INTERRUPTED
    except DaemonNotRunning as error:
        raise DaemonNotRunning(error.message, hint="it goes on moving once it is started again") from error
    return DONE


def _follow(session: Session, path: str, row: dict[str, Any], *, as_json: bool) -> None:
    """Tell how it goes until it is over: with `--json` a line at each change, the last one with state done."""
    shown: dict[str, Any] = {}
    done = 0
    waiting = None
    with progress("moving", row["images"] or None, quiet=as_json) as advance:
        while True:
            advance(row["moved"] - done)
            done = row["moved"]
            if as_json and row != shown:
                emit(row)
            elif not as_json and row["waiting"] not in (None, waiting):
                click.echo(f"waiting: {printable(row['waiting'])}", err=True)
            shown, waiting = row, row["waiting"]
            if row["state"] in ENDS:
                break
            time.sleep(LOOK_S)
            row = session.control.call("GET", path)
    if row["state"] != "done":
        raise Failed(
            f"flow {row['flow']}: job {row['job']} was {row['state']}{': ' if row['waiting'] else ''}{row['waiting'] or ''}",
            hint=f"`pinakothek jobs show {row['job']}` says how it left things; called again, it goes on",
        )
    if not as_json:
        stay = f"; {plural(row['old_copies'], 'old copy', 'old copies')} stay for now" if row["old_copies"] else ""
        say(f"flow {printable(row['flow'])}: {plural(row['moved'], 'image')} on {row['backend']}{stay}")


def _dry_run(session: Session, path: str, *, as_json: bool) -> None:
    rows = rows_of(session, path, timeout_s=None)
    if as_json:
        for row in rows:
            emit(row)
        return
    listed = list(rows)
    if listed:
        table(
            ("ROOT", "SIZE", "FROM", "TO", "NAME"),
            [(short_cid(r["root"]), size_text(r["size_bytes"]), r["backend"], r["to"], r["name"]) for r in listed],
            right=("SIZE",),
        )
    total = sum(row["size_bytes"] for row in listed)
    click.echo(f"{plural(len(listed), 'image')} to move, {size_text(total)} in all", err=True)
