"""When each holder last proved each root to this peer, on disk; and what is held against copies, over a restart.

Both are facts of the store, one a root or copy, written together every so often: nothing here grows with every tick.
"""

from collections.abc import Iterable

import libipld

from protocol.audit import Copy, Doubtful
from store.store import Store

PROVEN = "proven/"
DOUBTFUL = "doubtful/"


class Proofs:
    """Remembers proofs. Its methods but `note` and `doubts_changed` block."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._unsaved: dict[tuple[bytes, str], dict[str, int]] = {}
        self._changed: dict[Copy, bytes | None] = {}

    def note(self, copy: Copy, at_ms: int) -> None:
        """A holder has proven its copy just now."""
        self._unsaved.setdefault((copy.root, copy.kind), {})[copy.holder] = at_ms

    def doubts_changed(self, copy: Copy, entry: Doubtful | None) -> None:
        """Keep what is held against a copy; None: nothing any more."""
        self._changed[copy] = None if entry is None else entry.to_bytes()

    def proven_at(self, root: bytes, kind: str) -> dict[str, int]:
        """The last proof of each holder, wall-clock milliseconds."""
        saved = self._store.fact(_name(root, kind))
        return {**_read(saved), **self._unsaved.get((root, kind), {})}

    def doubtful(self) -> list[Doubtful]:
        """What was held against copies when last saved."""
        return [Doubtful.from_bytes(raw) for raw in self._store.facts(DOUBTFUL).values()]

    def save(self) -> None:
        """Write what is new. Raises: StoreError: the disk refuses; the next call tries again."""
        unsaved, self._unsaved = self._unsaved, {}
        changed, self._changed = self._changed, {}
        facts: dict[str, bytes | None] = {
            f"{DOUBTFUL}{copy.root.hex()}/{copy.kind}/{copy.holder}": raw for copy, raw in changed.items()
        }
        for (root, kind), proven in unsaved.items():
            facts[_name(root, kind)] = libipld.encode_dag_cbor({**_read(self._store.fact(_name(root, kind))), **proven})
        try:
            if facts:
                self._store.set_facts(facts)
        except BaseException:
            self._changed = {**changed, **self._changed}
            for key, proven in unsaved.items():
                self._unsaved[key] = {**proven, **self._unsaved.get(key, {})}
            raise

    def forget_all_but(self, held: Iterable[tuple[bytes, str]]) -> None:
        """Let the proofs of roots go that this peer no longer holds, and those of holders long gone with them."""
        names = {_name(*element) for element in held}
        gone = [name for name in self._store.facts(PROVEN) if name not in names]
        if gone:
            self._store.set_facts(dict.fromkeys(gone))


def _name(root: bytes, kind: str) -> str:
    return f"{PROVEN}{root.hex()}/{kind}"


def _read(raw: bytes | None) -> dict[str, int]:
    return dict(libipld.decode_dag_cbor(raw)) if raw else {}
