"""`add`: take images in.

Inputs are sent eight at a time, each over a connection of its own, and told in the order they were given. One that
fails does not stop the others.
"""

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import click

from node.cli.beforehand import cid_of_input, foretold
from node.cli.ignoring import Ignoring
from node.cli.in_order import in_order
from node.cli.inputs import STDIN, Input, inputs, unreadable
from node.cli.outcome import Outcome, failed
from node.cli.output import complain, emit, plural, printable, say, short_cid
from node.cli.progress import progress
from node.cli.session import Session
from node.cli.taking import asked, taking_options
from node.cli.verb import Verb, json_option, pass_session
from node.cli.waiting import ended
from node.control.client import Control, with_query
from node.errors import DONE, FAILED, DaemonNotRunning, Usage, UserError, combined_exit_code
from node.quantities import escape_path, size_text

IN_FLIGHT = 8
"""A guess: decoding keeps two cores busy, the rest hides fsyncs and the wait for other keepers."""
TAKE_IN_TIMEOUT_S = 900.0
"""Beside the wait for other keepers: the largest image on the slowest disk; a guess."""
READ_BYTES = 256 * 1024
TRIES = 3
"""Of a URL somebody waits for: seconds, not the quarter of an hour that a job may take by itself. Guess."""


@click.command(cls=Verb)
@click.argument("paths", nargs=-1, required=True, metavar="PATH|URL...")
@taking_options
@click.option("--recursive", "-r", is_flag=True, help="Add what is in directories, hidden files excepted.")
@click.option(
    "--ignore", "ignored", multiple=True, metavar="PATTERN",
    help="With --recursive: leave out what fits, as in .gitignore; a .pinakothekignore holds for its directory.",
)  # fmt: skip
@click.option("--dry-run", is_flag=True, help="Only say what would be added; needs no daemon.")
@click.option("--no-wait", is_flag=True, help="Leave it to the daemon, and print the number of each job.")
@click.option("--cid-only", is_flag=True, help="Only print the original's CID; needs no daemon, adds nothing.")
@json_option
@pass_session
def command(
    session: Session,
    /,
    paths: Sequence[str],
    name: str | None,
    recursive: bool,
    ignored: Sequence[str],
    dry_run: bool,
    no_wait: bool,
    cid_only: bool,
    as_json: bool,
    **taking: Any,
) -> int:
    """Add images: files, directories with --recursive, URLs, or - for standard input.

    Exits 0 when every input was added. When one is not, the others still are, and the exit code is that of the
    failures: 3 no such file, 5 refused by policy, 6 timed out, 1 for anything else or for failures of several kinds.
    """
    if ignored and not recursive:
        raise Usage("--ignore is about what --recursive finds")
    if dry_run and cid_only:
        raise Usage("--dry-run and --cid-only exclude each other")
    found = inputs(paths, recursive=recursive, ignoring=Ignoring.of(ignored))
    if name is not None:
        found = iter([_only(list(found))])
    options = asked(**taking)

    def make_work() -> Callable[[Input], Outcome]:
        if dry_run or cid_only:
            return foretold if dry_run else cid_of_input
        return _adder(session, options, name, no_wait=no_wait)

    known = None if recursive else len(paths)
    codes: list[int] = []
    with progress("adding", known, quiet=sys.stdout.isatty()) as advance:
        for outcome in _outcomes(found, make_work):
            advance(1)
            codes.append(outcome.exit_code)
            tell(session, outcome, as_json=as_json, cid_only=cid_only, alone=known == 1)
    done = codes.count(DONE)
    if len(codes) > 1 and not as_json and not cid_only:
        told = f"{plural(done, 'job')} queued" if no_wait else f"{plural(done, 'image')} added"
        told = f"{plural(done, 'file')} would be added" if dry_run else told
        click.echo(told + (f", {len(codes) - done} not" if done < len(codes) else ""), err=True)
    if not codes:
        complain("nothing to add: no files there")
        return FAILED
    return combined_exit_code(codes)


def _only(found: list[Input]) -> Input:
    if len(found) != 1:
        raise Usage(f"--name names one image, and there are {len(found)} inputs")
    return found[0]


def _outcomes(found: Iterator[Input], make_work: Callable[[], Callable[[Input], Outcome]]) -> Iterator[Outcome]:
    for _, outcome in in_order(found, make_work, IN_FLIGHT):
        yield outcome


