"""Tell the addresses of the public internet from those that only we can reach: what a stranger's URL must not lead to.

Pure. An address is public unless a row here, or the standard library, says otherwise. `ipaddress.is_global` alone will
not do: in Python 3.11 it is true for NAT64, 6to4, IPv4-compatible and multicast addresses, each of which may lead back
into this network.
"""

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

_UNICAST = IPv6Network("2000::/3")
"""All of IPv6 that IANA has given out as global unicast; every other address has a purpose of its own."""
_SPECIAL: tuple[tuple[Network, str], ...] = tuple(
    (ip_network(network), what)
    for network, what in (
        ("0.0.0.0/8", "this host"),
        ("10.0.0.0/8", "a private network"),
        ("100.64.0.0/10", "a carrier's private network"),
        ("127.0.0.0/8", "this host"),
        ("169.254.0.0/16", "link-local"),
        ("172.16.0.0/12", "a private network"),
        ("192.0.0.0/24", "reserved for protocols"),
        ("192.0.2.0/24", "reserved for examples"),
        ("192.88.99.0/24", "a 6to4 relay"),
        ("192.168.0.0/16", "a private network"),
        ("198.18.0.0/15", "reserved for tests"),
        ("198.51.100.0/24", "reserved for examples"),
        ("203.0.113.0/24", "reserved for examples"),
        ("224.0.0.0/4", "multicast"),
        ("240.0.0.0/4", "reserved"),
        ("::1/128", "this host"),
        ("::/128", "this host"),
        ("::ffff:0:0/96", "an IPv4 address in disguise"),
        ("::/96", "an IPv4 address in disguise"),
        ("64:ff9b::/96", "an IPv4 address behind NAT64"),
        ("64:ff9b:1::/48", "an IPv4 address behind NAT64"),
        ("2001::/32", "an IPv4 address behind Teredo"),
        ("2001::/23", "reserved for protocols"),
        ("2001:db8::/32", "reserved for examples"),
        ("2002::/16", "an IPv4 address behind 6to4"),
        ("3fff::/20", "reserved for examples"),
        ("fc00::/7", "a private network"),
        ("fe80::/10", "link-local"),
        ("fec0::/10", "a private network"),
        ("ff00::/8", "multicast"),
    )
)
"""Source: IANA's registries of special-purpose IPv4 and IPv6 addresses, without their few globally reachable corners,
in which no web server lies; RFC 3879 for fec0::/10, RFC 4291 for ::/96."""


def why_not_public(address: Address, allowed: Sequence[Network] = ()) -> str | None:
    """Say why an address is not to be connected to at a stranger's word; None where it may be.

    Args:
        address: where a connection would go.
        allowed: networks that the operator opened, whatever they are. An IPv4 network does not open the IPv6
            addresses that stand for it.
    """
    if any(address in network for network in allowed):
        return None
    for network, what in _SPECIAL:
        if address in network:
            return what
    if isinstance(address, IPv6Address) and (address.scope_id is not None or address not in _UNICAST):
        return "not a global address"
    return None if address.is_global else "not a global address"


def parse_address(text: str) -> Address | None:
    """The address that `text` writes in its one canonical kind of form (no `127.1`, no octal), or None."""
    try:
        return ip_address(text)
    except ValueError:
        return None
