"""What a request asks for, read once from the ASGI scope, which is as strangers wrote it."""

import re
from enum import Enum
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, unquote

from node.gateway.answers import HttpError

RAW_TYPE = "application/vnd.ipld.raw"
CAR_TYPE = "application/vnd.ipld.car"
MAX_QUERY_FIELDS = 20
_BYTE_RANGE = re.compile(r"(\d{1,18}):(\d{1,18}|\*)", re.ASCII)


class Form(Enum):
    """In which form content is asked for."""

    FILE = "file"
    RAW = "raw"
    CAR = "car"


class Scope(Enum):
    """How much of a DAG an archive holds.

    Source: https://specs.ipfs.tech/http-gateways/trustless-gateway/#dag-scope-request-query-parameter
    """

    BLOCK = "block"
    ENTITY = "entity"
    ALL = "all"


class Asked(NamedTuple):
    """A request.

    Attributes:
        path: percent-decoded; bytes that are not UTF-8 appear as `\\xff`, as they do in directory listings.
        query: the first value of each field.
        headers: by lower-case name; of a repeated one the last.
    """

    method: str
    path: str
    query: dict[str, str]
    headers: dict[bytes, bytes]

    @property
    def head_only(self) -> bool:
        return self.method == "HEAD"

    def header(self, name: bytes) -> str | None:
        """The header `name`, None where it was not sent."""
        value = self.headers.get(name)
        return None if value is None else value.decode("latin-1")


def read_request(scope: dict[str, Any]) -> Asked:
    """Read an ASGI scope. Raises: HttpError: 400, more query fields than anyone needs."""
    raw_path: bytes = scope["raw_path"].partition(b"?")[0]
    path = raw_path.decode("latin-1")
    if b"%" in raw_path:
        path = unquote(path, errors="backslashreplace")
    query: dict[str, str] = {}
    if scope["query_string"]:
        query = _fields(scope["query_string"].decode("latin-1"))
    return Asked(scope["method"], path, query, dict(scope["headers"]))


def _fields(text: str) -> dict[str, str]:
    try:
        pairs = parse_qsl(text, keep_blank_values=True, max_num_fields=MAX_QUERY_FIELDS)
    except ValueError as error:
        raise HttpError(400, f"query: more than {MAX_QUERY_FIELDS} fields") from error
    return dict(reversed(pairs))


def wanted_form(asked: Asked) -> Form:
    """The form that `?format=` names, else the one that `Accept` does.

    Raises:
        HttpError: 406, a form that is not made here.
    """
    named = asked.query.get("format")
    if named is not None:
        if named in (Form.RAW.value, Form.CAR.value):
            return Form(named)
        raise HttpError(406, f"format: {named[:40]!r}: expected raw or car")
    accept = asked.headers.get(b"accept")
    if accept is None or b"vnd.ipld" not in accept:
        return Form.FILE
    text = accept.decode("latin-1")
    if RAW_TYPE in text:
        return Form.RAW
    if CAR_TYPE in text:
        return Form.CAR
    raise HttpError(406, f"accept: {text[:80]!r}: expected {RAW_TYPE} or {CAR_TYPE}")


class CarAsked(NamedTuple):
    """The archive asked for: its scope and, of a file, from which byte and how many; None: up to the end."""

    scope: Scope
    start_bytes: int
    length_bytes: int | None


def wanted_archive(asked: Asked) -> CarAsked:
    """Read `dag-scope` and `entity-bytes`.

    Raises:
        HttpError: 400 for values that mean nothing, 406 for another version of the format.
    """
    named = asked.query.get("dag-scope", "entity" if "entity-bytes" in asked.query else "all")
    try:
        scope = Scope(named)
    except ValueError as error:
        raise HttpError(400, f"dag-scope: {named[:40]!r}: expected block, entity or all") from error
    accept = asked.header(b"accept") or ""
    version = asked.query.get("car-version") or (accept.partition("version=")[2][:1] if CAR_TYPE in accept else "")
    if version not in ("", "1"):
        raise HttpError(406, f"car-version: {version[:40]!r}: expected 1")
    span = asked.query.get("entity-bytes", "0:*")
    match = _BYTE_RANGE.fullmatch(span)
    if match is None:
        raise HttpError(400, f"entity-bytes: {span[:40]!r}: expected FROM:TO, both counted from the start, TO may be *")
    start, last = int(match[1]), None if match[2] == "*" else int(match[2])
    if last is not None and last < start:
        raise HttpError(400, f"entity-bytes: {span!r}: ends before it begins")
    return CarAsked(scope, start, None if last is None else last - start + 1)
