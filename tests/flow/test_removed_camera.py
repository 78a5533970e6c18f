"""A camera that is taken out of the configuration leaves nothing behind on the broker."""

from __future__ import annotations

import threading
from contextlib import closing
from pathlib import Path

import program
import pytest
from brokers import Listener, Mosquitto, needs_mosquitto, until
from paho.mqtt import publish
from program import LOOP, PATIENCE_S, ROOT, ZONES, camera

STATES = ("status", "motion", "detect", "threshold", "rate_hz")
FOREIGN = {"edge/other/camera/back/motion", f"{ROOT}/camera/back/set/detect", f"{ROOT}/note", "zigbee2mqtt/pir"}


def retained(broker: Mosquitto) -> set[str]:
    """All topics that it keeps: those of others too, which the contract knows nothing of."""
    with closing(Listener(broker.port)) as listener:
        until(lambda: {heard.topic for heard in list(listener.heard)} >= FOREIGN)
        threading.Event().wait(0.5)
        return {heard.topic for heard in listener.heard if heard.retain}


@needs_mosquitto
@pytest.mark.parametrize("protocol", [5, 3])
def test_a_camera_a_zone_and_a_label_that_are_no_more_leave_no_topic(
    broker: Mosquitto, tmp_path: Path, protocol: int
) -> None:
    for topic in FOREIGN:
        publish.single(topic, b"x", qos=1, retain=True, port=broker.port)
    mqtt = {"url": broker.url, "protocol": protocol}
    labels = {"labels": ["person", "car"]}
    before = [camera("front", zones=ZONES, detect=labels, **LOOP), camera("back", zones=ZONES, detect=labels, **LOOP)]
    (tmp_path / "before").mkdir()
    with program.running(tmp_path / "before", *before, mqtt=mqtt) as agent:
        until(lambda: f"{ROOT}/camera/back/zone/road/count/car" in retained(broker), within_s=PATIENCE_S)
        agent.stop(within_s=PATIENCE_S)
    front = camera("front", zones={"road": ZONES["road"]}, detect={"labels": ["person"]}, **LOOP)
    wanted = {f"{ROOT}/{name}" for name in ("status", "health", "capabilities")} | {
        f"{ROOT}/camera/front/{name}" for name in (*STATES, "count/person", "zone/road/count/person")
    }
    (tmp_path / "after").mkdir()
    with program.running(tmp_path / "after", front, mqtt=mqtt) as agent:
        until(lambda: "left behind are cleared" in agent.log, within_s=PATIENCE_S)
        assert retained(broker) == wanted | FOREIGN
