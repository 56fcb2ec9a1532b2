"""What every place that images can lie in promises, whatever it is made of.

Objects are named by (root, name): `name` is a file of the image directory, or the text of a CID for every other block.
`UPLOADS` in place of a root is the staging place of uploads. One suite, tests/backends, holds every kind to this page.

Every method blocks, may be called from any thread, and raises only what is listed here:

- `NotInBackend`: the backend answers, is the one we know, and has nothing of that name. Never a guess: a bucket, mount
  or daemon that went away is `BackendUnavailable`, because whoever reads `NotInBackend` takes the object for lost.
- `BackendRefused`: it understood and will not (credentials, permissions). Trying again does not help.
- `BackendUnavailable`: it could not be asked, failed or took too long. Trying again may help.
- `StoreFull`: it has no room.
- `BlockCorrupt`: the bytes are not what the CID in the name says.

A method that raises may have been carried out all the same: an answer can be lost. So all of them may be called again.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from store.cid import cid_text, parse_cid, verify_block
from store.errors import BackendRefused, BackendUnavailable, BadCid

UPLOADS = b""
"""In place of a root: where uploads wait to be checked; the name is the upload's id."""
MAX_NAME_CHARACTERS = 200
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._~-]*")
_ID = re.compile(r"[!-~]{1,64}")

Stream = Iterable[bytes]
"""Pieces of any length. An iterable that can be iterated again is sent again where the first try failed; an iterator
is not."""


class Range(NamedTuple):
    """Part of an object."""

    offset_bytes: int
    length_bytes: int


class Entry(NamedTuple):
    """An object under a root."""

    name: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class PresignedPut:
    """What a client sends so that its upload lands in the staging place.

    Attributes:
        headers: to be sent exactly so; they are part of the signature, and bind size and media type.
        expires_s: seconds from now.
    """

    url: str
    headers: Mapping[str, str]
    expires_s: int
    method: str = "PUT"


@dataclass(frozen=True, slots=True)
class Health:
    """What a backend that works says of itself. `free_bytes` is None where it does not say."""

    free_bytes: int | None = None


class Backend(Protocol):
    """One store of one kind.

    Attributes:
        kind: `ipfs`, `kubo`, `s3`, `local` or `memory`.
        place: the store for people, such as `s3 bucket archive`; begins every error.
        whole_files: the files of an image lie in it as files. Where not, each of their blocks goes by its CID, and what
            was put under a file's name is found again, by that name, once the root's own block is there.
    """

    @property
    def kind(self) -> str: ...

    @property
    def place(self) -> str: ...

    @property
    def whole_files(self) -> bool: ...

    def store_id(self, otherwise: str | None = None) -> str:
        """The id of this store, which becomes `otherwise` where it has none; of several that try at once one wins.

        Raises:
            NotInBackend: it has none, and `otherwise` is None.
        """

    def put(self, root: bytes, name: str, stream: Stream) -> int:
        """Store an object, all or nothing, in place of one of that name; durable on return.

        The block of the root itself is put last: from then on what it links to is kept. Returns: its size in bytes.
        """

    def get(self, root: bytes, name: str, part: Range | None = None) -> bytes:
        """Return an object or the part of it, shorter where the object ends. Without `part` it must fit into memory.

        A whole block is hashed. Of files only their reader knows what they should be: see `store.reading`.
        """

    def stat(self, root: bytes, name: str) -> Entry:
        """Return an object's size, as the backend says it."""

    def delete(self, root: bytes, name: str) -> None:
        """Let an object go; nothing happens where there is none. The block of the root itself goes first."""

    def copy_from(self, root: bytes, name: str, upload_id: str) -> int:
        """Put the upload `upload_id` under (root, name), as `put` does, without its bytes passing here where possible."""

    def list(self, root: bytes) -> Iterator[Entry]:
        """Yield every object under a root, unfinished ones included, in no order; none where there is no such root."""

    def roots(self) -> Iterator[bytes]:
        """Yield every root under which there is anything."""

    def presign_put(self, upload_id: str, size_bytes: int, media_type: str) -> PresignedPut | None:
        """Let a client put an upload of exactly this size and type; None where this backend cannot be sent to."""

    def presign_get(self, root: bytes, name: str, expires_s: int) -> str | None:
        """A URL that anybody can read the object at for a while; None where this backend cannot be asked."""

    def health(self) -> Health:
        """Return if a put and a get would be likely to work. Raises: what they would."""


def checked_name(place: str, name: str) -> str:
    """Return `name` if it can be an object's; no name leads out of its root. Raises: BackendRefused."""
    if len(name) > MAX_NAME_CHARACTERS or not _NAME.fullmatch(name):
        raise BackendRefused(place, f"{name[:MAX_NAME_CHARACTERS]!r} cannot be an object's name")
    return name


def believed_id(place: str, content: bytes) -> str:
    """A store's id as it was read.

    Raises:
        BackendUnavailable: it is none, such as an empty file that a failing disk left: nobody would hear a peer that
            announces it.
    """
    text = content.decode("ascii", "replace").strip()
    if not _ID.fullmatch(text):
        raise BackendUnavailable(place, "its store id is empty or none", "restore it, or use another place")
    return text


def pieces_of(stream: Stream) -> Iterator[bytes]:
    """The pieces of a stream that are not empty. A single `bytes` is a mistake that would be sent byte by byte."""
    if isinstance(stream, bytes | bytearray | memoryview):
        raise TypeError("a stream is an iterable of bytes, such as [content]")
    return (piece for piece in stream if piece)


def cid_in(name: str) -> bytes | None:
    """The CID that a name is the text of, None for a file's name."""
    try:
        cid = parse_cid(name)
    except BadCid:
        return None
    return cid if cid_text(cid) == name else None


def believed(name: str, content: bytes, part: Range | None) -> bytes:
    """Return what was read, hashed where it is a whole block. Raises: BlockCorrupt."""
    cid = cid_in(name) if part is None else None
    if cid is not None:
        verify_block(cid, content)
    return content


def part_of(content: bytes, part: Range | None) -> bytes:
    """The part of `content`; all of it for None."""
    return content if part is None else content[part.offset_bytes : part.offset_bytes + part.length_bytes]
