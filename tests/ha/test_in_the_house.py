"""The daemon, a broker and a real Home Assistant: what is shown, and that it stays right while each is restarted."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from brokers import Listener, Mosquitto, listening, needs_mosquitto, say, until
from brokers import running as running_broker
from figures import FIGURES
from house import House, living, needs_home_assistant
from program import LOOP, ROOT, ZONES, Agent, camera, events_in, run_program

pytestmark = [needs_mosquitto, needs_home_assistant, pytest.mark.timeout(300)]

LINES = {"middle": {"from": [0.5, 0.0], "to": [0.5, 1.0]}}
RULES = [
    {"name": "loiter", "kind": "dwell", "zone": "crossing", "after_s": 1},
    {"name": "busy", "kind": "occupancy", "at_least": 2},
]
FRONT = camera(zones=ZONES, lines=LINES, rules=RULES, **LOOP)
MINUTE_S = 60.0

NEVER_KNOWN = {"sensor.box_temperature"}
"""A machine without a thermometer."""

EXPECTED = "The connection was lost|No device components to cleanup"
"""Complaints about a broker that is gone, and about an empty message that Home Assistant itself sends when the last
entity of a device is gone."""

IDS = [
    "binary_sensor.box_connectivity",
    "binary_sensor.box_front_connectivity",
    "binary_sensor.box_front_crossing_person_occupancy",
    "binary_sensor.box_front_motion",
    "binary_sensor.box_front_person_occupancy",
    "binary_sensor.box_front_problem",
    "binary_sensor.box_front_road_person_occupancy",
    "binary_sensor.box_problem",
    "event.box_front_event",
    "number.box_front_looks_a_second",
    "number.box_front_threshold",
    "sensor.box_events_given_up",
    "sensor.box_events_waiting",
    "sensor.box_front_crossing_person_count",
    "sensor.box_front_frame_rate",
    "sensor.box_front_middle_person_in",
    "sensor.box_front_middle_person_out",
    "sensor.box_front_person_count",
    "sensor.box_front_road_person_count",
    "sensor.box_front_state",
    "sensor.box_memory",
    "sensor.box_model_load",
    "sensor.box_temperature",
    "sensor.box_uptime",
    "switch.box_front_detection",
]
DISABLED = {"sensor.box_memory"}

SAME: dict[str, Callable[[str], str]] = {
    "count/person": str,
    "zone/crossing/count/person": str,
    "zone/road/count/person": str,
    "line/middle/count/person/in": str,
    "line/middle/count/person/out": str,
    "motion": str.lower,
    "detect": str.lower,
}
"""States that stand as they are in a topic below the camera's."""

SHOWN = {
    "count/person": "sensor.box_front_person_count",
    "zone/crossing/count/person": "sensor.box_front_crossing_person_count",
    "zone/road/count/person": "sensor.box_front_road_person_count",
    "line/middle/count/person/in": "sensor.box_front_middle_person_in",
    "line/middle/count/person/out": "sensor.box_front_middle_person_out",
    "motion": "binary_sensor.box_front_motion",
    "detect": "switch.box_front_detection",
}


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    with running_broker(tmp_path) as mosquitto:
        yield mosquitto


@pytest.fixture
def home(tmp_path: Path, broker: Mosquitto) -> Iterator[House]:
    with living(tmp_path / "house", broker.port) as house:
        yield house
    assert [line for line in house.complaints() if not re.search(EXPECTED, line)] == []


def an_agent(folder: Path, broker: Mosquitto, *cameras: Mapping[str, Any], **home: Any) -> Agent:
    settings = {"discovery": True, "jitter_s": 0.5, **home}
    agent = Agent(folder, *cameras, mqtt={"url": broker.url, "ack_timeout_s": 2}, homeassistant=settings)
    agent.start()
    return agent


@pytest.fixture(name="agent")
def the_agent(tmp_path: Path, broker: Mosquitto) -> Iterator[Agent]:
    one = an_agent(tmp_path, broker, FRONT)
    try:
        yield one
    finally:
        one.kill()
    assert "Traceback" not in one.log


def known(house: House) -> dict[str, str]:
    """The states of all that MQTT has brought and that is not disabled."""
    states = house.ask("states")
    return {one: states[one]["state"] for one in house.entity_ids() if one in states}


def is_all_known(house: House) -> bool:
    states = known(house)
    unknown = {one for one, state in states.items() if state in {"unknown", "unavailable"}} - NEVER_KNOWN
    return states.keys() == set(IDS) - DISABLED and unknown <= {"event.box_front_event"}


