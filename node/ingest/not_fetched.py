"""Why something was not fetched: one line for a person, and whether trying again later may work."""

from node.errors import Failed, RefusedByPolicy


class NotFetched(Failed):
    """The server, the network or the bytes would not have it.

    Attributes:
        transient: trying again later may work; else the answer would be the same.
        retry_after_s: how long the server asks us to wait, or None.
    """

    def __init__(
        self, message: str, *, transient: bool = False, retry_after_s: float | None = None, hint: str | None = None
    ) -> None:
        super().__init__(message, hint=hint)
        self.transient = transient
        self.retry_after_s = retry_after_s


class Forbidden(NotFetched, RefusedByPolicy):
    """Ours is not to ask: the address, the port or the form of the URL is none that strangers may send us to."""

    exit_code = RefusedByPolicy.exit_code
    http_status = RefusedByPolicy.http_status
