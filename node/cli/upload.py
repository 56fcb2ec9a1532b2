"""`upload`: send the bytes of files to the daemon, which need not be able to read them, or to where it says.

As `add`, but by three steps that other software can take as well: a place is asked for, the bytes are put there, and
what has come is taken in by a job.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import click

from node.cli.add import IN_FLIGHT, READ_BYTES, TAKE_IN_TIMEOUT_S, tell
from node.cli.in_order import in_order
from node.cli.inputs import Input, unreadable
from node.cli.outcome import Outcome, failed
from node.cli.output import plural
from node.cli.session import Session
from node.cli.taking import asked, taking_options
from node.cli.verb import Verb, json_option, pass_session
from node.cli.waiting import ended
from node.control.client import Control
from node.errors import DONE, FAILED, DaemonNotRunning, Failed, Usage, UserError, combined_exit_code
from node.quantities import escape_path

SEND_TIMEOUT_S = 60.0
"""Longest silence of whoever takes the bytes."""


@click.command(cls=Verb)
@click.argument("paths", nargs=-1, required=True, metavar="FILE...")
@taking_options
@json_option
@pass_session
def command(
    session: Session,
    /,
    paths: Sequence[str],
    name: str | None,
    as_json: bool,
    **taking: Any,
) -> int:
    """Upload images: their bytes are sent, where add has the daemon read the files itself."""
    if name is not None and len(paths) != 1:
        raise Usage(f"--name names one image, and there are {len(paths)} files")
    options = {**asked(**taking), "name": name}
    given = [Input(path=path, name=os.path.basename(path)) for path in paths]
    codes: list[int] = []
    for _, outcome in in_order(given, lambda: _uploader(session, options), IN_FLIGHT):
        codes.append(outcome.exit_code)
        tell(session, outcome, as_json=as_json, cid_only=False, alone=len(paths) == 1)
    done = codes.count(DONE)
    if len(codes) > 1 and not as_json:
        rest = f", {len(codes) - done} not" if done < len(codes) else ""
        click.echo(f"{plural(done, 'image')} uploaded{rest}", err=True)
    return combined_exit_code(codes)


def _uploader(session: Session, options: Mapping[str, Any]) -> Callable[[Input], Outcome]:
    """What one thread does with a file, over its own connection."""
    from store.errors import StoreError

    control = Control(session.data_dir)

    def upload(given: Input) -> Outcome:
        shown = escape_path(os.fsencode(given.path))
        problem = unreadable(given.path)
        if problem:
            return failed(shown, problem.exit_code, problem.reason)
        try:
            return _uploaded(control, given, shown, options)
        except DaemonNotRunning:
            raise
        except UserError as error:
            return failed(shown, error.exit_code, error.message, error.hint)
        except (StoreError, OSError) as error:
            return failed(shown, FAILED, str(error))

    return upload


def _uploaded(control: Control, given: Input, shown: str, options: Mapping[str, Any]) -> Outcome:
    name = options["name"] or escape_path(os.fsencode(given.name))
    with open(given.path, "rb") as file:
        size_bytes = os.fstat(file.fileno()).st_size
        if not size_bytes:
            return failed(shown, FAILED, "empty, 0 bytes")
        wanted = {"size_bytes": size_bytes, "media_type": _media_type(file), "options": {**options, "name": name}}
        place = control.call("POST", "/v1/uploads", wanted)
        pieces = iter(lambda: file.read(READ_BYTES), b"")
        if place["presigned"]:
            send_away(place, file)
        else:
            control.open(place["method"], place["path"], upload=pieces, timeout_s=SEND_TIMEOUT_S).read()
    job = control.call("POST", place["complete"], timeout_s=TAKE_IN_TIMEOUT_S)
    job = ended(control, job)
    if job["state"] != "done":
        return failed(shown, job["error_code"] or FAILED, job["error"] or f"job {job['id']} is {job['state']}")
    row = {key: value for key, value in job["result"].items() if key != "exit_code"}
    complaint = f"{shown}: {row['error']}" if row["error"] else None
    return Outcome({**row, "path": shown, "job": job["id"]}, job["result"]["exit_code"], complaint)


def _media_type(file: Any) -> str | None:
    """What the file's first bytes say; the daemon looks for itself. Raises: ImageRejected."""
    from store.images.sniff import HEAD_BYTES, sniff

    found = sniff(file.read(HEAD_BYTES)).media_type
    file.seek(0)
    return found


def send_away(place: Mapping[str, Any], file: Any) -> None:
    """Put a file to a presigned URL. Raises: Failed: whoever is there would not have it."""
    import urllib.error
    import urllib.request

    request = urllib.request.Request(place["url"], data=file, method=place["method"], headers=dict(place["headers"]))
    try:
        with urllib.request.urlopen(request, timeout=SEND_TIMEOUT_S) as answer:
            answer.read()
    except urllib.error.HTTPError as error:
        said = " ".join(error.read(300).decode("utf-8", "replace").split())
        raise Failed(f"the staging place answered {error.code}: {said}") from error
    except OSError as error:
        raise Failed(f"the staging place: {error}") from error
