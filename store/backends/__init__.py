"""The kinds of store that images can lie in besides the embedded one, behind one contract: see `contract`.

`local_backend`, `s3_backend` and `kubo_backend` make one of a kind; `guarded` puts around it what every daemon wants.
What a kind needs is imported when one is made: nobody without a Kubo or a bucket pays for them.
"""

from collections.abc import Mapping

from store.backends.contract import UPLOADS, Backend, Entry, Health, PresignedPut, Range
from store.backends.limits import Limited
from store.backends.local import local_backend
from store.backends.memory import MemoryBackend
from store.backends.metrics import Counted, Measured
from store.backends.retry import Retrying, RetryPolicy
from store.backends.sigv4 import Credentials

__all__ = [
    "UPLOADS",
    "Backend",
    "Counted",
    "Credentials",
    "Entry",
    "Health",
    "Measured",
    "MemoryBackend",
    "PresignedPut",
    "Range",
    "RetryPolicy",
    "guarded",
    "kubo_backend",
    "local_backend",
    "s3_backend",
]


def s3_backend(
    url: str,
    *,
    endpoint: str | None = None,
    region: str | None = None,
    credentials: Credentials | None = None,
    timeout_s: float | None = None,
) -> Backend:
    """See `store.backends.s3.s3_backend`."""
    from store.backends import s3

    timeout_s = timeout_s or s3.TIMEOUT_S
    return s3.s3_backend(url, endpoint=endpoint, region=region, credentials=credentials, timeout_s=timeout_s)


def kubo_backend(api: str, *, headers: Mapping[str, str] | None = None, timeout_s: float | None = None) -> Backend:
    """See `store.backends.kubo.kubo_backend`."""
    from store.backends import kubo

    return kubo.kubo_backend(api, headers=headers, timeout_s=timeout_s or kubo.TIMEOUT_S)


def guarded(backend: Backend, policy: RetryPolicy | None = None) -> Measured:
    """The backend, limited and retried, and measured as its callers see it: `within` holds the layers."""
    return Measured(Retrying(Limited(backend), policy or RetryPolicy()))
