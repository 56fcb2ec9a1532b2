"""Presigned URLs of S3 whose signature covers headers too: obstore signs URLs without, so that any size would do.

Source: AWS, "Authenticating Requests: Using Query Parameters (AWS Signature Version 4)"
"""

import hashlib
import hmac
import time
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote, urlsplit

ALGORITHM = "AWS4-HMAC-SHA256"
UNSIGNED = "UNSIGNED-PAYLOAD"


@dataclass(frozen=True, slots=True)
class Credentials:
    """An access key. `session_token` is that of temporary ones."""

    key_id: str
    secret: str
    session_token: str | None = None

    def __repr__(self) -> str:
        return f"Credentials({self.key_id!r})"


def presigned(
    method: str,
    url: str,
    credentials: Credentials,
    *,
    region: str,
    expires_s: int,
    now_s: float,
    headers: Mapping[str, str] | None = None,
) -> str:
    """Return `url` signed for one method; a request has to carry `headers` exactly so.

    Args:
        url: without query, its path not yet quoted.
    """
    parts = urlsplit(url)
    path = quote(parts.path, safe="/-_.~")
    at = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(now_s))
    scope = f"{at[:8]}/{region}/s3/aws4_request"
    signed = {"host": parts.netloc} | {name.lower(): value.strip() for name, value in (headers or {}).items()}
    names = ";".join(sorted(signed))
    query = {
        "X-Amz-Algorithm": ALGORITHM,
        "X-Amz-Credential": f"{credentials.key_id}/{scope}",
        "X-Amz-Date": at,
        "X-Amz-Expires": str(expires_s),
        "X-Amz-SignedHeaders": names,
    }
    if credentials.session_token:
        query["X-Amz-Security-Token"] = credentials.session_token
    query_text = "&".join(f"{quote(name, safe='')}={quote(query[name], safe='')}" for name in sorted(query))
    header_text = "".join(f"{name}:{signed[name]}\n" for name in sorted(signed))
    request = "\n".join((method, path, query_text, header_text, names, UNSIGNED))
    to_sign = "\n".join((ALGORITHM, at, scope, hashlib.sha256(request.encode()).hexdigest()))
    signature = hmac.new(_signing_key(credentials.secret, scope), to_sign.encode(), hashlib.sha256).hexdigest()
    return f"{parts.scheme}://{parts.netloc}{path}?{query_text}&X-Amz-Signature={signature}"


def _signing_key(secret: str, scope: str) -> bytes:
    key = f"AWS4{secret}".encode()
    for step in scope.split("/"):
        key = hmac.new(key, step.encode(), hashlib.sha256).digest()
    return key
