"""`init`: make a peer's data directory, alone or as a member of a swarm."""

from typing import Any

import click

from node.cli.output import emit, printable, say
from node.cli.session import Session
from node.cli.verb import SIZE, Verb, json_option, pass_session
from node.errors import Usage


@click.command(cls=Verb)
@click.option("--name", metavar="N", help="What people call this peer. Default: the machine's name.")
@click.option("--zone", metavar="Z", help="Its failure domain; replicas spread over zones first.")
@click.option(
    "--capacity", type=SIZE, metavar="SIZE", help="Room it offers, such as 100GiB. Default: what the disk has."
)
@click.option("--join", metavar="INVITE", help="The line that `pinakothek invite` printed on a member.")
@click.option("--from-backup", "backup", metavar="FILE", help="Bring back the peer in an archive that `backup` wrote.")
@json_option
@pass_session
def command(
    session: Session,
    name: str | None,
    zone: str | None,
    capacity: int | None,
    join: str | None,
    backup: str | None,
    as_json: bool,
) -> None:
    """Make a new peer, or with --from-backup one that was lost: never while that one still runs.

    Without --join it founds a swarm of its own. The recovery key is printed this once: keep it apart from the machine.
    """
    from node.config import parse_label

    for flag, text in (("--name", name), ("--zone", zone)):
        try:
            parse_label(text or "")
        except Usage as error:
            raise Usage(f"{flag}: {text}: {error.message}") from error
    from node.setup import InitOptions, initialise, restore

    if backup is not None:
        if name or zone or capacity is not None or join:
            raise Usage("--from-backup: the settings come from the archive; give no others")
        _tell_restored(session, restore(session.data_dir, backup), as_json)
        return
    made = initialise(InitOptions(data_dir=session.data_dir, name=name, zone=zone, capacity_bytes=capacity, join=join))
    recovery_key = made.pop("recovery_key", None)
    if as_json:
        emit({**made, "recovery_key": recovery_key} if recovery_key else made)
    else:
        _tell(session, made, recovery_key, join is not None)


def _tell(session: Session, made: dict[str, Any], recovery_key: str | None, joined: bool) -> None:
    say(f"{made['name']} is ready in {made['data_dir']}" + (", a member of its swarm" if joined else ""))
    say(f"peer      {made['peer_id']}")
    if recovery_key:
        say(f"recovery  {recovery_key}")
        say("          write this key down and keep it elsewhere: it is not stored, and not shown again")
    say(f"next: {printable(session.program)} run")


def _tell_restored(session: Session, made: dict[str, Any], as_json: bool) -> None:
    if as_json:
        emit(made)
        return
    say(f"{made['name'] or 'the peer'} is back in {made['data_dir']}; it fetches its images from the others")
    say(f"peer      {made['peer_id']}")
    say(f"next: {printable(session.program)} run")
