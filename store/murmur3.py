"""The first 64 bits of MurmurHash3 x64 128 with seed 0, which places names in sharded directories.

Source: https://github.com/aappleby/smhasher/blob/master/src/MurmurHash3.cpp (public domain)
"""

_MASK = 0xFFFF_FFFF_FFFF_FFFF
_C1 = 0x87C3_7B91_1142_53D5
_C2 = 0x4CF5_AD43_2745_937F


def murmur3_64(key: bytes) -> int:
    """Return the hash of `key` as a number below 2**64."""
    h1 = h2 = 0
    whole = len(key) & ~15
    for at in range(0, whole, 16):
        h1 ^= _mix1(int.from_bytes(key[at : at + 8], "little"))
        h1 = (_rotate(h1, 27) + h2) * 5 + 0x52DC_E729 & _MASK
        h2 ^= _mix2(int.from_bytes(key[at + 8 : at + 16], "little"))
        h2 = (_rotate(h2, 31) + h1) * 5 + 0x3849_5AB5 & _MASK
    h1 ^= _mix1(int.from_bytes(key[whole : whole + 8], "little"))
    h2 ^= _mix2(int.from_bytes(key[whole + 8 :], "little"))
    h1 ^= len(key)
    h2 ^= len(key)
    h1 = h1 + h2 & _MASK
    h2 = h2 + h1 & _MASK
    return _final(h1) + _final(h2) & _MASK


def _mix1(k: int) -> int:
    return _rotate(k * _C1 & _MASK, 31) * _C2 & _MASK


def _mix2(k: int) -> int:
    return _rotate(k * _C2 & _MASK, 33) * _C1 & _MASK


def _final(k: int) -> int:
    k = (k ^ k >> 33) * 0xFF51_AFD7_ED55_8CCD & _MASK
    k = (k ^ k >> 33) * 0xC4CE_B9FE_1A85_EC53 & _MASK
    return k ^ k >> 33


def _rotate(k: int, bits: int) -> int:
    return (k << bits | k >> 64 - bits) & _MASK
