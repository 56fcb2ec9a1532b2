"""Under which keys records of each author are kept, and how many of what."""

from collections import Counter
from collections.abc import Iterator, Set
from typing import Final

from protocol.identity import PeerId

NOTHING: Final[Set[bytes]] = frozenset()


class KeysByAuthor:
    """Any question but for the keys themselves costs the same however many there are: who lies may have written a million."""

    __slots__ = ("_governing", "_keys")

    def __init__(self) -> None:
        self._keys: dict[PeerId, set[bytes]] = {}
        self._governing: Counter[tuple[PeerId, bytes]] = Counter()

    def add(self, author: PeerId, key: bytes) -> None:
        """A record of this author is kept under the key."""
        keys = self._keys.get(author)
        if keys is None:
            keys = self._keys[author] = set()
        if key[:1] not in b"pf" and key not in keys:
            self._governing[author, key[:1]] += 1
        keys.add(key)

    def discard(self, author: PeerId, key: bytes) -> None:
        """None of this author is any more."""
        keys = self._keys.get(author)
        if keys is None or key not in keys:
            return
        keys.discard(key)
        if not keys:  # authors can be made up by the million
            del self._keys[author]
        if key[:1] not in b"pf":
            self._governing[author, key[:1]] -= 1
            if not self._governing[author, key[:1]]:
                del self._governing[author, key[:1]]

    def of(self, author: str) -> Set[bytes]:
        """The keys of one author; read only."""
        return self._keys.get(PeerId(author), NOTHING)

    def number_of(self, author: PeerId, *letters: bytes) -> int:
        """How many keys of an author begin with one of these letters, which are of records that govern."""
        return sum(self._governing[author, letter] for letter in letters)

    def __iter__(self) -> Iterator[PeerId]:
        """Iterate over the authors of whom any record is kept."""
        return iter(self._keys)
