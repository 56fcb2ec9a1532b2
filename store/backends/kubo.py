"""An external Kubo daemon over its RPC, through `ipfshttpclient` 0.7: nothing else here speaks with it.

Blocks go in by `block put` with the codec and hash function of their CIDs, and a root is pinned recursively, so that
Kubo's own garbage collection keeps what we hold and takes the rest. What Kubo has to remember for us lies where a person
sees it with `ipfs files ls /pinakothek`: the store's id, uploads, and a note for each root. The note says whether the
pin is ours: one that its owner made is left when we let go.

The client predates current Kubo. Its version check is left out by not calling `connect()`; what it lacks of the RPC is
not needed here, and what Kubo added since goes along as plain options. Every question is asked offline: an absent block
is absent, not looked for in the network.

Source: measured against Kubo 0.42; https://docs.ipfs.tech/reference/kubo/rpc/
"""

import io
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

from store.backends.by_block import ByBlock
from store.backends.contract import Entry, Health, PresignedPut, Range, Stream, believed_id, pieces_of
from store.blocks import key_of
from store.cid import RAW as RAW_CODEC
from store.cid import cid_of, cid_text, codec_name, parse_cid, split_cid
from store.errors import BackendRefused, BackendUnavailable, BadCid, BlockCorrupt, NotInBackend, StoreError, StoreFull

# With its patches to `requests`, made for addresses that nobody gives here, every call warns of their age.
os.environ.setdefault("PY_IPFS_HTTP_CLIENT_PATCH_REQUESTS", "no")
import ipfshttpclient
from ipfshttpclient import exceptions

FOLDER = "/pinakothek"
ID_PATH = f"{FOLDER}/store_id"
ROOTS = f"{FOLDER}/roots"
STAGED = f"{FOLDER}/uploads"
OURS, FOUND = b"pinned by pinakothek\n", b"was pinned already\n"
TIMEOUT_S = 30.0
"""Of one call, which moves at most a block or a piece of an upload."""
PIN_TIMEOUT_S = 600.0
"""Pinning reads every node of the DAG. A guess."""
ABSENT = ("not found locally", "could not find", "does not exist", "no link named", "not found")
NOT_PINNED = "not pinned"
TAKEN = "already has entry"
FULL = ("no space left", "quota", "storage limit", "StorageMax")
OFFLINE = {"offline": "true"}
PARENTS = {"parents": "true", "cid-version": "1", "raw-leaves": "true"}