def is_as_published(house: House, broker: Mosquitto) -> bool:
    """Whether what is shown is what the broker keeps, in a moment in which nothing changes."""
    before, shown, after = kept(broker), known(house), kept(broker)
    return before == after and all(
        shown[SHOWN[topic]] == write(before[f"{ROOT}/camera/front/{topic}"]) for topic, write in SAME.items()
    )


def kept(broker: Mosquitto) -> dict[str, str]:
    """What the broker keeps of the camera now, but for what changes all the time."""
    with listening(broker.port, f"{ROOT}/camera/front/#") as listener:
        until(lambda: f"{ROOT}/camera/front/status" in {heard.topic for heard in listener.heard})
        return {heard.topic: heard.payload.decode() for heard in list(listener.heard) if heard.retain}


def wait_until_right(house: House, broker: Mosquitto) -> None:
    until(lambda: is_all_known(house), f"not all is known: {known(house)}", MINUTE_S)
    until(lambda: is_as_published(house, broker), "what is shown is not what is so", MINUTE_S)


def fired_ids(house: House) -> list[str]:
    """The ids of the events that the entity has shown, each time that it showed another one."""
    found: list[str] = []
    for one in house.ask("fired"):
        event_id = one["attributes"].get("event_id")
        if event_id and found[-1:] != [event_id]:
            found.append(event_id)
    return found


def sent_ids(listener: Listener) -> list[str]:
    return list(dict.fromkeys(event["event_id"] for event in events_in(listener.heard)))


def has_shown_all(house: House, listener: Listener, least: int) -> bool:
    """Whether the house has shown each event once and in order, from the first one on that both have heard."""
    shown, sent = fired_ids(house), sent_ids(listener)
    both = next((one for one in sent if one in shown), None)
    if both is None:
        return False
    since = shown[shown.index(both) :]
    return len(since) >= least and since == sent[sent.index(both) :]


def wait_for_events(house: House, listener: Listener, least: int) -> list[str]:
    """Wait for a moment in which the house has shown every event that there was, and give them."""
    until(lambda: has_shown_all(house, listener, least), "it does not show the events that there are", MINUTE_S)
    return fired_ids(house)


@pytest.mark.usefixtures("agent")
def test_all_is_shown_with_names_units_and_the_right_state(
    home: House, broker: Mosquitto, record_property: Callable[[str, object], None]
) -> None:
    with listening(broker.port) as listener:
        wait_until_right(home, broker)
        assert home.entity_ids() == IDS
        states = home.ask("states")
        units = {one: states[one]["attributes"].get("unit_of_measurement") for one in states}
        assert units["sensor.box_uptime"] == "s"
        assert units["sensor.box_front_person_count"] == "objects"
        assert states["sensor.box_front_middle_person_in"]["attributes"]["state_class"] == "total_increasing"
        assert states["binary_sensor.box_front_motion"]["attributes"]["friendly_name"] == "box front Motion"
        assert known(home)["sensor.box_front_state"] == "streaming"
        assert known(home)["binary_sensor.box_connectivity"] == "on"
        assert {one["name"] for one in home.ask("devices")} == {"box", "box front"}
        front = home.device_id("box front")
        assert [one["via"] for one in home.ask("devices") if one["name"] == "box front"] == [home.device_id("box")]
        assert home.ask("triggers", front) == [
            ["appeared", "person"],
            ["crossed in", "middle"],
            ["crossed out", "middle"],
            ["dwells", "loiter"],
            ["no longer reached", "busy"],
            ["reached", "busy"],
        ]
        assert len(wait_for_events(home, listener, 5)) >= 5
    states = home.ask("states")
    version = home.ask("version")
    shown = "\n".join(f"{one:50} {states[one]['state'] if one in states else 'disabled'}" for one in home.entity_ids())
    record_property(FIGURES, f"Home Assistant {version}\n{shown}")


