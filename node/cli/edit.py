"""`edit`: crop, turn, mirror and resize an image; look at it, or save it as a new one."""

import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import click

from node.cli.get import STDOUT, check_output, write_out
from node.cli.output import emit, printable, say, short_cid
from node.cli.session import Session
from node.cli.verb import DURATION, Function, Verb, json_option, pass_session
from node.errors import TimedOut, Usage, UserError
from node.quantities import size_text

EDIT_TIMEOUT_S = 300.0
"""Beside the wait for other keepers: a large picture on a slow machine; a guess."""
OPERATIONS = ("crop", "rotate", "flip", "resize")
_DONE = "node.cli.edit.operations"


class _InOrder(Verb):
    """Notes the operations in the order in which they are written, of which click itself keeps a list an option."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        values, _, order = self.make_parser(ctx).parse_args(args=list(args))
        left = {name: iter(values.get(name) or ()) for name in OPERATIONS}
        ctx.meta[_DONE] = [f"{each.name} {next(left[each.name])}" for each in order if each.name in left]
        return super().parse_args(ctx, args)


def _operation(name: str, metavar: str, text: str) -> Callable[[Function], Function]:
    return click.option(f"--{name}", metavar=metavar, multiple=True, expose_value=False, help=text)


@click.command(cls=_InOrder)
@click.argument("ref")
@_operation("crop", "X,Y,W,H", "Keep W × H pixels from X,Y on, counted from the top left.")
@_operation("rotate", "DEG", "Turn clockwise.")
@_operation("flip", "h|v", "Mirror left to right (h) or top to bottom (v).")
@_operation("resize", "WxH", "Make it W × H pixels.")
@click.option("--frame", type=click.IntRange(0), metavar="N", default=0, help="Edit this frame of an animation.")
@click.option("-o", "--output", metavar="FILE", help="Write what comes of it to a file, or to - for standard output.")
@click.option("--save", is_flag=True, help="Store what comes of it as a new image.")
@click.option("--name", metavar="N", help="What to call the new image. Default: NAME-edited.")
@click.option("--flow", metavar="F", help="The flow that wants the new image. Default: the flow of REF.")
@click.option("--from", "origin", metavar="F", help="The flow in which REF is meant.")
@click.option(
    "--wait", type=click.IntRange(1), metavar="N", default=1, show_default=True, help="Peers that must hold it durably."
)
@click.option(
    "--timeout", type=DURATION, metavar="T", default="60s", show_default=True, help="How long to wait for them."
)
@json_option
@click.pass_context
@pass_session
def command(
    session: Session,
    context: click.Context,
    ref: str,
    frame: int,
    output: str | None,
    save: bool,
    name: str | None,
    flow: str | None,
    origin: str | None,
    wait: int,
    timeout: float,
    as_json: bool,
) -> None:
    """Edit an image: crop, turn, mirror, resize, in the order in which the options stand.

    The original stays as it is. With --save the picture becomes a new image, whose pin names its parent and what was
    done; with -o FILE it is written to a file, to look at.
    """
    if not save and output is None:
        raise Usage("what is to become of it?", hint="--save stores it as a new image, -o FILE writes it to a file")
    if output == STDOUT and save:
        raise Usage("a picture would garble the output", hint="name a file with -o")
    if output is not None:
        check_output(output, "a picture", as_json=as_json)
    control = session.control
    row = control.call("POST", "/v1/edits", {"ref": ref, "flow": origin}, timeout_s=EDIT_TIMEOUT_S)
    path = f"/v1/edits/{row['edit']}"
    try:
        change = {"operations": context.meta[_DONE], "frame": frame}
        control.call("POST", path, change, timeout_s=EDIT_TIMEOUT_S)
        if output is not None:
            answer = control.open("GET", f"{path}/picture")
            written = {"path": output, "size_bytes": write_out(answer, output)}
            if as_json and not save:
                emit({**written, "media_type": answer.headers["content-type"]})
        if save:
            wanted = {"name": name, "flow": flow, "wait": wait, "timeout_s": timeout}
            try:
                row = control.call("POST", f"{path}/save", wanted, timeout_s=EDIT_TIMEOUT_S + timeout)
            except TimedOut as error:  # it is stored all the same
                if isinstance(error.partial, dict):
                    _tell(error.partial, as_json=as_json)
                raise
            _tell(row, as_json=as_json)
    finally:
        with suppress(UserError):
            control.call("DELETE", path)


def _tell(row: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        emit(row)
        return
    root = short_cid(row["root"]) if sys.stdout.isatty() else row["root"]
    say(f"saved  {root}  {printable(row['path'])}  ({size_text(row['size_bytes'])})")
