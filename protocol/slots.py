"""Which records are kept: of each key the highest of each author.

A removal (a trashed or deleted pin, a deleted flow) does not displace its author's last record that is none: it may
never come to count, and then that one must still be there.
"""

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

    def drop_up_to(self, tombstone: Signed[Record]) -> tuple[Signed[Record], ...]:
        """Forget a tombstone with all that it has outlived; return them."""
        gone = tuple(other for other in self.kept if other.rank <= tombstone.rank)
        self.kept = tuple(other for other in self.kept if other.rank > tombstone.rank)
        return gone
