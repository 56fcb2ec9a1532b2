"""`events`: what happens, as it happens."""

import json
from typing import Any

import click

from node.cli.output import emit, printable, say, short_cid
from node.cli.session import Session
from node.cli.verb import Verb, json_option, pass_session
from node.errors import DaemonNotRunning


@click.command(cls=Verb)
@json_option
@pass_session
def command(session: Session, as_json: bool) -> None:
    """Print events until Ctrl-C."""
    answer = session.control.open("GET", "/v1/events", accept="text/event-stream", timeout_s=None)
    for line in answer.lines():
        if line.startswith(b"data: "):
            event = json.loads(line[len(b"data: ") :])
            if as_json:
                emit(event)
            else:
                say(_told(event))
    raise DaemonNotRunning("the daemon ended the stream of events")


def _told(event: dict[str, Any]) -> str:
    about = [short_cid(event["root"])] if event["root"] else []
    about += [event["peer_id"]] if event["peer_id"] else []
    about += [event["detail"]] if event["detail"] else []
    return f"{event['at']}  {printable(event['kind']).ljust(12)}  {printable('  '.join(about))}"
