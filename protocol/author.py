"""Write records of one's own: stamped after everything seen, signed with one's own key."""

from dataclasses import replace
from typing import TypeVar

from protocol.admission import Admission, Departure, Expulsion
from protocol.charter import Charter
from protocol.flow import Flow
from protocol.identity import KeyPair, PeerId
from protocol.pin import Pin
from protocol.records import Signed, sign_record
from protocol.stamp import Clock, Stamp

R = TypeVar("R", Pin, Flow, Admission, Expulsion, Departure, Charter)


class Author:
    """A key with its clock.

    Args:
        key: signs what is written.
        clock: share one between the keys of one peer; feed it every merged stamp with `Clock.saw`.
    """

    def __init__(self, key: KeyPair, clock: Clock | None = None) -> None:
        self.key = key
        self.clock = clock or Clock()

    @property
    def peer_id(self) -> PeerId:
        return self.key.peer_id

    def write(self, record: R, now_ms: int, *, after: Stamp | None = None) -> Signed[R]:
        """Stamp and sign a record.

        Args:
            record: its own `stamp` is replaced.
            now_ms: wall-clock milliseconds.
            after: a stamp it must come after, such as that of the version it replaces.
        """
        if after is not None:
            self.clock.saw(after)
        return sign_record(replace(record, stamp=self.clock.next(now_ms)), self.key)
