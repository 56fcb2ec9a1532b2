"""Any S3-compatible object store, through obstore (the optional extra `s3`, imported here alone).

Keys, below the prefix: `images/<root>/<name>`, `uploads/<id>`, `STORE_ID`. Large objects go up in parts; one that was
never completed is seen by nobody, and goes by the bucket's own rule for incomplete uploads.
"""

import itertools
import os
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import timedelta
from importlib import import_module
from typing import Any
from urllib.parse import urlsplit

from store.backends.contract import (
    UPLOADS,
    Entry,
    Health,
    PresignedPut,
    Range,
    Stream,
    believed,
    believed_id,
    checked_name,
    pieces_of,
)
from store.backends.sigv4 import Credentials, presigned
from store.cid import cid_text, parse_cid
from store.errors import BackendRefused, BackendUnavailable, BadCid, NotInBackend, StoreError, StoreFull

IMAGES = "images"
STAGED = "uploads"
ID_NAME = "STORE_ID"
PART_BYTES = 16 << 20
"""Of a multipart upload, and the size up to which an object goes up in one request."""
PARTS_AT_ONCE = 4
PRESIGNED_S = 3600
TIMEOUT_S = 60.0
"""Of one request, of at most `PART_BYTES` either way. A guess: 2 Mbit/s are enough."""
CONNECT_TIMEOUT_S = 10.0
FULL = ("507 ", "InsufficientStorage", "QuotaExceeded", "StorageFull")
REFUSED = ("status code: 401", "status code: 403", "AccessDenied")
NO_BUCKET = "NoSuchBucket"
PANIC = "PanicException"
"""A bug of Rust code, as pyo3 raises it: no `Exception`, so that nobody catches it; whoever asked a bucket has to."""


