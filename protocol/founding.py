"""Begin a swarm: its first charter, and its founder's admission."""

from dataclasses import dataclass

from protocol.admission import CURATOR, KEEPER, Admission
from protocol.author import Author
from protocol.charter import DEFAULT_REPLICAS, Charter, charter_hash, swarm_id_of
from protocol.fields import Replicas
from protocol.identity import KeyPair, PeerId
from protocol.records import Signed


@dataclass(frozen=True, slots=True, kw_only=True)
class Founding:
    """A new swarm.

    Attributes:
        swarm_id: 52 characters of base32, as in protocol ids.
        swarm: the hash it stands for, 32 bytes.
        records: charter 1 and the founder's admission, in the order to merge them.
    """

    swarm_id: str
    swarm: bytes
    records: tuple[Signed[Charter], Signed[Admission]]


def found_swarm(
    peer: PeerId,
    steward: KeyPair,
    recovery: PeerId,
    *,
    name: str,
    now_ms: int,
    replicas: Replicas = DEFAULT_REPLICAS,
) -> Founding:
    """Sign charter 1 and admit `peer` as curator and keeper.

    Args:
        peer: the founder.
        steward: the key that stays in his data directory.
        recovery: public half of the key that is printed once.
        name: what people call the swarm.
        now_ms: wall-clock milliseconds.
        replicas: default factor.
    """
    author = Author(steward)
    draft = Charter(number=1, name=name, stewards=(steward.peer_id,), recovery=recovery, replicas=replicas)
    charter = author.write(draft, now_ms)
    admission = author.write(Admission(peer=peer, roles=(CURATOR, KEEPER)), now_ms)
    return Founding(swarm_id=swarm_id_of(charter.raw), swarm=charter_hash(charter.raw), records=(charter, admission))
