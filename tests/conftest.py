"""How every test here runs: property tests are the same each time, and keep no files; absent data skips or fails."""

from __future__ import annotations

import os

import data
import gstreamer
import pytest
from figures import FIGURES
from hypothesis import settings

# No deadline: a busy board is slow now and then, and that is no failure. Derandomised: a red run is red again.
settings.register_profile("house", deadline=None, derandomize=True, database=None)
settings.load_profile("house")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option."""
    parser.addoption(
        data.OPTION,
        action="store_true",
        help="fail, instead of skipping, tests that need ../shared/data when it is absent",
    )


@pytest.fixture
def real_gstreamer() -> None:
    """GStreamer itself, by the binding that Debian installs beside the system's Python."""
    gstreamer.require()


def pytest_configure(config: pytest.Config) -> None:
    """Pass the option on to where the data is asked for."""
    data.require_data(required=config.getoption(data.OPTION))


_LONG_FIRST = ("tests/flow/", "tests/edges/")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Where files run side by side, begin with those that wait for real streams: what is begun last must be short."""
    if "PYTEST_XDIST_WORKER" in os.environ:
        items.sort(key=lambda item: [not item.nodeid.startswith(folder) for folder in _LONG_FIRST])


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the figures that are worth having although nothing failed, whichever process they come from."""
    reports = [report for outcome in ("passed", "failed") for report in terminalreporter.getreports(outcome)]
    found = {report.nodeid: dict(report.user_properties).get(FIGURES) for report in reports}
    for nodeid, figures in found.items():
        if figures:
            terminalreporter.section(nodeid, sep="-")
            terminalreporter.write_line(figures)
