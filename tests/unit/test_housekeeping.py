"""What a daemon does once a minute: one part that fails keeps no other from its turn."""

import errno
from collections.abc import Awaitable, Callable
from types import SimpleNamespace
from typing import Any, cast

import pytest

from node.running import Daemon
from node.supervisor import leaves
from store.errors import StoreFull
from store.store import Owner


async def nothing() -> None:
    pass


class House:
    """A daemon of which only the housekeeping is there; what it saves succeeds unless `save` or `tick` is replaced."""

    def __init__(self) -> None:
        self.collected, self.dropped = 0, list[Owner]()
        self.refusals, self.unjudged = list[str](), ""
        self.tick: Callable[[], Awaitable[None]] = nothing
        inner: Any = SimpleNamespace(
            contacts=None, catching_up=None,
            releasing=SimpleNamespace(tick=lambda: self.tick()),
            about=SimpleNamespace(disk_refused=self.refusals.append),
            ever_held=SimpleNamespace(save=lambda: None, holders_known=False),
        )  # fmt: skip
        records = SimpleNamespace(unjudged=lambda: self.unjudged, counting=SimpleNamespace(wanted=lambda root: None))
        parts: Any = SimpleNamespace(
            aside=(), retracting=SimpleNamespace(work=None), records=records,
            executor=SimpleNamespace(work=SimpleNamespace(fetching={})),
            knowledge=SimpleNamespace(membership=SimpleNamespace(plans_blocked_until_s=0.0), records=records),
            store=SimpleNamespace(
                stale_fetches=lambda now_ms: [Owner("fetch", b"root")], drop=self.dropped.append, collect=self._collect
            ),
        )  # fmt: skip
        self.daemon = cast("Any", Daemon(parts, inner))
        self.daemon._time_acts = lambda: False
        self.daemon._save_what_was_heard = nothing

    def _collect(self, now_ms: int) -> None:
        self.collected += 1


async def test_on_a_full_disk_what_nobody_owns_is_let_go() -> None:
    house = House()

    async def full() -> None:
        raise OSError(errno.ENOSPC, "no space left on device")

    async def refused() -> None:
        raise StoreFull(1, 0)

    house.daemon._save_what_was_heard, house.tick = full, refused
    with pytest.raises(ExceptionGroup) as found:
        await house.daemon._keep_house()
    assert len(list(leaves(found.value))) == 2
    assert house.collected == 1
    assert len(house.refusals) == 1


async def test_no_fetch_is_given_up_before_all_records_are_judged_by_the_roles_of_now() -> None:
    house = House()
    house.unjudged = "not all are"
    await house.daemon._keep_house()
    assert not house.dropped
    house.unjudged = ""
    await house.daemon._keep_house()
    assert len(house.dropped) == 1
