"""`jobs`: what the daemon has been given to do, and `jobs pause | resume | cancel | retry ID`."""

import json
from typing import Any

import click

from node.cli.listing import emit_all, rows_of
from node.cli.output import emit, printable, say, short_cid, table
from node.cli.session import Session
from node.cli.verb import VerbGroup, json_option, pass_session
from node.control.client import with_query
from node.errors import DaemonNotRunning, Usage

STATES = ("queued", "running", "paused", "done", "failed", "cancelled")
WIDEST_NAME = 60
DONE_WORDS = {"pause": "paused", "resume": "resumed", "cancel": "cancelled", "retry": "queued again"}


@click.group(cls=VerbGroup, invoke_without_command=True)
@click.option("--state", type=click.Choice(STATES), help="Only jobs that are so.")
@click.option("--kind", metavar="K", help="Only jobs of a kind, such as extern.")
@click.option("--follow", "-f", is_flag=True, help="Print what happens to jobs, until Ctrl-C.")
@json_option
@click.pass_context
def command(context: click.Context, state: str | None, kind: str | None, follow: bool, as_json: bool) -> None:
    """List jobs, the oldest first; of those that have ended, the latest thousand."""
    if context.invoked_subcommand is not None:
        return
    session = context.find_object(Session)
    assert session is not None
    if follow:
        if state or kind:
            raise Usage("--follow prints what happens to all jobs: leave out --state and --kind")
        _follow(session, as_json)
    rows = rows_of(session, with_query("/v1/jobs", {"state": state, "kind": kind}))
    if as_json:
        emit_all(rows)
        return
    table(
        ("ID", "KIND", "STATE", "PROGRESS", "WHAT", "ERROR"),
        [(r["id"], r["kind"], r["state"], _progress(r), _shortened(r["name"]), _error(r)) for r in rows],
        right=("ID", "PROGRESS"),
    )


def _progress(row: dict[str, Any]) -> str:
    share = f"{row['progress'] * 100:.0f} %"
    return f"{row['done']:,}/{row['total']:,} {row['unit']} {share}".replace("  ", " ") if row["total"] else share


def _shortened(name: str) -> str:
    return name if len(name) <= WIDEST_NAME else f"{name[: WIDEST_NAME - 1]}…"


def _error(row: dict[str, Any]) -> str:
    again = f" (again at {row['retry_at']})" if row["retry_at"] else ""
    return f"{row['error']}{again}" if row["error"] else ""


def _follow(session: Session, as_json: bool) -> None:
    answer = session.control.open("GET", "/v1/jobs/events", accept="text/event-stream", timeout_s=None)
    for line in answer.lines():
        if line.startswith(b"data: "):
            event = json.loads(line[len(b"data: ") :])
            if as_json:
                emit(event)
            else:
                about = [_shortened(event["name"]), short_cid(event["root"] or ""), event["detail"]]
                told = "  ".join(printable(part) for part in about if part)
                say(f"{event['at']}  {event['id']:>5}  {event['job']:8}  {event['kind']:10}  {told}")
    raise DaemonNotRunning("the daemon ended the stream of events")


@command.command("show")
@click.argument("job", metavar="ID", type=click.IntRange(1))
@json_option
@pass_session
def show(session: Session, job: int, as_json: bool) -> None:
    """Show one job."""
    row = session.control.call("GET", f"/v1/jobs/{job}")
    if as_json:
        emit(row)
        return
    for name in ("kind", "name", "state", "step", "error", "attempts", "retry_at", "root", "created_at", "changed_at"):
        if row[name] is not None:
            say(f"{name.replace('_', ' '):11} {printable(row[name])}")
    if told := (row["result"] or {}).get("told"):
        say(f"{'left':11} {printable(told)}")


def _act(verb: str, what: str) -> click.Command:
    @command.command(verb, help=what)
    @click.argument("jobs", metavar="ID...", nargs=-1, required=True, type=click.IntRange(1))
    @json_option
    @pass_session
    def act(session: Session, /, jobs: tuple[int, ...], as_json: bool) -> None:
        for job in jobs:
            row = session.control.call("POST", f"/v1/jobs/{job}/{verb}", timeout_s=60.0)
            if as_json:
                emit(row)
            else:
                told = (row["result"] or {}).get("told", "") if row["state"] in ("paused", "cancelled") else ""
                word = row["state"] if row["state"] != "queued" else DONE_WORDS[verb]
                say(f"job {job} is {word}{': ' if told else ''}{printable(told)}")

    return act


_act("pause", "Have jobs wait; what they have finished stays finished.")
_act("resume", "Have paused jobs go on.")
_act("cancel", "Give jobs up, or put failed ones away.")
_act("retry", "Have failed or cancelled jobs tried again, or waiting ones now.")
