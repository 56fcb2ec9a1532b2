"""Jobs with a real daemon: a queue that is killed in its middle, and what an operator does with jobs."""

import json
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path

import httpx
import pytest
from PIL import Image

from node.control.client import Control
from node.demo.peers import Peer, swarm, wait_until
from node.errors import Failed, NotFound
from node.jobs.job import State
from node.jobs.ledger import Ledger
from tests.s3 import KEY, REGION, SECRET, S3Server

JOBS = 30
LOOPBACK = {"PINAKOTHEK_FETCH_ALLOW_CIDRS": "127.0.0.0/8"}


def picture(number: int) -> bytes:
    """A picture that only this number has."""
    content = BytesIO()
    Image.linear_gradient("L").resize((64 + number, 48)).save(content, "PNG")
    return content.getvalue()


class Web:
    """A web server on loopback. `/N.png` is a picture, `/held/N.png` one that comes once `release` is set.

    Attributes:
        asked: path → how often it was asked for.
        broken: paths answered with 503.
    """

    def __init__(self) -> None:
        self.asked: Counter[str] = Counter()
        self.broken: set[str] = set()
        self.release = threading.Event()
        web = self

        class Answer(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                web.asked[self.path] += 1
                if self.path.startswith("/held/"):
                    web.release.wait(60)
                if self.path in web.broken:
                    self.send_error(503)
                    return
                content = picture(int(Path(self.path).stem))
                self.send_response(200)
                self.send_header("content-length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
        self.server.daemon_threads = True

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.server.server_port}{path}"


@contextmanager
def serving() -> Iterator[Web]:
    web = Web()
    thread = threading.Thread(target=web.server.serve_forever, daemon=True)
    thread.start()
    try:
        yield web
    finally:
        web.release.set()
        web.server.shutdown()
        web.server.server_close()
        thread.join()


@pytest.fixture(scope="module")
def peer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Peer]:
    gateway = ("--gateway", "127.0.0.1:0")
    with swarm(tmp_path_factory.mktemp("jobs"), ["ada"], env=LOOPBACK, run_options=gateway) as (ada,):
        yield ada


@pytest.fixture
def web() -> Iterator[Web]:
    with serving() as web:
        yield web


def test_a_url_comes_in_as_a_file_does(peer: Peer, web: Web) -> None:
    row = peer.one("add", web.url("/500.png"), "--flow", "urls")
    job = peer.one("jobs", "show", str(row["job"]))
    assert (job["state"], job["progress"], job["root"], job["error"]) == ("done", 1.0, row["root"], None)
    assert peer.one("add", web.url("/500.png"), "--flow", "urls")["new"] is False
    (listed,) = peer.rows("ls", "--flow", "urls")
    assert (listed["name"], listed["root"]) == ("500.png", row["root"])
    assert peer.run("get", row["root"], "-o", str(peer.data_dir.parent / "500.png")).returncode == 0
    assert (peer.data_dir.parent / "500.png").read_bytes() == picture(500)


def test_what_cannot_be_fetched_fails_with_its_reason(peer: Peer, web: Web) -> None:
    web.broken.add("/501.png")
    done = peer.run("add", web.url("/501.png"))
    assert done.returncode == 1
    assert "the server answered 503; tried 3 times" in done.stderr
    assert web.asked["/501.png"] == 3
    refused = peer.run("add", "http://10.0.0.1/a.png")
    assert (refused.returncode, "a private network" in refused.stderr) == (5, True)
    work = peer.one("status")["work"]
    assert work["failed"] == 2
    web.broken.clear()
    failed = peer.rows("jobs", "--state", "failed")
    peer.call("jobs", "retry", str(failed[0]["id"]))
    peer.call("jobs", "cancel", str(failed[1]["id"]))
    wait_until(
        lambda: peer.one("jobs", "show", str(failed[0]["id"]))["state"] == "done", timeout_s=60, what="a retry is done"
    )
    assert peer.one("status")["work"]["failed"] == 0


