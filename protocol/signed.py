"""What a peer has signed: the payload's exact bytes travel and are kept with the signature, never encoded anew.

On the wire a signed statement is the DAG-CBOR map `{p: payload, s: signature}`. The payload is an envelope whose body
holds `author` besides the statement's own fields; the signature covers `CONTEXT` and the payload. The author's id is
the key, so a statement can be checked by anyone, whoever passed it on.
"""

from collections.abc import Container
from typing import Final

import libipld

from protocol.codec import Body, decode, decode_map, encode, encode_value
from protocol.errors import Reason, Refused
from protocol.fields import Fields
from protocol.identity import Claim, KeyPair, PeerId, verify
from protocol.limits import RECORD_BYTES, SIGNATURE_BYTES

CONTEXT: Final = b"pinakothek-signed:"
"""Keeps these signatures apart from those that the same key makes for Noise and for gossip."""


def sign_body(kind: str, body: Body, key: KeyPair) -> bytes:
    """Return the signed bytes of one statement by `key`.

    Raises:
        Refused: it cannot be encoded, or it is larger than any peer would take.
    """
    payload = encode(kind, {**body, "author": key.peer_id})
    raw = encode_value({"p": payload, "s": key.sign(CONTEXT + payload)})
    if len(raw) > RECORD_BYTES:
        raise Refused(Reason.TOO_LARGE, f"{kind} of {len(raw)} bytes, at most {RECORD_BYTES}")
    return raw


def open_signed(raw: bytes, known: Container[str]) -> tuple[str, Body, PeerId] | None:
    """Check a signed statement.

    Args:
        raw: bytes as received or stored.
        known: kinds the caller understands.

    Returns:
        Kind, body and author, or None if the kind is not known.

    Raises:
        Refused: the bytes are no signed statement, or the signature is not its author's.
    """
    read = read_signed(raw, known)
    if read is None:
        return None
    kind, body, claim = read
    if not verify(*claim):
        raise Refused(Reason.BAD_SIGNATURE, f"{kind} that {claim[0]} did not sign")
    return kind, body, claim[0]


def read_signed(raw: bytes, known: Container[str]) -> tuple[str, Body, Claim] | None:
    """`open_signed` without the check: whoever calls it has the claim verified before he acts on anything of it."""
    outer = Fields(decode_map(raw, max_bytes=RECORD_BYTES), "signed statement")
    payload = outer.binary("p", 1, RECORD_BYTES)
    signature = outer.binary("s", SIGNATURE_BYTES, SIGNATURE_BYTES)
    opened = decode(payload, known, max_bytes=RECORD_BYTES)
    if opened is None:
        return None
    kind, body = opened
    return kind, body, (Fields(body, kind).peer("author"), CONTEXT + payload, signature)


def body_of(raw: bytes) -> Body:
    """Return the body of a statement that has been checked, newer fields than we know included."""
    payload: bytes = libipld.decode_dag_cbor(raw)["p"]
    body: Body = libipld.decode_dag_cbor(payload)["b"]
    return body


def open_kind(raw: bytes, kind: str) -> tuple[Body, PeerId]:
    """Check a signed statement of the one kind that is expected; return its body and its author.

    Raises:
        Refused: it is of another kind, or `open_signed` refuses it.
    """
    opened = open_signed(raw, (kind,))
    if opened is None:
        raise Refused(Reason.MALFORMED, f"no {kind}")
    return opened[1], opened[2]
