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


class Answered(NotFetched):
    """The server answered, and not with what was asked for. `status`: the code of HTTP."""

    def __init__(self, status: int, *, transient: bool, retry_after_s: float | None = None) -> None:
        super().__init__(f"the server answered {status}", transient=transient, retry_after_s=retry_after_s)
        self.status = status


class Empty(NotFetched):
    """The server answered with nothing."""

    def __init__(self) -> None:
        super().__init__("empty, 0 bytes")


class TooLarge(NotFetched):
    """More came, or was to come, than the fetch may cost."""


class Redirected(NotFetched):
    """Sent on, one time more than was asked for. `to`: where."""

    def __init__(self, redirects: int, to: str) -> None:
        super().__init__(f"more than {redirects} redirects")
        self.to = to


class NotModified(NotFetched):
    """It is as it was when its `ETag` or `Last-Modified` was written down."""

    def __init__(self) -> None:
        super().__init__("not modified since")
