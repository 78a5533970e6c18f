"""Which topics are this device's own, and which of them an earlier life has left behind."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.stages.encode.topics import Topics, ghosts, kept_filters

TOPICS = Topics(prefix="site/edge", device="pi")
NAMES = st.from_regex(r"[a-zA-Z0-9_-]{1,64}", fullmatch=True)


def topics_of(camera: str, place: str, label: str) -> list[str]:
    """Every topic that is retained for a camera."""
    return [
        TOPICS.camera_status(camera),
        TOPICS.motion(camera),
        TOPICS.detect(camera),
        TOPICS.threshold(camera),
        TOPICS.rate_hz(camera),
        TOPICS.count(camera, None, label),
        TOPICS.count(camera, place, label),
        TOPICS.crossings(camera, place, label, "in"),
        TOPICS.crossings(camera, place, label, "out"),
    ]


@given(camera=NAMES, place=NAMES, label=st.from_regex(r"[a-zA-Z0-9_ -]{1,32}", fullmatch=True))
def test_whatever_a_camera_may_retain_is_a_ghost_when_it_is_no_more_and_none_while_it_is(
    camera: str, place: str, label: str
) -> None:
    topics = topics_of(camera, place, label)
    assert ghosts(TOPICS, topics, ()) == tuple(sorted(topics))
    assert ghosts(TOPICS, topics, topics) == ()


@pytest.mark.parametrize(
    "topic",
    [
        "site/edge/pi/status",  # the device's own are there as long as it is
        "site/edge/pi/health",
        "site/edge/pi/capabilities",
        "site/edge/pi/command",
        "site/edge/pi/command/result",
        "site/edge/pi/camera/front/event",
        "site/edge/pi/camera/front/event/late",
        "site/edge/pi/camera/front/set/detect",
        "site/edge/pi/camera/set/motion/set",
        "site/edge/pi/camera/front/something",
        "site/edge/pi/camera/front/count/a/b",
        "site/edge/pi/camera/front/zone/yard/count",
        "site/edge/pi/camera/fr ont/motion",
        "site/edge/pi/camera//motion",
        "site/edge/pi/camera/front/motion/",
        "site/edge/pi/camera/front/motion\n",
        f"site/edge/pi/camera/{'x' * 65}/motion",
        "site/edge/pi2/camera/front/motion",  # another device
        "site/edge/other/camera/front/motion",
        "edge/pi/camera/front/motion",
        "camera/front/motion",
        "homeassistant/device/pi/config",
        "",
    ],
)
def test_what_has_another_shape_or_is_anothers_is_left_alone(topic: str) -> None:
    assert ghosts(TOPICS, [topic], ()) == ()


@given(found=st.lists(st.text()), alive=st.sets(st.text()))
def test_no_topic_makes_trouble(found: list[str], alive: set[str]) -> None:
    assert set(ghosts(TOPICS, found, alive)) <= set(found) - alive


def test_each_comes_once_and_in_order() -> None:
    one, other = TOPICS.motion("b"), TOPICS.motion("a")
    assert ghosts(TOPICS, [one, other, one], ()) == (other, one)


def test_what_is_listened_to_holds_no_events_and_no_commands() -> None:
    assert kept_filters(TOPICS)[:2] == ("site/edge/pi/camera/+/status", "site/edge/pi/camera/+/motion")
    assert not any(word in topic for topic in kept_filters(TOPICS) for word in ("#", "event", "set", "command"))
