"""What is masked is never looked at: a whole replay says the same, byte for byte, whatever is under the mask."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path

import av
import numpy as np
import pytest
from program import camera, run_program, write_config

from edge_agent import app, geometry
from edge_agent.clips import PEDESTRIANS
from edge_agent.config import Settings
from edge_agent.records import Frame
from edge_agent.tools.replay import replay
from edge_agent.vision import load_vision

LEFT_PART = ((0.0, 0.0), (0.4, 0.0), (0.55, 1.0), (0.0, 1.0))
FRAMES = 100


def settings_of(**more: object) -> Settings:
    return Settings.model_validate({"device": {"id": "box"}, "cameras": [camera("front", **more)]})


def with_another_picture(frames: Iterator[Frame], shade: int | None) -> Iterator[Frame]:
    """The frames with one shade, or noise, in place of what is masked."""
    random = np.random.default_rng(1)
    for frame in frames:
        masked = geometry.polygon_mask([LEFT_PART], frame.width, frame.height)
        planes = []
        for plane in (frame.luma, frame.chroma_blue, frame.chroma_red):
            step = frame.height // plane.shape[0]
            part = np.logical_or.reduce([masked[y::step, x::step] for y in range(step) for x in range(step)])
            filling = random.integers(0, 256, plane.shape) if shade is None else shade
            planes.append(np.where(part, filling, plane).astype(np.uint8))
        yield replace(frame, luma=planes[0], chroma_blue=planes[1], chroma_red=planes[2])


@pytest.mark.parametrize("shade", [None, 0, 255])
def test_whatever_is_under_the_mask_every_message_is_the_same(shade: int | None) -> None:
    settings = settings_of(mask=[LEFT_PART])
    vision = load_vision(settings.model)

    def said(frames: Iterator[Frame]) -> list[tuple[str, bytes]]:
        pipeline = app.build_replay(settings, settings.cameras[0], vision, "run")
        return [(m.topic, m.payload) for _frame, messages in replay(pipeline, frames) for m in messages]

    def recording() -> Iterator[Frame]:
        return islice(app.open_recording(PEDESTRIANS).frames(), FRAMES)  # type: ignore[arg-type]

    as_it_is = said(recording())
    assert len(as_it_is) > 5
    assert said(with_another_picture(recording(), shade)) == as_it_is


def test_a_drawing_shows_the_mask_blank(tmp_path: Path) -> None:
    config = write_config(
        tmp_path / "config.yaml", {"device": {"id": "box"}, "cameras": [camera("front", mask=[LEFT_PART])]}
    )
    done = run_program("replay", PEDESTRIANS, "-c", config, "--annotate", "drawn.mp4", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    with av.open(str(tmp_path / "drawn.mp4")) as container:
        for number, picture in enumerate(container.decode(video=0)):
            luma = picture.to_ndarray(format="gray")
            height, width = luma.shape
            if number and number % 50 == 0:  # of the first one x264 makes little
                grey = luma[height // 4 :, : width // 3]  # below the captions
                assert grey.std() < 2
                assert luma[height // 4 :, width * 2 // 3 :].std() > 10
