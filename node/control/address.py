"""Where the control socket is, and how a path of any length is bound and connected to.

A Unix socket's address holds 107 bytes, and data directories can be deep. Linux resolves `/proc/self/fd/N/name` inside
the directory that N is open on, for `bind` and `connect` alike, so neither side needs a second path, a link or a change
of directory. Standard library only: the command line imports this.

Source: unix(7) on the length of `sun_path`, proc(5) on `/proc/pid/fd`.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SOCKET_NAME = "control.sock"
MAX_ADDRESS_BYTES = 107


def socket_path(data_dir: Path) -> Path:
    """The control socket of the daemon on `data_dir`."""
    return data_dir / SOCKET_NAME


@contextmanager
def reachable(path: Path) -> Iterator[str]:
    """An address for `path` that fits, valid inside the `with`.

    Raises:
        OSError: the directory of a long path cannot be opened.
    """
    if len(os.fsencode(path)) <= MAX_ADDRESS_BYTES:
        yield str(path)
        return
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)
