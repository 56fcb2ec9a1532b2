"""Packs: the small blocks of one group commit together in one CARv1 file, which every IPFS tool can read.

One fsync then serves them all. A pack is never changed; what is alive of one that is mostly dead is written anew into a
later pack.
"""

import blake3

from store.car import car_header, frame_prefix

FOLDER = "packs"
SMALL_BLOCK_BYTES = 64 << 10
"""Blocks from this size on get a file of their own.

Source: measured for this project: below it a file and its fsync cost ten times the bytes.
"""
MAX_PACK_BYTES = 32 << 20
"""One commit takes no further requests once its pack is this long; a request alone may exceed it. A guess."""


class PackDraft:
    """The pack of the commit under way. Only its writer thread touches it.

    Args:
        pack_id: the id it will have if anything is added.
    """

    def __init__(self, pack_id: int) -> None:
        self.id = pack_id
        self.live_bytes = 0
        self.size_bytes = 0
        self._pieces: list[bytes] = []
        self._names = blake3.blake3()

    def add(self, cid: bytes, block: bytes) -> int:
        """Append a block and return its offset in the file, in bytes."""
        if not self._pieces:
            self._append(car_header(()))
        self._append(frame_prefix(cid, len(block)))
        offset_bytes = self.size_bytes
        self._append(block)
        self._names.update(cid)
        self.live_bytes += len(block)
        return offset_bytes

    def mark(self) -> tuple[int, int, int]:
        return len(self._pieces), self.size_bytes, self.live_bytes

    def rewind(self, mark: tuple[int, int, int]) -> None:
        """Forget what was added since `mark`."""
        pieces, self.size_bytes, self.live_bytes = mark
        del self._pieces[pieces:]

    def content(self) -> bytes:
        return b"".join(self._pieces)

    def name(self) -> str:
        """A file name no other pack has, even if an old catalogue counts its ids from below again."""
        return f"{self.id:08d}-{self._names.hexdigest()[:16]}.car"

    def _append(self, piece: bytes) -> None:
        self._pieces.append(piece)
        self.size_bytes += len(piece)


def pack_id_of(name: str) -> int | None:
    """The id in a pack's file name, None for any other name."""
    number, _, rest = name.partition("-")
    return int(number) if number.isdigit() and len(rest) == 20 and rest.endswith(".car") else None
