"""Anchors as people bring them, and as everybody used them: which numbers say what, worked out by hand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from data import shared_data
from heads import CLASSES, HALF, SIZE, logit, maps, ssd_logits, zeros
from numpy.testing import assert_allclose
from numpy.typing import NDArray

from edge_agent.stages.detect.anchor_grids import grid_of, tensorflow_ssd, torchvision_ssd, torchvision_ssdlite
from edge_agent.stages.detect.anchors import ACROSS, Numbers, Told, understood
from edge_agent.stages.detect.class_scores import by_softmax, scoring_of
from edge_agent.stages.detect.families import recognise
from edge_agent.stages.detect.head import Answer, Candidates, Head

QUARTERS = np.array([(0, 0, 0.5, 0.5), (0, 0.5, 0.5, 1), (0.5, 0, 1, 0.5), (0.5, 0.5, 1, 1)], np.float64)
"""The picture in four, ymin, xmin, ymax, xmax."""


def told(numbers: Any, **rest: Any) -> Told:
    return Told(anchors=np.array(numbers, np.float64), origin="anchors.txt", **rest)


def as_sizes(corners: Numbers) -> Numbers:
    return np.concatenate([(corners[:, :2] + corners[:, 2:]) / 2, corners[:, 2:] - corners[:, :2]], axis=1)


def as_corners(corners: Numbers) -> Numbers:
    return corners


# Forms


@pytest.mark.parametrize("grid", [tensorflow_ssd(300), torchvision_ssdlite(), torchvision_ssd(), QUARTERS])
@pytest.mark.parametrize("clipped", [False, True])
@pytest.mark.parametrize(("form", "change"), [("corners", as_corners), ("centres and sizes", as_sizes)])
@pytest.mark.parametrize("x_first", [False, True])
@pytest.mark.parametrize("pixels", [False, True])
def test_numbers_say_by_themselves_what_they_are(
    grid: NDArray[Any],
    clipped: bool,  # noqa: FBT001
    form: str,
    change: Callable[[Numbers], Numbers],
    x_first: bool,  # noqa: FBT001
    pixels: bool,  # noqa: FBT001
) -> None:
    boxes = np.asarray(np.clip(grid, 0, 1) if clipped else grid, np.float64)
    numbers = change(boxes) * (np.array([240, 320, 240, 320]) if pixels else 1)
    found = understood(told(numbers[:, ACROSS] if x_first else numbers), (320, 240))
    assert_allclose(found.boxes, boxes, atol=1e-6)
    assert found.boxes.dtype == np.float32
    order, unit = "x before y" if x_first else "y before x", "pixels of 320x240" if pixels else "parts of the picture"
    assert (found.x_first, found.told) == (x_first, f"from anchors.txt, {form}, {order}, in {unit}")


def test_cells_that_do_not_divide_the_picture_may_end_beyond_it() -> None:
    boxes = []
    for stride in (8, 16, 32, 64, 128):  # of 416 pixels: the last of four cells of 128 has its middle at 448
        middles = (np.arange(-(-416 // stride)) + 0.5) * stride
        boxes += [(y - stride, x - stride, y + stride, x + stride) for y in middles for x in middles]
    found = understood(told(boxes), (416, 416))
    assert_allclose(found.boxes[-1], [320 / 416, 320 / 416, 576 / 416, 576 / 416], rtol=1e-6)


def test_what_could_be_two_forms_is_asked_and_the_answer_counts() -> None:
    square = [(0.2, 0.2, 0.9, 0.9)]  # as centre and size in the upper left, where no only anchor is
    with pytest.raises(ValueError, match="can be read as") as caught:
        understood(told(square), SIZE)
    assert str(caught.value) == (
        "model.anchors: the numbers in anchors.txt can be read as corners, y before x (yxyx) or "
        "corners, x before y (xyxy); model.anchor_form decides"
    )
    with pytest.raises(ValueError, match=r"\(yxyx\) or .* \(xyxy\) or .* \(yxhw\) or .* \(xywh\); model\.anchor_form"):
        understood(told([(0.5, 0.5, 0.9, 0.9)]), SIZE)
    boxes = understood(told([(0.5, 0.6, 0.8, 0.4)], anchor_form="xywh"), SIZE).boxes
    assert_allclose(boxes, [(0.4, 0.1, 0.8, 0.9)], atol=1e-7)  # y .6 and .4 high, x .5 and .8 wide
    with pytest.raises(ValueError, match=r"are no corners, x before y, of boxes about the picture, in parts of the"):
        understood(told([(0.5, 0.6, 0.8, 0.4)], anchor_form="xyxy"), SIZE)


@pytest.mark.parametrize(
    ("numbers", "words"),
    [
        ([(10, 13), (16, 30)], "model.anchors has 2 numbers a line, and each anchor of an SSD has 4"),
        (-QUARTERS, "are neither corners nor centres and sizes of boxes about the picture, in parts of the picture"),
        (QUARTERS * 0.5, "are neither corners nor centres"),  # all in the upper left
        (tensorflow_ssd(300) * 0.5, "in parts of the picture"),  # the last centre is at .49
        (tensorflow_ssd(300) * 150, "in pixels of 300x300"),  # of a picture of half the size
        (tensorflow_ssd(300) * 0.5 + 0.5, "in parts of the picture"),
        (QUARTERS * 0, "are neither corners nor centres"),
        (
            tensorflow_ssd(300) * 600,
            "are neither corners nor centres and sizes of boxes about the picture, in pixels of 300x300",
        ),
    ],
)
def test_numbers_that_are_no_anchors_of_the_picture_are_refused(numbers: Any, words: str) -> None:
    with pytest.raises(ValueError, match="anchors") as caught:
        understood(told(numbers), (300, 300))
    assert words in str(caught.value)


# Grids


def test_tensorflow_s_grid_is_that_of_a_published_model() -> None:
    grid = tensorflow_ssd(300)
    # A cell is 1/19: its middle .0263158. Of .1; .2 at 2:1, .282843 x .141421; and the same upright.
    first = [
        (-0.0236842, -0.0236842, 0.0763158, 0.0763158),
        (-0.0443949, -0.1151056, 0.0970265, 0.1677372),
        (-0.1151056, -0.0443949, 0.1677372, 0.0970265),
    ]
    assert_allclose(grid[:3], first, atol=1e-6)
    assert_allclose(grid[3, [1, 3]], [0.0289474, 0.1289474], atol=1e-6)  # the next cell is to the right: .0789474
    assert_allclose(grid[-1], (0.0126603, 0.0126603, 0.9873397, 0.9873397), atol=1e-6)  # sqrt(.95 * 1) is .9746794
    # 3 * 19 ** 2 + 6 * (10 ** 2 + 5 ** 2 + 3 ** 2 + 2 ** 2 + 1); of 20 cells 3 * 20 ** 2 + the same.
    assert (len(grid), len(tensorflow_ssd(320))) == (1917, 2034)
    assert_allclose(grid, np.load(shared_data("models/ssd_anchors.npy")), atol=1e-6)


def test_torchvision_s_grids_are_as_its_settings_say() -> None:
    lite, large = torchvision_ssdlite(), torchvision_ssd()
    # 6 * (20 ** 2 + 139); 4 * (38 ** 2 + 3 ** 2 + 1) + 6 * (19 ** 2 + 10 ** 2 + 5 ** 2).
    assert (len(lite), len(large)) == (3234, 8732)
    # Middle 1/40; .2; sqrt(.2 * .35) = .2645751; .282843 x .141421; upright; .346410 x .115470; upright.
    sides = [(0.2, 0.2), (0.2645751, 0.2645751), (0.2828427, 0.1414214), (0.1414214, 0.2828427)]
    sides += [(0.3464102, 0.1154701), (0.1154701, 0.3464102)]
    expected = [(0.025 - h / 2, 0.025 - w / 2, 0.025 + h / 2, 0.025 + w / 2) for w, h in sides]
    assert_allclose(lite[:6], expected, atol=1e-6)
    # .95 at 1:3 is .548483 wide and 1.645448 high, which is cut to the picture.
    assert_allclose(lite[-1], (0, 0.2257585, 1, 0.7742415), atol=1e-6)
    # Cells of 8 pixels: middles from 4/300 to 300/300, for 38 are wider than the picture. .07; sqrt(.07 * .15).
    assert_allclose(large[0], (-0.0216667, -0.0216667, 0.0483333, 0.0483333), atol=1e-6)
    assert_allclose(large[1], (-0.0379014, -0.0379014, 0.0645681, 0.0645681), atol=1e-6)
    assert_allclose(large[4 * 38**2 - 4], (0.965, 0.965, 1.035, 1.035), atol=1e-6)


@pytest.mark.parametrize(
    ("count", "size", "activation", "classes", "whose"),
    [
        (1917, (300, 300), "sigmoid", 91, "of TensorFlow's SSD MobileNet"),
        (2034, (320, 320), "sigmoid", 4, "of TensorFlow's SSD MobileNet"),
        (3234, (320, 320), "softmax", 5, "of torchvision's SSDLite"),
        (8732, (300, 300), "softmax", 91, "of torchvision's SSD for COCO"),
        (8732, (300, 300), "softmax", 21, None),  # VOC's are larger
        (1917, (300, 300), "softmax", 21, None),  # Caffe's MobileNet-SSD
        (1917, (300, 300), None, 91, None),
        (1917, (320, 320), "sigmoid", 91, None),
        (1916, (300, 300), "sigmoid", 91, None),
        (2034, (320, 240), "sigmoid", 91, None),
    ],
)
def test_a_grid_is_taken_where_no_other_has_as_many(
    count: int, size: tuple[int, int], activation: Any, classes: int, whose: str | None
) -> None:
    grid = grid_of(count, size, activation, classes)
    assert (grid.told if grid else None) == whose
    assert grid is None or grid.anchors().boxes.shape == (count, 4)


# Scores


def rows(background: float, others: float, classes: int) -> NDArray[np.float32]:
    found = np.full((10, classes + 1), others, np.float32)
    found[:, 0] = background
    return found


@pytest.mark.parametrize(
    ("numbers", "scoring"),
    [
        (rows(4, -12, 90), (True, "sigmoid", 0)),  # 90 * 6e-6 things
        (rows(8, -0.4, 20), (True, "softmax", 0)),  # 20 * .40 = 8 things at each anchor
        (rows(8, -4, 2), (True, None, 0)),  # the softmax adds up to 0, and the sigmoid to 1.04
        (rows(4, -4, 90), (True, "softmax", 0)),  # 90 * .018 = 1.6
        (rows(4, -6, 90), (True, None, 0)),  # .2
        (rows(-9, -5, 20), (True, "sigmoid", None)),  # the softmax would see things everywhere
        (rows(0.7, 0.1, 3), (False, "softmax", 0)),  # adds up to 1
        (rows(0.9, 0.01, 3), (False, "sigmoid", 0)),  # .93
        (rows(0.9921875, 0.00390625, 3), (False, None, 0)),  # in steps of a byte
        (rows(0, 0, 3), (False, "sigmoid", None)),
        (rows(8, -0.4, 20)[:, ::-1], (True, "softmax", 20)),  # the background stands last
        (rows(0.7, 0.1, 3)[:, ::-1], (False, "softmax", 3)),
        (rows(-4, -9, 2)[:, ::-1], (True, "sigmoid", None)),  # a kind of thing that is there more often than others
        (rows(0.3, 0.01, 2)[:, ::-1], (False, "sigmoid", None)),
    ],
)
def test_what_contradicts_sigmoid_or_softmax_tells_which(numbers: NDArray[Any], scoring: tuple[Any, ...]) -> None:
    found = scoring_of(numbers, None, None)
    assert (found.are_logits, found.activation, found.background) == scoring


def test_labels_tell_of_a_background_that_a_picture_of_nothing_does_not_show() -> None:
    numbers = rows(-9, -5, 20)
    assert scoring_of(numbers, None, 21).background is None
    found = scoring_of(numbers, None, 20)  # 20 * .0067 = .13 things
    assert (found.background, found.activation) == (0, None)
    assert scoring_of(numbers, "softmax", 20).activation == "softmax"
    # Of a background that stands last they do not say that it is the first.
    assert scoring_of(rows(8, -0.4, 20)[:, ::-1], None, 20).background == 20


@pytest.mark.parametrize("activation", ["sigmoid", "softmax"])
def test_scores_are_not_made_scores_again(activation: Any) -> None:
    with pytest.raises(ValueError, match=r"lie in 0\.\.1, so they are scores already; leave model\.activation out$"):
        scoring_of(rows(0.7, 0.1, 3), activation, 3)


def test_shares_are_of_all_columns() -> None:
    logits = np.log(np.array([(1, 4, 5), (8, 1, 1), (0.1, 0.1, 9.8)], np.float32))  # tenths
    rows, places, scores = by_softmax(logits, np.array([2, 1]), np.array([0.5, 0.3], np.float32))
    assert [*zip(rows.tolist(), places.tolist(), strict=True)] == [(0, 0), (0, 1), (2, 0)]
    assert_allclose(scores, [0.5, 0.4, 0.98], rtol=1e-6)
    assert len(by_softmax(logits, np.array([1, 2]), np.full(2, -np.inf, np.float32))[0]) == 6
    assert len(by_softmax(logits, np.array([], np.int64), np.array([], np.float32))[0]) == 0


# Models


OFFSETS = np.array([(0, 0, 0, 0), (2.5, -5.0, 5 * np.log(2), 5 * np.log(0.5)), (0, 0, 0, 0), (0, 0, 0, 0)], np.float32)
"""The second quarter's middle is at x .75, y .25, and it is .5 x .5.

