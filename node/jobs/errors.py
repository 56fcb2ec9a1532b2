"""What a job's handler raises besides `node.errors.UserError`."""

from node.errors import UserError


class Trouble(UserError):
    """It did not work this time; trying again later may."""
