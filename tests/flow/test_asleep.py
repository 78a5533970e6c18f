"""The daemon leaves a still camera undecoded, says so, and wakes when somebody comes."""

from __future__ import annotations

import itertools
import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import program
import pytest
from brokers import Listener, Mosquitto, needs_mosquitto, until
from program import PATIENCE_S, ROOT, wait_for_new
from rtsp import rtsp_camera

from edge_agent.clips import PEDESTRIANS

pytestmark = needs_mosquitto

STILL_S, WALK_S = 14, 12
RATE_HZ = 10


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The place of the built-in clip without anybody, and then with all who cross it; a key picture each second."""
    with av.open(str(PEDESTRIANS)) as container:
        walk = [picture.to_ndarray() for picture in container.decode(video=0)]
    empty = np.median(np.stack(walk[::10]), axis=0).astype(np.uint8)
    path = tmp_path_factory.mktemp("film") / "film.mp4"
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("libx264", rate=RATE_HZ)
        stream.height, stream.width = empty.shape[0] * 2 // 3, empty.shape[1]  # luma, then both of chroma
        stream.pix_fmt = "yuv420p"
        stream.options = {"g": "10", "bf": "0", "tune": "zerolatency", "sc_threshold": "0", "preset": "veryfast"}
        for index, planes in enumerate([empty] * STILL_S * RATE_HZ + walk[: WALK_S * RATE_HZ]):
            picture = av.VideoFrame.from_ndarray(planes, format="yuv420p")
            picture.pts, picture.time_base = index, Fraction(1, RATE_HZ)
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
    return path


def states(news: Listener) -> list[str]:
    """What the camera's health said, each change once."""
    said = [json.loads(payload)["cameras"]["front"]["state"] for payload in news.payloads(f"{ROOT}/health")]
    return [state for state, _ in itertools.groupby(said)]


def test_a_still_camera_is_asleep_and_online_and_whoever_comes_wakes_it(
    tmp_path: Path, broker: Mosquitto, news: Listener, film: Path
) -> None:
    with rtsp_camera(film) as real_camera:
        front = {"id": "front", "source": real_camera.url()}
        with program.running(tmp_path, front, mqtt={"url": broker.url}) as agent:
            until(lambda: states(news)[-1:] == ["asleep"], within_s=PATIENCE_S)
            assert not program.events_in(news.heard)
            wait_for_new(news, within_s=PATIENCE_S)
            until(lambda: states(news)[-2:] == ["asleep", "streaming"], within_s=PATIENCE_S)
            statuses = news.payloads(f"{ROOT}/camera/front/status")
            assert set(statuses[statuses.index(b"online") :]) == {b"online"}
            decoder = json.loads(news.payloads(f"{ROOT}/capabilities")[-1])["cameras"]["front"]["decoder"]
            assert decoder["requested"] == "auto"
            assert decoder["active"]
            assert decoder["why"]
            assert agent.stop() == 0
