"""What a pin tells the whole swarm, for ever, of the URL that an image came from: nothing that lets anybody in. Pure.

A URL may carry the right to read it: a user and a password, a presigned query, a session. No list of names is complete,
so a query is kept only where nothing in it looks like a secret, by its name or by its value. The rest of it is no better
than it: `X-Amz-Credential` is of no use to a reader without the signature. What is left out stays with this peer alone,
in the job and in what its crawls know.
"""

import re
from typing import Final
from urllib.parse import parse_qsl, urlsplit, urlunsplit

_WITHIN: Final = re.compile(
    r"token|secret|signature|signed|passw|credential|apikey|accesskey|accessid|keypair|session|auth|jwt|cookie|private"
    r"|csrf|nonce|otp$|^x(amz|goog|oss|cos|obs|ms)"
)
_WHOLE: Final = frozenset(
    {
        "sig", "sign", "key", "hash", "hmac", "mac", "hm", "md5", "hdnea", "hdnts", "policy", "ticket", "code", "pass", "pwd",
        "pw", "pin", "sid", "phpsessid", "jsessionid", "user", "username", "login", "email", "expires", "expiry", "exp", "se",
        "sp", "sv", "sr", "st", "skoid", "sktid", "oh", "oe", "ig", "acl", "state", "share", "invite",
    }
)  # fmt: skip
"""Without anything but letters and digits, in small letters. Source: the presigned URLs of AWS, Google, Azure, Aliyun, Akamai,
Discord and Facebook, and what web frameworks call a session."""
_OPAQUE: Final = re.compile(r"(?=[^0-9]*[0-9])(?=[^A-Za-z]*[A-Za-z])[A-Za-z0-9+/=_~-]{20,}")
"""A value in which a machine may have written a secret: long, letters and digits mixed, no dot as a file name has one."""
_JWT: Final = re.compile(r"eyJ[A-Za-z0-9_-]+\.")
_IN_PATH: Final = re.compile(r";([^;/=]*)=[^;/]*")
"""A field in a path, such as Java's `;jsessionid=…`."""
_MAX_FIELDS: Final = 100
_MAX_WITHIN: Final = 3
"""Queries within values of queries, such as that of a URL that a proxy fetches."""


def shared_url(url: str) -> str:
    """The URL without user, fragment and, where any of it might be a secret, query; other text as it is."""
    try:
        parts = urlsplit(url)
        if not parts.scheme or not parts.netloc:
            return url
        kept = "" if _may_hold_a_secret(parts.query) else parts.query
        path = _IN_PATH.sub(lambda field: "" if _is_secret(field[1]) else field[0], parts.path)
        return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], path, kept, ""))
    except ValueError:  # nobody's to read
        return ""


def _may_hold_a_secret(query: str, within: int = 0) -> bool:
    """Also where a field is not `name=value`: a bare one is all value."""
    try:
        fields = parse_qsl(query.replace(";", "&"), keep_blank_values=True, max_num_fields=_MAX_FIELDS)
    except ValueError:  # more than anybody needs to find an image
        return True
    return any(
        _is_secret(name) or _is_opaque(name) or _is_opaque(value) or _leads_in(value, within) for name, value in fields
    )


def _is_opaque(text: str) -> bool:
    return _OPAQUE.fullmatch(text) is not None or _JWT.search(text) is not None


def _leads_in(value: str, within: int) -> bool:
    """Whether a value is a URL, or a query, that may hold a secret itself."""
    if "://" in value and "@" in value:
        return True
    if "=" not in value:
        return False
    return within >= _MAX_WITHIN or _may_hold_a_secret(value.partition("?")[2] or value, within + 1)


def _is_secret(name: str) -> bool:
    plain = re.sub(r"[^a-z0-9]", "", name.lower())
    return plain in _WHOLE or _WITHIN.search(plain) is not None
