"""`status`: health first, then what there is."""

import os
import shutil
from typing import Any

import click

from node.cli.output import emit, plural, printable, say, short_cid
from node.cli.session import Session
from node.cli.verb import Verb, json_option, pass_session
from node.quantities import duration_text, size_text

BAR_CELLS = 20
LABEL_CELLS = 11
ROOMY_REASONS = 3
"""With more, each has one line: all of it is to fit on 24 lines."""


@click.command(cls=Verb)
@json_option
@pass_session
def command(session: Session, as_json: bool) -> None:
    """Show this peer and what it knows of the swarm."""
    status = session.control.call("GET", "/v1/status")
    if as_json:
        emit(status)
        return
    for line in screen(status):
        say(line)


def health(status: dict[str, Any]) -> tuple[str, str]:
    """The one thing to know first: a colour, and a sentence."""
    images = status["images"]
    if images["lost"]:
        return "red", f"{plural(images['lost'], 'image')} lost: no live peer holds a copy"
    if status["alerts"]:
        return "yellow", f"{status['alerts'][0]['check']}: {status['alerts'][0]['detail']}"
    if status["state"] != "active":
        until = f" until {status['away_until']}" if status["away_until"] else ""
        return "yellow", f"this peer is {status['state']}{until}"
    if images["below_min"]:
        return "yellow", f"{plural(images['below_min'], 'image')} below the minimum of copies: {_remedy(status)}"
    if images["sought"]:
        return "yellow", f"{plural(images['sought'], 'image')} not found on any peer yet"
    if images["below_target"]:
        return "green", f"every image is safe, {images['below_target']:,} could have more copies: {_remedy(status)}"
    if not images["total"]:
        return "green", "ready, no images yet"
    return "green", f"all copies are there: {plural(images['total'], 'image')}"


def _remedy(status: dict[str, Any]) -> str:
    """What a shortage of copies waits for."""
    peers = status["peers"]
    if peers["alive"] + peers["suspect"] + peers["down"] == 1:
        return "this peer is alone, invite another"
    if status["work"]["running"] or status["work"]["queued"]:
        eta_s = status["repair"]["eta_s"]
        return "repair is running" + (f", about {duration_text(max(1, eta_s))} left" if eta_s else "")
    gone = peers["suspect"] + peers["down"]
    return f"{plural(gone, 'peer')} gone" if gone else "other peers make them, or more peers are needed"


def screen(status: dict[str, Any]) -> list[str]:
    """The lines that a person sees."""
    colour, sentence = health(status)
    mark = {"green": "●", "yellow": "▲", "red": "✖"}[colour]
    images, store = status["images"], status["store"]
    room = max(40, shutil.get_terminal_size().columns - LABEL_CELLS)
    lines = [f"{click.style(mark, fg=colour)} {click.style(printable(sentence), bold=True)}"]
    told = 1 if status["alerts"] and not images["lost"] else 0
    lines += [f"  {printable(alert['check'])}: {printable(alert['detail'])}" for alert in status["alerts"][told:]]
    about = [f"zone {status['zone']}"] if status["zone"] else []
    about += [status["state"], f"up {duration_text(status['uptime_s'])}", f"version {status['version']}"]
    used = store["used_bytes"] / store["capacity_bytes"] if store["capacity_bytes"] else 0.0
    in_use = f"{bar(used)} {size_text(store['used_bytes'])} of {size_text(store['capacity_bytes'])}"
    shown = [
        ("peer", f"{status['name']} · " + " · ".join(about)),
        ("", status["peer_id"]),
        ("images", _counts(images, ("at_target", "above_target", "below_target", "below_min", "sought", "lost"))),
        *(("why", _reason(row)) for row in status["reasons"]),
        ("peers", _counts(status["peers"], ("alive", "suspect", "down", "left"))),
        ("store", f"{in_use}, {size_text(store['free_bytes'])} free"),
        ("work", _counts(status["work"], ("running", "queued", "failed")) or "nothing to do"),
    ]
    if status["repair"]["roots"]:
        shown.append(("repair", _repair(status["repair"])))
    if images["trashed"]:
        shown.append(("trash", plural(images["trashed"], "image")))
    shown += [("address", listening(addr, status["peer_id"], room)) for addr in status["addrs"]]
    if status["gateway"]:
        shown.append(("gateway", status["gateway"]))
    shown.append(("data", _homely(status["data_dir"])))
    most = 2 if len(status["reasons"]) <= ROOMY_REASONS else 1
    lines.append("")
    before = ""
    for name, text in shown:
        for part in folded(printable(text), room, most) if name == "why" else [printable(text)]:
            lines.append(f"  {click.style(('' if name == before else name).ljust(8), dim=True)} {part}")
            before = name
    return lines


def _reason(row: dict[str, Any]) -> str:
    """Why some images are not at target: that of one of them."""
    what = f"{row['roots']:,} {row['state'].replace('_', ' ')}"
    return f"{what}: {row['why']}" if row["roots"] == 1 else f"{what}, such as {short_cid(row['root'])}: {row['why']}"


def _repair(repair: dict[str, Any]) -> str:
    """What is to be copied here, and until when."""
    text = f"{plural(repair['roots'], 'copy', 'copies')} to make here"
    text += f", {size_text(repair['bytes'])}" if repair["bytes"] else ", of unknown size"
    if repair["bytes_per_s"]:
        text += f" at {size_text(round(repair['bytes_per_s']))}/s"
    return text + (f", done in about {duration_text(max(1, repair['eta_s']))}" if repair["eta_s"] else "")


def folded(text: str, cells: int, most: int) -> list[str]:
    """`text` on at most `most` lines of so many cells, its end left out where it would need more."""
    import textwrap

    return textwrap.wrap(text, cells, max_lines=most, placeholder=" …") or [""]


def listening(addr: str, peer_id: str, cells: int) -> str:
    """An address, without the peer's id where that would not fit on the line; it stands above."""
    return addr if len(addr) <= cells else addr.removesuffix(f"/p2p/{peer_id}")


def bar(share: float) -> str:
    """A share of 1 as a bar; never full before it is, never empty once begun."""
    filled = min(BAR_CELLS - (share < 1), max(round(share * BAR_CELLS), int(share > 0)))
    return "█" * filled + "░" * (BAR_CELLS - filled)


def _counts(counts: dict[str, int], names: tuple[str, ...]) -> str:
    parts = [f"{counts[name]:,} {name.replace('_', ' ')}" for name in names if counts[name]]
    if counts.get("total"):
        parts.insert(0, f"{counts['total']:,} in all")
    return " · ".join(parts) or ("none yet" if "total" in counts else "")


def _homely(path: str) -> str:
    home = os.path.expanduser("~")
    return "~" + path[len(home) :] if path.startswith(home + "/") else path
