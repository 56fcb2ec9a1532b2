"""Who a peer is: an Ed25519 key, named by the libp2p PeerId text that embeds its public half.

Because the text holds the key, anyone can check a signature knowing just the id; no key is ever looked up.

Source: libp2p specs, peer-ids: identity multihash of the protobuf public key, in base58btc.
"""

from functools import lru_cache
from typing import NewType

import nacl.bindings

from protocol.ed25519 import Check, checker
from protocol.errors import Reason, Refused

PeerId = NewType("PeerId", str)
"""A peer's id as base58 text: `12D3KooW` and 44 more characters."""

Claim = tuple[PeerId, bytes, bytes]
"""Who is said to have signed which bytes with which signature: what `verify` is asked."""

SEED_BYTES = 32
_PREFIX = bytes.fromhex("002408011220")  # identity multihash of 36 bytes: a protobuf key of type Ed25519, 32 bytes
_ALPHABET = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_DIGITS = {letter: value for value, letter in enumerate(_ALPHABET)}
_ID_BYTES = len(_PREFIX) + 32
_ID_CHARS = 52


class KeyPair:
    """An Ed25519 key pair.

    Args:
        seed: the 32 secret bytes.

    Raises:
        ValueError: the seed has another length.
    """

    __slots__ = ("_secret", "peer_id", "public_key", "seed")

    def __init__(self, seed: bytes) -> None:
        if len(seed) != SEED_BYTES:
            raise ValueError(f"an Ed25519 seed has {SEED_BYTES} bytes, not {len(seed)}")
        self.public_key, self._secret = nacl.bindings.crypto_sign_seed_keypair(seed)
        self.seed = seed
        self.peer_id = peer_id_of(self.public_key)

    def sign(self, payload: bytes) -> bytes:
        """Return the 64-byte signature of `payload`."""
        return nacl.bindings.crypto_sign(payload, self._secret)[: nacl.bindings.crypto_sign_BYTES]

    def __repr__(self) -> str:
        return f"KeyPair({self.peer_id})"


def peer_id_of(public_key: bytes) -> PeerId:
    """Return the id of the peer with this 32-byte public key."""
    number = int.from_bytes(_PREFIX + public_key, "big")
    letters = []
    while number:
        number, digit = divmod(number, 58)
        letters.append(_ALPHABET[digit])
    return PeerId("1" + "".join(reversed(letters)))  # one leading zero byte is one leading "1"


@lru_cache(maxsize=4096)
def public_key_of(peer_id: str) -> bytes:
    """Return the 32-byte public key that a peer id embeds.

    Raises:
        Refused: the text is no canonical Ed25519 peer id.
    """
    if len(peer_id) != _ID_CHARS or peer_id[0] != "1":
        raise Refused(Reason.MALFORMED, f"no Ed25519 peer id: {peer_id[:64]!r}")
    number = 0
    for letter in peer_id:
        digit = _DIGITS.get(letter)
        if digit is None:
            raise Refused(Reason.MALFORMED, f"no base58 in peer id {peer_id!r}")
        number = number * 58 + digit
    if number.bit_length() > 8 * _ID_BYTES:
        raise Refused(Reason.MALFORMED, f"no Ed25519 peer id: {peer_id!r}")
    decoded = number.to_bytes(_ID_BYTES, "big")
    if not decoded.startswith(_PREFIX):
        raise Refused(Reason.MALFORMED, f"no Ed25519 peer id: {peer_id!r}")
    return decoded[len(_PREFIX) :]


def parse_peer_id(text: str) -> PeerId:
    """Return `text` as a peer id.

    Raises:
        Refused: it is none; only Ed25519 peers exist here.
    """
    public_key_of(text)
    return PeerId(text)


def verify(peer_id: str, payload: bytes, signature: bytes) -> bool:
    """Tell whether the peer signed `payload`; false too for an id or signature of the wrong form."""
    try:
        return _checker_of(peer_id)(signature, payload)
    except Refused:
        return False


@lru_cache(maxsize=4096)
def _checker_of(peer_id: str) -> Check:
    return checker(public_key_of(peer_id))
