"""`flow ls | set | migrate | rm`: flows and their policies."""

from typing import Any, Literal

import click

from node.cli.flow_migrate import migrate_flow
from node.cli.listing import emit_all, rows_of
from node.cli.output import emit, printable, say, table
from node.cli.session import Session
from node.cli.verb import OWN_FACTOR, SIZE, VerbGroup, json_option, pass_session, replicas
from node.control.client import quote
from node.quantities import size_text


@click.group(cls=VerbGroup)
def command() -> None:
    """Flows: named streams of images, each with its backend and replication factor."""


@command.command("ls")
@json_option
@pass_session
def list_flows(session: Session, as_json: bool) -> None:
    """List the flows."""
    rows = rows_of(session, "/v1/flows")
    if as_json:
        emit_all(rows)
        return
    table(
        ("NAME", "BACKEND", "REPLICAS", "IMAGES"),
        [(r["name"], r["backend"], _factor(r), f"{r['images']:,}") for r in rows],
        right=("IMAGES",),
    )


@command.command("set")
@click.argument("name")
@click.option("--backend", metavar="B", help="Where new images go: ipfs, kubo, s3 or local.")
@click.option(
    "--replicas",
    "factor",
    type=OWN_FACTOR,
    metavar="MIN:MAX",
    help="How many copies each image has; 'default': as the charter says.",
)
@click.option("--max-bytes", type=SIZE, metavar="SIZE", help="Largest image, with its variants; 0: no limit.")
@click.option("--max-px", type=click.IntRange(0), metavar="N", help="Most pixels (width × height); 0: no limit.")
@click.option("--types", metavar="T,T", help="Formats it takes, such as jpeg,png; 'any': all.")
@click.option("--strip/--no-strip", default=None, help="Take location and camera data out of originals.")
@click.option("--adders", metavar="P,P", help="Peers that may add to it, by id or name; 'any': every curator.")
@json_option
@pass_session
def set_flow(
    session: Session,
    name: str,
    backend: str | None,
    factor: tuple[int, int] | Literal["default"] | None,
    max_bytes: int | None,
    max_px: int | None,
    types: str | None,
    strip: bool | None,
    adders: str | None,
    as_json: bool,
) -> None:
    """Change a flow, or make it. Takes effect at once for new images."""
    own = None if factor == "default" else factor
    change: dict[str, object] = {"backend": backend, "replicas": replicas(own), "types": _listed(types)}
    change |= {"max_bytes": max_bytes, "max_px": max_px, "strip": strip}
    if adders is not None:  # a daemon from before it was updated knows no such field
        change["adders"] = _listed(adders)
    if factor == "default":  # nor this one
        change["inherit"] = True
    row = session.control.call("POST", "/v1/flows", {"name": name, **change})
    if as_json:
        emit(row)
    else:
        say(f"flow {printable(row['name'])}: backend {row['backend']}, replicas {_factor(row)}{_limits(row)}")


command.add_command(migrate_flow)


@command.command("rm")
@click.argument("name")
@json_option
@pass_session
def remove_flow(session: Session, name: str, as_json: bool) -> None:
    """Delete a flow. Refused while it has live pins, those in the trash included."""
    row = session.control.call("DELETE", f"/v1/flows/{quote(name)}")
    if as_json:
        emit(row)
    else:
        say(f"flow {printable(row['name'])} is deleted")


def _listed(text: str | None) -> list[str] | None:
    if text is None:
        return None
    return [] if text == "any" else [each.strip() for each in text.split(",")]


def _limits(row: dict[str, Any]) -> str:
    parts = []
    if row.get("types"):
        parts.append(f"{', '.join(row['types'])} only")
    if row.get("max_bytes"):
        parts.append(f"at most {size_text(row['max_bytes'])}")
    if row.get("max_px"):
        parts.append(f"at most {row['max_px']:,} pixels")
    if row.get("strip"):
        parts.append("metadata stripped")
    if row.get("adders"):
        parts.append(f"only {', '.join(row['adders'])} may add")
    return "".join(f", {part}" for part in parts)


def _factor(row: dict[str, Any]) -> str:
    if not row["replicas"]:
        return "the charter's"
    acts = row.get("acts") or row["replicas"]
    clamped = "" if acts == row["replicas"] else f", held to {acts['min']}:{acts['max']} by the charter"
    return f"{row['replicas']['min']}:{row['replicas']['max']}{clamped}"
