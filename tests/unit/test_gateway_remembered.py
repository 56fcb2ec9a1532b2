"""A bounded memory that goes stale."""

from node.gateway.remembered import Remembered


def test_values_go_stale_and_the_oldest_go_first() -> None:
    now_s = 0.0
    kept: Remembered[str, int] = Remembered(keep_s=10, max_count=2, clock_s=lambda: now_s)
    kept.put("a", 1)
    kept.put("b", 2)
    now_s = 9.9
    assert kept.get("a") == 1
    kept.put("a", 3)
    kept.put("c", 4)
    assert [kept.get(key) for key in "abc"] == [3, None, 4]
    now_s = 19.9
    assert [kept.get(key) for key in "abc"] == [None, None, None]