class S3Backend:
    """See `contract.Backend` for what each method promises. Made by `s3_backend`.

    Args:
        obstore: the module.
        store: of obstore, for one bucket and prefix.
        base_url: of the objects, prefix included, for presigned URLs.
    """

    kind = "s3"
    whole_files = True

    def __init__(
        self, obstore: Any, store: Any, *, place: str, base_url: str, credentials: Credentials, region: str
    ) -> None:
        self._obstore = obstore
        self._store = store
        self.place = place
        self._base_url = base_url
        self._credentials = credentials
        self._region = region

    def store_id(self, otherwise: str | None = None) -> str:
        with self._errors(ID_NAME, confirm=False):
            if otherwise is not None:
                with suppress(self._obstore.exceptions.AlreadyExistsError):
                    self._obstore.put(self._store, ID_NAME, otherwise.encode(), mode="create")
            found = bytes(self._obstore.get(self._store, ID_NAME).bytes())
        return believed_id(self.place, found)

    def put(self, root: bytes, name: str, stream: Stream) -> int:
        key = self._key(root, name)
        pieces = pieces_of(stream)
        head: list[bytes] = []
        size_bytes = 0
        for piece in pieces:
            head.append(bytes(piece))
            size_bytes += len(piece)
            if size_bytes > PART_BYTES:
                return self._put_in_parts(key, itertools.chain(head, pieces))
        with self._errors(name):
            self._obstore.put(self._store, key, b"".join(head), use_multipart=False)
        return size_bytes

    def get(self, root: bytes, name: str, part: Range | None = None) -> bytes:
        key = self._key(root, name)
        if part is not None and part.length_bytes == 0:
            self.stat(root, name)
            return b""
        with self._errors(name):
            if part is None:
                return believed(name, bytes(self._obstore.get(self._store, key).bytes()), None)
            try:
                found = self._obstore.get_range(self._store, key, start=part.offset_bytes, length=part.length_bytes)
            except self._obstore.exceptions.GenericError as error:
                if "416 " in str(error):  # nothing of it is there
                    return b""
                raise
            return bytes(found)

    def stat(self, root: bytes, name: str) -> Entry:
        with self._errors(name):
            return Entry(name, int(self._obstore.head(self._store, self._key(root, name))["size"]))

    def delete(self, root: bytes, name: str) -> None:
        key = self._key(root, name)
        with suppress(NotInBackend), self._errors(name):
            self._obstore.delete(self._store, key)

    def copy_from(self, root: bytes, name: str, upload_id: str) -> int:
        source = self._key(UPLOADS, upload_id)
        with self._errors(upload_id):
            self._obstore.copy(self._store, source, self._key(root, name))
        return self.stat(root, name).size_bytes

    def list(self, root: bytes) -> Iterator[Entry]:
        folder = self._folder(root)
        with self._errors(folder):
            for page in self._obstore.list(self._store, folder):
                for found in page:
                    yield Entry(found["path"].rpartition("/")[2], int(found["size"]))

    def roots(self) -> Iterator[bytes]:
        # By objects: some stores list the folder of an object for a while after the object is gone.
        last = ""
        with self._errors(IMAGES):
            for page in self._obstore.list(self._store, IMAGES):
                for found in page:
                    text = found["path"].split("/")[1]
                    if text != last:
                        last = text
                        with suppress(BadCid):  # not ours
                            yield parse_cid(text)

    def presign_put(self, upload_id: str, size_bytes: int, media_type: str) -> PresignedPut | None:
        headers = {"content-length": str(size_bytes), "content-type": media_type}
        url = self._signed("PUT", self._key(UPLOADS, upload_id), PRESIGNED_S, headers)
        return PresignedPut(url, headers, PRESIGNED_S)

    def presign_get(self, root: bytes, name: str, expires_s: int) -> str | None:
        return self._signed("GET", self._key(root, name), expires_s, {})

    def health(self) -> Health:
        self._confirm_present()
        return Health()

    def _signed(self, method: str, key: str, expires_s: int, headers: Mapping[str, str]) -> str:
        return presigned(
            method,
            f"{self._base_url}/{key}",
            self._credentials,
            region=self._region,
            expires_s=expires_s,
            now_s=time.time(),
            headers=headers,
        )

    def _put_in_parts(self, key: str, pieces: Iterator[bytes]) -> int:
        size_bytes = 0

        def counted() -> Iterator[bytes]:
            nonlocal size_bytes
            for piece in pieces:
                size_bytes += len(piece)
                yield bytes(piece)

        with self._errors(key):
            self._obstore.put(
                self._store, key, counted(), use_multipart=True, chunk_size=PART_BYTES, max_concurrency=PARTS_AT_ONCE
            )
        return size_bytes

    def _folder(self, root: bytes) -> str:
        return STAGED if root == UPLOADS else f"{IMAGES}/{cid_text(root)}"

    def _key(self, root: bytes, name: str) -> str:
        return f"{self._folder(root)}/{checked_name(self.place, name)}"

    def _confirm_present(self) -> None:
        """A bucket without the id is not our store, whatever it says of an object."""
        try:
            self.store_id()
        except NotInBackend as error:
            raise BackendUnavailable(
                self.place, f"has no {ID_NAME}", "see whether it is the right bucket and prefix"
            ) from error

    @contextmanager
    def _errors(self, name: str, *, confirm: bool = True) -> Iterator[None]:
        """Raise our errors for those of obstore; see `_translated`."""
        try:
            yield
        except FileNotFoundError as error:
            if NO_BUCKET in str(error):
                raise BackendUnavailable(self.place, "the bucket does not exist") from error
            if confirm:
                self._confirm_present()
            raise NotInBackend(self.place, name) from error
        except self._obstore.exceptions.BaseError as error:
            raise self._translated(str(error), error) from error
        except BaseException as error:
            if type(error).__name__ == PANIC:
                raise BackendUnavailable(self.place, f"obstore panicked: {error}"[:200]) from error
            raise

    def _translated(self, text: str, error: Exception) -> StoreError:
        exceptions = self._obstore.exceptions
        why = _reason(text)
        if any(mark in text for mark in FULL):
            return StoreFull(0, 0)
        if isinstance(error, exceptions.PermissionDeniedError | exceptions.UnauthenticatedError):
            return BackendRefused(self.place, why)
        if any(mark in text for mark in REFUSED):
            return BackendRefused(self.place, why)
        return BackendUnavailable(self.place, why)