Down by 2.5 / 10 * .5 = .125, left by 5 / 10 * .5 = .25: the middle is (.5, .375); twice as high, 1, half as wide, .25.
"""
BOX = (0.375 * 64, -0.125 * 32, 0.625 * 64, 0.875 * 32)


def raw(**rest: Any) -> Answer:
    """An SSD that sees something of the second class in the second quarter, by logits without a background."""
    logits = np.full((1, 4, CLASSES), -5, np.float32)
    logits[0, 1, 1] = logit(0.9)
    outputs = {"scores": logits, "offsets": OFFSETS[None]} | rest.pop("outputs", {})
    said = {"size": SIZE, "names": tuple(outputs), "outputs": tuple(outputs.values()), "classes": CLASSES}
    return Answer(**(said | {"told": told(QUARTERS)} | rest))


def found_by(answer: Answer, head: Head, floor: float = 0.5, classes: int = CLASSES) -> Candidates:
    return head.decode(answer.outputs, SIZE, np.arange(classes), np.full(classes, floor, np.float32))


@pytest.mark.parametrize(
    "change",
    [
        lambda offsets, logits: (offsets[None], logits[None]),
        lambda offsets, logits: (offsets, logits),
        lambda offsets, logits: (offsets[None, :, None], logits[None]),
        lambda offsets, logits: (offsets[None, None], logits[None, None]),
        lambda offsets, logits: (offsets.reshape(1, -1), logits.reshape(1, -1)),
    ],
)
def test_an_ssd_without_its_anchors_is_read_by_those_that_a_person_names(change: Callable[..., Any]) -> None:
    offsets, logits = change(OFFSETS, raw().outputs[0][0])
    answer = raw(outputs={"scores": logits, "offsets": offsets})
    head = recognise(answer)
    assert (head.family, head.classes, head.resize, head.mean[0]) == ("ssd", CLASSES, HALF["resize"], HALF["mean"])
    assert head.why == (
        "4 anchors from anchors.txt, corners, y before x, in parts of the picture, each with a box and 3 class logits, "
        "by the sigmoid; boxes are offsets of centres and sizes, y before x"
    )
    assert "box scales 10, 10, 5, 5" in head.assumed
    found = found_by(answer, head)
    assert_allclose(found.boxes, [BOX], rtol=1e-5, atol=1e-5)
    assert_allclose(found.scores, [0.9], rtol=1e-5)
    assert found.label_ids.tolist() == [1]


def test_offsets_have_the_order_that_their_anchors_have() -> None:
    answer = raw(outputs={"offsets": OFFSETS[None][..., ACROSS]}, told=told(QUARTERS[:, ACROSS]))
    assert_allclose(found_by(answer, recognise(answer)).boxes, [BOX], rtol=1e-5, atol=1e-5)


def test_scales_are_those_that_a_person_says_in_the_order_of_the_anchors() -> None:
    # Learnt five times, twice, once and ten times as large as they are: the same boxes.
    offsets = OFFSETS / np.array([10, 10, 5, 5]) * np.array([5, 2, 1, 10])
    answer = raw(outputs={"offsets": offsets[None].astype(np.float32)}, told=told(QUARTERS, box_scales=(5, 2, 1, 10)))
    head = recognise(answer)
    assert "box scales 10, 10, 5, 5" not in head.assumed
    assert_allclose(found_by(answer, head).boxes, [BOX], rtol=1e-5, atol=1e-5)
    turned = raw(
        outputs={"offsets": offsets[None].astype(np.float32)[..., ACROSS]},
        told=told(QUARTERS[:, ACROSS], box_scales=(2, 5, 10, 1)),
    )
    assert_allclose(found_by(turned, recognise(turned)).boxes, [BOX], rtol=1e-5, atol=1e-5)


def test_a_background_is_no_label_and_counts_for_the_softmax() -> None:
    logits = np.log(np.full((1, 4, CLASSES + 1), 0.01, np.float32))
    logits[0, :, 0] = np.log(0.97)
    logits[0, 1] = np.log([0.5, 0.05, 0.4, 0.05])
    answer = raw(outputs={"scores": logits}, told=told(QUARTERS, activation="softmax"))
    head = recognise(answer)
    assert (head.classes, head.class_columns) == (CLASSES, ())  # no column can be left out
    assert "3 class logits, by the softmax, after a background" in head.why
    found = found_by(answer, head, 0.3)
    assert_allclose(found.scores, [0.4], rtol=1e-5)
    assert found.label_ids.tolist() == [1]
    with pytest.raises(ValueError, match=r"^its class logits can be read by the sigmoid or by the softmax; model\.act"):
        recognise(replace(answer, told=told(QUARTERS)))
    # Whose labels name the background counts it with them.
    assert recognise(replace(answer, classes=CLASSES + 1)).classes == CLASSES + 1
    with pytest.raises(ValueError, match=r"4 class logits, .* or ssd \(.* 3 class logits, .*; model\.labels decides$"):
        recognise(replace(answer, told=told(QUARTERS, activation="softmax"), classes=7))


def test_a_background_may_stand_last() -> None:
    """As in SSDs of MMDetection."""
    logits = np.log(np.full((1, 4, CLASSES + 1), 0.01, np.float32))
    logits[0, :, -1] = np.log(0.97)
    logits[0, 1] = np.log([0.04, 0.04, 0.4, 0.52])
    answer = raw(outputs={"scores": logits + 3}, told=told(QUARTERS, activation="softmax"))
    head = recognise(answer)
    assert (head.classes, head.class_columns) == (CLASSES, ())
    assert "3 class logits, by the softmax, before a background; boxes" in head.why
    found = found_by(answer, head, 0.3)
    assert_allclose(found.scores, [0.4], rtol=1e-5)
    assert found.label_ids.tolist() == [2]
    named = recognise(replace(answer, classes=CLASSES + 1))
    assert (named.classes, "before a background" in named.why) == (CLASSES + 1, False)
    scores = recognise(raw(outputs={"scores": np.exp(logits)}))
    assert scores.class_columns[0].kept(CLASSES + 1, CLASSES, np.array([1])).tolist() == [1, 3]


def test_without_labels_a_background_that_the_scores_show_is_left_out_of_coco_s() -> None:
    scores = zeros(1, 4, 81)
    scores[..., 0] = 0.99
    assert recognise(raw(outputs={"scores": scores}, classes=None)).classes == 80


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (raw(told=told(QUARTERS[:3])), "there are 3 in anchors.txt, and its answer for a picture of 64x32 has 4 offs"),
        (raw(told=Told()), "it looks like an SSD without its 4 anchors, and model.anchors is to name a file with them"),
        (raw(told=Told(activation="softmax")), "it looks like an SSD without its 4 anchors"),
        (raw(outputs={"offsets": QUARTERS[None]}), "its graph has applied its anchors, for it answers with boxes"),
        (raw(outputs={"offsets": QUARTERS[None] * [32, 64, 32, 64]}), "its graph has applied its anchors"),
        (raw(outputs={"offsets": as_sizes(QUARTERS)[None] * [32, 64, 32, 64]}), "its graph has applied its anchors"),
        (
            raw(outputs={"more": zeros(7)}),
            "it is no SSD and no raw maps of a YOLO, so model.anchors cannot be said of it",
        ),
    ],
)
def test_what_does_not_fit_the_anchors_is_refused(answer: Answer, words: str) -> None:
    with pytest.raises(ValueError, match="anchors") as caught:
        recognise(answer)
    assert words in str(caught.value)


def test_small_models_are_not_taken_for_detr() -> None:
    """Whose boxes lie about the picture."""
    outputs = {"scores": raw().outputs[0], "offsets": np.abs(OFFSETS[None]) / 10}
    answer = Answer(size=SIZE, names=tuple(outputs), outputs=tuple(outputs.values()), classes=CLASSES)
    assert recognise(answer).family == "detr"
    outputs["offsets"] = OFFSETS[None]
    with pytest.raises(ValueError, match="it looks like an SSD without its 4 anchors"):
        recognise(replace(answer, outputs=tuple(outputs.values())))


def test_two_outputs_of_one_form_are_told_by_their_names() -> None:
    logits = np.full((1, 4, 4), -5, np.float32)
    logits[0, 1, 1] = logit(0.9)
    answer = raw(outputs={"scores": logits}, classes=4)
    assert found_by(answer, recognise(answer), classes=4).label_ids.tolist() == [1]
    with pytest.raises(
        ValueError, match=r"^its two outputs have one form; call that with the offsets .* box_encodings"
    ):
        recognise(replace(answer, names=("a", "b")))


def test_anchors_of_a_graph_are_not_replaced() -> None:
    outputs = ssd_logits()
    answer = Answer(size=SIZE, names=tuple(outputs), outputs=tuple(outputs.values()), told=told(QUARTERS))
    with pytest.raises(ValueError, match=r"^its graph has its anchors, .*; leave model\.anchors out$"):
        recognise(answer)


@pytest.mark.parametrize("wrong", [as_sizes, lambda anchors: anchors * 300])
def test_anchors_of_a_graph_are_corners_in_parts_of_the_picture(wrong: Callable[[Any], Any]) -> None:
    outputs = ssd_logits()
    outputs["anchors"] = wrong(outputs["anchors"])
    answer = Answer(size=SIZE, names=tuple(outputs), outputs=tuple(outputs.values()))
    with pytest.raises(ValueError, match=r"^the anchors in its graph are no corners in order, in parts of the picture"):
        recognise(answer)


def test_an_ssd_with_as_many_anchors_as_everybody_s_needs_no_file() -> None:
    logits = np.full((1, 1917, 91), -12, np.float32)
    logits[..., 0] = 4
    logits[0, 1916, 1] = logit(0.9)
    offsets = np.tile(np.array((5, -5, 0, 0), np.float32), (1, 1917, 1))
    outputs = {"box_encodings": offsets, "class_logits": logits}
    answer = Answer(size=(300, 300), names=tuple(outputs), outputs=tuple(outputs.values()))
    head = recognise(answer)
    assert "anchors of TensorFlow's SSD MobileNet" in head.assumed
    found = head.decode(answer.outputs, (300, 300), np.arange(90), np.full(90, 0.5, np.float32))
    # The last anchor is .9746794 of the picture: half of that down and to the left, from .5: (.0126603, .9873397).
    middle = np.array((0.0126603, 0.9873397, 0.0126603, 0.9873397))
    assert_allclose(found.boxes, [(middle + np.array((-1, -1, 1, 1)) * 0.4873397) * 300], atol=1e-3)
    assert found.label_ids.tolist() == [0]
    with pytest.raises(ValueError, match="it looks like an SSD without its 1917 anchors"):
        recognise(replace(answer, size=(320, 320)))
    boxes = tensorflow_ssd(300)[None] * 300  # applied already
    with pytest.raises(ValueError, match="its head is none of"):
        recognise(replace(answer, outputs=(boxes, logits)))
    logits[..., 1:] = -6  # 90 * .0025: a softmax would look alike, and have no such grid
    with pytest.raises(ValueError, match=r"model\.activation decides$"):
        recognise(answer)
    assert recognise(replace(answer, told=Told(activation="sigmoid"))).family == "ssd"


def test_a_grid_of_those_who_put_the_background_first_is_not_taken_where_it_is_last() -> None:
    """MMDetection's SSDLite has as many anchors as torchvision's, and others."""
    logits = np.full((1, 3234, 4), -0.4, np.float32)
    logits[..., 0] = 8
    outputs = {"boxes": np.full((1, 3234, 4), 2, np.float32), "scores": logits}
    answer = Answer(size=(320, 320), names=tuple(outputs), outputs=tuple(outputs.values()), classes=3)
    assert "anchors of torchvision's SSDLite" in recognise(replace(answer, told=Told(activation="softmax"))).assumed
    logits[...] = logits[..., ::-1].copy()
    with pytest.raises(ValueError, match="it looks like an SSD without its 3234 anchors"):
        recognise(replace(answer, told=Told(activation="softmax")))


# Raw maps

SIZES = [(4, 4), (5, 5), (6, 6), (10, 20), (40, 20), (20, 40), (60, 60), (70, 70), (80, 80)]


def raw_maps(sizes: Any = SIZES, **rest: Any) -> Answer:
    outputs = maps(logits=True, by_box=True)
    said = {"size": SIZE, "names": tuple(outputs), "outputs": tuple(outputs.values()), "classes": CLASSES}
    return Answer(**said, told=told(sizes, **rest))


@pytest.mark.parametrize("sizes", [SIZES, np.reshape(SIZES, (3, 6)), np.reshape(SIZES, (1, 18))])
@pytest.mark.parametrize("family", [None, "yolov5-maps", "yolov7-maps"])
def test_raw_maps_are_read_by_the_anchors_that_a_person_names_whosever_they_are(sizes: Any, family: str | None) -> None:
    answer = raw_maps(sizes)
    head = recognise(answer, family)
    assert head.why.endswith("; anchors from anchors.txt")
    assert head.family == (family or "yolov5-maps")
    assert "YOLOv5's way to count boxes from anchors, not v3's" in head.assumed
    # The second box of stride 16 is a quarter of its anchor, 40 x 20, around (48, 24).
    assert_allclose(found_by(answer, head).boxes, [(43, 21.5, 53, 26.5)], rtol=1e-5)


@pytest.mark.parametrize(
    ("sizes", "words"),
    [
        (SIZES[:8], "are 8 x 2, and maps of three strides take nine widths and heights"),
        ([(*one, 1) for one in SIZES[:6]], "are 6 x 3, and"),
        (SIZES[::-1], "are no widths and heights that grow from stride to stride"),
        ([(0, 4), *SIZES[1:]], "are no widths and heights"),
        (np.array(SIZES) / 8, "are all less than 32; widths and heights are to be in pixels, not cells"),
    ],
)
def test_anchors_that_are_none_of_raw_maps_are_refused(sizes: Any, words: str) -> None:
    with pytest.raises(ValueError, match=r"^model\.anchors: the numbers in anchors\.txt are ") as caught:
        recognise(raw_maps(sizes))
    assert words in str(caught.value)


def test_what_is_said_of_ssds_cannot_be_said_of_raw_maps() -> None:
    with pytest.raises(ValueError, match=r"so model\.anchors, model\.activation cannot be said of it"):
        recognise(raw_maps(activation="softmax"))
