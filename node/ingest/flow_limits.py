"""What a flow takes in: a question asked of every image that is to be pinned there, new or known.

Pure. The flow's record is the swarm's; whoever adds asks here, and fetchers stop at the flow's bytes.
"""

from dataclasses import dataclass

from node.errors import RefusedByPolicy
from node.quantities import size_text
from protocol.flow import Flow
from protocol.pin import Pin


class TooSmall(RefusedByPolicy):
    """An image, and a smaller one than was asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowLimits:
    """A flow's limits, as its record has them; None and empty are no limit.

    Attributes:
        flow: its name, for the refusal.
        max_root_bytes: of a whole image directory; its original alone must fit as well.
        max_px: width × height of the original.
        min_side_px: of the shorter side; a crawl's, which leaves icons and rules aside, and no flow's.
        media_types: of the originals it takes.
        strip: metadata are taken out of an original before it goes in.
    """

    flow: str = "default"
    max_root_bytes: int | None = None
    max_px: int | None = None
    min_side_px: int | None = None
    media_types: tuple[str, ...] = ()
    strip: bool = False

    def check_bytes(self, size_bytes: int) -> None:
        """Raises: RefusedByPolicy: larger than the flow takes."""
        if self.max_root_bytes is not None and size_bytes > self.max_root_bytes:
            limit = f"{size_text(self.max_root_bytes)} ({self.max_root_bytes} bytes)"
            raise RefusedByPolicy(f"flow {self.flow} takes at most {limit}, and this has {size_bytes} bytes")

    def check(self, media_type: str | None, width_px: int | None, height_px: int | None) -> None:
        """Whether such an original may go in; what is not known of it is not held against it.

        Raises:
            RefusedByPolicy: its type or its pixels are not the flow's.
            TooSmall: smaller than `min_side_px`.
        """
        if self.min_side_px is not None and width_px and height_px and min(width_px, height_px) < self.min_side_px:
            raise TooSmall(f"{width_px} × {height_px}, less than {self.min_side_px} px on a side")
        if self.media_types and media_type is not None and media_type not in self.media_types:
            raise RefusedByPolicy(
                f"flow {self.flow} takes {', '.join(self.media_types)} only, and this is {media_type}"
            )
        if self.max_px is not None and width_px and height_px and width_px * height_px > self.max_px:
            raise RefusedByPolicy(
                f"flow {self.flow} takes at most {self.max_px} pixels, and this has {width_px} × {height_px}"
            )

    def check_pin(self, pin: Pin) -> None:
        """The same of an image that is known. Raises: RefusedByPolicy."""
        self.check(pin.media_type, pin.width_px, pin.height_px)
        if pin.size_bytes is not None:
            self.check_bytes(pin.size_bytes)


def limits_of(name: str, flow: Flow | None) -> FlowLimits:
    """The limits of a flow, None where it has no record of its own."""
    if flow is None:
        return FlowLimits(flow=name)
    return FlowLimits(
        flow=name,
        max_root_bytes=flow.max_root_bytes,
        max_px=flow.max_px,
        media_types=flow.media_types,
        strip=flow.strip,
    )
