"""What most tests of the daemon begin with: a broker, and somebody who hears what it is told."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import brokers
import pytest
from brokers import Listener, Mosquitto
from brokers import running as running_broker
from program import check_messages, hearing


@pytest.fixture(autouse=True, scope="module")
def _every_message_keeps_to_the_contract() -> Iterator[None]:
    """Whatever a listener of these tests hears is checked when it is over, and fails the test that produced it."""
    brokers.CHECKS.append(check_messages)
    yield
    brokers.CHECKS.remove(check_messages)


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    """A broker of this test's own."""
    with running_broker(tmp_path) as mosquitto:
        yield mosquitto


@pytest.fixture
def news(broker: Mosquitto) -> Iterator[Listener]:
    """All that is said of the device; it keeps to the contract."""
    with hearing(broker.port) as listener:
        yield listener