def test_jobs_are_paused_resumed_and_cancelled(peer: Peer, web: Web) -> None:
    held, given_up = (peer.one("add", "--no-wait", web.url(f"/held/{n}.png"))["job"] for n in (502, 503))
    wait_until(lambda: web.asked.total() == 2, timeout_s=60, what="both are asked for")
    assert "paused" in peer.call("jobs", "pause", str(held))
    assert "cancelled" in peer.call("jobs", "cancel", str(given_up))
    states = {row["id"]: row["state"] for row in peer.rows("jobs")}
    assert (states[held], states[given_up]) == ("paused", "cancelled")
    web.release.set()
    peer.call("jobs", "resume", str(held))
    wait_until(lambda: peer.one("jobs", "show", str(held))["state"] == "done", timeout_s=60, what="it goes on")
    assert peer.run("jobs", "pause", str(held)).returncode == 1
    assert peer.run("jobs", "pause", "9999").returncode == 3
    assert list((peer.data_dir / "workspace" / "jobs").iterdir()) == []


def test_what_happens_to_jobs_is_streamed_and_can_be_taken_up_again(peer: Peer, web: Web) -> None:
    row = peer.one("add", web.url("/504.png"))
    kinds = ["queued", "started", "fetched", "checked", "variants", "stored", "pinned", "done"]
    told = []
    with Control(peer.data_dir) as control:
        answer = control.open("GET", "/v1/jobs/events?after=0", accept="text/event-stream", timeout_s=60)
        for line in answer.lines():
            if line.startswith(b"data: "):
                event = json.loads(line[len(b"data: ") :])
                told += [event] if event["id"] == row["job"] else []
                if told and told[-1]["kind"] == "done":
                    break
    assert [event["kind"] for event in told] == kinds
    assert told[-1]["root"] == row["root"]
    with Control(peer.data_dir) as control:
        answer = control.open("GET", f"/v1/jobs/events?after={told[-2]['seq']}", accept="text/event-stream")
        first = next(line for line in answer.lines() if line.startswith(b"data: "))
    assert json.loads(first[len(b"data: ") :]) == told[-1]
    seen = peer.call("jobs", "--json")
    assert str(row["job"]) in seen


def test_files_are_uploaded_and_the_api_takes_the_same_three_steps(peer: Peer, tmp_path: Path) -> None:
    good, bad = tmp_path / "good.png", tmp_path / "bad.png"
    good.write_bytes(picture(505))
    bad.write_bytes(b"words" * 100)
    done = peer.run("upload", str(good), str(bad), "--flow", "sent", "--json")
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 1
    assert [(row["path"], row["error"] is None) for row in rows] == [(str(good), True), (str(bad), False)]
    assert peer.rows("ls", "--flow", "sent")[0]["root"] == rows[0]["root"]
    with Control(peer.data_dir) as control:
        place = control.call("POST", "/v1/uploads", {"size_bytes": len(picture(506)), "options": {"name": "a.png"}})
        with pytest.raises(NotFound):
            control.open("PUT", f"/v1/uploads/{place['id']}/bytes?token=x", upload=[picture(506)]).read()
        control.open(place["method"], place["path"], upload=[picture(506)]).read()
        with pytest.raises(Failed, match="has been used"):
            control.open(place["method"], place["path"], upload=[picture(506)]).read()
        there = control.call("POST", "/v1/uploads", {"size_bytes": len(picture(507)), "media_type": "image/png"})
        assert httpx.put(there["url"], content=picture(507)).json()["id"] == there["id"], "by the gateway"
        assert httpx.put(there["url"], content=picture(507)).status_code == 422
        assert control.call("POST", f"{there['complete']}?wait_s=60", timeout_s=90)["state"] == "done"
    peer.kill()
    peer.start()
    with Control(peer.data_dir) as control:
        job = control.call("POST", f"{place['complete']}?wait_s=60", timeout_s=90)
    assert (job["state"], job["result"]["new"]) == ("done", True), "what was acknowledged outlives the daemon"


