"""Every error of the protocol package.

What a peer sends and we will not take is always `Refused`, with a reason a caller can branch on and a line a person can
read. Anything else that escapes while bytes of a peer are read is a bug.
"""

from enum import StrEnum


class Reason(StrEnum):
    """Why something was refused; the value is stable and may be shown, logged and counted."""

    MALFORMED = "malformed"
    TOO_LARGE = "too large"
    UNKNOWN_VERSION = "unknown version"
    BAD_SIGNATURE = "bad signature"
    NOT_ALLOWED = "not allowed"
    WRONG_SWARM = "wrong swarm"
    EXPIRED = "expired"
    USED_UP = "used up"
    STALE = "stale"
    FROM_THE_FUTURE = "from the future"
    DAMAGED = "damaged"


class ProtocolError(Exception):
    """Base class of what can go wrong between peers. A bug is never one."""


class Refused(ProtocolError):
    """Bytes, a record or a request of another peer that we will not act on.

    Attributes:
        reason: the kind of refusal.
        detail: one line naming the thing and the values.
    """

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(f"{reason.value}: {detail}")
        self.reason = reason
        self.detail = detail
