"""What a flow takes: by bytes, pixels and type, told with the flow's name and both values."""

import pytest

from node.errors import RefusedByPolicy
from node.ingest.flow_limits import FlowLimits, limits_of
from protocol.flow import Flow
from protocol.pin import Pin

LIMITS = limits_of("feed", Flow(name="feed", max_root_bytes=1000, max_px=100, media_types=("image/png",), strip=True))
FITS = Pin(id=b"", flow="feed", root=b"", media_type="image/png", width_px=10, height_px=10, size_bytes=1000)


def test_what_is_within_every_limit_goes_in() -> None:
    LIMITS.check_pin(FITS)
    limits_of("feed", None).check_pin(FITS)
    LIMITS.check_pin(Pin(id=b"", flow="feed", root=b""))
    assert LIMITS.strip
    assert not limits_of("feed", None).strip


@pytest.mark.parametrize(
    ("limits", "said"),
    [
        (FlowLimits(flow="f", max_root_bytes=999), "flow f takes at most 999 B (999 bytes), and this has 1000 bytes"),
        (FlowLimits(flow="f", max_px=99), "flow f takes at most 99 pixels, and this has 10 × 10"),
        (FlowLimits(flow="f", media_types=("image/jpeg",)), "flow f takes image/jpeg only, and this is image/png"),
    ],
)
def test_the_refusal_names_flow_limit_and_value(limits: FlowLimits, said: str) -> None:
    with pytest.raises(RefusedByPolicy) as refused:
        limits.check_pin(FITS)
    assert refused.value.message == said
