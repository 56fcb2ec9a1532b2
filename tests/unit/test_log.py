"""Logs: one event a line, whoever wrote it."""

import io
import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from node.log import set_up
from node.log_flood import WARNINGS_BURST, WARNINGS_PER_S, FewOfAKind


@pytest.fixture(autouse=True)
def _put_back() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    yield
    root.handlers = handlers
    root.setLevel(level)
    structlog.reset_defaults()


def test_json_lines_from_both_kinds_of_logger() -> None:
    out = io.StringIO()
    set_up("info", "json", out)
    logging.getLogger("pinakothek.worker").warning("%s failed", "scrub", extra={"root": "bafy"})
    structlog.get_logger("pinakothek.swarm").info("joined", peer="ada")
    first, second = map(json.loads, out.getvalue().splitlines())
    assert (first["event"], first["level"], first["root"]) == ("scrub failed", "warning", "bafy")
    assert (second["event"], second["peer"], second["logger"]) == ("joined", "ada", "pinakothek.swarm")


def test_a_traceback_is_one_line_of_json() -> None:
    out = io.StringIO()
    set_up("info", "json", out)
    try:
        raise ZeroDivisionError
    except ZeroDivisionError:
        logging.getLogger("pinakothek").exception("broken")
    (line,) = out.getvalue().splitlines()
    assert "ZeroDivisionError" in json.loads(line)["exception"]


def test_libraries_are_quiet_below_warning() -> None:
    out = io.StringIO()
    set_up("debug", "console", out)
    logging.getLogger("libp2p.host").info("chatter")
    logging.getLogger("pinakothek").debug("ours")
    assert "chatter" not in out.getvalue()
    assert "ours" in out.getvalue()


def warning(created_s: float, line: int = 1) -> logging.LogRecord:
    record = logging.LogRecord("pinakothek.net", logging.WARNING, "gate.py", line, "%s was cut off", ("mallory",), None)
    record.created = created_s
    return record


def test_a_flood_of_one_kind_is_counted_and_keeps_no_other_out() -> None:
    few = FewOfAKind()
    assert [few.filter(warning(0.0)) for _ in range(WARNINGS_BURST + 7)].count(True) == WARNINGS_BURST
    assert few.filter(warning(0.0, line=2))
    late = warning(2 / WARNINGS_PER_S)
    assert few.filter(late)
    assert late.getMessage() == "mallory was cut off (and 7 more like it)"
