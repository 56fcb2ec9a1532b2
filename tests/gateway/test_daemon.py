"""What the gateway asks its daemon, here a fake behind a real control socket."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import trio

from node import rows
from node.errors import NotFound
from node.gateway.blocks import MAX_ASKING
from store.cid import RAW, cid_of, cid_text
from tests.fake_service import FACTOR, WHEN, FakeService, serving
from tests.gateway.rig import Dags, Running, at, noise, running_gateway


class Behind:
    """A gateway whose store holds the directories, and whose daemon can get the rest; `asked` counts its questions."""

    def __init__(self, gateway: Running, daemon: FakeService, dags: Dags) -> None:
        self.gateway = gateway
        self.daemon = daemon
        self.dags = dags
        self.asked: list[str] = []
        self.at_once = self.most_at_once = 0
        daemon.block = self._block  # type: ignore[method-assign]

    async def _block(self, cid: str, *, fetch: bool) -> bytes:
        assert fetch
        self.asked.append(cid)
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        await trio.sleep(0.02)
        self.at_once -= 1
        if cid not in self.daemon.bytes:
            raise NotFound(f"block {cid} is not here")
        return self.daemon.bytes[cid]

    def name(self, name: str, root: bytes) -> None:
        """Have the daemon know an image."""
        self.daemon.pinned.append(
            rows.ImageRow(
                root=cid_text(root), name=name, flow="default", size_bytes=1, width_px=1, height_px=1,
                media_type="image/png", added_at=WHEN, copies=1, replicas=FACTOR, state="at_target",
            )
        )  # fmt: skip


@pytest.fixture
def behind(tmp_path: Path) -> Iterator[Behind]:
    dags = Dags()
    small = dags.file(noise(9_000))
    image = dags.folder(
        {"original.jpg": dags.file(noise(50_000, 3)), "small.webp": small, "image.json": dags.file(b"{}")}
    )
    other = dags.folder({"small.webp": small})
    dags.store(tmp_path, without=[small])
    with serving(tmp_path) as daemon, running_gateway(tmp_path) as gateway:
        daemon.bytes[cid_text(small)] = noise(9_000)
        behind = Behind(gateway, daemon, dags)
        behind.name("beach.jpg", image)
        behind.name("twice.jpg", image)
        behind.name("twice.jpg", other)
        yield behind


def test_a_block_that_another_peer_has(behind: Behind) -> None:
    cid = cid_of(RAW, noise(9_000))
    for _ in range(3):
        assert behind.gateway.get(at(cid)).content == noise(9_000)
    assert behind.asked == [cid_text(cid)]


def test_a_block_that_does_not_hash_to_its_cid_is_not_passed_on(behind: Behind) -> None:
    cid = cid_of(RAW, b"right")
    behind.daemon.bytes[cid_text(cid)] = b"wrong"
    answer = behind.gateway.get(at(cid))
    assert answer.status_code == 502
    assert "wrong" not in answer.text


def test_absent_blocks_are_asked_for_once_in_a_while(behind: Behind) -> None:
    cid = cid_of(RAW, b"nobody's")
    for _ in range(5):
        assert behind.gateway.get(at(cid)).status_code == 404
    assert len(behind.asked) == 1


def test_only_if_cached_asks_nobody(behind: Behind) -> None:
    cid = cid_of(RAW, noise(9_000))
    assert behind.gateway.get(at(cid), cache_control="only-if-cached").status_code == 412
    assert behind.asked == []


def test_many_unknown_cids_are_a_bounded_number_of_questions_at_once(behind: Behind) -> None:
    paths = [at(cid_of(RAW, b"unknown %d" % number)) for number in range(500)]
    with ThreadPoolExecutor(400) as strangers:
        statuses = set(strangers.map(behind.gateway.status, paths))
    assert statuses <= {404, 503}
    assert behind.most_at_once <= MAX_ASKING
    assert behind.gateway.get("/healthz").status_code == 200


def test_readers_of_one_absent_block_share_one_question(behind: Behind) -> None:
    cid = cid_of(RAW, noise(9_000))
    with ThreadPoolExecutor(20) as strangers:
        assert set(strangers.map(behind.gateway.status, [at(cid)] * 20)) == {200}
    assert len(behind.asked) == 1


@pytest.mark.parametrize("variant", ["small", "small.webp"])
def test_a_variant_by_name(behind: Behind, variant: str) -> None:
    answer = behind.gateway.get(f"/images/beach.jpg/{variant}")
    assert (answer.status_code, answer.content) == (200, noise(9_000))
    assert answer.headers["content-type"] == "image/webp"
    assert answer.headers["cache-control"] == "public, max-age=60"
    again = behind.gateway.get(f"/images/beach.jpg/{variant}", if_none_match=answer.headers["etag"])
    assert again.status_code == 304


@pytest.mark.parametrize(
    ("path", "status", "says"),
    [
        ("/images/beach.jpg/huge", 404, "there are image.json, original.jpg, small.webp"),
        ("/images/nobody.jpg/small", 404, "no such image"),
        ("/images/twice.jpg/small", 300, "2 images"),
        ("/images/beach.jpg/", 404, "expected /images/"),
        ("/images/" + "x" * 600 + "/small", 404, "expected /images/"),
        ("/images/%2e%2e%2f%2e%2e/small", 404, "expected /images/"),
    ],
)
def test_names_that_do_not_lead_to_one_file(behind: Behind, path: str, status: int, says: str) -> None:
    answer = behind.gateway.get(path)
    assert answer.status_code == status
    assert says in answer.text


def test_it_is_ready(behind: Behind) -> None:
    assert behind.gateway.get("/readyz").text == "ready\n"


def test_the_daemons_metrics_come_with_its_own(behind: Behind) -> None:
    behind.gateway.get(at(cid_of(RAW, b"nobody's")))
    text = behind.gateway.get("/metrics").text
    assert "pinakothek_gateway_asked_total 1" in text
    assert 'pinakothek_gateway_answers_total{status="404"} 1' in text
