"""`charter show | set | steward`: the swarm's constitution."""

from typing import Any

import click

from node.cli.output import emit, plural, printable, say
from node.cli.secret import read_recovery_key
from node.cli.session import Session
from node.cli.verb import FACTOR, VerbGroup, json_option, pass_session, replicas

ANY = "any"


@click.group(cls=VerbGroup)
def command() -> None:
    """The charter: who governs the swarm, and what holds in it."""


@command.command("show")
@json_option
@pass_session
def show(session: Session, as_json: bool) -> None:
    """Show the charter in force, and what other charters say while there is a fork."""
    _tell(session.control.call("GET", "/v1/charter"), as_json)


@command.command("set")
@click.option("--name", metavar="N", help="What people call the swarm.")
@click.option("--replicas", "factor", type=FACTOR, metavar="MIN:MAX", help="The factor where flow and pin name none.")
@click.option("--bounds", type=FACTOR, metavar="MIN:MAX", help="Smallest min and largest max of a flow or a pin.")
@click.option("--counts", metavar="B,…", help="Backends whose copies count as replicas.")
@click.option("--backends", metavar="B,…", help="Backends that may be used at all, or any.")
@click.option("--serve", type=click.Choice(["anyone", "members"]), help="Who may fetch blocks.")
@click.option("--trash-days", type=click.IntRange(0, 3650), metavar="DAYS", help="How long the trash is kept.")
@click.option("--append-only/--no-append-only", default=None, help="Whether removals count.")
@click.option("--force", is_flag=True, help="Even if images in the trash are deleted at once.")
@json_option
@pass_session
def change(
    session: Session,
    /,
    factor: tuple[int, int] | None,
    bounds: tuple[int, int] | None,
    counts: str | None,
    backends: str | None,
    as_json: bool,
    **others: Any,
) -> None:
    """Sign the next charter, with the steward's key that lies here. Heals a charter fork, even without an option."""
    asked = {
        "replicas": replicas(factor),
        "bounds": replicas(bounds),
        "counts": _words(counts),
        "backends": [] if backends == ANY else _words(backends),
        **others,
    }
    _tell(session.control.call("POST", "/v1/charter", asked), as_json)


def _words(text: str | None) -> list[str] | None:
    return None if text is None else [word.strip() for word in text.split(",") if word.strip()]


@command.group("steward", cls=VerbGroup)
def steward() -> None:
    """Who may sign charters, invites, expulsions and purges."""


@steward.command("add")
@click.argument("key", metavar="[PEER|KEY]", required=False)
@click.option("--recovery-key", "source", metavar="FILE", help="Sign with it instead; - asks for it.")
@json_option
@pass_session
def add_steward(session: Session, key: str | None, source: str | None, as_json: bool) -> None:
    """Make a peer's own key, or another key, a steward's.

    Without one, a new key is made that stays on this peer: with --recovery-key that brings back a steward where
    the last one was lost.
    """
    recovery_key = None if source is None else read_recovery_key(source)
    _tell(session.control.call("POST", "/v1/stewards", {"key": key, "recovery_key": recovery_key}), as_json)


@steward.command("rm")
@click.argument("key")
@click.option("--recovery-key", "source", metavar="FILE", default="-", help="Where it is; - (the default) asks for it.")
@json_option
@pass_session
def remove_steward(session: Session, key: str, source: str, as_json: bool) -> None:
    """Take stewardship from a key. Only the recovery key can, so that no steward forks behind his own removal."""
    asked = {"key": key, "recovery_key": read_recovery_key(source)}
    _tell(session.control.call("POST", "/v1/stewards/remove", asked), as_json)


def _tell(charter: dict[str, Any], as_json: bool) -> None:
    if as_json:
        emit(charter)
        return
    for line in screen(charter):
        say(line)


def screen(charter: dict[str, Any]) -> list[str]:
    """The charter as people read it."""
    lines = [
        f"charter {charter['number']} of {printable(charter['name'])}, signed {charter['signed_at']}",
        f"  replicas     {_factor(charter['replicas'])}, within {_factor(charter['bounds'])}",
        f"  counts       {', '.join(charter['counts'])}",
        f"  backends     {', '.join(charter['backends']) or ANY}",
        f"  serve        {charter['serve']}",
        f"  trash        {plural(charter['trash_days'], 'day')}" + (", append-only" if charter["append_only"] else ""),
        f"  recovery     {charter['recovery']}",
    ]
    here = charter["steward_here"]
    for number, key in enumerate(charter["stewards"]):
        lines.append(f"  {'' if number else 'stewards':<12} {key}" + (", which lies here" if key == here else ""))
    if not charter["stewards"]:
        lines.append("  stewards     none: `charter steward add --recovery-key FILE` makes one")
    for other in charter["others"]:
        says = ", ".join(f"{name} {_value(value)}" for name, value in other["says"].items()) or "the same"
        lines.append(
            f"fork: charter {other['number']} of {other['signed_at']} says {printable(says)}; the next charter settles it"
        )
    return lines


def _factor(factor: dict[str, int]) -> str:
    return f"{factor['min']}:{factor['max']}"


def _value(value: Any) -> str:
    if isinstance(value, dict):
        return _factor(value)
    return " ".join(value) if isinstance(value, list) else str(value).lower()
