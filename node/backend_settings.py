"""The settings of backends beside the embedded one: tables in `config.toml`, or a variable for each.

    [backends.local]
    directory = "/mnt/archive/pinakothek"

    [backends.s3]
    url = "s3://bucket/prefix"
    endpoint = "https://s3.example.org"

    [backends.kubo]
    api = "/ip4/127.0.0.1/tcp/5001"

A backend is offered by this peer once it is configured here and, where `allow_backends` is given, named there. Keys of
S3 that are not set are taken from `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY` and `AWS_SESSION_TOKEN`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from node.errors import Usage

TABLE = "backends"
SECRET = "(set)"
"""Shown in place of a secret."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BackendSettings:
    """Where this peer's backends are; a kind is there where the first setting of it is.

    Attributes:
        kubo_authorization: sent as the `Authorization` of every request.
    """

    local_directory: Path | None = None
    s3_url: str | None = None
    s3_endpoint: str | None = None
    s3_region: str | None = None
    s3_access_key_id: str | None = None
    s3_secret_access_key: str | None = field(default=None, repr=False)
    kubo_api: str | None = None
    kubo_authorization: str | None = field(default=None, repr=False)


def _directory(text: str) -> Path | None:
    if not text:
        return None
    path = Path(text)
    if not path.is_absolute():
        raise Usage("expected an absolute path")
    return path


def _beginning(*beginnings: str) -> Callable[[str], str | None]:
    def check(text: str) -> str | None:
        if text and not text.startswith(beginnings):
            raise Usage(f"expected {' or '.join(beginnings)}…")
        return text or None

    return check


def _text(text: str) -> str | None:
    return text or None


PARSERS: Mapping[str, tuple[Callable[[Any], Any], Any]] = {
    "backends.local.directory": (_directory, ""),
    "backends.s3.url": (_beginning("s3://"), ""),
    "backends.s3.endpoint": (_beginning("https://", "http://"), ""),
    "backends.s3.region": (_text, ""),
    "backends.s3.access_key_id": (_text, ""),
    "backends.s3.secret_access_key": (_text, ""),
    "backends.kubo.api": (_beginning("/", "http://", "https://"), ""),
    "backends.kubo.authorization": (_text, ""),
}
"""As `node.config.PARSERS`, by the path of the setting in the file."""

FIELDS = {name: "_".join(name.split(".")[1:]) for name in PARSERS}
SECRETS = frozenset({"backends.s3.secret_access_key", "backends.kubo.authorization"})


def flattened(written: Mapping[str, Any]) -> dict[str, Any]:
    """What the file says, its tables of backends spread out: `backends.local.directory` and so on.

    Raises:
        Usage: something below `backends` is no setting.
    """
    flat = {name: value for name, value in written.items() if name != TABLE}
    for name, value in _leaves(TABLE, written.get(TABLE, {})):
        if name not in PARSERS:
            raise Usage(f"{name}: no such setting", hint=f"there are {', '.join(PARSERS)}")
        if not isinstance(value, str):
            told = SECRET if name in SECRETS else value
            raise Usage(f"{name}: {told}: expected text")
        flat[name] = value
    return flat


def _leaves(name: str, value: Any) -> list[tuple[str, Any]]:
    if not isinstance(value, dict):
        return [(name, value)]
    return [leaf for key, below in value.items() for leaf in _leaves(f"{name}.{key}", below)]


def split_off(values: dict[str, Any]) -> BackendSettings:
    """Take the settings of backends out of what was read."""
    return BackendSettings(**{attribute: values.pop(name) for name, attribute in FIELDS.items()})
