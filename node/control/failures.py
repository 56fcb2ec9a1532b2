"""An exception as an HTTP answer: `{error, hint, exit_code}`, and where it helps `candidates` and `partial`.

`node.errors` has the table of exit codes and statuses; here the errors of the packages below are fitted into it.
"""

import logging
from dataclasses import dataclass
from typing import Any

from node.errors import Failed, NotFound, RefusedByPolicy, Usage, UserError
from protocol.errors import ProtocolError, Reason, Refused
from store.errors import BadCid, BlockNotFound, DagUnsupported, PathNotFound, StoreError

log = logging.getLogger("pinakothek.control")


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorAnswer:
    """What every answer of 400 or more carries. `exit_code` is the one that the command line ends with."""

    error: str
    hint: str | None
    exit_code: int
    candidates: tuple[str, ...] = ()
    partial: Any = None


KINDS: tuple[tuple[type[Exception], type[UserError]], ...] = (
    (BadCid, Usage),
    (DagUnsupported, Usage),
    (BlockNotFound, NotFound),
    (PathNotFound, NotFound),
)
"""Errors of `store` that are more than a plain failure."""

NONSENSE = frozenset({Reason.MALFORMED, Reason.DAMAGED, Reason.TOO_LARGE, Reason.UNKNOWN_VERSION})
"""Reasons of `Refused` that blame what was typed or pasted; the others are a policy."""


def as_user_error(error: Exception) -> UserError | None:
    """`error` as one for a person; None where it is a bug."""
    if isinstance(error, UserError):
        return error
    if isinstance(error, Refused):
        return (Usage if error.reason in NONSENSE else RefusedByPolicy)(str(error))
    if isinstance(error, StoreError | ProtocolError):
        kind = next((ours for theirs, ours in KINDS if isinstance(error, theirs)), Failed)
        return kind(str(error) or type(error).__name__)
    return None


def answer_for(error: Exception) -> tuple[int, ErrorAnswer]:
    """Status and body for `error`. A bug is logged with its traceback and answered with 500."""
    known = as_user_error(error)
    if known is None:
        log.error("a request failed in a way it should not", exc_info=error)
        text = f"internal error: {type(error).__name__}: {error}"
        return 500, ErrorAnswer(error=text, hint="please report this; the daemon's log has the details", exit_code=1)
    return known.http_status, ErrorAnswer(
        error=known.message,
        hint=known.hint,
        exit_code=known.exit_code,
        candidates=known.candidates,
        partial=known.partial,
    )
