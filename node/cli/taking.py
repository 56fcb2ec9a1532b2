"""What `add` and `upload` ask in the same words: how an image is to be taken in."""

from collections.abc import Callable
from typing import Any, TypeVar

import click

from node.cli.verb import DURATION, FACTOR, replicas

Function = TypeVar("Function", bound=Callable[..., Any])

_OPTIONS = (
    click.option("--flow", metavar="F", default="default", show_default=True, help="The flow that wants them."),
    click.option("--name", metavar="N", help="What to call it, where there is one input. Default: the file's name."),
    click.option("--replicas", "factor", type=FACTOR, metavar="MIN:MAX", help="How many copies. Default: the flow's."),
    click.option(
        "--wait", type=click.IntRange(1), metavar="N", default=1, show_default=True,
        help="Peers that must hold it durably.",
    ),
    click.option(
        "--timeout", type=DURATION, metavar="T", default="60s", show_default=True, help="How long to wait for them."
    ),
    click.option("--expires", type=DURATION, metavar="T", help="When the pin ends by itself, such as 30d."),
    click.option("--original-only", is_flag=True, help="Make no smaller variants."),
)  # fmt: skip


def taking_options(function: Function) -> Function:
    """The options; all but `name` make up what `asked` takes."""
    for option in reversed(_OPTIONS):
        function = option(function)
    return function


def asked(
    *,
    flow: str,
    factor: tuple[int, int] | None,
    wait: int,
    timeout: float,
    expires: float | None,
    original_only: bool,
) -> dict[str, Any]:
    """The options as the control socket takes them."""
    return {
        "flow": flow, "replicas": replicas(factor), "wait": wait, "timeout_s": timeout, "expires_s": expires,
        "original_only": original_only,
    }  # fmt: skip
