"""Hosts of their own for real daemons: network namespaces on one switch, where the network itself can be the fault.

Every host has one interface, and the switch is a namespace too, so that the machine's own network is never touched.
A fault is made on the wire, as the real ones are: frames vanish, nobody is told, no FIN or RST is sent.
"""

import itertools
import os
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from node.demo.peers import Peer, founded

_NUMBERS = itertools.count()
_NOWHERE = "02:00:00:00:00:fe"
"""A hardware address that no interface has."""


class Network:
    """A switch with a host for each name; `hosts[i]` has the address 10.77.0.(i+1).

    Needs the right to make namespaces: without it the test is skipped, or fails where everything is required.
    """

    def __init__(self, hosts: Sequence[str]) -> None:
        self.hosts = tuple(hosts)
        self._token = f"pina-{os.getpid()}-{next(_NUMBERS)}"
        self._made: list[str] = []
        self._deaf: list[tuple[str, str]] = []

    def __enter__(self) -> "Network":
        try:
            self._make_switch()
            for host in self.hosts:
                self._make_host(host)
        except BaseException:
            self._remove()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._remove()

    # -- faults -------------------------------------------------------------------------------------------------

    def silence(self, host: str) -> None:
        """The host runs on and hears and is heard by nobody."""
        _ip("-n", self._switch, "link", "set", self._port(host), "nomaster")

    def split(self, *sides: Sequence[str]) -> None:
        """Hosts of different sides neither hear nor reach one another."""
        for side, hosts in enumerate(sides):
            for host in hosts:
                _ip("-n", self._switch, "link", "set", self._port(host), "master", f"side{side}")

    def mute(self, host: str, towards: str) -> None:
        """What `host` sends to the host `towards` is lost; what comes back arrives."""
        self._deaf.append((host, towards))
        permanent = ("lladdr", _NOWHERE, "dev", "eth0", "nud", "permanent")
        _ip("-n", self.namespace(host), "neigh", "replace", self.address(towards), *permanent)

    def heal(self) -> None:
        """Take back every fault."""
        for host in self.hosts:
            _ip("-n", self._switch, "link", "set", self._port(host), "master", "side0")
        for host, towards in self._deaf:
            _ip("-n", self.namespace(host), "neigh", "del", self.address(towards), "dev", "eth0")
        self._deaf.clear()

    # -- peers --------------------------------------------------------------------------------------------------

    def peer(self, host: str, home: Path, **options: Any) -> Peer:
        """A peer, not made yet, that runs on that host."""
        return Peer(
            home / host,
            host,
            listen=f"/ip4/{self.address(host)}/tcp/4801",
            before=("nsenter", f"--net=/run/netns/{self.namespace(host)}"),
            **options,
        )

    def address(self, host: str) -> str:
        return f"10.77.0.{self.hosts.index(host) + 1}"

    def namespace(self, host: str) -> str:
        return f"{self._token}-{host}"

    # -- making -------------------------------------------------------------------------------------------------

    @property
    def _switch(self) -> str:
        return f"{self._token}-switch"

    def _port(self, host: str) -> str:
        return f"port{self.hosts.index(host)}"

    def _make_switch(self) -> None:
        try:
            _ip("netns", "add", self._switch)
        except (FileNotFoundError, subprocess.CalledProcessError) as error:
            reason = f"no network namespaces here: {getattr(error, 'stderr', None) or error}"
            if os.environ.get("PINAKOTHEK_REQUIRE_ALL") == "1":
                pytest.fail(reason, pytrace=False)
            pytest.skip(reason)
        self._made.append(self._switch)
        for side in range(len(self.hosts)):
            _ip("-n", self._switch, "link", "add", f"side{side}", "type", "bridge")
            _ip("-n", self._switch, "link", "set", f"side{side}", "up")

    def _make_host(self, host: str) -> None:
        inside, port = self.namespace(host), self._port(host)
        _ip("netns", "add", inside)
        self._made.append(inside)
        _ip("link", "add", "eth0", "netns", inside, "type", "veth", "peer", "name", port, "netns", self._switch)
        _ip("-n", self._switch, "link", "set", port, "master", "side0", "up")
        _ip("-n", inside, "addr", "add", f"{self.address(host)}/24", "dev", "eth0")
        for interface in ("lo", "eth0"):
            _ip("-n", inside, "link", "set", interface, "up")

    def _remove(self) -> None:
        for name in self._made:
            with suppress(subprocess.CalledProcessError):
                _ip("netns", "del", name)
        self._made.clear()


@contextmanager
def networked_swarm(home: Path, names: Sequence[str], **options: Any) -> Iterator[tuple[Network, list[Peer]]]:
    """A running swarm, each peer on a host of its own."""
    with Network(names) as network, founded([network.peer(name, home, **options) for name in names]) as peers:
        yield network, peers


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True, text=True, timeout=30)
