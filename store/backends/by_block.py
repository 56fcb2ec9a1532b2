"""What a backend that keeps blocks by their CIDs needs to keep the contract: files are cut up, and put together again.

A file that is put becomes the DAG that `pina add` makes of it; it is found under its name once the image's directory,
the root's own block, links to it.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator

from store.backends.contract import UPLOADS, Entry, Range, Stream, checked_name, cid_in, part_of, pieces_of
from store.cid import cid_text, inline_block, verify_block
from store.dag import links
from store.errors import BlockCorrupt, BlockNotFound, NotInBackend, PathNotFound
from store.unixfs import import_file, read_file, resolve_path, stat

PIECE_BYTES = 1 << 20


class ByBlock(ABC):
    """See `contract.Backend`. A subclass says how blocks, roots and uploads are kept."""

    whole_files = False
    place: str

    @abstractmethod
    def _put_block(self, root: bytes, cid: bytes, block: bytes) -> None:
        """Keep one block, known to be whole."""

    @abstractmethod
    def _get_block(self, cid: bytes) -> bytes:
        """Return a block as it is there. Raises: NotInBackend."""

    @abstractmethod
    def _keep(self, root: bytes) -> None:
        """Everything under a root is there: keep it from now on."""

    @abstractmethod
    def _let_go(self, root: bytes) -> None:
        """Keep it no longer; it may not be kept at all."""

    @abstractmethod
    def _is_kept(self, root: bytes) -> bool: ...

    @abstractmethod
    def _put_upload(self, upload_id: str, stream: Stream) -> int: ...

    @abstractmethod
    def _get_upload(self, upload_id: str, part: Range | None) -> bytes: ...

    @abstractmethod
    def _upload_bytes(self, upload_id: str) -> int: ...

    @abstractmethod
    def _delete_upload(self, upload_id: str) -> None: ...

    @abstractmethod
    def _uploads(self) -> Iterator[Entry]: ...

    def put(self, root: bytes, name: str, stream: Stream) -> int:
        checked_name(self.place, name)
        if root == UPLOADS:
            return self._put_upload(name, stream)
        cid = cid_in(name)
        if cid is None:
            imported = import_file(pieces_of(stream))
            for made in imported:
                self._put_block(root, made.cid, made.data)
            return imported.size_bytes
        block = b"".join(pieces_of(stream))
        verify_block(cid, block)
        self._put_block(root, cid, block)
        if cid == root:
            self._keep(root)
        return len(block)

    def get(self, root: bytes, name: str, part: Range | None = None) -> bytes:
        checked_name(self.place, name)
        if root == UPLOADS:
            return self._get_upload(name, part)
        cid = cid_in(name)
        if cid is not None:
            return part_of(self.block(cid), part)
        file = self._file(root, name)
        return b"".join(read_file(file, self.block, *(part or (0, None))))

    def stat(self, root: bytes, name: str) -> Entry:
        checked_name(self.place, name)
        if root == UPLOADS:
            return Entry(name, self._upload_bytes(name))
        cid = cid_in(name)
        if cid is not None:
            return Entry(name, len(self.block(cid)))
        return Entry(name, stat(self._file(root, name), self.block).size_bytes)

    def delete(self, root: bytes, name: str) -> None:
        checked_name(self.place, name)
        if root == UPLOADS:
            self._delete_upload(name)
        elif cid_in(name) == root:
            self._let_go(root)

    def copy_from(self, root: bytes, name: str, upload_id: str) -> int:
        size_bytes = self._upload_bytes(upload_id)
        offsets = range(0, size_bytes, PIECE_BYTES)
        return self.put(root, name, (self._get_upload(upload_id, Range(at, PIECE_BYTES)) for at in offsets))

    def list(self, root: bytes) -> Iterator[Entry]:
        if root == UPLOADS:
            yield from self._uploads()
        elif self._is_kept(root):
            yield from self._below(root)

    def block(self, cid: bytes) -> bytes:
        """A block, hashed. Raises: NotInBackend, BlockCorrupt."""
        inline = inline_block(cid)
        if inline is not None:
            return inline
        try:
            block = self._get_block(cid)
        except BlockNotFound as error:
            raise NotInBackend(self.place, cid_text(cid)) from error
        verify_block(cid, block)
        return block

    def _file(self, root: bytes, name: str) -> bytes:
        try:
            return resolve_path(root, name, self.block)
        except PathNotFound as error:
            raise NotInBackend(self.place, name) from error

    def _below(self, root: bytes) -> Iterator[Entry]:
        """Every block of a DAG that is there; one whose bytes are wrong is, too, but leads nowhere."""
        seen, waiting = {root}, [root]
        while waiting:
            cid = waiting.pop()
            try:
                block = self.block(cid)
            except NotInBackend:
                continue
            except BlockCorrupt:
                yield Entry(cid_text(cid), 0)
                continue
            if inline_block(cid) is None:
                yield Entry(cid_text(cid), len(block))
            below = [link for link in links(cid, block) if link not in seen]
            seen.update(below)
            waiting += below
