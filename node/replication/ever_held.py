"""Which roots anybody was ever seen to hold: without a live copy these are lost, while the others are only sought.

Kept over a restart. What is known from before counts once the holdings of the others are known again: until then nobody
can say that a root is lost.
"""

from collections.abc import Callable

from store.store import Store

FACT = "ever-held/"
AT_ONCE = 2000
"""Roots written in one transaction."""


class EverHeld:
    """Remembers them.

    Attributes:
        holders_known: the holdings of the live members are known since the start.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._before = {bytes.fromhex(name.removeprefix(FACT)) for name in store.facts(FACT)}
        self._now: set[bytes] = set()
        self._unsaved: set[bytes] = set()
        self.holders_known = False

    def add(self, root: bytes) -> None:
        """Somebody holds it now."""
        if root not in self._now:
            self._now.add(root)
            if root not in self._before:
                self._unsaved.add(root)

    def __contains__(self, root: bytes) -> bool:
        return root in self._now or (self.holders_known and root in self._before)

    def save(self) -> None:
        """Write what is new (in a thread). Raises: StoreError: the disk refuses; the next call tries again."""
        while self._unsaved:
            some = [root for root, _ in zip(list(self._unsaved), range(AT_ONCE), strict=False)]
            self._store.set_facts({FACT + root.hex(): b"" for root in some})
            self._unsaved.difference_update(some)

    def forget(self, is_of_use: Callable[[bytes], bool]) -> list[bytes]:
        """Let go of roots that nobody wants any more; those to be given to `save_forgotten`."""
        gone = [root for root in self._before | self._now if not is_of_use(root)]
        self._before.difference_update(gone)
        self._now.difference_update(gone)
        self._unsaved.difference_update(gone)
        return gone

    def save_forgotten(self, roots: list[bytes]) -> None:
        """Take them off the disk (in a thread). Raises: StoreError."""
        for start in range(0, len(roots), AT_ONCE):
            self._store.set_facts({FACT + root.hex(): None for root in roots[start : start + AT_ONCE]})
