"""One Kubo and one S3 server for all tests of backends, each started when the first test wants it."""

from collections.abc import Iterator

import pytest

from tests.backends.kinds import BUCKET
from tests.kubo import Kubo
from tests.s3 import S3Server


@pytest.fixture(scope="package")
def kubo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kubo]:
    with Kubo(tmp_path_factory.mktemp("kubo")) as running:
        yield running


@pytest.fixture(scope="package")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    with S3Server(tmp_path_factory.mktemp("s3")) as running:
        running.make_bucket(BUCKET)
        yield running