def test_an_event_fires_once_and_repeats_of_a_delivery_do_not(home: House, agent: Agent, broker: Mosquitto) -> None:
    with listening(broker.port) as listener:
        wait_until_right(home, broker)
        wait_for_events(home, listener, 3)
        agent.kill()
        shown = wait_for_events(home, listener, 3)
        home.wait_for("event.box_front_event", "unavailable")
        last = next(one["attributes"] for one in reversed(home.ask("fired")) if "event_id" in one["attributes"])
        assert (last["event_id"], last["label"]) == (shown[-1], "person")
        # The agent is there, and delivers its last events once more, as after a connection that broke too early.
        say(broker.port, f"{ROOT}/status", b"online")
        home.wait_for("binary_sensor.box_connectivity", "on")
        events = [heard for heard in listener.heard if heard.topic == f"{ROOT}/camera/front/event"]
        home.ask("attach", home.device_id("box front"), "appeared", "person")
        for event in events:
            say(broker.port, event.topic, event.payload)
        newer = {**json.loads(events[-1].payload), "seq": 100_000, "event_id": "newer"}
        say(broker.port, events[-1].topic, json.dumps(newer).encode())
        until(lambda: fired_ids(home)[-1] == "newer")
        assert fired_ids(home) == [*shown, "newer"]
        # A trigger has no memory, and is pulled by repeats too.
        appeared = sum(json.loads(event.payload)["event_type"] == "new" for event in events)
        assert home.ask("pulled").count("person appeared") >= appeared
        # What the entity shows it knows over a restart.
        say(broker.port, f"{ROOT}/status", b"online", retain=True)
        home.stop()
        home.start()
        until(lambda: fired_ids(home) == ["newer"], within_s=MINUTE_S)
        say(broker.port, events[-1].topic, json.dumps(newer).encode())
        newest = {**newer, "seq": 100_001, "event_id": "newest"}
        times = {one["new"] for one in home.ask("fired")} - {"unavailable"}
        say(broker.port, events[-1].topic, json.dumps(newest).encode())
        until(lambda: fired_ids(home) == ["newer", "newest"])
        assert len({one["new"] for one in home.ask("fired")} - {"unavailable"} - times) == 1


@pytest.mark.usefixtures("agent")
def test_triggers_are_pulled_by_people_lines_and_rules(home: House, broker: Mosquitto) -> None:
    wait_until_right(home, broker)
    front = home.device_id("box front")
    for kind, subject in home.ask("triggers", front):
        home.ask("attach", front, kind, subject)
    wanted = {"person appeared", "middle crossed in", "middle crossed out", "loiter dwells"}
    until(lambda: wanted <= set(home.ask("pulled")), "they are not all pulled", 2 * MINUTE_S)
    # In this clip there are always enough people: the beginning and the end of that are made up, of a real event.
    with listening(broker.port, f"{ROOT}/camera/front/event") as listener:
        until(lambda: bool(listener.heard), within_s=MINUTE_S)
        event = json.loads(listener.heard[0].payload)
    del event["object"]
    for active, which in ((False, "busy no longer reached"), (True, "busy reached")):
        spoken = {"name": "busy", "kind": "occupancy", "count": 2, "active": active}
        before = home.ask("pulled").count(which)
        said = {**event, "seq": 100_000 + int(active), "reason": ["count_changed"], "rule": spoken}
        say(broker.port, f"{ROOT}/camera/front/event", json.dumps(said).encode())
        until(lambda which=which, before=before: home.ask("pulled").count(which) == before + 1)


@pytest.mark.usefixtures("agent")
def test_states_are_right_after_home_assistant_has_started_again(home: House, broker: Mosquitto) -> None:
    wait_until_right(home, broker)
    with listening(broker.port) as listener:
        last = wait_for_events(home, listener, 3)[-1]
        home.stop()
        home.start()
        wait_until_right(home, broker)
        ids = fired_ids(home)  # first the one that it remembers, then what came since
        assert ids[0] == last or ids[0] in sent_ids(listener)
        assert len(set(ids)) == len(ids)


@pytest.mark.usefixtures("agent")
def test_states_are_right_after_the_broker_has_started_again_and_forgotten_everything(
    home: House, broker: Mosquitto
) -> None:
    wait_until_right(home, broker)
    broker.stop()
    home.wait_for("sensor.box_front_person_count", "unavailable", MINUTE_S)
    broker.start()
    wait_until_right(home, broker)
    ids = fired_ids(home)
    assert len(set(ids)) == len(ids)


def test_states_are_right_after_the_agent_was_killed_and_started_again(
    home: House, agent: Agent, broker: Mosquitto
) -> None:
    wait_until_right(home, broker)
    agent.kill()
    home.wait_for("sensor.box_front_person_count", "unavailable")
    home.wait_for("switch.box_front_detection", "unavailable")
    home.wait_for("binary_sensor.box_connectivity", "off")
    agent.start()
    wait_until_right(home, broker)


