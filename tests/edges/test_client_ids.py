"""No two connections have the same id, whatever devices are called."""

from __future__ import annotations

import re
from contextlib import closing
from pathlib import Path

import other_brokers
import pytest
from hypothesis import given
from hypothesis import strategies as st
from other_brokers import KINDS, Broker, Kind

from edge_agent.app import brokers as wiring
from edge_agent.config import Settings
from edge_agent.edges.clock import SystemClock
from edge_agent.edges.mqtt import id_beside, id_of_command, id_of_device

DEVICES = st.from_regex(r"[a-zA-Z0-9_-]{1,64}", fullmatch=True)
PURPOSES = ("triggers", "ghosts", "probe")


def ids_of(device: str) -> set[str]:
    main = id_of_device(device)
    triggers = id_beside(main, "triggers")
    return {main, id_beside(triggers, "probe"), *(id_beside(main, purpose) for purpose in PURPOSES)}


@given(DEVICES, DEVICES)
def test_no_id_of_a_device_is_one_of_another(one: str, other: str) -> None:
    for ending in ("", *(f"-{purpose}" for purpose in PURPOSES)):
        another = f"{other}{ending}"
        assert one == another or not ids_of(one) & ids_of(another)
    assert len(ids_of(one)) == 5


def test_a_command_has_an_id_that_no_device_and_no_second_command_has() -> None:
    found = {id_of_command("watch") for _ in range(10)}
    assert len(found) == 10
    assert all(re.fullmatch(r"edge-agent-watch:[0-9a-f]{8}", one) for one in found)
    assert not found & ids_of("watch")


def settings_of(device: str, broker: Broker, kind: Kind) -> Settings:
    mqtt = {"url": broker.url, "protocol": kind.protocol}
    return Settings.model_validate(
        {"device": {"id": device}, "mqtt": mqtt, "cameras": [{"id": "front", "source": "file://x"}]}
    )


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
@pytest.mark.parametrize("device", ["gate", "x" * 64])
def test_a_device_that_is_called_like_a_helper_and_that_helper_are_connected_side_by_side(
    kind: Kind, device: str, tmp_path: Path
) -> None:
    if kind.missing:
        pytest.skip(kind.missing)
    twin = "gate-triggers" if device == "gate" else "y" * 64
    with other_brokers.running(kind, tmp_path) as broker:
        helper = wiring.trigger_brokers(settings_of(device, broker, kind), SystemClock()).connect()
        other = wiring.delivery_brokers(settings_of(twin, broker, kind), SystemClock()).connect()
        with closing(helper), closing(other):
            other.wait(0.5)
            helper.wait(0.5)
            assert (helper.lost, other.lost) == (None, None)
