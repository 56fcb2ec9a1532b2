"""Whether a signature is one: a rule to the last bit, for two peers must never differ on what somebody malicious made.

A signature counts where

1. S is below the group's order;
2. the key is encoded canonically and not of small order, nor is R;
3. R is, byte for byte, the encoding of SB - H(R, A, M)A: the equation without the cofactor.

That is libsodium's rule as of 1.0.18 to 1.0.20. `vodozemac` brings ed25519-dalek, which takes 40 µs of processor time
where libsodium takes 58 and OpenSSL 113 (two shared cores, 520-byte payload). How much of 2 a library looks at depends on
how it was built, so all of it is looked at here. Where vodozemac cannot be imported libsodium decides, and the same.
Checking many at once is no way to more speed: it proves the equation with the cofactor only.

Source: RFC 8032, 5.1.7; Chalkias, Garillot, Nikolaenko, "Taming the many EdDSAs", whose cases tests/unit/test_ed25519.py
puts to both.
"""

from binascii import b2a_base64
from collections.abc import Callable
from typing import Final

import nacl.bindings
import nacl.exceptions

try:
    import vodozemac
except ImportError:
    HAS_DALEK = False
else:
    HAS_DALEK = True

SIGNATURE_BYTES: Final = 64
KEY_BYTES: Final = 32

Check = Callable[[bytes, bytes], bool]
"""Tells whether a signature of 64 bytes is that of a message."""

_P: Final = 2**255 - 19
_SIGN: Final = 2**255
_SMALL_ORDER_Y: Final = (
    0,
    1,
    2707385501144840649318225287225658788936804267575313519463743609750303402022,
    55188659117513257062467267217118295137698188065244968500265048394206261417927,
    _P - 1,
)
_SMALL_ORDER: Final = frozenset(
    (y | sign).to_bytes(KEY_BYTES, "little") for y in (*_SMALL_ORDER_Y, _P, _P + 1) for sign in (0, _SIGN)
)
"""Every encoding of the eight points that a multiple of the cofactor makes nothing of, canonical or not."""


def checker(public_key: bytes) -> Check:
    """What tells whose signatures are by this key; worth keeping, as the key is decoded once."""
    if not _is_sound(public_key):
        return _never
    return _by_dalek(public_key) if HAS_DALEK else _by_libsodium(public_key)


def _is_sound(public_key: bytes) -> bool:
    canonical = int.from_bytes(public_key, "little") % _SIGN < _P
    return len(public_key) == KEY_BYTES and canonical and public_key not in _SMALL_ORDER


def _by_dalek(public_key: bytes) -> Check:
    try:
        key = vodozemac.Ed25519PublicKey.from_base64(_base64(public_key))
    except vodozemac.KeyException:  # no point of the curve
        return _never
    read, refusal = vodozemac.Ed25519Signature.from_base64, vodozemac.SignatureException

    def check(signature: bytes, message: bytes) -> bool:
        if len(signature) != SIGNATURE_BYTES or signature[:KEY_BYTES] in _SMALL_ORDER:
            return False
        try:
            key.verify_signature(message, read(_base64(signature)))
        except refusal:
            return False
        return True

    return check


def _by_libsodium(public_key: bytes) -> Check:
    def check(signature: bytes, message: bytes) -> bool:
        if len(signature) != SIGNATURE_BYTES or signature[:KEY_BYTES] in _SMALL_ORDER:
            return False
        try:
            nacl.bindings.crypto_sign_open(signature + message, public_key)
        except nacl.exceptions.BadSignatureError:
            return False
        return True

    return check


def _never(signature: bytes, message: bytes) -> bool:
    return False


def _base64(raw: bytes) -> str:
    """As vodozemac takes it: without padding."""
    return b2a_base64(raw, newline=False).rstrip(b"=").decode()
