"""The one release that the patches are written against."""

from importlib.metadata import version

RELEASE = "0.8.1"


def expect_release() -> None:
    """Raise RuntimeError unless the installed libp2p is the release the patches were written and tested for."""
    found = version("libp2p")
    if found != RELEASE:
        raise RuntimeError(f"the libp2p patches are for {RELEASE}, but {found} is installed")
