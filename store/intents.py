"""What a commit promises to do to files, written down in the same transaction, and the doing of it.

A staged file becomes a block or pack, and an unlisted block goes, only after the commit that says so; until the folders
concerned are fsynced the intent stays in the catalogue. So a crash at any point leaves only what the journal names, and
a start takes time by the number of intents, not of blocks. Whoever looks for a file between commit and move finds it
where the intent says.

Intents are carried out in the order of their ids. Carried out again, as after a crash, they do no harm: a move whose
source is gone was made, and one that takes a block away is void once the catalogue lists that block again, since the
move that brings it may have been made already.
"""

import os
import threading
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import NamedTuple

from store.files import Files, Site

MOVE = "move"
UNLINK = "unlink"
QUARANTINE = "quarantine"

BLOCKS = "blocks"
"""The one folder with folders in it, its shards."""
RETRY_S = 1.0
"""Between attempts while the disk refuses; the journal keeps everything safe meanwhile."""


class Intent(NamedTuple):
    """One change of files. Paths are relative to the data directory.

    Attributes:
        act: MOVE a staged file to its place; UNLINK `target`; QUARANTINE: move `source`, a bad block, out of the way.
    """

    id: int
    act: str
    source: str
    target: str

    @property
    def takes(self) -> str:
        """The block, pack or segment that goes, empty if none does."""
        return {MOVE: "", UNLINK: self.target, QUARANTINE: self.source}[self.act]


class Folders:
    """Carries intents out, and knows which shard folders are there to stay.

    Args:
        listed: whether the catalogue, as committed, has a block, pack or segment at a path.
    """

    def __init__(self, files: Files, home: str, listed: Callable[[str], bool]) -> None:
        self._files = files
        self._home = home
        self._listed = listed
        self._durable: set[str] = set()

    def carry_out(self, intents: Sequence[Intent]) -> None:
        """Do all of `intents`, in order, and make the outcome durable. Raises: OSError."""
        self._make_shards({os.path.dirname(intent.target) for intent in intents if intent.act == MOVE})
        dirty: set[str] = set()
        after_move = False
        for intent in intents:
            if intent.act != MOVE and after_move:
                # What a move brought must be there to stay before what it replaces goes.
                self._settle(dirty)
            after_move = intent.act == MOVE
            self._do(intent, dirty)
        self._settle(dirty)

    def _make_shards(self, folders: set[str]) -> None:
        """Make the folders that files move to; each is there to stay before anything is moved into it."""
        new = {folder for folder in folders - self._durable if folder.startswith(f"{BLOCKS}/")}
        for folder in sorted(new):
            self._files.make_folder(f"{self._home}/{folder}")
        if new:
            # Also those that were there already: whoever made them may have died before this.
            self._files.fsync_folder(f"{self._home}/{BLOCKS}", Site.SHARD)
            self._durable |= new

    def _do(self, intent: Intent, dirty: set[str]) -> None:
        if intent.takes and self._listed(intent.takes):
            return
        try:
            if intent.act == UNLINK:
                self._files.unlink(f"{self._home}/{intent.target}")
            else:
                self._files.rename(f"{self._home}/{intent.source}", f"{self._home}/{intent.target}")
        except FileNotFoundError:
            if intent.act == MOVE and self._files.size_bytes(f"{self._home}/{intent.source}") is not None:
                self._move_again(intent)
            # else: done before a crash
        dirty.add(os.path.dirname(intent.target))

    def _move_again(self, intent: Intent) -> None:
        """Move to a folder that somebody removed by hand since it was made. Raises: OSError: it cannot be made."""
        folder = os.path.dirname(intent.target)
        self._durable.discard(folder)
        self._make_shards({folder})
        self._files.rename(f"{self._home}/{intent.source}", f"{self._home}/{intent.target}")

    def _settle(self, dirty: set[str]) -> None:
        for folder in sorted(dirty):
            with suppress(FileNotFoundError):  # somebody removed it by hand; nothing of it has to last
                self._files.fsync_folder(f"{self._home}/{folder}", Site.SETTLED)
        dirty.clear()


class Settler:
    """A thread that carries out intents behind the commits' backs, so that nobody waits for it.

    Args:
        forget: called with the ids of intents that need not be kept any longer.

    Attributes:
        trouble: why the disk refuses at present, None while it does not.
    """

    def __init__(self, folders: Folders, forget: Callable[[Sequence[int]], None]) -> None:
        self._folders = folders
        self._forget = forget
        self._waiting: deque[Intent] = deque()
        self._changed = threading.Condition()
        self._busy = False
        self._stopping = False
        self.trouble: OSError | None = None
        self._thread = threading.Thread(target=self._run, name="store-settler", daemon=True)
        self._thread.start()

    def hand_over(self, intents: Sequence[Intent]) -> None:
        """Have these, already committed, carried out soon."""
        with self._changed:
            self._waiting.extend(intents)
            self._changed.notify_all()

    def backlog(self) -> int:
        return len(self._waiting)

    def wait(self, most: int, timeout_s: float) -> bool:
        """Wait until no more than `most` intents wait; for 0, until none is under way either. False: timed out."""
        with self._changed:
            return self._changed.wait_for(
                lambda: len(self._waiting) <= most and not (most == 0 and self._busy), timeout_s
            )

    def stop(self, timeout_s: float) -> None:
        """Carry out what waits, unless the disk refuses, and end."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        self._thread.join(timeout_s)

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._stopping)
                if not self._waiting:
                    return
                intents = list(self._waiting)
                self._busy = True
            done = self._carried_out(intents)
            with self._changed:
                for _ in range(len(intents) if done else 0):
                    self._waiting.popleft()
                self._busy = False
                self._changed.notify_all()
                if not done and self._stopping:
                    return
                if not done:
                    self._changed.wait_for(lambda: self._stopping, RETRY_S)

    def _carried_out(self, intents: Sequence[Intent]) -> bool:
        try:
            self._folders.carry_out(intents)
        except OSError as error:
            self.trouble = error
            return False
        self.trouble = None
        self._forget([intent.id for intent in intents])
        return True
