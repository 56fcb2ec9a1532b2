"""A row of the control API's table: what is asked, of which types, and how the answer is written."""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any

from node.control import queries
from node.service import Service


class Form(Enum):
    """How an answer is written."""

    OBJECT = auto()
    LISTING = auto()
    """A page `{rows, next}`; with `Accept: application/x-ndjson` all rows, one object a line."""
    BYTES = auto()
    TEXT = auto()
    """Prometheus' text format."""
    CONTENT = auto()
    EVENTS = auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A request, decoded. `query` and `body` are of the endpoint's types; `upload` is the raw body of an upload."""

    path: dict[str, str]
    query: Any
    body: Any
    upload: AsyncIterator[bytes]

    @property
    def ref(self) -> str:
        """The REF or name in the path."""
        return self.path["ref"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """A row of the table.

    Attributes:
        call: asks the service; awaited, unless `form` is `EVENTS`.
        answer: type of the object, or of a listing's rows.
        query, body: types that the request is decoded to; `body` None: it has none.
        upload: the body is raw bytes, passed on as they come.
    """

    method: str
    path: str
    name: str
    summary: str
    call: Callable[[Service, Asked], Any]
    answer: Any = None
    query: type = queries.Nothing
    body: type | None = None
    form: Form = Form.OBJECT
    upload: bool = field(default=False)
