"""Print a binary CID. Apart from `cid.py` so that `errors.py` can name CIDs and `cid.py` can raise errors."""

import base64

from multiformats import multibase

_BASE58 = multibase.get("base58btc")


def cid_text(cid: bytes) -> str:
    """Print `cid`: base32 `b…` for version 1, `Qm…` for version 0.

    Never fails: bytes that are no CID at all are printed in base32 too, so that an error can always name them.
    The standard library's base32 is the multibase `b` alphabet in capitals, and 150 times quicker than going
    through `multibase`; a listing prints a hundred thousand of these.
    """
    if len(cid) == 34 and cid.startswith(b"\x12\x20"):
        return str(_BASE58.encode(cid))[1:]  # version 0 has no multibase prefix
    return "b" + base64.b32encode(cid).decode("ascii").rstrip("=").lower()
