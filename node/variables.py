"""The variables of the environment that are settings, and those that only look like one.

A backend that is configured with a slip in a variable's name would be missing without a word: such a variable is refused
as an unknown setting of the file is. Another name may be a neighbour's, such as `PINAKOTHEK_PORT` of a container's host:
it is named in the log and by `doctor`, and stops nothing.
"""

import difflib
from collections.abc import Iterable, Mapping

from node.errors import Usage

PREFIX = "PINAKOTHEK_"
OF_BACKENDS = PREFIX + "BACKENDS_"
OTHERS = ("PINAKOTHEK_DATA_DIR", "PINAKOTHEK_DEBUG")
"""Read by the command line, and no settings."""


def variable_of(setting: str) -> str:
    """The variable of a setting: `PINAKOTHEK_BACKENDS_S3_URL` of `backends.s3.url`."""
    return PREFIX + setting.upper().replace(".", "_")


def unknown_variables(environ: Mapping[str, str], settings: Iterable[str]) -> tuple[str, ...]:
    """What to tell of each variable that begins as a setting's does and is none; empty ones are not set.

    Raises:
        Usage: one is meant for a backend; nothing of its value is told.
    """
    known = [*map(variable_of, settings), *OTHERS]
    unknown = sorted(name for name, value in environ.items() if value and name.startswith(PREFIX) and name not in known)
    for name in unknown:
        if name.startswith(OF_BACKENDS):
            of_backends = [variable for variable in known if variable.startswith(OF_BACKENDS)]
            raise Usage(
                f"{name}: no such setting", hint=_nearest(name, of_backends) or f"there are {', '.join(of_backends)}"
            )
    return tuple(": ".join(filter(None, (f"{name} is no setting", _nearest(name, known)))) for name in unknown)


def _nearest(name: str, known: Iterable[str]) -> str | None:
    """What was probably meant. The beginning is everybody's and says nothing."""
    close = difflib.get_close_matches(name.removeprefix(PREFIX), [k.removeprefix(PREFIX) for k in known], 1, 0.75)
    return f"did you mean {PREFIX}{close[0]}?" if close else None
