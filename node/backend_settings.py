"""The settings of backends beside the embedded one: tables in `config.toml`, or a variable for each.

    [backends.local]
    directory = "/mnt/archive/pinakothek"

A backend is offered by this peer once it is configured here and, where `allow_backends` is given, named there.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from node.errors import Usage
from node.kinds import EMBEDDED

TABLE = "backends"
SECRET = "(set)"
"""Shown in place of a secret."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BackendSettings:
    """Where this peer's backends are; None: it has none of that kind."""

    local_directory: Path | None = None

    @property
    def configured(self) -> frozenset[str]:
        """The kinds that this peer could offer."""
        return frozenset({EMBEDDED} | ({"local"} if self.local_directory is not None else set()))


def _directory(text: str) -> Path | None:
    if not text:
        return None
    path = Path(text)
    if not path.is_absolute():
        raise Usage("expected an absolute path")
    return path


PARSERS: Mapping[str, tuple[Callable[[Any], Any], Any]] = {
    "backends.local.directory": (_directory, ""),
}
"""As `node.config.PARSERS`, by the path of the setting in the file."""

FIELDS = {"backends.local.directory": "local_directory"}
SECRETS: frozenset[str] = frozenset()


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
            raise Usage(f"{name}: {value}: expected text")
        flat[name] = value
    return flat


def _leaves(name: str, value: Any) -> list[tuple[str, Any]]:
    if not isinstance(value, dict):
        return [(name, value)]
    return [leaf for key, below in value.items() for leaf in _leaves(f"{name}.{key}", below)]


def split_off(values: dict[str, Any]) -> BackendSettings:
    """Take the settings of backends out of what was read."""
    return BackendSettings(**{field: values.pop(name) for name, field in FIELDS.items()})