@pytest.mark.slow
def test_a_daemon_killed_in_the_middle_does_every_job_once(tmp_path: Path, web: Web) -> None:
    with swarm(tmp_path, ["ada"], env=LOOPBACK) as (peer,):
        for number in range(JOBS):
            peer.one("add", "--no-wait", web.url(f"/{number}.png"))
            if number in (JOBS // 3, 2 * JOBS // 3):
                wait_until(lambda n=number: web.asked.total() > n // 2, timeout_s=60, what="some are fetched")  # type: ignore[misc]
                peer.kill()
                asked = Counter(web.asked)
                fetched = fetched_before(peer)
                peer.start()
                wait_until(lambda: all_done(peer), timeout_s=120, what="what was queued is done")
                twice = {path for path in fetched if web.asked[path] != asked[path]}
                assert twice == set(), "a finished fetch is done again"
        wait_until(lambda: all_done(peer), timeout_s=120, what="all are done")
        rows = peer.rows("jobs")
        assert [row["state"] for row in rows] == ["done"] * JOBS
        images = peer.rows("ls")
        assert {row["root"] for row in rows} == {image["root"] for image in images}
        assert len(images) == JOBS
        ledger = Ledger.opened(peer.data_dir)
        told = Counter((each.job.id, each.happening.kind) for each in ledger.told(0, 100_000))
        ledger.close()
        once = {"fetched", "checked", "variants", "stored", "pinned", "done"}
        assert {count for (_, kind), count in told.items() if kind in once} == {1}
        assert sum(kind in once for _, kind in told) == JOBS * len(once)
        assert list((peer.data_dir / "workspace" / "jobs").iterdir()) == []


def fetched_before(peer: Peer) -> set[str]:
    """Paths of the jobs whose bytes were there, durably, when the daemon was killed."""
    ledger = Ledger.opened(peer.data_dir)
    jobs = ledger.page(after=0, limit=1000)
    ledger.close()
    return {f"/{Path(job.name).name}" for job in jobs if "fetched" in job.steps}


def all_done(peer: Peer) -> bool:
    return all(row["state"] == State.DONE for row in peer.rows("jobs"))


@pytest.mark.slow
def test_a_flow_on_s3_is_uploaded_to_its_bucket(tmp_path: Path) -> None:
    with S3Server(tmp_path / "s3") as server:
        server.make_bucket("archive")
        prefix = "PINAKOTHEK_BACKENDS_S3_"
        env = {
            f"{prefix}URL": "s3://archive/pictures", f"{prefix}ENDPOINT": server.endpoint, f"{prefix}REGION": REGION,
            f"{prefix}ACCESS_KEY_ID": KEY, f"{prefix}SECRET_ACCESS_KEY": SECRET,
        }  # fmt: skip
        with swarm(tmp_path, ["ada"], env=env) as (peer,):
            peer.call("charter", "set", "--counts", "ipfs,s3")
            wait_until(
                lambda: not peer.run("flow", "set", "cloud", "--backend", "s3").returncode,
                timeout_s=60,
                what="s3 is well",
            )
            content = picture(508)
            (tmp_path / "508.png").write_bytes(content)
            with Control(peer.data_dir) as control:
                asked = {"size_bytes": len(content), "media_type": "image/png", "options": {"flow": "cloud"}}
                place = control.call("POST", "/v1/uploads", asked)
            assert place["url"].startswith(f"{server.endpoint}/archive/pictures/uploads/")
            row = peer.one("upload", str(tmp_path / "508.png"), "--flow", "cloud")
            assert row["new"] is True
            assert peer.one("show", row["root"])["files"]
            keys = server.request("GET", "/archive/").text
            assert row["root"] in keys
            assert "pictures/uploads/" not in keys, "what was staged is gone"
