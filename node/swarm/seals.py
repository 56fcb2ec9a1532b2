"""Seals: what stands for "this peer has checked the signature of these bytes", so that no start checks it again.

A seal is a keyed hash of the signed bytes, by a key made from this peer's identity. It covers every bit that the
signature covers and the signature itself; so what a disk has spoilt, what somebody put into the catalogue and what came
with another peer's has none that is right, and is checked like a stranger's. It takes 1 µs where a signature takes 60.
"""

import hmac

from blake3 import blake3

from protocol.identity import KeyPair

CONTEXT = "pinakothek 2026-11 records whose signature this peer has checked"
SEAL_BYTES = 16


class Seals:
    """The seals of one peer."""

    def __init__(self, key: KeyPair) -> None:
        self._key = blake3(key.seed, derive_key_context=CONTEXT).digest()

    def seal(self, raw: bytes) -> bytes:
        """The seal of a record that this peer has checked, or signed itself."""
        return blake3(raw, key=self._key).digest(SEAL_BYTES)

    def holds(self, raw: bytes, seal: bytes | None) -> bool:
        """Whether this peer once sealed exactly these bytes."""
        return seal is not None and hmac.compare_digest(seal, self.seal(raw))
