"""Where members were reached, and which ports were picked here, in a file of its own: a lost catalogue forgets neither.

A peer that knows nobody's address and listens where nobody looks for it would recover alone, and never find the others.
"""

import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from node.swarm.small_file import write_whole

log = logging.getLogger("pinakothek.contacts")

FILE: Final = "addresses.json"
MEMBERS: Final = "members"
"""Of each member, its addresses, the best first."""
PORTS: Final = "ports"
"""Of each address with port 0 that this peer listens on, the port that it got."""


def kept_members(data_dir: Path) -> dict[str, list[str]]:
    """Of each member, its addresses; nothing where the file is missing or damaged."""
    return {
        peer: [addr for addr in addrs if isinstance(addr, str)]
        for peer, addrs in _part(data_dir, MEMBERS).items()
        if isinstance(addrs, list)
    }


def kept_ports(data_dir: Path) -> dict[str, int]:
    """Of each address listened on with port 0, the port that it got; nothing where the file is missing or damaged."""
    return {
        listen: port for listen, port in _part(data_dir, PORTS).items() if isinstance(port, int) and 0 < port < 1 << 16
    }


def keep(data_dir: Path, part: str, value: Mapping[str, Any]) -> None:
    """Keep one part, durably, beside the others. Raises: OSError."""
    whole = {**_read(data_dir), part: value}
    write_whole(data_dir / FILE, json.dumps(whole, sort_keys=True).encode())


def _part(data_dir: Path, part: str) -> dict[str, Any]:
    value = _read(data_dir).get(part)
    return value if isinstance(value, dict) else {}


def _read(data_dir: Path) -> dict[str, Any]:
    try:
        value = json.loads((data_dir / FILE).read_bytes())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, RecursionError) as error:
        log.warning("%s is not readable and made anew: %s", data_dir / FILE, error)
        return {}
    return value if isinstance(value, dict) else {}
