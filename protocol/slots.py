"""Which records are kept: of each key the highest of each author.

A removal (a trashed or deleted pin, a deleted flow) does not displace its author's last record that is none: it may
never come to count, and then that one must still be there.
"""

from collections.abc import Collection

from protocol.records import Record, Signed


class Slot:
    """The kept records of one key, and the one of them that counts."""

    __slots__ = ("counting", "kept")

    def __init__(self) -> None:
        self.kept: tuple[Signed[Record], ...] = ()
        self.counting: Signed[Record] | None = None

    def put(self, signed: Signed[Record]) -> tuple[Signed[Record], ...] | None:
        """Keep a record if it is its author's highest.

        Returns:
            The records that it displaced, or None if it was not kept.
        """
        if not self.kept:
            self.kept = (signed,)
            return ()
        displaced = []
        for other in self.kept:
            if other.author != signed.author:
                continue
            if other.rank >= signed.rank:
                if other.removal and not signed.removal:
                    continue
                return None
            if other.removal or not signed.removal:
                displaced.append(other)
        self.kept = (*(other for other in self.kept if other not in displaced), signed)
        return tuple(displaced)

    def later_than(self, signed: Signed[Record]) -> Signed[Record] | None:
        """Return its author's word for which a record was not kept."""
        later = [other for other in self.kept if other.author == signed.author and other.rank > signed.rank]
        return next((other for other in later if signed.removal or not other.removal), None)

    def drop_up_to(self, tombstone: Signed[Record]) -> tuple[Signed[Record], ...]:
        """Forget a tombstone with all that it has outlived; return them."""
        return self.remove([other for other in self.kept if other.rank <= tombstone.rank])

    def remove(self, gone: Collection[Signed[Record]]) -> tuple[Signed[Record], ...]:
        """Forget these; return them."""
        self.kept = tuple(other for other in self.kept if other not in gone)
        return tuple(gone)

    def find(self, digest: bytes) -> Signed[Record] | None:
        """Return the kept record of this digest."""
        return next((kept for kept in self.kept if kept.digest == digest), None)
