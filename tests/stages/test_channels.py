"""The table of channels: each topic that is written stands in it, and what stands in it can be written."""

from __future__ import annotations

import inspect
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.stages.encode.channels import CHANNELS, PARAMETERS, Channel, find
from edge_agent.stages.encode.homeassistant import DiscoveryTopics
from edge_agent.stages.encode.topics import Topics


def addresses() -> Iterator[tuple[str, str]]:
    """Every topic that `Topics` can write, by the name of what writes it, with parameters in braces."""
    topics = Topics(prefix="{prefix}", device="{device}")
    for name, member in vars(Topics).items():
        if isinstance(member, property) and name != "root":
            yield name, getattr(topics, name)
        elif inspect.isfunction(member) and not name.startswith("_"):
            asked = [one for one in inspect.signature(member).parameters if one != "self"]
            yield name, member(topics, *(f"{{{one}}}" for one in asked))
            if name == "count":
                yield "count", member(topics, "{camera}", None, "{label}")


def test_every_topic_has_a_channel_and_every_channel_a_topic() -> None:
    written = dict(addresses())
    written["zone_count"] = topics_in_a_zone()
    discovery = DiscoveryTopics(prefix="{discovery_prefix}", device="{device}")
    written["discovery"], written["birth"] = discovery.agent, discovery.birth
    written["camera_discovery"] = discovery.camera("{camera}")
    assert written == {name: channel.address for name, channel in CHANNELS.items()}


def topics_in_a_zone() -> str:
    return Topics(prefix="{prefix}", device="{device}").count("{camera}", "{zone}", "{label}")


def test_only_states_are_retained_and_every_command_is_answered() -> None:
    assert {channel.kind for channel in CHANNELS.values() if channel.retained} == {"state"}
    assert {channel.answered_on for channel in CHANNELS.values() if channel.kind == "command"} == {"command_result"}
    assert {channel.answered_on for channel in CHANNELS.values() if channel.kind != "command"} == {None}
    assert {channel.kind for channel in CHANNELS.values() if channel.heard} == {"command", "notice"}


def test_what_is_there_for_home_assistant_only_is_told_apart() -> None:
    there = [name for name, channel in CHANNELS.items() if channel.for_discovery]
    assert there == ["discovery", "camera_discovery", "birth"]
    assert [CHANNELS[name].retained for name in there] == [True, True, False]
    assert [CHANNELS[name].heard for name in there] == [False, False, True]


def test_every_parameter_of_an_address_is_known_and_each_that_is_known_is_used() -> None:
    assert {name for channel in CHANNELS.values() for name in channel.parameters} == set(PARAMETERS)


@pytest.mark.parametrize(
    ("topic", "name"),
    [
        ("edge/box/status", "status"),
        ("edge/box/camera/front/status", "camera_status"),
        ("edge/box/camera/status/status", "camera_status"),
        ("edge/camera/camera/camera/count/person", "count"),
        ("site/hall/edge/box/camera/front/event", "event"),
        ("edge/box/camera/front/event/late", "late_event"),
        ("edge/box/camera/front/zone/porch/count/traffic_light", "zone_count"),
        ("edge/box/camera/front/line/door/count/person/in", "crossings"),
        ("edge/box/camera/front/line/door/count/person/up", None),
        ("edge/box/camera/front/count/traffic light", None),
        ("edge/box/camera/front/count/" + "x" * 33, None),
        ("edge/box/camera/front/events", None),
        ("edge/box/status\n", None),
        ("/box/status", None),
        ("status", None),
        ("homeassistant/status", "birth"),
        ("homeassistant/device/box/config", "discovery"),
        ("homeassistant/device/device/config", "discovery"),
        ("homeassistant/device/box/front/config", "camera_discovery"),
        ("homeassistant/device/device/device/config", "camera_discovery"),
        ("house/homeassistant/device/box/config", "discovery"),
        ("house/homeassistant/status", "status"),  # of the device `homeassistant`, as far as anybody can tell
        ("homeassistant/sensor/box/config", None),
        ("homeassistant/device/box/front/door/config", None),
        ("", None),
    ],
)
def test_a_topic_belongs_to_one_channel_or_none(topic: str, name: str | None) -> None:
    found = find(topic)
    assert (found and found[0].name) == name


def test_a_topic_tells_what_stands_for_each_parameter() -> None:
    found = find("site/edge/box/camera/front/line/door/count/person/out")
    assert found is not None
    assert found[1] == {
        "prefix": "site/edge",
        "device": "box",
        "camera": "front",
        "line": "door",
        "label": "person",
        "direction": "out",
    }


@given(st.sampled_from(list(CHANNELS.values())), st.data())
def test_whatever_an_address_is_filled_with_it_is_found_again(channel_at: Channel, data: st.DataObject) -> None:
    values = {
        name: data.draw(st.from_regex(PARAMETERS[name].pattern, fullmatch=True), label=name)
        for name in channel_at.parameters
    }
    topic = channel_at.at(**values)
    assert channel_at.match(topic) is not None
    first = {name: values[name] for name in ("prefix", "discovery_prefix") if name in values}
    alike = [one.name for one in CHANNELS.values() if (at := one.match(topic)) and first.items() <= at.items()]
    assert alike == [channel_at.name]
