"""The port that was picked for port 0 is tried again at the next start: the other peers know this one there.

Otherwise a swarm whose peers all start at once on ports of the system's choice would never find together again.
"""

import logging
import socket
from collections.abc import Sequence
from pathlib import Path

from node.swarm.addresses_kept import PORTS, keep, kept_ports
from protocol.net.addresses import dialable, split

log = logging.getLogger("pinakothek.contacts")


def usual(data_dir: Path, listen: Sequence[str]) -> list[str]:
    """`listen`, with the last picked port for each 0 where that port is free."""
    saved = kept_ports(data_dir)
    usable = [dialable(address, any_port=True) or address for address in listen]
    return [_at(address, saved.get(address, 0)) for address in usable]


def remember(data_dir: Path, listen: Sequence[str], addrs: Sequence[str]) -> None:
    """Write down which ports were picked (in a thread); a disk that refuses costs no more than that.

    Args:
        listen: what was asked for.
        addrs: where this peer is reached now.
    """
    saved = kept_ports(data_dir)
    picked = {address: port for address in listen if (port := _picked(address, addrs))}
    if picked.items() - saved.items():
        try:
            keep(data_dir, PORTS, {**saved, **picked})
        except OSError as error:
            log.warning("the port is not kept for the next start: %s", error)


def _picked(listen: str, addrs: Sequence[str]) -> int:
    """The one port that was picked for this address; 0 where none was, or several may be it."""
    asked = dialable(listen, any_port=True)
    if asked is None or not asked.endswith("/tcp/0"):
        return 0
    kind, host, _ = split(asked)
    there = [split(addr) for addr in addrs]
    ports = {port for k, h, port in there if k == kind and (h == host or host in ("0.0.0.0", "::"))}
    return ports.pop() if len(ports) == 1 else 0


def _at(listen: str, port: int) -> str:
    if not port or not listen.endswith("/tcp/0"):
        return listen
    kind, host, _ = split(listen)
    family = socket.AF_INET6 if kind == "ip6" else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return listen
    return f"{listen.removesuffix('/0')}/{port}"
