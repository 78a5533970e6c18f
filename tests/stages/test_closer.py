"""The detector with closer looks and tiles, around a model that sees bright things if they are large enough."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pytest
from builders import boxes_of, frame_of
from numpy.testing import assert_allclose
from numpy.typing import NDArray
from test_detector import LABELS, PLAIN, FakeModel, detector_of

from edge_agent import geometry, pixels
from edge_agent.records import Box, FloatArray, Frame, IntArray
from edge_agent.stages.detect.detector import Detector, DetectSettings
from edge_agent.stages.detect.head import Candidates

SIZE = (640, 360)
NOWHERE = boxes_of()


@dataclass
class Eye:
    """A model that sees what is bright and at least `least_px` wide and high, and keeps what it was shown."""

    least_px: float = 8.0
    shown: list[NDArray[Any]] = field(default_factory=list)

    def infer(self, tensor: NDArray[Any]) -> Sequence[NDArray[Any]]:
        self.shown.append(tensor.copy())
        return [tensor]

    def decode(
        self, outputs: Sequence[NDArray[Any]], _size: tuple[int, int], _wanted: IntArray, _floors: FloatArray
    ) -> Candidates:
        boxes = pixels.blobs(outputs[0][0, 0] > 200, 0) + np.array([1, 1, -1, -1], np.float32)  # blobs grows by one
        boxes = boxes[(boxes[:, 2:] - boxes[:, :2] >= self.least_px).all(axis=1)]
        return Candidates(boxes=boxes, scores=np.full(len(boxes), 0.9, np.float32), label_ids=np.zeros(len(boxes), int))


def detector(eye: Eye, *, size: tuple[int, int] = (64, 36), **settings: Any) -> Detector:
    """Around an input of 64 x 36, to which a frame of `SIZE` is shown ten times smaller, unless told otherwise."""
    wanted = DetectSettings(labels=("person",), **settings)
    return Detector(
        infer=eye.infer,
        head=replace(PLAIN, decode=eye.decode),
        label_names=LABELS,
        input_size=size,
        threshold=0.4,
        settings=wanted,
    )


def scene(*things: Box, at_s: float = 0.0, size: tuple[int, int] = SIZE) -> Frame:
    """A dark frame with bright things in it."""
    luma = np.full(size[::-1], 60, np.uint8)
    for left, top, right, bottom in things:
        luma[int(top) : int(bottom), int(left) : int(right)] = 235
    return frame_of(at_s, luma=luma)


SMALL: Box = (300, 170, 312, 186)  # 1.2 x 1.6 as the whole is shown
FAR: list[Box] = [(40, 40, 52, 56), (580, 40, 592, 56), (40, 310, 52, 326), (580, 310, 592, 326)]
LARGE: Box = (100, 40, 300, 320)  # 20 x 28


@pytest.mark.parametrize(
    ("settings", "regions", "looks"),
    [
        ({}, [SMALL], 1),
        ({"zoom": False}, [SMALL], 1),
        ({"zoom": True}, [SMALL], 2),
        ({"zoom": 1}, [SMALL], 2),
        ({"zoom": 4}, [SMALL], 2),
        ({"zoom": 4}, [], 1),
        ({"zoom": 4}, None, 1),
        ({"zoom": 4}, FAR, 5),
        ({"zoom": 3}, FAR, 4),
        ({"zoom": 4}, [(0, 0, 640, 360)], 1),  # nothing would be shown larger
        ({"tile": "2x2"}, [], 5),
        ({"tile": "2x2"}, [SMALL], 5),
        ({"tile": "3x1"}, [], 1),  # as high as the whole, so nothing would be shown larger
        ({"tile": "2x2", "zoom": 4}, [SMALL], 6),
    ],
)
def test_it_looks_as_often_as_it_may_and_as_there_is_something_to_see(
    settings: dict[str, Any], regions: list[Box] | None, looks: int
) -> None:
    eye = Eye()
    detector(eye, **settings).detect(scene(), None if regions is None else boxes_of(*regions))
    assert len(eye.shown) == looks


def test_what_is_too_small_for_the_whole_is_found_where_it_moves() -> None:
    assert len(detector(Eye()).detect(scene(SMALL), boxes_of(SMALL))) == 0
    found = detector(Eye(), zoom=1).detect(scene(SMALL), boxes_of(SMALL))
    assert_allclose(found.boxes, [SMALL], atol=1)  # shown as large as it is: to the pixel, but for the frame's halves


def test_several_small_things_are_found_at_once() -> None:
    found = detector(Eye(), zoom=4).detect(scene(*FAR), boxes_of(*FAR))
    assert_allclose(sorted(found.boxes.tolist()), sorted(FAR), atol=1)


def test_what_never_moved_is_found_in_a_tile() -> None:
    thing = (400.0, 200.0, 440.0, 260.0)  # 4 x 6 in the whole; tiles of about 358 x 206 are shown 5.7 times smaller
    assert len(detector(Eye(7)).detect(scene(thing), NOWHERE)) == 0
    assert len(detector(Eye(7), tile="2x2").detect(scene(thing), NOWHERE)) == 1
    assert len(detector(Eye(7), zoom=8).detect(scene(thing), NOWHERE)) == 0


@pytest.mark.parametrize("tile", ["none", "2x2", "3x3"])
@pytest.mark.parametrize("things", [[LARGE], [LARGE, *FAR], [(300, 160, 330, 200)], [(0, 0, 640, 360)]])
def test_nothing_is_found_twice(tile: str, things: list[Box]) -> None:
    found = detector(Eye(3), zoom=4, tile=tile).detect(scene(*things), boxes_of(*things))
    assert len(found) <= len(things)
    for thing in found.boxes:
        assert np.max(geometry.iou(thing[None], boxes_of(*things))) > 0.6


def test_what_the_whole_shows_well_is_not_looked_at_closer() -> None:
    eye = Eye()
    thing = (100.0, 0.0, 430.0, 90.0)  # 33 pixels wide in the whole
    region = boxes_of((100, 0, 300, 90))
    assert len(detector(eye, zoom=4).detect(scene(thing), region)) == 1
    assert len(eye.shown) == 1
    detector(eye, zoom=4).detect(scene(), region)  # nothing is seen there in the whole
    assert len(eye.shown) == 3


def test_a_small_thing_that_stops_is_looked_at_until_it_has_been_missed_for_some_seconds() -> None:
    eye = Eye()
    looking = detector(eye, zoom=1)
    assert len(looking.detect(scene(SMALL), boxes_of(SMALL))) == 1
    for at_s in (1, 2, 60, 600):
        assert len(looking.detect(scene(SMALL, at_s=at_s), NOWHERE)) == 1
    eye.shown.clear()
    looks = []
    for at_s in (610, 620, 630, 640):  # each counts a second
        assert len(looking.detect(scene(at_s=at_s), NOWHERE)) == 0
        looks.append(len(eye.shown))
    assert looks == [2, 4, 6, 7]


def test_two_that_stop_are_both_looked_at_further_though_in_turn() -> None:
    looking = detector(Eye(), zoom=1)
    things, moving = FAR[:2], boxes_of(*FAR[:2])
    found = [
        looking.detect(scene(*things, at_s=step / 5), moving if step < 2 else NOWHERE).boxes[:, 0].tolist()
        for step in range(6)
    ]
    assert found == [[left] for left in (40, 580) * 3]


def test_what_is_not_small_or_did_not_move_is_not_looked_at_further() -> None:
    eye = Eye(16)
    looking = detector(eye, size=(416, 256), zoom=1)
    wide: Box = (600, 500, 800, 560)  # 43 x 13 in the whole
    beside: Box = (820, 500, 860, 560)  # small; seen with what moves
    for at_s, regions in ((0.0, boxes_of(wide)), (0.2, NOWHERE)):
        frame = scene(wide, beside, at_s=at_s, size=(1920, 1080))
        assert len(looking.detect(frame, regions)) == (2 if len(regions) else 0)
    assert len(eye.shown) == 3


def test_one_that_walks_on_leaves_nothing_behind_to_look_at() -> None:
    eye = Eye()
    looking = detector(eye, zoom=4)
    for step in range(20):
        thing = (100.0 + step * 15, 170.0, 112.0 + step * 15, 186.0)
        assert len(looking.detect(scene(thing, at_s=step / 5), boxes_of(thing))) == 1
    assert len(eye.shown) == 40


def test_frames_of_another_size_are_another_scene() -> None:
    eye = Eye()
    looking = detector(eye, zoom=4)
    looking.detect(scene(SMALL), boxes_of(SMALL))
    looking.detect(scene(SMALL, size=(1280, 720)), NOWHERE)
    assert len(eye.shown) == 3


@pytest.mark.parametrize("zoom", [1, 2, 3])
def test_nobody_waits_for_longer_than_it_takes_to_look_at_all(zoom: int) -> None:
    looking = detector(Eye(), zoom=zoom)
    seen_at: dict[Box, list[int]] = {thing: [] for thing in FAR}
    for step in range(12):
        # Everybody moves a little, nobody farther than their own height.
        things = [(left + step % 2 * 4, top, right + step % 2 * 4, bottom) for left, top, right, bottom in FAR]
        found = looking.detect(scene(*things, at_s=step / 5), boxes_of(*things))
        for thing in FAR:
            if len(found) and np.max(geometry.iou(boxes_of(thing), found.boxes)) > 0:
                seen_at[thing].append(step)
    rounds = -(-len(FAR) // zoom)
    for steps in seen_at.values():
        assert steps[0] < rounds
        assert np.max(np.diff([*steps, 12])) <= rounds


def test_whoever_waits_goes_on_to_wait_while_nobody_says_what_moves() -> None:
    one, times = detector(Eye(), zoom=1), dict.fromkeys(FAR, 0)
    for look in range(40):
        found = one.detect(scene(*FAR, at_s=look / 10), boxes_of(*FAR) if look % 2 == 0 else None)
        for thing in FAR:
            times[thing] += int((geometry.iou(boxes_of(thing), found.boxes) > 0).any())
    assert set(times.values()) == {10}


def test_what_vanishes_is_looked_for_as_long_as_one_thing_is_though_several_wait_in_turn() -> None:
    eye = Eye()
    one = detector(eye, zoom=1)
    for look in range(8):
        one.detect(scene(*FAR, at_s=look / 5), boxes_of(*FAR))
    looked = []
    for look in range(8, 80):
        before = len(eye.shown)
        one.detect(scene(at_s=look / 5), NOWHERE)
        looked.append(len(eye.shown) - before == 2)
    # Each is looked at every 0.8 s, and has been missed for 3 s at the fifth of these looks at the latest.
    assert 12 <= sum(looked) <= 20
    assert looked == sorted(looked, reverse=True)


def test_what_ends_at_the_frame_s_edge_is_found_once_though_one_look_has_it_beyond() -> None:
    thing = (0.0, 160.0, 12.0, 186.0)
    eye = Eye()
    # In the frame, from -5 to 24 beside from 0 to 14: overlapping by less than 0.5, so that the edge alone decides.
    boxes = iter([np.array([[-0.5, 16, 2.4, 18.8]], np.float32), np.array([[0, 7, 12, 31]], np.float32)])

    def decode(*_args: Any) -> Candidates:
        found = next(boxes)
        score = np.array([0.9 if found[0, 0] else 0.6], np.float32)
        return Candidates(boxes=found, scores=score, label_ids=np.zeros(1, int))

    one = Detector(
        infer=eye.infer,
        head=replace(PLAIN, decode=decode),
        label_names=LABELS,
        input_size=(64, 36),
        threshold=0.4,
        settings=DetectSettings(labels=("person",), zoom=1),
    )
    found = one.detect(scene(), boxes_of(thing))
    assert len(eye.shown) == 2
    assert_allclose(found.boxes, [(0, 160, 14, 187)], atol=2)


def test_what_ends_with_a_frame_of_an_odd_size_does_not_wait_for_ever() -> None:
    looking = detector(Eye(), zoom=1)
    corner, far = (630.0, 351.0, 641.0, 361.0), FAR[0]
    found = [looking.detect(scene(corner, far, at_s=at_s, size=(641, 361)), boxes_of(corner, far)) for at_s in range(4)]
    assert [bool(len(one) and np.min(one.boxes) < 100) for one in found].count(True) == 2


def test_a_thing_that_is_cut_by_a_part_is_left_to_those_that_show_it_whole() -> None:
    # The part around what moves is 64 wide, 283 to 347, and ends within the wide one, which the whole shows well.
    wide = (336.0, 150.0, 480.0, 260.0)
    found = detector(Eye(), zoom=1).detect(scene(SMALL, wide), boxes_of((300, 170, 330, 186)))
    assert_allclose(sorted(found.boxes.tolist()), [SMALL, wide], atol=6)


@pytest.mark.parametrize(
    ("found", "boxes"),
    [
        # Each look finds the same place of what it sees: ten times as large in the whole as it is in the part, which
        # is 64 x 64 pixels around (320, 180).
        ((10, 10, 20, 30), [(100, 100, 200, 300), (298, 158, 308, 178)]),
        ((0.5, 10, 20, 30), [(5, 100, 200, 300)]),  # the part cuts it off on the left, the frame ends there
        ((10, 10, 63, 30), [(100, 100, 630, 300)]),
        ((10, 1, 20, 30), [(100, 10, 200, 300)]),
        ((10, 10, 20, 63), [(100, 100, 200, 360)]),
    ],
)
def test_boxes_of_a_part_lie_in_the_frame_and_what_it_cuts_is_left_to_the_whole(found: Box, boxes: list[Box]) -> None:
    zooming = detector_of(FakeModel((found, 0.9, 0)), settings=DetectSettings(labels=("person",), zoom=1))
    seen = zooming.detect(frame_of(size=SIZE), boxes_of((310, 170, 330, 190)))
    assert_allclose(sorted(seen.boxes.tolist()), boxes)


def test_what_is_cut_off_by_the_frame_itself_counts() -> None:
    zooming = detector_of(FakeModel(((0.5, 0.5, 20, 30), 0.9, 0)), settings=DetectSettings(labels=("person",), zoom=1))
    assert len(zooming.detect(frame_of(size=SIZE), boxes_of((0, 0, 20, 20)))) == 2


def test_the_same_frames_give_the_same_detections() -> None:
    frames = [scene(*FAR[: step % 4 + 1], at_s=step / 5) for step in range(8)]
    runs = []
    for _ in range(2):
        looking = detector(Eye(), zoom=2, tile="2x2")
        found = [looking.detect(frame, boxes_of(*FAR[: step % 3])) for step, frame in enumerate(frames)]
        runs.append([one.boxes.tolist() for one in found])
    assert runs[0] == runs[1]


@pytest.mark.parametrize("resize", ["letterbox", "stretch"])
@pytest.mark.parametrize("size", [(1921, 1081), (161, 91), (7, 5), (3000, 20), (1, 1)])
def test_frames_of_any_size_are_looked_at(resize: Any, size: tuple[int, int]) -> None:
    model = FakeModel(((0.0, 0.0, 64.0, 64.0), 0.9, 0))
    settings = DetectSettings(labels=("person",), zoom=8, tile="4x4")
    looking = detector_of(model, replace(PLAIN, resize=resize), settings=settings)
    found = looking.detect(frame_of(size=size), boxes_of((0, 0, *size), (0, 0, 1, 1), (size[0] - 1, 0, size[0], 1)))
    assert np.max(geometry.area(found.boxes)) == size[0] * size[1]


@pytest.mark.parametrize(
    ("written", "zoom"), [("true", 1), ("false", 0), ("on", 1), (True, 1), (False, 0), ("4", 4), ("0", 0), (8, 8)]
)
def test_closer_looks_are_a_number_or_a_switch(written: object, zoom: int) -> None:
    assert DetectSettings.model_validate({"zoom": written}).zoom == zoom


@pytest.mark.parametrize("zoom", ["9", "-1", "1.5", "maybe", 9, -1])
def test_a_number_of_closer_looks_out_of_range_is_refused(zoom: object) -> None:
    with pytest.raises(ValueError, match="zoom"):
        DetectSettings.model_validate({"zoom": zoom})


@pytest.mark.parametrize(
    ("settings", "runs"),
    [({}, 1), ({"zoom": 3}, 4), ({"tile": "3x2"}, 7), ({"zoom": 1, "tile": "2x2"}, 6), ({"tile": "1x1"}, 1)],
)
def test_a_look_runs_the_model_so_often_at_most(settings: dict[str, Any], runs: int) -> None:
    assert DetectSettings.model_validate(settings).most_runs == runs


@pytest.mark.parametrize("tile", ["2", "2x", "0x2", "5x5", "2x2x2", "2 x 2", "2X2"])
def test_a_grid_that_is_none_is_refused(tile: str) -> None:
    with pytest.raises(ValueError, match="tile"):
        DetectSettings(tile=tile)
