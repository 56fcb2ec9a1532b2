"""Write the next charter: it follows the one in force, and settles every branch that has lost.

Whoever may sign which change is decided by `protocol.charter_chain`; here is what a steward's tools write.
"""

from dataclasses import fields, replace
from typing import Any

from protocol.charter import Charter
from protocol.charter_chain import CharterChain
from protocol.errors import Reason, Refused
from protocol.identity import PeerId
from protocol.limits import CHARTER_PREVIOUS, CHARTER_STEWARDS, CHARTERS
from protocol.records import Record, Signed

_OF_THE_CHAIN = frozenset({"number", "previous", "stamp"})


def amended(chain: CharterChain, **changes: Any) -> Charter:
    """Return the next charter, to be stamped and signed: the one in force with these fields changed.

    It settles what has lost, as many branches as one charter can name; a second one settles the rest.

    Raises:
        Refused: there is no charter yet, or there have been too many.
    """
    if chain.charter is None or chain.tip is None:
        raise Refused(Reason.NOT_ALLOWED, "no charter is known yet")
    losers = chain.unsettled[: CHARTER_PREVIOUS - 1]
    number = 1 + max([chain.charter.number, *(charter_of(signed).number for signed in losers)])
    if number > CHARTERS:
        raise Refused(Reason.USED_UP, f"{CHARTERS} charters are the most that a swarm can have")
    return replace(chain.charter, number=number, previous=(chain.tip, *(signed.digest for signed in losers)), **changes)


def with_steward(charter: Charter, key: PeerId) -> tuple[PeerId, ...]:
    """Return the stewards with one more.

    Raises:
        Refused: there is no room for it.
    """
    if key in charter.stewards:
        return charter.stewards
    if len(charter.stewards) >= CHARTER_STEWARDS:
        raise Refused(Reason.NOT_ALLOWED, f"{CHARTER_STEWARDS} stewards are the most that a charter can have")
    return (*charter.stewards, key)


def differences(charter: Charter, other: Charter) -> dict[str, Any]:
    """Return what another charter says that this one does not, by field."""
    names = [field.name for field in fields(Charter) if field.name not in _OF_THE_CHAIN]
    return {name: getattr(other, name) for name in names if getattr(other, name) != getattr(charter, name)}


def charter_of(signed: Signed[Record]) -> Charter:
    """Return a signed record's charter, which it must be."""
    assert isinstance(signed.record, Charter)
    return signed.record
