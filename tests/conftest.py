"""How every test here runs: property tests are the same each time, and keep no files; absent data skips or fails."""

from __future__ import annotations

import data
import gstreamer
import pytest
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
