"""Files and directories as DAGs: the names that the rest of the project uses.

Writing is `import_file` and `make_directory`. Reading takes a `get_block` that returns verified blocks; each reader has
a twin for blocks that must be awaited. Rules and errors are those of the plans in `unixfs_read`;
whoever leaves an asynchronous reader early closes it with `contextlib.aclosing`.
"""

from collections.abc import AsyncGenerator, Iterator

from store.traversal import LIMITS, GetBlock, GetBlockAsync, Limits, drive, drive_async, run, run_async
from store.unixfs_import import Block, DirEntry, FileImport, import_file, make_directory, tsize_of
from store.unixfs_node import Kind
from store.unixfs_read import Stat, plan_directory, plan_file, query_path, query_stat

__all__ = [
    "LIMITS",
    "Block",
    "DirEntry",
    "FileImport",
    "Kind",
    "Limits",
    "Stat",
    "import_file",
    "list_directory",
    "list_directory_async",
    "make_directory",
    "read_file",
    "read_file_async",
    "resolve_path",
    "resolve_path_async",
    "stat",
    "stat_async",
    "tsize_of",
]


def stat(root: bytes, get_block: GetBlock) -> Stat:
    """Say what `root` is, from its first block alone."""
    return run(query_stat(root), get_block)


async def stat_async(root: bytes, get_block: GetBlockAsync) -> Stat:
    """See `stat`."""
    return await run_async(query_stat(root), get_block)


def read_file(
    root: bytes, get_block: GetBlock, start: int = 0, length: int | None = None, limits: Limits = LIMITS
) -> Iterator[bytes]:
    """Yield a file's bytes from offset `start`, at most `length` of them, reading only the blocks that hold them."""
    return drive(plan_file(root, start, length, limits), get_block)


def read_file_async(
    root: bytes, get_block: GetBlockAsync, start: int = 0, length: int | None = None, limits: Limits = LIMITS
) -> AsyncGenerator[bytes, None]:
    """See `read_file`."""
    return drive_async(plan_file(root, start, length, limits), get_block)


def list_directory(root: bytes, get_block: GetBlock, limits: Limits = LIMITS) -> Iterator[DirEntry]:
    """Yield the entries of a directory, sharded or not; a plain one's in the order of their names' bytes."""
    return drive(plan_directory(root, limits), get_block)


def list_directory_async(
    root: bytes, get_block: GetBlockAsync, limits: Limits = LIMITS
) -> AsyncGenerator[DirEntry, None]:
    """See `list_directory`."""
    return drive_async(plan_directory(root, limits), get_block)


def resolve_path(root: bytes, path: str, get_block: GetBlock, limits: Limits = LIMITS) -> bytes:
    """Return the CID that `path` leads to from `root`. Raises: PathNotFound, and what reading directories raises."""
    return run(query_path(root, path, limits), get_block)


async def resolve_path_async(root: bytes, path: str, get_block: GetBlockAsync, limits: Limits = LIMITS) -> bytes:
    """See `resolve_path`."""
    return await run_async(query_path(root, path, limits), get_block)