def _adder(session: Session, options: dict[str, Any], name: str | None, *, no_wait: bool) -> Callable[[Input], Outcome]:
    """What one thread does with an input, over its own connection."""
    control = Control(session.data_dir)
    timeout_s = options["timeout_s"] + TAKE_IN_TIMEOUT_S

    def add(given: Input) -> Outcome:
        shown = escape_path(os.fsencode(given.path))
        wanted = {**options, "name": escape_path(os.fsencode(given.name)) if name is None else name}
        problem = given.problem or (None if given.path == STDIN or given.is_url else unreadable(given.path))
        if problem:
            return failed(shown, problem.exit_code, problem.reason)
        try:
            if given.is_url:
                return _added_url(control, given.path, {**options, "name": name}, no_wait=no_wait)
            if given.path == STDIN:
                if no_wait:
                    return failed(shown, Usage.exit_code, "--no-wait: standard input does not wait")
                row = _upload(control, wanted, timeout_s)
            else:
                path = escape_path(os.fsencode(os.path.abspath(given.path)))
                if no_wait:
                    return _queued(shown, control.call("POST", "/v1/jobs/file", {"path": path, "options": wanted}))
                row = control.call("POST", "/v1/add", {"path": path, "options": wanted}, timeout_s=timeout_s)
        except DaemonNotRunning:
            raise
        except UserError as error:
            if isinstance(error.partial, dict):
                row = {**error.partial, "path": shown}
                return Outcome(row, error.exit_code, f"{shown}: {error.message}", error.hint)
            return failed(shown, error.exit_code, error.message, error.hint)
        return Outcome({**row, "path": shown}, DONE)

    return add


def _added_url(control: Control, url: str, options: dict[str, Any], *, no_wait: bool) -> Outcome:
    """What became of a URL, or the job that it is left to."""
    wanted = {"url": url, "options": options, **({} if no_wait else {"tries": TRIES})}
    job = control.call("POST", "/v1/jobs/extern", wanted)
    if no_wait:
        return _queued(url, job)
    job = ended(control, job)
    if job["state"] != "done":
        return failed(url, job["error_code"] or FAILED, job["error"] or f"job {job['id']} is {job['state']}")
    row = {name: value for name, value in job["result"].items() if name != "exit_code"} | {"job": job["id"]}
    complaint = f"{url}: {row['error']}" if row["error"] else None
    return Outcome(row, job["result"]["exit_code"], complaint)


def _queued(path: str, job: dict[str, Any]) -> Outcome:
    return Outcome({**failed(path, DONE, "").row, "error": None, "job": job["id"]}, DONE)


def _upload(control: Control, options: dict[str, Any], timeout_s: float) -> dict[str, Any]:
    import json

    factor = options["replicas"]
    query = {**options, "replicas": f"{factor['min']}:{factor['max']}" if factor else None}
    pieces = iter(lambda: sys.stdin.buffer.read(READ_BYTES), b"")
    answer = control.open("POST", with_query("/v1/upload", query), upload=pieces, timeout_s=timeout_s)
    row: dict[str, Any] = json.loads(answer.read())
    return row


def tell(session: Session, outcome: Outcome, *, as_json: bool, cid_only: bool, alone: bool) -> None:
    """Print what became of an input."""
    row = outcome.row
    if as_json:
        emit(row)
    elif cid_only and row["original"]:
        say(row["original"] if alone else f"{row['original']}  {printable(row['path'])}")
    elif row["root"]:
        word = "added" if row["new"] else "known"
        about = f"{size_text(row['size_bytes'])}, {row['copies']} {'copy' if row['copies'] == 1 else 'copies'}"
        about += ", without its metadata" if row.get("stripped") else ""
        root = short_cid(row["root"]) if sys.stdout.isatty() else row["root"]
        say(f"{word}  {root}  {printable(row['path'])}  ({about})")
    elif row.get("dry_run"):
        say(
            f"would add  {printable(row['path'])}"
            + (f"  ({size_text(row['size_bytes'])})" if row["size_bytes"] else "")
        )
    elif row.get("job"):
        say(f"queued  job {row['job']}  {printable(row['path'])}")
    if outcome.complaint:
        complain(outcome.complaint, session.usable(outcome.hint))
