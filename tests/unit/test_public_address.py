"""Which addresses a stranger may send us to: none that only we can reach, however it is written."""

from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.ingest.public_address import why_not_public

PRIVATE_IPV4 = [
    "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.168.0.0/16",
    "198.18.0.0/15", "224.0.0.0/4", "240.0.0.0/4",
]  # fmt: skip
CARRIERS = {
    "mapped": 0xFFFF << 32,
    "compatible": 0,
    "nat64": 0x64FF9B << 96,
    "nat64 of a site": (0x64FF9B << 96) | (1 << 80),
    "isatap-like link-local": (0xFE80 << 112) | (0x5EFE << 32),
    "translated (SIIT)": 0xFFFF << 48,
}


@pytest.mark.parametrize(
    "public", ["1.1.1.1", "8.8.8.8", "172.15.255.255", "172.32.0.0", "192.169.0.1", "223.255.255.255",
               "2606:4700::1111", "2a00:1450:4001::1", "2001:470::1", "2400:cb00::1"],
)  # fmt: skip
def test_addresses_of_the_internet_are_public(public: str) -> None:
    assert why_not_public(ip_address(public)) is None


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("127.0.0.1", "this host"),
        ("0.0.0.0", "this host"),
        ("10.1.2.3", "a private network"),
        ("169.254.169.254", "link-local"),
        ("100.100.100.100", "a carrier's private network"),
        ("224.0.0.1", "multicast"),
        ("255.255.255.255", "reserved"),
        ("192.0.0.192", "reserved for protocols"),
        ("::1", "this host"),
        ("::", "this host"),
        ("::ffff:8.8.8.8", "an IPv4 address in disguise"),
        ("::127.0.0.1", "an IPv4 address in disguise"),
        ("64:ff9b::7f00:1", "an IPv4 address behind NAT64"),
        ("64:ff9b:1::a00:1", "an IPv4 address behind NAT64"),
        ("2002:7f00:1::", "an IPv4 address behind 6to4"),
        ("2001:0:4136:e378::1", "an IPv4 address behind Teredo"),
        ("fe80::1", "link-local"),
        ("fe80::1%eth0", "link-local"),
        ("fc00::1", "a private network"),
        ("fd00:ec2::254", "a private network"),
        ("fec0::1", "a private network"),
        ("ff02::1", "multicast"),
        ("ff0e::1", "multicast"),
        ("2001:db8::1", "reserved for examples"),
        ("5f00::1", "not a global address"),
        ("4000::1", "not a global address"),
    ],
)
def test_every_other_address_says_what_it_is(address: str, reason: str) -> None:
    assert why_not_public(ip_address(address)) == reason


@given(st.ip_addresses(v=4))
def test_no_ipv4_address_is_public_that_the_standard_library_calls_private(address: IPv4Address) -> None:
    if not address.is_global or address.is_multicast or address.is_reserved:
        assert why_not_public(address)


@given(st.ip_addresses(v=6))
def test_only_global_unicast_is_public_of_ipv6(address: IPv6Address) -> None:
    if why_not_public(address) is None:
        assert address in ip_network("2000::/3")
        assert address.is_global
        assert address.sixtofour is None
        assert address.teredo is None


@given(st.sampled_from(PRIVATE_IPV4), st.data())
def test_a_private_ipv4_address_is_refused_and_in_whatever_ipv6_address_carries_it(
    row: str, data: st.DataObject
) -> None:
    address = data.draw(st.ip_addresses(v=4, network=row))
    assert why_not_public(address)
    for prefix in CARRIERS.values():
        assert why_not_public(IPv6Address(prefix | int(address)))
    assert why_not_public(IPv6Address((0x2002 << 112) | int(address) << 80))


@given(st.ip_addresses())
def test_what_the_operator_opens_is_open_and_nothing_else(address: IPv4Address | IPv6Address) -> None:
    opened = (ip_network(f"{address}/{address.max_prefixlen}"),)
    assert why_not_public(address, opened) is None
    assert why_not_public(ip_address("::ffff:127.0.0.1"), opened)
    other = IPv4Address("127.0.0.1") if address != IPv4Address("127.0.0.1") else IPv4Address("127.0.0.2")
    assert why_not_public(other, opened)
