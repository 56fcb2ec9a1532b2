"""A progress bar on standard error, where that is a terminal; rich is imported only then."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Advance = Callable[[int], None]


@contextmanager
def progress(what: str, total: int | None, *, in_bytes: bool = False, quiet: bool = False) -> Iterator[Advance]:
    """A bar for the time of the `with`; call what it yields with the units done since the last call.

    Args:
        what: a word or two in front of the bar.
        total: units in all, None if not known.
        quiet: show none, because lines on the same terminal tell as much.
    """
    if quiet or not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich import progress as bars
    from rich.console import Console

    columns = [bars.TextColumn("{task.description}"), bars.BarColumn()]
    if in_bytes:
        columns += [bars.DownloadColumn(binary_units=True), bars.TransferSpeedColumn()]
    else:
        columns += [bars.MofNCompleteColumn()]
    shown = bars.Progress(
        *columns,
        bars.TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
        redirect_stdout=False,  # it is for what was asked, and often goes elsewhere
    )
    with shown:
        task = shown.add_task(what, total=total)
        yield lambda units: shown.update(task, advance=units)
