"""The last heartbeat heard of each peer, in a file of its own: neither a restart nor a lost catalogue forgets it.

So none is replayed to a peer that has just begun, a peer that recovers knows which members are worth waiting for, and who
was cloned is no replica after a restart either.
"""

import json
import logging
from collections.abc import Iterable, Mapping
from dataclasses import astuple, dataclass
from pathlib import Path

from node.swarm.small_file import write_whole
from protocol.identity import PeerId
from protocol.limits import MS_PER_DAY

log = logging.getLogger("pinakothek.swarm")

FILE = "heard.json"
LATELY_MS = 30 * MS_PER_DAY
"""Members silent for longer are not waited for. Source: DESIGN §8."""


@dataclass(frozen=True, slots=True)
class Heard:
    """A peer's last heartbeat: its number, and when it came, in wall-clock milliseconds of this peer; 0 if unknown.

    `cloned_epoch`: see `protocol.holdings.PeerHoldings`.
    """

    incarnation: int
    seq: int
    at_ms: int
    cloned_epoch: int | None = None


def load_heard(data_dir: Path) -> dict[PeerId, Heard]:
    """What was last saved; nothing where the file is missing or damaged, which costs no more than a replayed beat."""
    try:
        saved = json.loads((data_dir / FILE).read_bytes())
        return {PeerId(peer): Heard(*map(int, entry)) for peer, entry in saved.items()}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, TypeError, AttributeError) as error:
        log.warning("%s is not readable and made anew: %s", data_dir / FILE, error)
        return {}


def save_heard(data_dir: Path, heard: Mapping[PeerId, Heard]) -> None:
    """Keep it, durably. Raises: OSError."""
    entries = {peer: [n for n in astuple(one) if n is not None] for peer, one in sorted(heard.items())}
    write_whole(data_dir / FILE, json.dumps(entries).encode())


def heard_lately(members: Iterable[str], heard: Mapping[PeerId, Heard], now_ms: int) -> set[str]:
    """Those of `members` that were heard from within thirty days; all of them where nothing is known of anybody."""
    if not heard:
        return set(members)
    lately = {str(peer) for peer, one in heard.items() if one.at_ms >= now_ms - LATELY_MS}
    return lately.intersection(members)
