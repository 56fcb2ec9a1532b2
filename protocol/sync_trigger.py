"""When to start catching up on records, and with whom (DESIGN §5)."""


class SyncTrigger:
    """When to start catching up, and with whom (DESIGN §5).

    With a peer whose digest has differed from ours over two of its beats while neither changed, or for a minute; with
    anyone after joining. At most one sync starts per ten seconds; which of the candidates, the caller draws.
    """

    def __init__(self, *, after_s: float, every_s: float) -> None:
        self._after_s = after_s
        self._every_s = every_s
        self._differing: dict[str, tuple[bytes, bytes, float]] = {}
        self._steady: set[str] = set()
        self._anyone = False
        self._started_s: float | None = None

    def ask_anyone(self) -> None:
        """After joining, after a start, or on a gap: the next peer heard of will do."""
        self._anyone = True

    def on_beat(self, peer: str, theirs: bytes, ours: bytes, now_s: float) -> None:
        """Take note of the record digest in a peer's heartbeat, and of ours at that moment."""
        if theirs == ours:
            self.forget(peer)
            return
        before = self._differing.get(peer)
        if before is not None and before[:2] == (theirs, ours):
            self._steady.add(peer)
        else:
            self._steady.discard(peer)
        self._differing[peer] = (theirs, ours, now_s if before is None else before[2])

    def forget(self, peer: str) -> None:
        """The peer agrees with us or is gone."""
        self._differing.pop(peer, None)
        self._steady.discard(peer)

    def candidates(self, reachable: frozenset[str], now_s: float) -> tuple[str, ...]:
        """Return whom to sync with now, any one of them; empty if nobody or not yet."""
        if self._started_s is not None and now_s - self._started_s < self._every_s:
            return ()
        if self._anyone:
            return tuple(sorted(reachable))
        return tuple(
            sorted(
                peer
                for peer, (_, _, since_s) in self._differing.items()
                if peer in reachable and (peer in self._steady or now_s - since_s >= self._after_s)
            )
        )

    def started(self, now_s: float) -> None:
        """A sync has begun."""
        self._started_s = now_s

    def finished(self, peer: str) -> None:
        """A sync has ended well; the peer's next beats say whether another is needed."""
        self._anyone = False
        self.forget(peer)
