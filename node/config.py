"""The daemon's settings: `config.toml`, then `PINAKOTHEK_*` variables, then flags; the later one wins.

Every effective value remembers where it came from, for `config show`. A wrong value is refused with one line that names
the source, the setting, the value and the reason; an unknown setting in the file is refused too (of variables see
`node.variables`).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Any

import msgspec

from node import backend_settings
from node.backend_settings import BackendSettings
from node.errors import Usage
from node.kinds import KINDS
from node.quantities import parse_duration, parse_size
from node.variables import unknown_variables, variable_of

FILE_NAME = "config.toml"
DEFAULT_GATEWAY = "127.0.0.1:8480"
DEFAULT_WORKSPACE = "20GiB"
"""Room for the largest archive that one import takes, and some. Guess."""
MAX_NAME_CHARS = 64
"""Names and zones travel in every heartbeat; DESIGN bounds every size, this bound is a guess."""
BACKENDS = frozenset(KINDS)
LEAST_BANDWIDTH_BYTES = 64 << 10
"""A cap below this would let a root of a few megabytes run into the time-outs of those who wait for it. Guess."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """What the daemon runs with.

    Attributes:
        capacity_bytes: what this peer offers; None: what the file system has.
        gateway: host and port of the HTTP gateway, None for off.
        allow_backends: kinds that flows may use here; None: all.
        users_may_set_backends: whether those who are not its operator may say which backend a flow uses.
        backends: where the backends are that this peer has beside the embedded one.
        suspect_after_s, repair_after_s: silence that makes a peer suspect, down (DESIGN §5, §7).
        repair_bytes_per_s: what all fetches of this peer may take together; None: no cap.
        strangers_bytes_per_s: what peers that are no members may take together over Bitswap; None: no cap.
        workspace_bytes: what temporary files of ingest may take.
        fetch_allowed: networks that URLs from strangers may lead to although they are not public.
    """

    data_dir: Path
    name: str
    zone: str
    capacity_bytes: int | None
    listen: tuple[str, ...]
    gateway: tuple[str, int] | None
    allow_backends: frozenset[str] | None
    users_may_set_backends: bool
    backends: BackendSettings
    log_level: str
    log_format: str
    suspect_after_s: float
    repair_after_s: float
    repair_bytes_per_s: int | None
    strangers_bytes_per_s: int | None
    workspace_bytes: int
    fetch_allowed: tuple[IPv4Network | IPv6Network, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One effective setting, as written, and its source: `default`, `config.toml`, a variable's name or a flag."""

    name: str
    value: Any
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Effective:
    """The settings and where each came from; `unread` tells of variables that look like one and are none."""

    config: Config
    settings: tuple[Setting, ...]
    unread: tuple[str, ...] = ()


class FileSettings(msgspec.Struct, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    """The shape of `config.toml`: all optional, all text or numbers as a person writes them."""

    name: str | None = None
    zone: str | None = None
    capacity: str | int | None = None
    listen: list[str] | None = None
    gateway: str | None = None
    allow_backends: list[str] | None = None
    users_may_set_backends: bool | str | None = None
    log_level: str | None = None
    log_format: str | None = None
    suspect_after: str | int | float | None = None
    repair_after: str | int | float | None = None
    repair_bandwidth: str | int | None = None
    strangers_bandwidth: str | int | None = None
    workspace_quota: str | int | None = None
    fetch_allow_cidrs: list[str] | None = None


def parse_label(text: str) -> str:
    """A peer's name or zone: short, and safe to print."""
    if len(text) > MAX_NAME_CHARS or not text.isprintable():
        raise Usage(f"expected at most {MAX_NAME_CHARS} printable characters")
    return text


def _listen(addresses: Sequence[str]) -> tuple[str, ...]:
    if not addresses:
        raise Usage("expected at least one address")
    for address in addresses:
        if not address.startswith(("/ip4/", "/ip6/")) or "/tcp/" not in address:
            raise Usage(f"{address}: expected an address such as /ip4/0.0.0.0/tcp/4801")
    return tuple(addresses)


def parse_gateway(text: str) -> tuple[str, int] | None:
    """Host and port of `127.0.0.1:8480` or `[::1]:8480`; None for `off`."""
    if text == "off":
        return None
    host, colon, port = text.rpartition(":")
    if not colon or not host or not port.isdecimal() or int(port) > 65_535:
        raise Usage("expected HOST:PORT such as 127.0.0.1:8480, or off")
    return host.strip("[]"), int(port)


def _backends(kinds: Sequence[str]) -> frozenset[str] | None:
    unknown = sorted(set(kinds) - BACKENDS)
    if unknown:
        raise Usage(f"no backend is called {unknown[0]}; there are {', '.join(sorted(BACKENDS))}")
    return frozenset(kinds) or None


def _switch(value: str | bool) -> bool:
    words = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}
    if str(value).lower() not in words:
        raise Usage("expected true or false")
    return words[str(value).lower()]


def _one_of(*words: str) -> Callable[[str], str]:
    def check(text: str) -> str:
        if text not in words:
            raise Usage(f"expected one of {', '.join(words)}")
        return text

    return check


def _duration(value: str | float) -> float:
    seconds = parse_duration(str(value))
    if seconds <= 0:
        raise Usage("expected more than 0 s")
    return seconds


def _bandwidth(value: str | int) -> int | None:
    """Bytes a second, written as a size such as `20MiB`."""
    if value == "off":
        return None
    size_bytes = parse_size(str(value))
    if size_bytes < LEAST_BANDWIDTH_BYTES:
        raise Usage("expected at least 64KiB (a second), or off")
    return size_bytes


