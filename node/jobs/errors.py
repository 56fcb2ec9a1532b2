"""What a job's handler raises besides `node.errors.UserError`."""

from node.errors import UserError


class Trouble(UserError):
    """It did not work this time; trying again later may.

    Attributes:
        retry_after_s: do not try again before, or None.
    """

    def __init__(self, message: str, *, hint: str | None = None, retry_after_s: float | None = None) -> None:
        super().__init__(message, hint=hint)
        self.retry_after_s = retry_after_s
