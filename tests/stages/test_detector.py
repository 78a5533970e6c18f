"""The detector around a model: what the model sees of a frame, and where its boxes lie in the frame."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from builders import boxes_of, coloured_frame, frame_of
from numpy.testing import assert_allclose
from numpy.typing import NDArray

from edge_agent.records import Box, FloatArray, IntArray
from edge_agent.stages.detect.detector import Detector, DetectSettings
from edge_agent.stages.detect.head import Candidates, Head
from edge_agent.stages.detect.preparation import letterbox

LABELS = ("person", "car", "dog")
RED, RED_BGR = (81, 90, 240), (0, 0, 255)  # Y, Cb, Cr of BT.601, and what it is on a screen
WHITE = (235, 128, 128)
HALF_RANGE = (127.5, 127.5, 127.5)


class FakeModel:
    """Keeps what it was shown and what it was asked, and answers with the candidates it was given."""

    def __init__(self, *found: tuple[Box, float, int]) -> None:
        self.found = found
        self.seen: list[NDArray[Any]] = []
        self.asked: list[tuple[list[int], list[float]]] = []

    def infer(self, tensor: NDArray[Any]) -> Sequence[NDArray[Any]]:
        self.seen.append(tensor.copy())
        return []

    def decode(
        self, _outputs: Sequence[NDArray[Any]], _size: tuple[int, int], wanted: IntArray, floors: FloatArray
    ) -> Candidates:
        self.asked.append((wanted.tolist(), floors.tolist()))
        floor_of = dict(zip(wanted.tolist(), floors.tolist(), strict=True))
        kept = [one for one in self.found if one[2] in floor_of and np.float32(one[1]) >= floor_of[one[2]]]
        return Candidates(
            boxes=boxes_of(*(box for box, _, _ in kept)),
            scores=np.array([score for _, score, _ in kept], np.float32),
            label_ids=np.array([label_id for _, _, label_id in kept], np.int64),
        )


PLAIN = Head(
    family="fake",
    why="",
    size_step=32,
    resize="letterbox",
    colour="bgr",
    mean=(0.0, 0.0, 0.0),
    std=(1.0, 1.0, 1.0),
    padding=114,
    classes=3,
    decode=FakeModel().decode,
)


def detector_of(
    model: FakeModel, head: Head = PLAIN, *, size: tuple[int, int] = (64, 64), threshold: float = 0.4, **rest: Any
) -> Detector:
    settings = rest.pop("settings", DetectSettings(labels=LABELS))
    return Detector(
        infer=model.infer,
        head=replace(head, decode=model.decode),
        label_names=LABELS,
        input_size=size,
        threshold=threshold,
        settings=settings,
        **rest,
    )


@pytest.mark.parametrize(
    ("picture", "into", "expected"),
    [
        ((1920, 1080), (416, 256), (416, 234)),  # 416 / 1920 * 1080 = 234
        ((1920, 1080), (416, 416), (416, 234)),
        ((640, 480), (416, 256), (342, 256)),  # 256 / 480 * 640 = 341.3, and even
        ((1080, 1920), (416, 256), (144, 256)),
        ((416, 256), (416, 256), (416, 256)),
        ((100, 100), (416, 416), (416, 416)),  # a small one is made larger
        ((1000, 1), (64, 64), (64, 2)),  # never nothing
        ((1, 1000), (64, 64), (2, 64)),
    ],
)
def test_letterbox_is_the_largest_even_size_with_the_aspect_of_the_picture(
    picture: tuple[int, int], into: tuple[int, int], expected: tuple[int, int]
) -> None:
    assert letterbox(*picture, *into) == expected


@pytest.mark.parametrize("input_size", [(416, 256), (320, 320), (64, 32)])
def test_letterbox_never_exceeds_the_input(input_size: tuple[int, int]) -> None:
    for width in range(1, 2000, 37):
        for height in range(1, 2000, 41):
            fitted = letterbox(width, height, *input_size)
            assert 2 <= fitted[0] <= input_size[0]
            assert 2 <= fitted[1] <= input_size[1]
            assert fitted[0] % 2 == fitted[1] % 2 == 0


@pytest.mark.parametrize(("colour", "expected"), [("bgr", RED_BGR), ("rgb", RED_BGR[::-1])])
def test_the_model_sees_the_channels_in_its_order(colour: Any, expected: tuple[int, int, int]) -> None:
    model = FakeModel()
    detector_of(model, replace(PLAIN, colour=colour)).detect(coloured_frame(*RED, size=(64, 64)))
    assert model.seen[0].shape == (1, 3, 64, 64)
    assert model.seen[0].dtype == np.float32
    assert_allclose(model.seen[0][0, :, 20, 30], expected, atol=2)


def test_the_picture_lies_at_the_top_left_and_padding_fills_the_rest() -> None:
    model = FakeModel()
    detector_of(model).detect(coloured_frame(*WHITE, size=(128, 64)))  # 128 x 64 into 64 x 64: 64 x 32
    seen = model.seen[0][0]
    assert np.all(seen[:, :32] == 255)
    assert np.all(seen[:, 32:] == 114)


def test_stretched_the_picture_fills_the_input() -> None:
    model = FakeModel()
    detector_of(model, replace(PLAIN, resize="stretch")).detect(coloured_frame(*WHITE, size=(128, 64)))
    assert np.all(model.seen[0] == 255)


@pytest.mark.parametrize(
    ("mean", "std", "white", "padding"),
    [
        # each channel: (255 - mean) / std and (114 - mean) / std
        ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0), (255, 255, 255), (114, 114, 114)),
        (HALF_RANGE, HALF_RANGE, (1, 1, 1), (-0.105882, -0.105882, -0.105882)),
        ((5.0, 55.0, 105.0), (2.0, 4.0, 5.0), (125, 50, 30), (54.5, 14.75, 1.8)),
    ],
)
def test_mean_and_std_are_applied_to_picture_and_padding_alike(
    mean: tuple[float, float, float],
    std: tuple[float, float, float],
    white: tuple[float, float, float],
    padding: tuple[float, float, float],
) -> None:
    model = FakeModel()
    detector_of(model, replace(PLAIN, mean=mean, std=std)).detect(coloured_frame(*WHITE, size=(128, 64)))
    assert_allclose(model.seen[0][0, :, 31, 63], white, rtol=1e-5)
    assert_allclose(model.seen[0][0, :, 32, 0], padding, rtol=1e-5)


def test_mean_and_std_follow_the_channel_order_of_the_model() -> None:
    model = FakeModel()
    head = replace(PLAIN, colour="rgb", mean=(55.0, 0.0, 0.0), std=(2.0, 1.0, 1.0))
    detector_of(model, head).detect(coloured_frame(*RED, size=(64, 64)))
    assert_allclose(model.seen[0][0, :, 5, 5], [100, 0, 0], atol=2)  # red comes first: (255 - 55) / 2


def test_a_new_frame_size_leaves_nothing_of_the_old_picture_behind() -> None:
    model = FakeModel()
    detector = detector_of(model)
    for size in ((64, 64), (128, 64), (64, 128)):
        detector.detect(coloured_frame(*WHITE, size=size))
    whole, wide, high = (seen[0, 0] for seen in model.seen)
    assert np.all(whole == 255)
    assert np.all(wide[:32] == 255)
    assert np.all(wide[32:] == 114)
    assert np.all(high[:, :32] == 255)
    assert np.all(high[:, 32:] == 114)


def test_detecting_does_not_write_on_the_frame() -> None:
    frame = coloured_frame(*RED)
    for plane in (frame.luma, frame.chroma_blue, frame.chroma_red):
        plane.setflags(write=False)
    detector_of(FakeModel()).detect(frame)


@pytest.mark.parametrize(
    ("resize", "size", "found", "expected"),
    [
        ("letterbox", (128, 64), (10, 10, 20, 20), (20, 20, 40, 40)),  # twice in both
        ("letterbox", (64, 128), (10, 10, 20, 20), (20, 20, 40, 40)),
        ("stretch", (128, 64), (10, 10, 20, 20), (20, 10, 40, 20)),  # twice in x alone
        ("letterbox", (64, 64), (10, 10, 20, 20), (10, 10, 20, 20)),
        ("letterbox", (32, 32), (10, 10, 20, 20), (5, 5, 10, 10)),
        ("letterbox", (128, 64), (-5, -5, 100, 100), (0, 0, 128, 64)),  # cut off at the frame, not at the input
    ],
)
def test_boxes_come_back_in_pixels_of_the_frame(resize: Any, size: tuple[int, int], found: Box, expected: Box) -> None:
    model = FakeModel((found, 0.9, 0))
    detections = detector_of(model, replace(PLAIN, resize=resize)).detect(frame_of(size=size))
    assert_allclose(detections.boxes, [expected])
    assert detections.boxes.dtype == np.float32


def test_boxes_come_back_in_pixels_of_this_frame_whatever_size_those_before_had() -> None:
    detector = detector_of(FakeModel(((10, 10, 20, 20), 0.9, 0)))
    found = [detector.detect(frame_of(size=size)).boxes.tolist() for size in ((128, 64), (32, 32), (128, 64))]
    assert found == [[[20, 20, 40, 40]], [[5, 5, 10, 10]], [[20, 20, 40, 40]]]


def test_with_nobody_in_view_that_is_what_is_found() -> None:
    found = detector_of(FakeModel()).detect(frame_of())
    assert (found.boxes.shape, found.boxes.dtype) == ((0, 4), np.float32)
    assert (found.scores.dtype, found.label_ids.dtype, found.strong.dtype) == (np.float32, np.int64, np.bool_)
    assert (len(found), found.label_names) == (0, LABELS)


def test_a_box_that_lies_wholly_beside_the_picture_is_no_detection() -> None:
    model = FakeModel(((10.0, 40.0, 20.0, 60.0), 0.9, 0), ((10.0, 10.0, 20.0, 30.0), 0.8, 0))
    detections = detector_of(model).detect(
        frame_of(size=(128, 64))
    )  # the picture is 64 x 32: the first is in the padding
    assert_allclose(detections.boxes, [(20, 20, 40, 60)])


FAR_APART: list[Box] = [(0, 0, 9, 9), (20, 0, 29, 9), (40, 0, 49, 9), (0, 20, 9, 29)]


@pytest.mark.parametrize(
    ("score", "label_id", "strong"),
    [
        (0.4, 0, True),  # just the threshold
        (0.39, 0, False),
        (0.2, 0, False),  # just half of it
        (0.19, 0, None),
        (0.7, 1, False),  # a label with a threshold of its own, 0.8
        (0.8, 1, True),
        (0.39, 1, None),
        (0.99, 2, None),  # not wanted
    ],
)
def test_a_box_is_strong_from_its_threshold_on_and_weak_from_a_part_of_it(
    score: float,
    label_id: int,
    *,
    strong: bool | None,
) -> None:
    settings = DetectSettings(labels=("person", "car"), thresholds={"car": 0.8}, weak=0.5)
    found = detector_of(FakeModel((FAR_APART[0], score, label_id)), settings=settings).detect(frame_of())
    assert found.strong.tolist() == ([] if strong is None else [strong])
    assert found.label_names == LABELS


def test_another_threshold_counts_from_the_next_frame_on_for_labels_without_one_of_their_own() -> None:
    settings = DetectSettings(labels=("person", "car"), thresholds={"car": 0.8}, weak=0.5)
    model = FakeModel((FAR_APART[0], 0.5, 0), (FAR_APART[1], 0.9, 1), (FAR_APART[2], 0.7, 1))
    detector = detector_of(model, settings=settings)
    told = []
    for threshold in (0.4, 0.6, 0.05):
        detector.set_threshold(threshold)
        found = detector.detect(frame_of())
        scores = [round(score, 2) for score in found.scores.tolist()]
        told.append(sorted(zip(scores, found.strong.tolist(), strict=True)))
    cars = [(0.7, False), (0.9, True)]
    assert told == [[(0.5, True), *cars], [(0.5, False), *cars], [(0.5, True), *cars]]
    assert_allclose([floors for _, floors in model.asked], [[0.2, 0.4], [0.3, 0.4], [0.025, 0.4]])


def test_without_weak_boxes_only_strong_ones_come() -> None:
    model = FakeModel((FAR_APART[0], 0.4, 0), (FAR_APART[1], 0.39, 0))
    found = detector_of(model, settings=DetectSettings(labels=("person",), weak=1.0)).detect(frame_of())
    assert found.strong.tolist() == [True]


def test_the_model_is_only_asked_for_what_is_wanted() -> None:
    model = FakeModel()
    settings = DetectSettings(labels=("dog", "person"), thresholds={"dog": 0.6}, weak=0.5)
    found = detector_of(model, settings=settings).detect(frame_of())
    assert model.asked[0][0] == [2, 0]
    assert_allclose(model.asked[0][1], [0.3, 0.2])
    assert len(found) == 0


def test_boxes_of_a_label_that_overlap_more_than_nms_iou_are_one() -> None:
    same = (0.0, 0.0, 20.0, 20.0)
    close = (0.0, 0.0, 20.0, 16.0)  # 0.8
    model = FakeModel((same, 0.6, 0), (close, 0.9, 0), (close, 0.7, 1))
    found = detector_of(model, settings=DetectSettings(labels=LABELS, nms_iou=0.6)).detect(frame_of(size=(64, 64)))
    assert_allclose(found.scores, [0.9, 0.7])
    assert found.label_ids.tolist() == [0, 1]


def test_of_the_only_wanted_label_boxes_that_overlap_are_one_too() -> None:
    model = FakeModel(((0.0, 0.0, 20.0, 20.0), 0.6, 1), ((0.0, 0.0, 20.0, 16.0), 0.9, 1))
    found = detector_of(model, settings=DetectSettings(labels=("car",))).detect(frame_of(size=(64, 64)))
    assert_allclose(found.scores, [0.9])
    assert found.label_ids.tolist() == [1]


def test_only_so_many_of_the_best_boxes_are_compared_as_is_asked_for() -> None:
    apart = [(20.0 * number, 0.0, 20.0 * number + 10, 10.0) for number in range(3)]
    model = FakeModel((apart[0], 0.6, 0), (apart[1], 0.9, 1), (apart[2], 0.7, 0))
    found = detector_of(model, max_candidates=2).detect(frame_of(size=(64, 64)))
    assert_allclose(found.scores, [0.9, 0.7])


def test_an_unknown_label_is_refused_with_those_that_are_known() -> None:
    with pytest.raises(ValueError, match="the model knows no cat, bird; it knows person, car, dog"):
        detector_of(FakeModel(), settings=DetectSettings(labels=("cat", "person", "bird")))


@pytest.mark.parametrize("size", [(1920, 1080), (161, 91), (7, 5), (3000, 20), (1, 1)])
def test_frames_of_any_size_are_looked_at(size: tuple[int, int]) -> None:
    model = FakeModel(((0.0, 0.0, 64.0, 64.0), 0.9, 0))
    found = detector_of(model).detect(frame_of(size=size))
    assert_allclose(found.boxes, [(0, 0, *size)])


def test_the_same_frame_gives_the_same_detections() -> None:
    random = np.random.default_rng(3)
    frame = frame_of(luma=random.integers(16, 236, (90, 160), np.uint8))
    model = FakeModel(*((box, 0.5, 0) for box in FAR_APART))
    detect: Callable[..., Any] = detector_of(model).detect
    first, second = detect(frame), detect(frame)
    assert first.boxes.tolist() == second.boxes.tolist()
    assert np.array_equal(model.seen[0], model.seen[1])
