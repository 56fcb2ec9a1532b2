"""Backends are made of the settings: those that the operator allows."""

from pathlib import Path

import pytest

from node.backend_settings import BackendSettings
from node.backends_opening import make_backends
from node.errors import Failed


def test_what_is_not_allowed_cannot_keep_a_peer_from_starting(tmp_path: Path) -> None:
    settings = BackendSettings(local_directory=tmp_path / "images", kubo_api="/nonsense")
    with pytest.raises(Failed, match="not an address"):
        make_backends(settings, None)
    with pytest.raises(Failed):
        make_backends(settings, ["kubo", "local"])
    assert list(make_backends(settings, ["ipfs", "local"])) == ["local"]
    assert make_backends(settings, ["ipfs"]) == {}
