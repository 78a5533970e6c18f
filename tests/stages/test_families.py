"""How each family's model is recognised and its answer read, on tensors small enough to work out by hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from heads import (
    CELLS,
    CLASSES,
    KINDS,
    P3,
    SIZE,
    Kind,
    centres,
    detr,
    flat,
    maps,
    nanodet,
    ssd_logits,
    ssd_scores,
    yolox,
    zeros,
)
from numpy.testing import assert_allclose
from numpy.typing import NDArray

from edge_agent.records import FloatArray, IntArray, ModelSignature, Tensor
from edge_agent.stages.detect import more_inputs
from edge_agent.stages.detect.families import FAMILIES, recognise
from edge_agent.stages.detect.head import Answer, Candidates, Head, reaching
from edge_agent.stages.detect.picture_input import picture_input


def answer_of(outputs: dict[str, NDArray[Any]], **rest: Any) -> Answer:
    return Answer(**({"size": SIZE, "names": tuple(outputs), "outputs": tuple(outputs.values())} | rest))


def answer_to(kind: Kind) -> Answer:
    return answer_of(kind.outputs, is_byte=kind.dtype == "uint8", classes=CLASSES, extra_inputs=tuple(kind.more_inputs))


def decode(head: Head, outputs: Sequence[NDArray[Any]], wanted: Sequence[int], floors: Sequence[float]) -> Candidates:
    return head.decode(outputs, SIZE, np.array(wanted, np.int64), np.array(floors, np.float32))


# Every kind


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_every_kind_is_recognised_by_its_answer_and_read(kind: Kind) -> None:
    head = recognise(answer_to(kind), kind.told)
    assert (head.family, head.classes, head.colour, head.resize) == (
        kind.family,
        kind.classes,
        kind.colour,
        kind.resize,
    )
    assert (head.mean[0], head.std[0]) == (kind.mean, kind.std)
    assert head.why
    found = decode(head, tuple(kind.outputs.values()), [1], [0.5])
    assert_allclose(found.boxes, [kind.box], rtol=1e-5, atol=1e-5)
    assert_allclose(found.scores, [kind.score], rtol=1e-5)
    assert found.label_ids.tolist() == [1]


def test_every_family_has_a_kind_and_every_kind_a_family() -> None:
    assert {kind.family for kind in KINDS.values()} == set(FAMILIES)
    assert len(KINDS) >= 14


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
@pytest.mark.parametrize(
    ("wanted", "floors", "count"),
    [
        ([0], [0.5], 0),  # what is not wanted does not come back, however sure
        ([1], [0.95], 0),
        ([2, 1], [0.5, 0.5], 1),
        ([2, 0, 1], [0.99, 0.99, 0.5], 1),  # each label has a floor of its own
        ([0, 2], [0.6, 0.6], 0),
    ],
)
def test_every_kind_gives_wanted_labels_that_reach_their_floor_and_nothing_else(
    kind: Kind, wanted: list[int], floors: list[float], count: int
) -> None:
    outputs = tuple(kind.outputs.values())
    found = decode(recognise(answer_to(kind), kind.told), outputs, wanted, floors)
    ours = found.label_ids == 1
    assert ours.sum() == count
    assert set(found.label_ids.tolist()) <= set(wanted)
    assert found.boxes.shape == (len(found.scores), 4)
    assert [array.dtype.name for array in (found.boxes, found.scores, found.label_ids)] == [
        "float32",
        "float32",
        "int64",
    ]


SCORES_CELLS = [name for name in KINDS if name.startswith(("NanoDet", "YOLO"))]
"""Kinds with a score for each cell and class."""


@pytest.mark.parametrize("name", SCORES_CELLS)
def test_what_a_model_answers_in_double_precision_is_read_as_what_it_answers_in_single(name: str) -> None:
    kind = KINDS[name]
    outputs = tuple(output.astype(np.float64) for output in kind.outputs.values())
    found = decode(recognise(answer_to(kind), kind.told), outputs, [1], [0.5])
    assert_allclose(found.boxes, [kind.box], rtol=1e-5, atol=1e-5)
    assert (found.boxes.dtype, found.scores.dtype) == (np.float32, np.float32)


@pytest.mark.parametrize("dtype", [np.int32, np.uint8])
@pytest.mark.parametrize("name", ["NanoDet-m", "NanoDet-Plus"])
def test_whole_numbers_are_read_as_such_too(name: str, dtype: type) -> None:
    """The score, 0.7, is then 1; the sides, 0 and 100, stay what they are."""
    outputs = tuple(np.ceil(output).astype(dtype) for output in KINDS[name].outputs.values())
    found = decode(recognise(answer_to(KINDS[name])), outputs, [1], [0.5])
    assert_allclose(found.boxes, [KINDS[name].box], rtol=1e-5)
    assert (found.scores.tolist(), found.boxes.dtype, found.scores.dtype) == ([1.0], np.float32, np.float32)


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_who_wants_no_label_finds_nothing(kind: Kind) -> None:
    found = decode(recognise(answer_to(kind), kind.told), tuple(kind.outputs.values()), [], [])
    assert (found.boxes.shape, len(found.scores), len(found.label_ids)) == ((0, 4), 0, 0)


@pytest.mark.parametrize("name", KINDS)
def test_every_kind_is_known_in_whatever_order_its_outputs_come(name: str) -> None:
    kind = KINDS[name]
    names = tuple(reversed(kind.outputs))
    turned = replace(answer_to(kind), names=names, outputs=tuple(kind.outputs[name] for name in names))
    # Whether boxes or scores come first is all that tells YOLO-NAS from DAMO-YOLO.
    told = kind.family if name == "YOLO-NAS" else kind.told
    found = decode(recognise(turned, told), turned.outputs, [1], [0.5])
    assert_allclose(found.boxes, [kind.box], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_where_there_is_nothing_nothing_is_found(kind: Kind) -> None:
    head = recognise(answer_to(kind), kind.told)
    nothing = [np.full_like(output, -9) if "logit" in name else output * 0 for name, output in kind.outputs.items()]
    if kind.family == "ssd":  # logits by another name
        nothing = [output - 99 if output.shape[-1] == CLASSES else output for output in kind.outputs.values()]
    if kind.family == "detr":
        nothing = [output if output.max() <= 0.5 else np.full_like(output, -9) for output in kind.outputs.values()]
    found = decode(head, nothing, [0, 1, 2], [0.5] * 3)
    assert found.boxes.shape == (0, 4)


# More than one way


def decoded(columns: int) -> Answer:
    """YOLOX's if the first number after the box is its objectness, YOLOv8's if it is a class."""
    rows = zeros(1, CELLS, columns)
    rows[0, :, :2] = centres(P3)
    return answer_of({"output": rows})


def test_the_number_of_labels_decides_between_readings() -> None:
    assert recognise(replace(decoded(8), classes=3)).family == "yolox-decoded"
    assert recognise(replace(decoded(8), classes=4)).family == "yolov8"


def test_without_labels_a_reading_with_as_many_classes_as_coco_has_is_taken() -> None:
    assert recognise(decoded(85)).family == "yolox-decoded"
    assert recognise(decoded(84)).family == "yolov8"


def test_boxes_that_are_no_pixels_are_yolox_s() -> None:
    assert recognise(answer_of({"output": zeros(1, CELLS, 8)})).family == "yolox"
    assert recognise(answer_of({"output": zeros(1, 8, CELLS)})).family == "yolov8"  # a column a cell is nobody else's


def test_two_readings_are_an_error_that_names_both_and_what_decides() -> None:
    with pytest.raises(ValueError, match="can be read as") as caught:
        recognise(decoded(8))
    words = str(caught.value)
    assert words.startswith("its answer output (1, 42, 8) can be read as yolox-decoded (")
    assert "3 classes" in words
    assert " or yolov8 (" in words
    assert "4 classes" in words
    assert words.endswith("; model.family decides")


@pytest.mark.parametrize("family", ["yolox-decoded", "yolov8"])
def test_the_user_decides(family: str) -> None:
    assert recognise(decoded(8), family).family == family


def test_which_anchors_raw_maps_are_for_no_graph_says() -> None:
    answer = answer_of(maps(logits=True, by_box=False), classes=CLASSES)
    with pytest.raises(ValueError, match="can be read as") as caught:
        recognise(answer)
    words = str(caught.value)
    assert words.startswith("its answer logits_8 (1, 24, 4, 8); logits_16 (1, 24, 2, 4); logits_32 (1, 24, 1, 2) can")
    assert "YOLOv5's anchors) or yolov7-maps (maps of strides 8, 16 and 32 with three boxes a cell" in words
    assert words.endswith("YOLOv7's anchors); model.family decides")
    for family, name in (("yolov5-maps", "YOLOv5"), ("yolov7-maps", "YOLOv7")):
        assert f"{name}'s anchors and its way to count boxes from them" in recognise(answer, family).assumed


def test_what_the_user_says_has_to_be_possible() -> None:
    with pytest.raises(
        ValueError, match=r"^model\.family is nanodet, and its answer .* it could be yolox-decoded, yolo"
    ):
        recognise(decoded(8), "nanodet")
    with pytest.raises(ValueError, match=r"^model\.family is yolo, which is unknown; there are nanodet, "):
        recognise(decoded(8), "yolo")


def test_an_empty_list_can_be_in_either_order() -> None:
    with pytest.raises(ValueError, match=r"nms-flat-yolov7 .* or nms-flat-yolo-nas .*model\.family decides$"):
        recognise(answer_of({"output": zeros(0, 7)}))
    assert recognise(answer_of(flat(score_first=True))).family == "nms-flat-yolo-nas"


def grid_of_six(*rows: Sequence[float], last: float) -> Answer:
    """Rows of cells of the three grids, each with six columns, the last of which is the same in those not given."""
    answer = zeros(1, CELLS, 6)
    answer[0, :, 5] = last
    answer[0, : len(rows)] = rows
    return answer_of({"output": answer})


def test_six_columns_of_cells_are_read_by_what_their_last_one_is() -> None:
    whole = grid_of_six((16, 2, 24, 18, 0.9, 2), last=1)
    assert recognise(whole).family == "deepstream"
    assert recognise(replace(whole, classes=3)).family == "deepstream"
    parts = grid_of_six((20, 10, 8, 16, 0.9, 0.8), last=0.1)
    assert recognise(replace(parts, classes=1)).family == "yolox-decoded"
    assert recognise(replace(parts, classes=2)).family == "yolov8"


def test_six_columns_of_cells_whose_last_counts_nothing_are_an_error_that_names_both() -> None:
    answer = replace(grid_of_six((16, 2, 24, 18, 0.9, 0), last=0), classes=1)
    with pytest.raises(ValueError, match=r"as yolox-decoded \(.*\) or deepstream \(.*; model\.family decides$"):
        recognise(answer)
    assert recognise(answer, "deepstream").family == "deepstream"


def test_cells_of_a_small_picture_are_no_list_of_things() -> None:
    """A YOLOX of one class has six columns, too, and at this size fewer than a thousand rows."""
    assert recognise(replace(grid_of_six((0.5, 0.2, -1, -1, 0.9, 0.8), last=0.1), classes=1)).family == "yolox"


CLASS_FIRST, CLASS_LAST = (1, 0.9, 16, 2, 24, 18), (16, 2, 24, 18, 0.9, 1)


@pytest.mark.parametrize(
    ("rows", "family"),
    [
        ([CLASS_FIRST], "paddle"),
        ([CLASS_LAST], "yolo-end-to-end"),
        ([[CLASS_FIRST]], "paddle"),
        ([[CLASS_LAST]], "yolo-end-to-end"),
        ([[(0,) * 6]], "yolo-end-to-end"),  # by far more usual
        ([CLASS_FIRST, (-1, -1, -1, -1, -1, -1)], "paddle"),
    ],
)
def test_lists_of_six_columns_are_told_apart_by_where_the_score_is(rows: Any, family: str) -> None:
    head = recognise(answer_of({"output": np.array(rows, np.float32)}))
    assert head.family == family
    found = decode(head, [np.array(rows, np.float32)], [1], [0.5])
    assert_allclose(found.boxes, [KINDS["PaddleDetection"].box] if np.any(rows) else zeros(0, 4))


def test_an_empty_list_of_six_columns_can_be_in_either_order_unless_something_else_tells() -> None:
    answer = answer_of({"output": zeros(0, 6)})
    with pytest.raises(ValueError, match=r"as yolo-end-to-end .* or paddle .*; model\.family decides$"):
        recognise(answer)
    assert recognise(replace(answer, extra_inputs=("scale_factor",))).family == "paddle"
    assert recognise(answer_of({"output": zeros(0, 6), "count": np.zeros(1, np.int32)})).family == "paddle"


@pytest.mark.parametrize("boxes_first", [True, False])
def test_four_classes_are_told_from_four_corners_by_their_numbers(*, boxes_first: bool) -> None:
    boxes, scores = zeros(1, CELLS, 4), zeros(1, CELLS, 4)
    boxes[0, 7] = 16, 2, 24, 18
    scores[0, 7, 1] = 0.9
    outputs = {"a": boxes, "b": scores} if boxes_first else {"a": scores, "b": boxes}
    found = decode(recognise(answer_of(outputs), "yolo-nas"), tuple(outputs.values()), [1], [0.5])
    assert_allclose(found.boxes, [(16, 2, 24, 18)])


def test_of_scores_before_corners_nobody_can_tell_what_they_want_to_see() -> None:
    answer = answer_to(KINDS["DAMO-YOLO"])
    with pytest.raises(ValueError, match=r"yolo-nas \(.*BGR, 0 to 1\) or damo-yolo \(.*RGB, 0 to 255\); model\.family"):
        recognise(answer)
    assert recognise(answer_to(KINDS["YOLO-NAS"]), "damo-yolo").mean == (0, 0, 0)  # who says so is believed


def test_who_counts_in_whole_numbers_or_gives_pixels_is_no_tensorflow_lite() -> None:
    outputs = KINDS["TensorFlow Lite, post-processed"].outputs
    assert recognise(answer_of(outputs)).family == "tflite-detection"
    named = {"boxes": outputs["PostProcess"], "labels": outputs["PostProcess:1"], "scores": outputs["PostProcess:2"]}
    for count, scale in ((np.array([3]), 1), (np.array([3.0], np.float32), 30)):
        answer = answer_of(named | {"boxes": named["boxes"] * scale, "count": count})
        assert recognise(answer).family == "nms-in-graph"


def test_two_readings_that_both_fit_one_of_coco_s_lists_are_an_error() -> None:
    with pytest.raises(ValueError, match=r"90 classes.* or yolov8 .*91 classes"):
        recognise(decoded(95))


def test_boxes_in_the_unit_of_the_picture_are_none_of_yolox_s_offsets() -> None:
    answer = answer_to(KINDS["YOLOv8, turned, in parts"])
    assert "boxes are parts of the picture" in recognise(answer).why
    assert recognise(replace(answer, classes=2)).family == "yolox"
    large = yolox()["output"]
    large[0, 10, 2] = 9  # e^9 cells of 8 pixels would be 64000
    assert recognise(answer_of({"output": large}, classes=3)).family == "yolox-decoded"


@pytest.mark.parametrize(
    ("name", "shape", "told"),
    [
        ("orig_target_sizes", (1, 2), [[64, 32]]),
        ("im_shape", (1, 2), [[32, 64]]),
        ("image_shape", (None, 2), [[32, 64]]),
        ("scale_factor", (None, 2), [[1, 1]]),
        ("pixel_mask", (None, 2, 3), np.ones((1, 2, 3))),
        ("pixel_mask", (None, None, None), np.ones((1, 32, 64))),
    ],
)
def test_more_inputs_are_told_that_the_picture_is_the_whole_truth(
    name: str, shape: tuple[int | None, ...], told: Any
) -> None:
    value = more_inputs.told(Tensor(name=name, shape=shape, dtype="float32"), SIZE)
    assert value.dtype == np.float32
    assert value.tolist() == np.array(told).tolist()


# Neither


@pytest.mark.parametrize(
    ("outputs", "words"),
    [
        ({"output": zeros(1, 1000)}, "it looks like a classifier, which says what is in a picture and not where"),
        ({"out": zeros(1, 21, 32, 64)}, "it looks like one that gives maps of the picture"),
        ({"output0": zeros(1, 116, CELLS), "output1": zeros(1, 32, 8, 16)}, "it looks like one that gives maps"),
        ({"output": zeros(1, CELLS, 4)}, "its head is none of nanodet, "),  # boxes without a class
        ({"output": zeros(1, CELLS + 5, 85)}, "its head is none of"),
        ({"boxes": zeros(1, 2, 4), "class_logits": zeros(1, 2, 3), "more": zeros(7)}, "its head is none of"),
        ({name: nanodet(8)[name] for name in list(nanodet(8))[:5]}, "its head is none of"),  # a map short
        ({}, "its head is none of"),
        ({"count": np.array(3.0)}, "its head is none of"),
        ({"boxes": zeros(1, 2, 4), "scores": zeros(1, 2, 3), "count": np.array(3.0)}, "its head is none of"),
    ],
)
def test_what_is_not_understood_is_refused_with_what_was_found(outputs: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match="; its answer is ") as caught:
        recognise(answer_of(outputs))
    assert str(caught.value).startswith(words)
    for name, output in outputs.items():
        assert f"{name} {output.shape}" in str(caught.value)
    if not outputs:
        assert str(caught.value).endswith("its answer is nothing")


def test_nanodet_s_classes_have_to_be_as_many_at_each_stride() -> None:
    with pytest.raises(ValueError, match="its head is none of"):
        recognise(answer_of(nanodet(8) | {"cls_8": zeros(1, 32, 4)}))


def test_an_ssd_whose_anchors_cannot_be_told_from_its_offsets_is_refused() -> None:
    outputs = ssd_scores() | {"Call:1": ssd_scores()["Call:0"]}
    with pytest.raises(ValueError, match="its head is none of"):
        recognise(answer_of(outputs))


# Details of some


@pytest.mark.parametrize(
    ("stride", "cell", "centre"),
    [
        (8, 0, (4, 4)),
        (8, 31, (60, 28)),  # the last of 8 x 4
        (16, 5, (24, 24)),  # of 4 x 2: column 1, row 1
        (32, 1, (48, 16)),  # of 2 x 1: column 1
    ],
)
def test_nanodet_cells_are_counted_row_by_row_at_every_stride(stride: int, cell: int, centre: tuple[int, int]) -> None:
    outputs = {name: output * 0 for name, output in nanodet(8).items()}
    outputs[f"cls_{stride}"][0, cell, 0] = 0.9
    outputs[f"reg_{stride}"].reshape(1, -1, 4, 8)[:, :, :, 1] = 100  # every side is one stride long
    found = decode(recognise(answer_of(outputs)), tuple(outputs.values()), [0], [0.5])
    x, y = centre
    assert_allclose(found.boxes, [[x - stride, y - stride, x + stride, y + stride]], rtol=1e-6)


@pytest.mark.parametrize("step", [1, -1])
def test_nanodet_cells_of_all_strides_are_found_whatever_order_the_graph_names_its_outputs_in(step: int) -> None:
    outputs = {name: output * 0 for name, output in nanodet(8).items()}
    for stride, cell in ((8, 31), (16, 5), (32, 1)):  # their centres are at (60, 28), (24, 24) and (48, 16)
        outputs[f"cls_{stride}"][0, cell, 0] = 0.9
        outputs[f"reg_{stride}"].reshape(1, -1, 4, 8)[:, :, :, 1] = 100  # every side is one stride long
    outputs = {name: outputs[name] for name in list(outputs)[::step]}
    found = decode(recognise(answer_of(outputs)), tuple(outputs.values()), [0], [0.5])
    assert_allclose(found.boxes, [[52, 20, 68, 36], [8, 8, 40, 40], [16, -16, 80, 48]], rtol=1e-6)


def test_nanodet_sides_are_the_mean_of_their_bins_times_the_stride() -> None:
    outputs = nanodet(8)
    sides = outputs["reg_8"].reshape(1, 32, 4, 8)
    sides[:] = -100
    # Cell 10 of 8 a row is column 2, row 1: its centre is at (2.5 * 8, 1.5 * 8) = (20, 12).
    sides[0, 10, 0, 1] = 0  # left: all in bin 1, 1 * 8 = 8
    sides[0, 10, 1, [0, 1]] = 0  # top: half 0, half 1, .5 * 8 = 4
    sides[0, 10, 2, [2, 4]] = 0, np.log(3)  # right: a quarter 2, three quarters 4, 3.5 * 8 = 28
    sides[0, 10, 3, :] = 0  # bottom: even over 0..7, 3.5 * 8 = 28
    found = decode(recognise(answer_of(outputs)), tuple(outputs.values()), [1], [0.5])
    assert_allclose(found.boxes, [[20 - 8, 12 - 4, 20 + 28, 12 + 28]], rtol=1e-6)


def test_nanodet_large_logits_do_not_overflow() -> None:
    outputs = nanodet(8)
    outputs["reg_8"][:] = 1e4
    found = decode(recognise(answer_of(outputs)), tuple(outputs.values()), [1], [0.5])
    assert_allclose(found.boxes, [[20 - 28, 12 - 28, 20 + 28, 12 + 28]])  # even over 0..7


def test_nanodet_classes_as_wide_as_a_side_map_are_told_apart_by_name() -> None:
    outputs = {name: zeros(1, output.shape[1], 32) for name, output in nanodet(8).items()}
    assert recognise(answer_of(outputs)).classes == 32


def test_yolox_boxes_are_offsets_from_their_cell_and_logarithms_in_strides() -> None:
    rows = yolox()["output"] * 0
    # Row 32 + 5 is column 1, row 1 of 4 x 2 at stride 16; row 41 the last of 2 x 1 at 32.
    rows[0, 37] = 0, 0, np.log(2), np.log(0.5), 0.5, 1.0, 0, 0
    rows[0, 41] = 0.5, 0.5, 0, 0, 1.0, 0.6, 0, 0
    found = decode(recognise(answer_of({"output": rows}, classes=3)), [rows], [0], [0.4])
    assert_allclose(
        found.boxes,
        [
            [0, 12, 32, 20],  # centre (16, 16), 2 * 16 wide, 16 / 2 high
            [32, 0, 64, 32],  # centre ((1 + .5) * 32, .5 * 32) = (48, 16), 32 x 32
        ],
        rtol=1e-6,
    )


@pytest.mark.parametrize(("floor", "count"), [(0.0, 2), (1.0, 0), (0.5, 1)])
def test_ssd_takes_floors_up_to_the_ends_of_the_range(floor: float, count: int) -> None:
    outputs = ssd_logits()
    outputs["class_logits"][0, :, 1] = 1, -1
    assert len(decode(recognise(answer_of(outputs)), tuple(outputs.values()), [1], [floor]).boxes) == count


@pytest.mark.parametrize("name", ["SSD, logits", "SSD, scores, bytes", "SSD, corners"])
def test_an_ssd_s_anchors_tell_whether_x_comes_before_y(name: str) -> None:
    kind = KINDS[name]
    turned = {
        output: tensor[..., [1, 0, 3, 2]] if tensor.shape[-1] == 4 else tensor
        for output, tensor in kind.outputs.items()
    }
    for outputs in (kind.outputs, turned):
        head = recognise(answer_of(outputs))
        assert_allclose(decode(head, tuple(outputs.values()), [1], [0.5]).boxes, [kind.box], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("offset", "xyxy"),
    [
        (0.5, (0.6, 0.4, 1.0, 0.8)),  # half of 0.4 further right and down
        # The centre is 0.06 * 0.4 further, at (0.624, 0.424), and the sides are exp(0.6 / 5) * 0.4 = 0.450999 long.
        (0.6, (0.3985, 0.1985, 0.8495, 0.6495)),
    ],
)
def test_an_ssd_s_small_offsets_are_of_corners_and_larger_ones_of_centres(
    offset: float, xyxy: tuple[float, ...]
) -> None:
    outputs = ssd_scores()
    outputs["Call:1"][:] = offset  # of every anchor, so that this is their root mean square
    found = decode(recognise(answer_of(outputs)), tuple(outputs.values()), [1], [0.5])
    assert_allclose(found.boxes / np.array(SIZE * 2), [xyxy], atol=1e-5)


@pytest.mark.parametrize("logits", [True, False])
@pytest.mark.parametrize(
    ("stride", "at", "xyxy"),
    [
        # Parts of 1/2 are the middle of a cell, and just its anchor.
        (8, (0, 0, 0), (4 - 5, 4 - 6.5, 4 + 5, 4 + 6.5)),
        (8, (2, 3, 7), (60 - 16.5, 28 - 11.5, 60 + 16.5, 28 + 11.5)),
        (16, (2, 1, 3), (56 - 29.5, 24 - 59.5, 56 + 29.5, 24 + 59.5)),
        (32, (1, 0, 1), (48 - 78, 16 - 99, 48 + 78, 16 + 99)),
    ],
)
def test_raw_maps_have_their_anchors_in_order_at_every_stride(
    stride: int, at: tuple[int, int, int], xyxy: tuple[float, ...], *, logits: bool
) -> None:
    outputs = {name: np.full_like(one, -9 if logits else 0) for name, one in maps(logits=logits, by_box=True).items()}
    thing = outputs[f"logits_{stride}" if logits else f"map_{stride}"][(0, *at)]
    thing[:4], thing[4:6] = (0, 9) if logits else (0.5, 0.999)
    found = decode(recognise(answer_of(outputs, classes=CLASSES), "yolov5-maps"), tuple(outputs.values()), [0], [0.5])
    assert_allclose(found.boxes, [xyxy], rtol=1e-5)


@pytest.mark.parametrize(
    "outputs",
    [
        {name: one for name, one in maps(logits=True, by_box=True).items() if name != "logits_32"},
        maps(logits=True, by_box=True) | {"logits_32": zeros(1, 3, 1, 2, 9)},  # another number of classes
        maps(logits=True, by_box=True) | {"more": zeros(1, 3, 1, 1, 8)},  # a fourth stride has other anchors
        {name: one[..., :5] for name, one in maps(logits=True, by_box=True).items()},  # no classes
        {name: one[:, :2] for name, one in maps(logits=True, by_box=True).items()},  # two boxes a cell
        {name: one[:, :22] for name, one in maps(logits=True, by_box=False).items()},
    ],
)
def test_maps_that_lack_something_are_no_raw_maps(outputs: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"^(its head is none of|it looks like (one that gives )?maps)"):
        recognise(answer_of(outputs))


def test_raw_maps_logits_may_be_far_from_nought() -> None:
    outputs = {name: one - 1e4 for name, one in maps(logits=True, by_box=False).items()}
    outputs["logits_16"].reshape(3, 8, 2, 4)[1, :, 1, 2] = 1e4
    with np.errstate(over="raise"):
        found = decode(recognise(answer_of(outputs, classes=3), "yolov5-maps"), tuple(outputs.values()), [1], [0.5])
    assert_allclose(found.scores, [1.0])


def test_detr_s_logits_may_be_far_from_nought() -> None:
    outputs = detr("pred_boxes", "logits")
    outputs["logits"][:] = -1e4
    outputs["logits"][0, 3, 1] = 1e4
    with np.errstate(over="raise"):
        found = decode(recognise(answer_of(outputs)), tuple(outputs.values()), [0, 1], [0.5, 0.5])
    assert_allclose(found.scores, [1.0])


def test_a_class_beyond_the_labels_is_none() -> None:
    outputs = KINDS["YOLOv10, YOLO26"].outputs
    rows = outputs["output0"].copy()
    rows[0, 0, 5] = 79
    rows[0, 1] = 0, 0, 8, 8, 0.9, -1
    assert not len(decode(recognise(answer_of({"output0": rows})), [rows], [0, 1], [0.5, 0.5]).boxes)


# The input


def signature_of(*inputs: tuple[str, tuple[int | None, ...], str]) -> ModelSignature:
    tensors = tuple(Tensor(name=name, shape=shape, dtype=dtype) for name, shape, dtype in inputs)
    return ModelSignature(inputs=tensors, outputs=(), metadata={})


@pytest.mark.parametrize(
    ("shape", "dtype", "layout", "size"),
    [
        ((1, 3, 32, 64), "float32", "nchw", (64, 32)),
        ((None, 3, None, None), "float16", "nchw", None),
        ((1, 32, 64, 3), "uint8", "nhwc", (64, 32)),
        ((None, None, None, 3), "float32", "nhwc", None),
        ((1, 3, 64, 3), "float32", "nchw", (3, 64)),  # rows of three pixels are no picture
    ],
)
def test_the_picture_s_layout_is_read_off_its_shape(
    shape: tuple[int | None, ...], dtype: str, layout: str, size: tuple[int, int] | None
) -> None:
    found = picture_input(signature_of(("images", shape, dtype)))
    assert (found.name, found.layout, found.dtype, found.size) == ("images", layout, dtype, size)


def test_beside_the_picture_a_size_may_be_asked_for() -> None:
    found = picture_input(signature_of(("orig_target_sizes", (1, 2), "int64"), ("images", (1, 3, 640, 640), "float32")))
    assert found.name == "images"


@pytest.mark.parametrize(
    ("inputs", "words"),
    [
        ([("images", (1, 1, 32, 64), "float32")], "its inputs are images float32 (1, 1, 32, 64); it has to take one"),
        ([("text", (1, 77), "int64")], "its inputs are text int64 (1, 77); it has to take one picture"),
        ([("a", (1, 3, 8, 8), "float32"), ("b", (1, 3, 8, 8), "float32")], "its inputs are a float32"),
        ([("a", (1, 3, 8, 8), "float32"), ("scale", (1, 2), "float32")], "its inputs are a float32"),
        ([("images", (4, 3, 32, 64), "float32")], "its input images float32 (4, 3, 32, 64) takes 4 pictures at once"),
        ([("images", (1, 3, 32, 64), "int8")], "its input images int8 (1, 3, 32, 64) is of a type that no picture"),
        ([], "its inputs are none"),
    ],
)
def test_what_takes_no_picture_is_refused(inputs: list[tuple[str, tuple[int, ...], str]], words: str) -> None:
    with pytest.raises(ValueError, match="its input") as caught:
        picture_input(signature_of(*inputs))
    assert str(caught.value).startswith(words)


def test_what_reaches_its_floor_comes_cell_by_cell_and_label_by_label_as_they_are_wanted() -> None:
    scores = np.array([[0.5, 0.25], [0.25, 0.5], [0.75, 0.875]], np.float32)
    wanted, floors = np.array([7, 3]), np.array([0.5, 0.5], np.float32)
    found = reaching(scores, wanted, floors, lambda cells: np.repeat(cells[:, None], 4, axis=1).astype(np.float32))
    assert found.boxes[:, 0].tolist() == [0, 1, 2, 2]
    assert found.scores.tolist() == [0.5, 0.5, 0.75, 0.875]
    assert found.label_ids.tolist() == [7, 3, 7, 3]


def test_where_nothing_reaches_its_floor_nobody_is_asked_for_boxes() -> None:
    def never(_cells: IntArray) -> FloatArray:
        raise AssertionError

    scores, floors = np.full((3, 1), 0.25, np.float32), np.array([0.5], np.float32)
    found = reaching(scores, np.array([7]), floors, never)
    assert (found.boxes.shape, len(found.scores), len(found.label_ids)) == ((0, 4), 0, 0)
