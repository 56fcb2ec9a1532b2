"""What a command needs to know of where it runs: the data directory, and a connection to its daemon."""

import os
import re
import shlex
from pathlib import Path

from node.control.client import Control

VARIABLE = "PINAKOTHEK_DATA_DIR"


class Session:
    """One run of the command line. `chosen` is set by `--data-dir`, wherever it stands."""

    def __init__(self) -> None:
        self.chosen: str | None = None
        self._control: Control | None = None

    @property
    def data_dir(self) -> Path:
        """`--data-dir`, else the variable, else `pinakothek` in the user's data directory (XDG)."""
        chosen = self.chosen or os.environ.get(VARIABLE)
        if not chosen:
            home = os.environ.get("XDG_DATA_HOME") or os.path.expanduser("~/.local/share")
            chosen = os.path.join(home, "pinakothek")
        return Path(os.path.abspath(os.path.expanduser(chosen)))

    @property
    def program(self) -> str:
        """What to write before a verb so that it means the same peer: `pinakothek`, with `--data-dir` where it was given."""
        return f"pinakothek --data-dir {shlex.quote(self.chosen)}" if self.chosen else "pinakothek"

    def usable(self, hint: str | None) -> str | None:
        """A hint whose commands mean the same peer as the command that gave it."""
        return hint and re.sub(r"\bpinakothek(?= [a-z])", lambda _: self.program, hint)

    @property
    def control(self) -> Control:
        """The connection to the daemon, made at the first call."""
        if self._control is None:
            self._control = Control(self.data_dir)
        return self._control