class KuboBackend(ByBlock):
    """See `contract.Backend` for what each method promises. Made by `kubo_backend`."""

    kind = "kubo"

    def __init__(self, client: Any, place: str) -> None:
        self._client = client
        self.place = place

    def store_id(self, otherwise: str | None = None) -> str:
        with self._errors("the store's id", confirm=False):
            if otherwise is not None:
                self._claim(otherwise)
            found = bytes(self._client.files.read(ID_PATH))
        return believed_id(self.place, found)

    def roots(self) -> Iterator[bytes]:
        for name, _ in self._names(ROOTS):
            try:
                yield parse_cid(name)
            except BadCid:
                continue  # not ours

    def presign_put(self, upload_id: str, size_bytes: int, media_type: str) -> PresignedPut | None:
        return None

    def presign_get(self, root: bytes, name: str, expires_s: int) -> str | None:
        return None

    def health(self) -> Health:
        self._confirm_present()
        with self._errors("its repository"):
            repo = self._client.repo.stat(opts={"size-only": "true"})
        return Health(max(0, int(repo["StorageMax"]) - int(repo["RepoSize"])))

    def _put_block(self, root: bytes, cid: bytes, block: bytes) -> None:
        parts = split_cid(cid)
        options = {
            "cid-codec": codec_name(parts.codec),
            "mhtype": codec_name(parts.hash_code),
            "allow-big-block": "true",
        }
        with self._errors(cid_text(cid)):
            answer = self._client.block.put(io.BytesIO(block), opts=options)
            found = parse_cid(str(answer["Key"]))
        if found != key_of(cid):
            raise BlockCorrupt(cid, found)

    def _get_block(self, cid: bytes) -> bytes:
        with self._errors(cid_text(cid)):
            return bytes(self._client.block.get(cid_text(cid), opts=OFFLINE))

    def _keep(self, root: bytes) -> None:
        text = cid_text(root)
        with self._errors(text):
            if not self._is_kept(root):
                self._write(f"{ROOTS}/{text}", FOUND if self._is_pinned(text) else OURS)
            self._client.pin.add(text, recursive=True, timeout=PIN_TIMEOUT_S, opts=OFFLINE)

    def _let_go(self, root: bytes) -> None:
        text = cid_text(root)
        with self._errors(text):
            note = self._note(root)
            if note is None:
                return
            if note != FOUND:
                self._unpin(text)
            self._remove(f"{ROOTS}/{text}")

    def _is_kept(self, root: bytes) -> bool:
        return self._note(root) is not None

    def _note(self, root: bytes) -> bytes | None:
        try:
            with self._errors(cid_text(root)):
                return bytes(self._client.files.read(f"{ROOTS}/{cid_text(root)}"))
        except NotInBackend:
            return None

    def _is_pinned(self, text: str) -> bool:
        try:
            return bool(self._client.pin.ls(text, type="recursive")["Keys"])
        except exceptions.ErrorResponse as error:
            if NOT_PINNED in str(error):
                return False
            raise

    def _unpin(self, text: str) -> None:
        try:
            self._client.pin.rm(text, recursive=True)
        except exceptions.ErrorResponse as error:
            if NOT_PINNED not in str(error):
                raise

    # Uploads, and what Kubo remembers: files of its MFS.

    def _put_upload(self, upload_id: str, stream: Stream) -> int:
        path = f"{STAGED}/{upload_id}"
        size_bytes = 0
        with self._errors(upload_id):
            self._write(path, b"")
            for piece in pieces_of(stream):
                self._client.files.write(path, io.BytesIO(piece), offset=size_bytes, opts=PARENTS)
                size_bytes += len(piece)
        return size_bytes

    def _get_upload(self, upload_id: str, part: Range | None) -> bytes:
        if part is not None and part.length_bytes == 0:
            self._upload_bytes(upload_id)
            return b""
        with self._errors(upload_id):
            return bytes(self._client.files.read(f"{STAGED}/{upload_id}", *(part or ())))

    def _upload_bytes(self, upload_id: str) -> int:
        with self._errors(upload_id):
            return int(self._client.files.stat(f"{STAGED}/{upload_id}")["Size"])

    def _delete_upload(self, upload_id: str) -> None:
        with self._errors(upload_id):
            self._remove(f"{STAGED}/{upload_id}")

    def _uploads(self) -> Iterator[Entry]:
        return (Entry(name, size_bytes) for name, size_bytes in self._names(STAGED))

    def _write(self, path: str, content: bytes) -> None:
        self._client.files.write(path, io.BytesIO(content), create=True, truncate=True, opts=PARENTS)

    def _remove(self, path: str) -> None:
        self._client.files.rm(path, recursive=True, opts={"force": "true"})

    def _names(self, folder: str) -> list[tuple[str, int]]:
        try:
            with self._errors(folder):
                entries = self._client.files.ls(folder, opts={"long": "true"})["Entries"]
        except NotInBackend:
            return []
        return [(entry["Name"], int(entry["Size"])) for entry in entries or ()]

    def _claim(self, store_id: str) -> None:
        """Write the id where there is none: a copy within MFS does not replace what is there."""
        content = f"{store_id}\n".encode()
        self._client.files.mkdir(FOLDER, parents=True, opts={"cid-version": "1"})
        self._client.block.put(io.BytesIO(content), opts={"cid-codec": "raw"})
        try:
            self._client.files.cp(f"/ipfs/{cid_text(cid_of(RAW_CODEC, content))}", ID_PATH)
        except exceptions.ErrorResponse as error:
            if TAKEN not in str(error):
                raise

    def _confirm_present(self) -> None:
        """A Kubo without the id has another repository, whatever it says of a block."""
        try:
            self.store_id()
        except NotInBackend as error:
            raise BackendUnavailable(
                self.place, f"has no {ID_PATH}", "see whether it runs on the right repository"
            ) from error

    @contextmanager
    def _errors(self, name: str, *, confirm: bool = True) -> Iterator[None]:
        """Raise our errors for those of the client; see `_translated`."""
        try:
            yield
        except exceptions.ErrorResponse as error:
            if _status(error) >= 500 and any(mark in str(error) for mark in ABSENT):
                if confirm:
                    self._confirm_present()
                raise NotInBackend(self.place, name) from error
            raise self._translated(error) from error
        except (exceptions.Error, OSError, AssertionError, KeyError, ValueError, BadCid) as error:
            # OSError: of `requests`, where an answer breaks off; the rest: where it is none of Kubo's.
            raise self._translated(error) from error

    def _translated(self, error: Exception) -> StoreError:
        text, status = str(error), _status(error)
        if any(mark in text for mark in FULL):
            return StoreFull(0, 0)
        if status in (401, 403):
            return BackendRefused(self.place, f"answered {status}", "see API.Authorizations in its configuration")
        if isinstance(error, exceptions.TimeoutError):
            return BackendUnavailable(self.place, "did not answer in time")
        if isinstance(error, exceptions.ConnectionError):
            return BackendUnavailable(self.place, "nobody answers there")
        if isinstance(error, OSError):
            return BackendUnavailable(self.place, "its answer broke off")
        if status and not isinstance(error, exceptions.ErrorResponse):
            return BackendUnavailable(self.place, f"answered {status}")
        return BackendUnavailable(self.place, f"answered {text.partition(chr(10))[0][:200]!r}")


def _status(error: Exception) -> int:
    """The HTTP status that an error came with, 0 if there is none."""
    response = getattr(getattr(error, "original", None), "response", None)
    return int(getattr(response, "status_code", 0) or 0)


def kubo_backend(api: str, *, headers: Mapping[str, str] | None = None, timeout_s: float = TIMEOUT_S) -> KuboBackend:
    """The backend `kubo` behind the RPC at `api`.

    Args:
        api: a multiaddress as in Kubo's `Addresses.API`, or `http://host:port`.
        headers: sent along, such as an `Authorization`.

    Raises:
        BackendRefused: `api` is neither. Nothing is asked yet.
    """
    try:
        client = ipfshttpclient.Client(_multiaddr(api), timeout=timeout_s, headers=dict(headers or {}))
    except (exceptions.Error, ValueError) as error:
        raise BackendRefused(f"kubo at {api}", "not an address such as /ip4/127.0.0.1/tcp/5001", "") from error
    return KuboBackend(client, f"kubo at {api}")


def _multiaddr(api: str) -> str:
    if api.startswith("/"):
        return api
    parts = urlsplit(api)
    if parts.scheme not in ("http", "https") or parts.hostname is None:
        raise ValueError(api)
    host = parts.hostname
    kind = "ip6" if ":" in host else "ip4" if host.replace(".", "").isdigit() else "dns"
    port = parts.port or {"http": 80, "https": 443}[parts.scheme]
    return f"/{kind}/{host}/tcp/{port}/{parts.scheme}"
