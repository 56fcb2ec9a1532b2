"""Print a binary CID. Apart from `cid.py` so that `errors.py` can name CIDs and `cid.py` can raise errors."""

import libipld
from multiformats import multibase

_BASE58 = multibase.get("base58btc")


def cid_text(cid: bytes) -> str:
    """Print `cid`: base32 `b…` for version 1, `Qm…` for version 0.

    Never fails: bytes that are no CID at all are printed in base32 too, so that an error can always name them.
    `libipld` takes 0.2 µs, the standard library's base32 4, `multibase` 600; a listing prints a hundred thousand of
    these, and so does storing as many records.
    """
    if len(cid) == 34 and cid.startswith(b"\x12\x20"):
        return str(_BASE58.encode(cid))[1:]  # version 0 has no multibase prefix
    return str(libipld.encode_multibase("b", cid))
