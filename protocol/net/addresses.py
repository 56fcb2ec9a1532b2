"""Addresses as text: which can be dialled, how they are normalised, and what a host that listens everywhere calls itself.

Only `/ip4|ip6|dns|dns4|dns6/HOST/tcp/PORT`, with or without `/p2p/ID`, means anything to us.
"""

import contextlib
import ipaddress
import re
import socket
from collections.abc import Iterable

MAX_ADDRESS_CHARS = 300
"""A DNS name has at most 253, a PeerId 52."""

MAX_ADDRESSES = 16
"""Per peer; more is noise, or an attempt to make us dial others. Guess."""

_ADDRESS = re.compile(
    r"/(ip4|ip6|dns|dns4|dns6)/([^/\s]{1,253})/tcp/(\d{1,5})(?:/p2p/([1-9A-HJ-NP-Za-km-z]{40,60}))?/?"
)


def dialable(address: str, peer_id: str | None = None, *, any_port: bool = False) -> str | None:
    """The transport part of an address, normalised; None if it cannot be dialled or names another peer.

    `any_port` allows port 0, which has a meaning for listening only.
    """
    if len(address) > MAX_ADDRESS_CHARS or (found := _ADDRESS.fullmatch(address)) is None:
        return None
    kind, host, port, owner = found.groups()
    if not (0 if any_port else 1) <= int(port) <= 65535 or (peer_id and owner and owner != peer_id):
        return None
    if kind.startswith("ip"):
        try:
            ip = ipaddress.ip_address(host)
        except ValueError:
            return None
        if ip.version != int(kind[2]) or ip.is_multicast or (ip.is_unspecified and not any_port):
            return None
        host = ip.compressed
    return f"/{kind}/{host}/tcp/{int(port)}"


def dialable_all(addresses: Iterable[str], peer_id: str | None = None) -> list[str]:
    """The first `MAX_ADDRESSES` that can be dialled, in their order, without repeats."""
    found = dict.fromkeys(a for address in addresses if (a := dialable(address, peer_id)) is not None)
    return list(found)[:MAX_ADDRESSES]


def split(address: str) -> tuple[str, str, int]:
    """(kind, host, port) of a normalised address."""
    _, kind, host, _, port = address.split("/")[:5]
    return kind, host, int(port)


def expand(address: str, local_ips: Iterable[str]) -> list[str]:
    """An address listened on, as others can dial it: `0.0.0.0` and `::` become each of this machine's own.

    Link-local addresses are left out, they mean nothing without the name of a network card.
    """
    kind, host, port = split(address)
    if not kind.startswith("ip") or not ipaddress.ip_address(host).is_unspecified:
        return [address]
    ips = [ip for text in local_ips if (ip := ipaddress.ip_address(text.partition("%")[0])).version == int(kind[2])]
    return [f"/{kind}/{ip.compressed}/tcp/{port}" for ip in ips if not ip.is_link_local]


def local_ips() -> list[str]:
    """This machine's addresses towards the world, then loopback. Nothing is sent: a route is looked up."""
    found = []
    for family, somewhere in ((socket.AF_INET, "192.0.2.1"), (socket.AF_INET6, "2001:db8::1")):
        with contextlib.suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((somewhere, 9))
            found.append(str(probe.getsockname()[0]))
    return [*dict.fromkeys(found), "127.0.0.1", "::1"]
