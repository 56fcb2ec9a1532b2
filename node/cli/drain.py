"""`drain`: empty this peer, then leave the swarm."""

import time
from typing import Any

import click

from node.cli.listing import rows_of
from node.cli.output import emit, plural, printable, say, short_cid, table
from node.cli.progress import progress
from node.cli.session import Session
from node.cli.verb import Verb, json_option, pass_session
from node.control.client import with_query
from node.errors import DONE, FAILED, INTERRUPTED, DaemonNotRunning, Usage
from node.quantities import size_text

LOOK_S = 0.5
LEFT = "this peer has left the swarm: stop its daemon; its data directory may then be deleted"
DESTINATIONS_HEAD = ("ROOT", "SIZE", "ELSEWHERE", "TO", "NAME")


@click.command(cls=Verb)
@click.option("--dry-run", is_flag=True, help="Only print what would be copied, and where.")
@click.option("--to-min", is_flag=True, help="Leave once every image has its min elsewhere, not its max.")
@click.option("--cancel", is_flag=True, help="Stay after all.")
@json_option
@pass_session
def command(session: Session, dry_run: bool, to_min: bool, cancel: bool, as_json: bool) -> int:
    """Empty this peer: wait until every image has its copies elsewhere; then it leaves the swarm.

    Nothing here is deleted meanwhile. Ctrl-C leaves it draining, and so does a restart. Exits 5 at once where too few
    other peers can hold what is here.
    """
    if cancel and (dry_run or to_min):
        raise Usage("--cancel goes with none of the other options")
    if cancel:
        row = session.control.call("DELETE", "/v1/drain")
        emit(row) if as_json else say(f"this peer is {row['state']}")
        return DONE
    if dry_run:
        _dry_run(session, to_min=to_min, as_json=as_json)
        return DONE
    row = session.control.call("POST", "/v1/drain", {"to_min": to_min}, timeout_s=None)
    try:
        return _follow(session, row, as_json=as_json)
    except KeyboardInterrupt:
        how = f"`{printable(session.program)} drain` watches it, `drain --cancel` stops it"
        click.echo(f"it goes on draining; {how}", err=True)
        return INTERRUPTED
    except DaemonNotRunning as error:
        raise DaemonNotRunning(error.message, hint="it goes on draining once it is started again") from error


def _follow(session: Session, row: dict[str, Any], *, as_json: bool) -> int:
    """Tell how it goes until it is over."""
    total = row["bytes_left"]
    done = 0
    shown: dict[str, Any] = {}
    waiting = None
    with progress("draining", total or None, in_bytes=True, quiet=as_json) as advance:
        while row["to"] is not None:
            advance(total - row["bytes_left"] - done)
            done = total - row["bytes_left"]
            if as_json and row != shown:
                emit(row)
            elif not as_json and row["waiting"] not in (None, waiting):
                click.echo(f"waiting: {printable(row['waiting'])}", err=True)
            shown, waiting = row, row["waiting"]
            time.sleep(LOOK_S)
            row = session.control.call("GET", "/v1/drain")
    if as_json:
        emit(row)
    else:
        say(LEFT if row["state"] == "left" else "the drain was cancelled")
    return DONE if row["state"] == "left" else FAILED


def _dry_run(session: Session, *, to_min: bool, as_json: bool) -> None:
    rows = rows_of(session, with_query("/v1/drain/plan", {"to_min": to_min or None}), timeout_s=None)
    if as_json:
        for row in rows:
            emit(row)
        return
    listed = list(rows)
    table(
        DESTINATIONS_HEAD,
        [
            (short_cid(r["root"]), size_text(r["size_bytes"]), f"{r['copies']} of {r['wanted']}", _names(r), r["name"])
            for r in listed
        ],
        right=("SIZE",),
    )
    for line in summary(listed):
        click.echo(line, err=True)


def _names(row: dict[str, Any]) -> str:
    return ", ".join(peer["name"] or peer["peer_id"] for peer in row["to"]) or "nobody yet"


def summary(rows: list[dict[str, Any]]) -> list[str]:
    """What it comes to, in all and for each destination."""
    if not rows:
        return ["nothing is to be copied: every image has its copies elsewhere"]
    roots: dict[str, list[int]] = {}
    for row in rows:
        for peer in row["to"]:
            roots.setdefault(peer["name"] or peer["peer_id"], []).append(row["size_bytes"])
    copied = sum(sum(sizes) for sizes in roots.values())
    lines = [f"{plural(len(rows), 'image')} to copy, {size_text(copied)} in all"]
    return lines + [
        f"  {printable(name)}: {len(sizes):,}, {size_text(sum(sizes))}" for name, sizes in sorted(roots.items())
    ]
