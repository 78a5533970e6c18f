"""People far away in a large picture: hardly seen, unless looked at closer; and the same bytes twice all the same."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import program
import pytest
from program import camera, run_program, write_config

from edge_agent.clips import PEDESTRIANS

SIZE = (1920, 1080)
SMALL = (320, 240)  # of 768x576: people of 120 pixels become 50 of 1080 tall
PLACES = ((200, 160), (1300, 760))
FRAMES = 60


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built-in clip at two places of a still picture, small."""
    path = tmp_path_factory.mktemp("small") / "clip.mp4"
    noise = np.random.default_rng(0).integers(60, 160, SIZE[::-1]).astype(np.uint8)
    ground = cv2.cvtColor(cv2.GaussianBlur(noise, (0, 0), 5), cv2.COLOR_GRAY2BGR)
    with av.open(str(PEDESTRIANS)) as source, av.open(str(path), "w") as target:
        stream: Any = target.add_stream("libx264", rate=10)
        stream.width, stream.height, stream.pix_fmt = *SIZE, "yuv420p"
        stream.options = {"preset": "ultrafast", "crf": "18"}
        for _, picture in zip(range(FRAMES), source.decode(video=0), strict=False):
            small = cv2.resize(picture.to_ndarray(format="bgr24"), SMALL, interpolation=cv2.INTER_AREA)
            whole = ground.copy()
            for left, top in PLACES:
                whole[top : top + SMALL[1], left : left + SMALL[0]] = small
            target.mux(stream.encode(av.VideoFrame.from_ndarray(whole, format="bgr24")))
        target.mux(stream.encode(None))
    return path


def test_people_far_away_are_found_where_they_move_and_alike_each_time(clip: Path) -> None:
    ways: dict[str, dict[str, Any]] = {"plain": {}, "closer": {"zoom": 2}, "both": {"zoom": True, "tile": "2x2"}}
    cameras = [camera(name, detect=detect) for name, detect in ways.items()]
    config = write_config(clip.parent / "config.yaml", {"device": {"id": program.DEVICE}, "cameras": cameras})

    def replay(name: str) -> str:
        done = run_program("replay", clip, "-c", config, "--camera", name, cwd=clip.parent)
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout

    printed = {name: replay(name) for name in ways}
    boxes = {
        name: [event["object"]["box"] for event in map(_event, lines.splitlines()) if event["event_type"] == "new"]
        for name, lines in printed.items()
    }
    assert len(boxes["plain"]) <= 1
    for name in ("closer", "both"):
        sides = Counter("left" if box[2] < 0.5 else "right" for box in boxes[name])
        assert min(sides["left"], sides["right"]) >= 2, boxes[name]
        assert replay(name) == printed[name]
    assert all(box[3] - box[1] < 0.08 for box in boxes["closer"])


def _event(line: str) -> dict[str, Any]:
    event: dict[str, Any] = json.loads(line)["payload"]
    return event
