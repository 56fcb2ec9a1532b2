"""Retry, limits and metrics, with a clock of their own; and the signature that Amazon's page shows."""

import subprocess
import sys
import threading
from collections.abc import Callable

import pytest

from store.backends import Measured, MemoryBackend, RetryPolicy, kubo_backend, s3_backend
from store.backends.contract import Range, Stream
from store.backends.limits import Limited
from store.backends.retry import Retrying
from store.backends.sigv4 import Credentials, presigned
from store.errors import BackendRefused, BackendUnavailable, NotInBackend, StoreError
from tests.backends.images import image

ROOT = image("one").root


class Failing(MemoryBackend):
    """Fails its first calls, after they were carried out."""

    def __init__(self, failures: int, error: StoreError | None = None) -> None:
        super().__init__()
        self.failures = failures
        self.calls = 0
        self.error = error or BackendUnavailable("memory", "fails")

    def put(self, root: bytes, name: str, stream: Stream) -> int:
        size_bytes = super().put(root, name, stream)
        self._fail()
        return size_bytes

    def get(self, root: bytes, name: str, part: Range | None = None) -> bytes:
        self._fail()
        return super().get(root, name, part)

    def _fail(self) -> None:
        self.calls += 1
        if self.calls <= self.failures:
            raise self.error


class Time:
    """Passes only while somebody sleeps."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now_s

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now_s += seconds


def retrying(within: Failing, policy: RetryPolicy, chance: Callable[[], float] = lambda: 1.0) -> tuple[Retrying, Time]:
    clock = Time()
    return Retrying(within, policy, clock_s=clock, sleep_s=clock.sleep, chance=chance), clock


def test_pauses_double_up_to_the_longest() -> None:
    backend, clock = retrying(Failing(5), RetryPolicy(attempts=6, first_pause_s=1, longest_pause_s=4, deadline_s=99))
    assert backend.put(ROOT, "small.webp", [b"content"]) == 7
    assert clock.slept == [1, 2, 4, 4, 4]


def test_pauses_are_half_as_long_at_the_least() -> None:
    backend, clock = retrying(Failing(2), RetryPolicy(first_pause_s=1), lambda: 0.0)
    backend.put(ROOT, "small.webp", [b"content"])
    assert clock.slept == [0.5, 1]


def test_attempts_and_deadline_bound_it() -> None:
    within = Failing(99)
    backend, _ = retrying(within, RetryPolicy(attempts=3))
    with pytest.raises(BackendUnavailable):
        backend.get(ROOT, "small.webp")
    assert within.calls == 3
    backend, clock = retrying(Failing(99), RetryPolicy(attempts=99, first_pause_s=4, longest_pause_s=4, deadline_s=10))
    with pytest.raises(BackendUnavailable):
        backend.get(ROOT, "small.webp")
    assert clock.slept == [4, 4]


def test_what_a_suspend_made_late_is_not_done_any_more() -> None:
    within, clock = Failing(1), Time()

    def suspended(seconds: float) -> None:
        clock.sleep(seconds + 3600)

    with pytest.raises(BackendUnavailable):
        Retrying(within, RetryPolicy(), clock_s=clock, sleep_s=suspended).get(ROOT, "small.webp")
    assert within.calls == 1


@pytest.mark.parametrize("error", [BackendRefused("memory", "no"), NotInBackend("memory", "x")])
def test_what_will_not_change_is_not_tried_again(error: StoreError) -> None:
    within = Failing(1, error)
    backend, _ = retrying(within, RetryPolicy())
    with pytest.raises(type(error)):
        backend.get(ROOT, "small.webp")
    assert within.calls == 1


def test_an_iterator_is_sent_once() -> None:
    within = Failing(1)
    backend, _ = retrying(within, RetryPolicy())
    with pytest.raises(BackendUnavailable):
        backend.put(ROOT, "small.webp", iter([b"content"]))
    assert within.calls == 1


def test_so_many_at_once_and_no_more() -> None:
    at_work = threading.Semaphore(0)
    leave = threading.Event()

    class Slow(MemoryBackend):
        def get(self, root: bytes, name: str, part: Range | None = None) -> bytes:
            at_work.release()
            leave.wait(30)
            return b""

    backend = Limited(Slow(), at_once=2, wait_s=0.05)
    threads = [threading.Thread(target=lambda: backend.get(ROOT, "small.webp"), daemon=True) for _ in range(2)]
    for thread in threads:
        thread.start()
        assert at_work.acquire(timeout=30)
    with pytest.raises(BackendUnavailable, match="busy"):
        backend.get(ROOT, "small.webp")
    leave.set()
    for thread in threads:
        thread.join(30)
    assert backend.get(ROOT, "small.webp") == b""


def test_what_is_counted() -> None:
    clock = Time()
    within = Failing(1)
    backend = Measured(within, clock_s=clock)
    with pytest.raises(BackendUnavailable):
        backend.put(ROOT, "small.webp", [b"content"])
    backend.put(ROOT, "small.webp", [b"content"])
    backend.get(ROOT, "small.webp", Range(0, 3))
    with pytest.raises(NotInBackend):
        backend.get(ROOT, "medium.webp")
    put, get = backend.counts()["put"], backend.counts()["get"]
    assert (put.calls, put.errors, put.size_bytes) == (2, 1, 7)
    assert (get.calls, get.errors, get.size_bytes) == (2, 0, 3)


def test_the_signature_of_amazons_own_example() -> None:
    """Source: AWS, "Authenticating Requests: Using Query Parameters", the example of examplebucket."""
    url = presigned(
        "GET",
        "https://examplebucket.s3.amazonaws.com/test.txt",
        Credentials("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"),
        region="us-east-1",
        expires_s=86400,
        now_s=1369353600,
    )
    signature = "aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404"
    assert url.endswith(f"X-Amz-SignedHeaders=host&X-Amz-Signature={signature}")
    assert "X-Amz-Date=20130524T000000Z" in url


def test_a_secret_is_not_shown() -> None:
    assert "wJalr" not in repr(Credentials("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI"))


def test_what_s3_needs_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(BackendRefused, match="AWS_ACCESS_KEY_ID is not set"):
        s3_backend("s3://archive/prefix")
    with pytest.raises(BackendRefused, match="s3://bucket/prefix"):
        s3_backend("https://archive")
    monkeypatch.setitem(sys.modules, "obstore", None)
    with pytest.raises(BackendRefused, match=r"needs the extra 's3': pip install 'pinakothek\[s3\]'"):
        s3_backend("s3://archive/prefix")


@pytest.mark.parametrize("api", ["", "127.0.0.1:5001", "ftp://127.0.0.1:5001", "/ip4/nowhere/tcp/5001"])
def test_an_address_that_is_no_kubos_is_refused(api: str) -> None:
    with pytest.raises(BackendRefused, match="not an address"):
        kubo_backend(api)


def test_backends_that_are_not_used_import_nothing() -> None:
    check = "import sys, store.store; print([m for m in ('obstore', 'ipfshttpclient', 'requests') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
