"""Under PINAKOTHEK_REQUIRE_ALL=1, as in continuous integration, a skipped test fails the run and is named at its end."""

import os
from collections.abc import Generator

import pytest
from hypothesis import settings

settings.register_profile("patient", settings(deadline=None))
settings.load_profile("patient")  # how long an example takes says how busy the machine is, not what is wrong

NEEDED = pytest.StashKey[list[str]]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[NEEDED] = []


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.skipped and not hasattr(report, "wasxfail"):
        item.config.stash[NEEDED].append(item.nodeid)
    return report


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    if _refused(session.config) and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if names := _refused(config):
        terminalreporter.section("skipped, although PINAKOTHEK_REQUIRE_ALL=1 allows none", red=True)
        for name in names:
            terminalreporter.line(name)


def _refused(config: pytest.Config) -> list[str]:
    return config.stash[NEEDED] if os.environ.get("PINAKOTHEK_REQUIRE_ALL") == "1" else []