def _networks(texts: Sequence[str]) -> tuple[IPv4Network | IPv6Network, ...]:
    networks = []
    for text in texts:
        try:
            networks.append(ip_network(text))
        except ValueError as error:
            raise Usage(f"{text}: expected a network such as 10.0.0.0/8 or fd00::/8") from error
    return tuple(networks)


PARSERS: dict[str, tuple[Callable[[Any], Any], Any]] = {
    "name": (parse_label, ""),
    "zone": (parse_label, ""),
    "capacity": (lambda value: parse_size(str(value)) if value != "" else None, ""),
    "listen": (_listen, ("/ip4/0.0.0.0/tcp/4801",)),
    "gateway": (parse_gateway, DEFAULT_GATEWAY),
    "allow_backends": (_backends, ()),
    "users_may_set_backends": (_switch, False),
    **backend_settings.PARSERS,
    "log_level": (_one_of("debug", "info", "warning", "error"), "info"),
    "log_format": (_one_of("auto", "json", "console"), "auto"),
    "suspect_after": (_duration, "15s"),
    "repair_after": (_duration, "5m"),
    "repair_bandwidth": (_bandwidth, "off"),
    "strangers_bandwidth": (_bandwidth, "256MiB"),
    "workspace_quota": (lambda value: parse_size(str(value)), DEFAULT_WORKSPACE),
    "fetch_allow_cidrs": (_networks, ()),
}
"""Setting → how it is read, and its default as a person would write it. Durations: DESIGN §7."""

LISTS = frozenset({"listen", "allow_backends", "fetch_allow_cidrs"})
FIELDS = {
    "capacity": "capacity_bytes",
    "suspect_after": "suspect_after_s",
    "repair_after": "repair_after_s",
    "repair_bandwidth": "repair_bytes_per_s",
    "strangers_bandwidth": "strangers_bytes_per_s",
    "workspace_quota": "workspace_bytes",
    "fetch_allow_cidrs": "fetch_allowed",
}


def load(data_dir: Path, environ: Mapping[str, str], flags: Mapping[str, Any] | None = None) -> Effective:
    """The effective settings of a daemon on `data_dir`.

    Args:
        data_dir: holds `config.toml`, which may be absent.
        environ: variables, usually `os.environ`; lists are separated by commas.
        flags: setting → value given on the command line; None and empty mean not given.

    Raises:
        Usage: a value cannot be read, or a setting is unknown; the message names source, setting, value and reason.
    """
    written = _read_file(data_dir / FILE_NAME)
    values: dict[str, Any] = {}
    settings = []
    for name, (parse, default) in PARSERS.items():
        value, source = _pick(name, written, environ, flags or {}, default)
        try:
            values[FIELDS.get(name, name)] = parse(value)
        except Usage as error:
            reason = error.message[max(0, error.message.find("expected")) :]
            told = backend_settings.SECRET if name in backend_settings.SECRETS else _shown(value)
            raise Usage(f"{source}: {name}: {told}: {reason}") from error
        shown = backend_settings.SECRET if value and name in backend_settings.SECRETS else value
        settings.append(Setting(name=name, value=list(value) if name in LISTS else shown, source=source))
    config = Config(data_dir=data_dir, backends=backend_settings.split_off(values), **values)
    if config.repair_after_s <= config.suspect_after_s:
        later = next(setting for setting in settings if setting.name == "repair_after")
        raise Usage(f"{later.source}: repair_after: {later.value}: expected more than suspect_after")
    return Effective(config=config, settings=tuple(settings), unread=unknown_variables(environ, PARSERS))


def _pick(
    name: str, written: Mapping[str, Any], environ: Mapping[str, str], flags: Mapping[str, Any], default: Any
) -> tuple[Any, str]:
    if flags.get(name) not in (None, (), [], False):
        return flags[name], "--" + name.replace("_", "-")
    variable = variable_of(name)
    if environ.get(variable):
        text = environ[variable]
        return ([part.strip() for part in text.split(",")] if name in LISTS else text), variable
    if name in written:
        return written[name], FILE_NAME
    return default, "default"


def _shown(value: Any) -> str:
    return ",".join(value) if isinstance(value, (list, tuple)) else str(value)


def _read_file(path: Path) -> dict[str, Any]:
    try:
        raw = msgspec.toml.decode(path.read_bytes())
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise Usage(f"{path}: {(error.strerror or 'unreadable').lower()}") from error
    except UnicodeDecodeError as error:
        raise Usage(f"{path}: not UTF-8: byte {error.object[error.start]:#04x} at {error.start}") from error
    except msgspec.DecodeError as error:
        raise Usage(f"{path}: {str(error)[:1].lower()}{str(error)[1:]}") from error
    try:
        raw = backend_settings.flattened(raw)
    except Usage as error:
        raise Usage(f"{FILE_NAME}: {error.message}", hint=error.hint) from error
    unknown = sorted(set(raw) - set(PARSERS))
    if unknown:
        raise Usage(f"{FILE_NAME}: {unknown[0]}: no such setting", hint=_nearest(unknown[0]))
    try:
        msgspec.convert(
            {name: value for name, value in raw.items() if name not in backend_settings.PARSERS}, FileSettings
        )
    except msgspec.ValidationError as error:
        reason, _, where = (
            str(error).replace("`array | null`", "a list").replace("`str | null`", "text").partition(" - at `$.")
        )
        name = where.rstrip("`").split("[")[0]
        raise Usage(f"{FILE_NAME}: {name}: {raw[name]}: {reason[:1].lower()}{reason[1:]}") from error
    return raw if isinstance(raw, dict) else {}


def _nearest(name: str) -> str:
    import difflib

    close = difflib.get_close_matches(name, PARSERS, 1)
    return f"did you mean {close[0]}?" if close else f"there are {', '.join(PARSERS)}"
