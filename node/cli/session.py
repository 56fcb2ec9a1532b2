"""What a command needs to know of where it runs: the data directory, and a connection to its daemon."""

import os
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
    def control(self) -> Control:
        """The connection to the daemon, made at the first call."""
        if self._control is None:
            self._control = Control(self.data_dir)
        return self._control
