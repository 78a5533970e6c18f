"""Looking closer where something moves: which part, and what becomes of things at its ends."""

from __future__ import annotations

import numpy as np
import pytest
from builders import boxes_of, frame_of
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from test_detector import FakeModel, detector_of

from edge_agent.records import Box
from edge_agent.stages.detect.detector import DetectSettings
from edge_agent.stages.detect.zoom import LEAST_MAGNIFICATION, Part, part_around

SHOWN = (64, 36)
ZOOM = DetectSettings(labels=("person",), zoom=True)


@pytest.mark.parametrize(
    ("regions", "part"),
    [
        ([], None),
        # 40 x 20 with a quarter more on each side is less than the model's 64 x 36, so that is what is looked at.
        ([(300, 170, 340, 190)], (288, 162, 64, 36)),
        # 200 x 60 with margins is 300 x 90: 300/640 of the picture.
        ([(200, 100, 400, 160)], (150, 46, 300, 168)),
        ([(200, 100, 220, 120), (380, 140, 400, 160)], (150, 46, 300, 168)),  # around both
        ([(0, 0, 20, 20)], (0, 0, 64, 36)),  # in a corner: within the picture
        ([(620, 340, 640, 360)], (576, 324, 64, 36)),
        ([(0, 0, 300, 100)], None),  # 450 of 640 pixels: shown 1.4 times as large
    ],
)
def test_the_part_is_around_what_moves_and_no_smaller_than_what_the_model_sees(
    regions: list[Box], part: tuple[int, int, int, int] | None
) -> None:
    expected = None if part is None else Part(left=part[0], top=part[1], width=part[2], height=part[3])
    assert part_around(boxes_of(*regions), frame_of(size=(640, 360)), SHOWN) == expected


@given(st.integers(40, 700), st.integers(30, 500), st.lists(st.tuples(*[st.floats(0, 1)] * 4), min_size=1, max_size=4))
def test_a_part_lies_within_the_frame_and_is_even_and_larger_than_the_whole_shows(
    width: int, height: int, sides: list[tuple[float, float, float, float]]
) -> None:
    frame = frame_of(size=(width, height))
    boxes = [(min(a, c) * width, min(b, d) * height, max(a, c) * width, max(b, d) * height) for a, b, c, d in sides]
    part = part_around(boxes_of(*boxes), frame, SHOWN)
    if part is None:
        return
    seen = part.of(frame)
    assert (seen.width, seen.height) == (part.width, part.height)
    assert not any(side % 2 for side in (part.left, part.top, part.width, part.height))
    assert part.width * LEAST_MAGNIFICATION <= width + 1
    for left, top, right, bottom in boxes:
        assert part.left <= left + 2
        assert part.top <= top + 2
        assert part.left + part.width >= right - 2
        assert part.top + part.height >= bottom - 2


def test_the_whole_picture_is_looked_at_first_and_then_the_part() -> None:
    luma = np.full((360, 640), 100, np.uint8)
    luma[162:198, 288:352] = 235
    model = FakeModel()
    detector_of(model, settings=ZOOM).detect(frame_of(luma=luma), boxes_of((300, 170, 340, 190)))
    whole, part = (seen[0, 0, :36] for seen in model.seen)
    assert (whole == 255).mean() < 0.02
    assert np.all(part == 255)


@pytest.mark.parametrize("regions", [None, boxes_of(), boxes_of((0, 0, 640, 360))])
def test_where_nothing_moves_or_nearly_all_does_it_looks_once(regions: np.ndarray | None) -> None:  # type: ignore[type-arg]
    model = FakeModel()
    detector_of(model, settings=ZOOM).detect(frame_of(size=(640, 360)), regions)
    assert len(model.seen) == 1


def test_it_looks_once_unless_told_otherwise() -> None:
    model = FakeModel()
    detector_of(model).detect(frame_of(size=(640, 360)), boxes_of((300, 170, 340, 190)))
    assert len(model.seen) == 1


@pytest.mark.parametrize(
    ("found", "boxes"),
    [
        # Each look finds the same place of what it sees: ten times as large in the whole, as it is in the part.
        ((10, 10, 20, 30), [(100, 100, 200, 300), (298, 172, 308, 192)]),
        ((0.5, 10, 20, 30), [(5, 100, 200, 300)]),  # the part cuts it off on the left, the frame ends there
        ((10, 10, 63, 30), [(100, 100, 630, 300)]),
        ((10, 1, 20, 30), [(100, 10, 200, 300)]),
        ((10, 10, 20, 35), [(100, 100, 200, 350)]),
    ],
)
def test_boxes_of_the_part_lie_in_the_frame_and_what_it_cuts_is_left_to_the_whole(found: Box, boxes: list[Box]) -> None:
    detector = detector_of(FakeModel((found, 0.9, 0)), settings=ZOOM)
    seen = detector.detect(frame_of(size=(640, 360)), boxes_of((300, 170, 340, 190)))
    assert_allclose(sorted(seen.boxes.tolist()), boxes)


def test_what_is_cut_off_by_the_frame_itself_counts() -> None:
    detector = detector_of(FakeModel(((0.5, 0.5, 20, 30), 0.9, 0)), settings=ZOOM)
    seen = detector.detect(frame_of(size=(640, 360)), boxes_of((0, 0, 20, 20)))
    assert len(seen) == 2