def test_a_camera_that_is_not_there_has_no_state_but_its_own(tmp_path: Path, home: House, broker: Mosquitto) -> None:
    agent = an_agent(tmp_path, broker, FRONT, camera("gone", Path("/no/such/clip.mp4")), camera("off", enabled=False))
    try:
        home.wait_for("binary_sensor.box_front_motion", "on", MINUTE_S)
        for name in ("gone", "off"):
            home.wait_for(f"binary_sensor.box_{name}_connectivity", "off", MINUTE_S)
            assert home.state(f"binary_sensor.box_{name}_motion") == "unavailable"
            assert home.state(f"sensor.box_{name}_person_count") == "unavailable"
            assert home.state(f"switch.box_{name}_detection") in {"on", "off"}
        home.wait_for("binary_sensor.box_gone_problem", "on", MINUTE_S)
        home.wait_for("binary_sensor.box_off_problem", "off", MINUTE_S)
        home.wait_for("sensor.box_off_state", "disabled")
        agent.kill()
        home.wait_for("binary_sensor.box_connectivity", "off")
        agent = an_agent(tmp_path, broker, {**FRONT, "enabled": False})  # it was there, and now is not
        home.wait_for("sensor.box_front_state", "disabled", MINUTE_S)
        assert home.state("binary_sensor.box_front_motion") == "unavailable"
    finally:
        agent.kill()


@pytest.mark.usefixtures("agent")
def test_switch_and_numbers_change_what_the_agent_does(home: House, broker: Mosquitto) -> None:
    wait_until_right(home, broker)
    with listening(broker.port, f"{ROOT}/camera/front/+") as listener:
        home.ask("call", "switch", "turn_off", {"entity_id": "switch.box_front_detection"})
        home.wait_for("switch.box_front_detection", "off")
        assert listener.payloads(f"{ROOT}/camera/front/detect")[-1] == b"OFF"
        home.ask("call", "switch", "turn_on", {"entity_id": "switch.box_front_detection"})
        home.wait_for("switch.box_front_detection", "on")
        for entity, value, topic in (
            ("number.box_front_threshold", "0.55", "threshold"),
            ("number.box_front_looks_a_second", "2.5", "rate_hz"),
        ):
            home.ask("call", "number", "set_value", {"entity_id": entity, "value": float(value)})
            home.wait_for(entity, value)
            assert listener.payloads(f"{ROOT}/camera/front/{topic}")[-1] == value.encode()


def test_what_is_gone_vanishes_and_purge_takes_the_rest(tmp_path: Path, home: House, broker: Mosquitto) -> None:
    agent = an_agent(tmp_path, broker, FRONT, camera("back", enabled=False))
    try:
        home.wait_for("sensor.box_back_state", "disabled", MINUTE_S)
        until(lambda: is_all_known_but(home, "back"), within_s=MINUTE_S)
        agent.kill()
        agent = an_agent(tmp_path, broker, {**FRONT, "zones": {"crossing": ZONES["crossing"]}, "rules": RULES[:1]})
        without = [one for one in IDS if "_road_" not in one]
        until(lambda: home.entity_ids() == without, f"there are still {home.entity_ids()}", MINUTE_S)
        assert {one["name"] for one in home.ask("devices")} == {"box", "box front"}
        front = home.device_id("box front")
        until(lambda: ["reached", "busy"] not in home.ask("triggers", front), within_s=MINUTE_S)
        home.stop()
        home.start()  # what the broker keeps still says what is gone, which now is news to nobody
        home.wait_for("binary_sensor.box_front_motion", "on", MINUTE_S)
        assert home.entity_ids() == without
        agent.kill()
        done = run_program("ha", "purge", "-c", agent.config, cwd=tmp_path)
        assert re.fullmatch(r"(homeassistant/device/box.*: cleared: .*\n){2}", done.stdout), done.stdout + done.stderr
        until(lambda: home.ask("devices") == [], f"there are still {home.ask('devices')}", MINUTE_S)
        assert home.entity_ids() == []
    finally:
        agent.kill()


def is_all_known_but(house: House, other: str) -> bool:
    return {one for one in house.entity_ids() if f"box_{other}_" not in one} == set(IDS)


def test_switched_off_nothing_is_left(tmp_path: Path, home: House, broker: Mosquitto) -> None:
    agent = an_agent(tmp_path, broker, FRONT)
    try:
        until(lambda: home.entity_ids() == IDS, within_s=MINUTE_S)
        agent.kill()
        agent = an_agent(tmp_path, broker, FRONT, discovery=False)
        until(lambda: home.entity_ids() == [], f"there are still {home.entity_ids()}", MINUTE_S)
    finally:
        agent.kill()
