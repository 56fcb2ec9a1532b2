"""`run`: the daemon, in the foreground."""

import gc
import os

import click

from node.cli.session import Session
from node.cli.verb import Verb, json_option, pass_session
from node.errors import Failed


@click.command(cls=Verb)
@click.option(
    "--listen", multiple=True, metavar="ADDR", help="Where peers reach it, such as /ip4/0.0.0.0/tcp/4801; repeatable."
)
@click.option("--gateway", metavar="HOST:PORT|off", help="Where browsers reach it. Default: 127.0.0.1:8480.")
@click.option("--allow-backends", metavar="KINDS", help="Backends that flows may use here, such as ipfs,s3.")
@click.option("--users-may-set-backends", is_flag=True, help="Not only the operator says which backend a flow uses.")
@click.option("--log-level", metavar="LEVEL", help="debug, info, warning or error.")
@click.option("--log-format", metavar="FORM", help="json, console or auto.")
@json_option
@pass_session
def command(
    session: Session,
    listen: tuple[str, ...],
    gateway: str | None,
    allow_backends: str | None,
    users_may_set_backends: bool,
    log_level: str | None,
    log_format: str | None,
    as_json: bool,
) -> int:
    """Run the daemon.

    Prints one line on standard output when it is ready, `ready PEER_ID ADDRESSES`, and its log on standard error.
    The first SIGTERM or Ctrl-C stops it cleanly, a second one at once.
    """
    from node.config import load

    flags = {
        "listen": listen,
        "gateway": gateway,
        "allow_backends": [kind.strip() for kind in allow_backends.split(",")] if allow_backends else None,
        "users_may_set_backends": users_may_set_backends,
        "log_level": log_level,
        "log_format": log_format,
    }
    data_dir = session.data_dir
    if not (data_dir / "identity.key").exists():
        raise Failed(f"{data_dir}: no peer here", hint="make it: pinakothek init")
    effective = load(data_dir, os.environ, flags)
    gc.disable()  # a quarter of the imports' time; the daemon seeks cycles once it has started
    from node.daemon import run

    return run(effective, as_json=as_json)
