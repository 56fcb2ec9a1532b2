"""`demo`: three peers on this machine."""

import click

from node.cli.verb import Verb, json_option


@click.command(cls=Verb)
@json_option
def command(as_json: bool) -> int:
    """Run three real peers on this machine, add a dozen photos, lose a peer, and watch the repair.

    Needs no set-up, leaves nothing behind, and ends with 0 where everything came out as promised.
    """
    from node.demo import run

    return run(as_json=as_json)