def _reason(text: str) -> str:
    """The one line of obstore's page of text that tells a person what went wrong."""
    status = re.search(r"status code: (\d{3}) ?([A-Za-z ]*)", text)
    code = re.search(r"<Code>(\w+)</Code>", text) or re.search(r"\(code: (\w+)\)", text)
    if status is not None:
        named = f" ({code[1]})" if code else ""
        return f"answered {status[1]} {status[2].strip().lower()}".rstrip() + named
    if code is not None:
        return f"answered {code[1]}"
    if "TimedOut" in text or "timed out" in text:
        return "did not answer in time"
    if "refused" in text:
        return "nobody listens there"
    return text.partition("\n")[0][:200].lower()


def s3_backend(
    url: str,
    *,
    endpoint: str | None = None,
    region: str | None = None,
    credentials: Credentials | None = None,
    timeout_s: float = TIMEOUT_S,
) -> S3Backend:
    """The backend `s3` in a bucket.

    Args:
        url: `s3://bucket/prefix`; several stores may share a bucket under different prefixes.
        endpoint: such as `https://minio.example:9000`; None: Amazon's for the region.
        region: None: $AWS_REGION, or us-east-1.
        credentials: None: $AWS_ACCESS_KEY_ID, $AWS_SECRET_ACCESS_KEY and $AWS_SESSION_TOKEN.

    Raises:
        BackendRefused: obstore is not installed, the URL is none, or there are no credentials. Nothing is asked yet.
    """
    parts = urlsplit(url)
    bucket, prefix = parts.netloc, parts.path.strip("/")
    if parts.scheme != "s3" or not bucket:
        raise BackendRefused(url, "not of the form s3://bucket/prefix", "")
    place = f"s3 bucket {bucket}" + (f", {prefix}" if prefix else "")
    obstore, s3_store = _obstore(place)
    credentials = credentials or _credentials_of_environment(place)
    region = region or os.environ.get("AWS_REGION") or "us-east-1"
    endpoint = (endpoint or f"https://s3.{region}.amazonaws.com").rstrip("/")
    store = s3_store(
        bucket,
        prefix=prefix or None,
        endpoint=endpoint,
        region=region,
        access_key_id=credentials.key_id,
        secret_access_key=credentials.secret,
        virtual_hosted_style_request=False,
        conditional_put="etag",
        client_options={
            "allow_http": endpoint.startswith("http://"),
            "timeout": timedelta(seconds=timeout_s),
            "connect_timeout": timedelta(seconds=min(timeout_s, CONNECT_TIMEOUT_S)),
        },
        retry_config={"max_retries": 0},
        **({"session_token": credentials.session_token} if credentials.session_token else {}),
    )
    base_url = "/".join(filter(None, (endpoint, bucket, prefix)))
    return S3Backend(obstore, store, place=place, base_url=base_url, credentials=credentials, region=region)


def _obstore(place: str) -> tuple[Any, Any]:
    try:
        return import_module("obstore"), import_module("obstore.store").S3Store
    except ImportError as error:
        raise BackendRefused(place, "needs the extra 's3': pip install 'pinakothek[s3]'", "") from error


def _credentials_of_environment(place: str) -> Credentials:
    try:
        key_id, secret = os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"]
    except KeyError as error:
        raise BackendRefused(place, f"no credentials: ${error.args[0]} is not set", "") from error
    return Credentials(key_id, secret, os.environ.get("AWS_SESSION_TOKEN"))
