"""Logs: one event a line, whoever wrote it."""

import io
import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from node.log import set_up


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
