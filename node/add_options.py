"""How images are taken in, whatever their source: part of many requests of `node.service`."""

from dataclasses import dataclass
from typing import Annotated

from msgspec import Meta

from node.rows import Replicas

Count = Annotated[int, Meta(ge=1)]
Seconds = Annotated[float, Meta(gt=0)]


@dataclass(frozen=True, slots=True, kw_only=True)
class AddOptions:
    """How to take an image in, whatever its source.

    Attributes:
        name: the pin's name; None: the file's own.
        replicas: None: inherit the flow's.
        wait: distinct keepers, this one included, that must have it durably before the answer.
        timeout_s: how long to wait for them; then `TimedOut` with the row so far as `partial`.
        expires_s: seconds from now at which the pin ends; None: never.
        original_only: make no variants.
    """

    flow: str = "default"
    name: str | None = None
    replicas: Replicas | None = None
    wait: Count = 1
    timeout_s: Seconds = 60.0
    expires_s: Seconds | None = None
    original_only: bool = False
