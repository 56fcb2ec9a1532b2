"""The table of exit codes, in one place and as documented."""

import re

import node.errors
from node.control.failures import answer_for
from node.errors import BY_EXIT_CODE, Ambiguous, Failed, TimedOut, combined_exit_code, exit_code_of
from protocol.errors import Reason, Refused
from store.errors import BadCid, StoreFull


def test_the_documented_table_is_the_one_in_use() -> None:
    assert node.errors.__doc__ is not None
    rows = re.findall(r"^\| (\d) +\| [a-z ]+\| `(\w+)`[^|]*\| (\d+) +\|$", node.errors.__doc__, re.MULTILINE)
    assert {int(code): (name, int(status)) for code, name, status in rows} == {
        code: (kind.__name__, kind.http_status) for code, kind in BY_EXIT_CODE.items()
    }
    assert sorted(BY_EXIT_CODE) == [1, 2, 3, 4, 5, 6]


def test_exit_codes() -> None:
    assert exit_code_of(TimedOut("late")) == 6
    assert exit_code_of(Ambiguous("which", candidates=("a", "b"))) == 2
    assert exit_code_of(ZeroDivisionError()) == 1
    assert exit_code_of(KeyboardInterrupt()) == 130


def test_several_inputs_end_with_the_code_that_their_failures_share() -> None:
    assert combined_exit_code([0, 0]) == 0
    assert combined_exit_code([0, 6, 6]) == 6
    assert combined_exit_code([5, 6]) == 1


def test_errors_of_the_packages_below_find_their_place() -> None:
    assert answer_for(BadCid("x", "too short"))[0] == 400
    assert answer_for(StoreFull(2, 1)) == (422, answer_for(Failed("the store is full: 2 bytes needed, 1 free"))[1])
    assert answer_for(Refused(Reason.EXPIRED, "invite"))[1].exit_code == 5
    assert answer_for(Refused(Reason.DAMAGED, "invite"))[1].exit_code == 2
