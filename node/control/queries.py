"""The query parameters of the control API, one frozen class a shape, and how text becomes one of them."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

import msgspec

from node.add_options import AddOptions, Count, Seconds
from node.errors import Usage
from node.quantities import parse_factor
from node.rows import Replicas
from node.service import PageSize, Remove


@dataclass(frozen=True, slots=True, kw_only=True)
class Nothing:
    """No parameters."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cursor:
    """Which page of a listing: `after` is the `next` of the page before."""

    limit: PageSize = 500
    after: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DrainPlan(Cursor):
    """How many copies are to be elsewhere: `max`, or `min`."""

    to_min: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class InFlow:
    """The flow in which a REF is meant, where it matters."""

    flow: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Removal:
    """How to remove an image."""

    flow: str | None = None
    purge: bool = False

    def request(self, ref: str) -> Remove:
        """As the service takes it."""
        return Remove(ref=ref, flow=self.flow, purge=self.purge)


@dataclass(frozen=True, slots=True, kw_only=True)
class Doctor:
    """Whether the operator accepts what `doctor` found."""

    accept: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """Whether to ask other peers for a block that is not here."""

    fetch: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Events:
    """Events after this `seq` only."""

    after: Annotated[int, msgspec.Meta(ge=0, le=(1 << 63) - 1)] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class JobWait:
    """How long an answer may wait for a job's end."""

    wait_s: Annotated[float, msgspec.Meta(ge=0, le=60)] = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadToken:
    """What opens the place of an upload, once."""

    token: Annotated[str, msgspec.Meta(max_length=100)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """`AddOptions`, flat; `replicas` is MIN:MAX."""

    flow: str = "default"
    name: str | None = None
    replicas: str | None = None
    wait: Count = 1
    timeout_s: Seconds = 60.0
    expires_s: Seconds | None = None
    original_only: bool = False

    def options(self) -> AddOptions:
        """As the service takes it.

        Raises:
            Usage: `replicas` cannot be read.
        """
        factor = None
        if self.replicas is not None:
            low, high = parse_factor(self.replicas)
            factor = Replicas(min=low, max=high)
        return AddOptions(
            flow=self.flow,
            name=self.name,
            replicas=factor,
            wait=self.wait,
            timeout_s=self.timeout_s,
            expires_s=self.expires_s,
            original_only=self.original_only,
        )


def decode_query(kind: type, given: Mapping[str, str]) -> Any:
    """`given` as a `kind`.

    Raises:
        Usage: an unknown parameter, or a value that does not fit; the message names it.
    """
    return _converted(kind, dict(given), "query", strict=False)


def decode_body(kind: type, raw: bytes) -> Any:
    """The JSON in `raw` as a `kind`.

    Raises:
        Usage: not JSON, an unknown field, or a value that does not fit; the message names it.
    """
    try:
        given = msgspec.json.decode(raw or b"{}")
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Usage(f"body: not JSON: {str(error)[:1].lower()}{str(error)[1:]}") from error
    return _converted(kind, given, "body", strict=True)


def _converted(kind: type, given: Any, where: str, *, strict: bool) -> Any:
    try:
        value: object = msgspec.convert(given, kind, strict=strict)
    except msgspec.ValidationError as error:
        reason, _, field = str(error).partition(" - at `$")
        field = re.sub(r"^[.`]+|`$", "", field)
        name = f"{where}: {field}" if field else where
        raise Usage(f"{name}: {reason[:1].lower()}{reason[1:]}") from error
    unknown = _unknown(given, msgspec.to_builtins(value))
    if unknown:
        raise Usage(f"{where}: {unknown}: no such field")
    return value


def _unknown(given: Any, known: Any) -> str | None:
    if not isinstance(given, dict) or not isinstance(known, dict):
        return None
    for name, value in given.items():
        if name not in known:
            return str(name)
        deeper = _unknown(value, known[name])
        if deeper:
            return f"{name}.{deeper}"
    return None
