"""What every command has: `--data-dir` before or after it, and, where it prints rows, `--json`."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import click

from node.cli.session import Session
from node.errors import Usage
from node.quantities import parse_duration, parse_factor, parse_size

Function = TypeVar("Function", bound=Callable[..., Any])


def _choose(context: click.Context, _: click.Parameter, value: str | None) -> None:
    if value is not None:
        context.find_root().obj.chosen = value


def data_dir_option() -> click.Option:
    """`--data-dir`: it only notes its value in the session."""
    return click.Option(
        ["--data-dir"],
        metavar="D",
        expose_value=False,
        callback=_choose,
        help="The peer's data directory (or PINAKOTHEK_DATA_DIR).",
    )


class Verb(click.Command):
    """A command that takes `--data-dir` too."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.params.append(data_dir_option())


class VerbGroup(click.Group):
    """A command with commands of its own (`pin add`), which takes `--data-dir` as they do."""

    command_class = Verb

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.params.append(data_dir_option())


def json_option(function: Function) -> Function:
    """`--json`, as `as_json`."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON, one object a line.")(function)


class _Quantity(click.ParamType[Any]):
    """A value that one of `node.quantities` reads."""

    def __init__(self, name: str, parse: Callable[[str], Any]) -> None:
        self.name = name
        self._parse = parse

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if not isinstance(value, str):
            return value
        try:
            return self._parse(value)
        except Usage as error:
            self.fail(error.message, param, ctx)


def _some_time(text: str) -> float:
    seconds = parse_duration(text)
    if seconds <= 0:
        raise Usage(f"duration {text!r}: expected more than none")
    return seconds


def _own_factor(text: str) -> tuple[int, int] | str:
    return text if text == "default" else parse_factor(text)


SIZE = _Quantity("size", parse_size)
DURATION = _Quantity("duration", _some_time)
PAUSE = _Quantity("duration", parse_duration)
FACTOR = _Quantity("min:max", parse_factor)
OWN_FACTOR = _Quantity("min:max", _own_factor)


def replicas(factor: Sequence[int] | None) -> dict[str, int] | None:
    """A factor as the control socket takes it."""
    return None if factor is None else {"min": factor[0], "max": factor[1]}


pass_session = click.make_pass_decorator(Session)
