"""How each family's model is recognised and its answer read, on tensors small enough to work out by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pytest
from numpy.testing import assert_allclose
from numpy.typing import NDArray

from edge_agent.records import FloatArray, ModelSignature, Tensor
from edge_agent.stages.detect.families import FAMILIES, recognise
from edge_agent.stages.detect.head import Candidates, Head

Shape = tuple[int | None, ...]

NANODET_OUTPUTS: dict[str, Shape] = {f"cls_{stride}": (1, None, 3) for stride in (8, 16, 32)}
NANODET_OUTPUTS |= {f"reg_{stride}": (1, None, 32) for stride in (8, 16, 32)}
SSD_OUTPUTS: dict[str, Shape] = {"box_encodings": (1, 2, 4), "class_logits": (1, 2, 3), "anchors": (2, 4)}
YOLOX_CELLS = 8 * 4 + 4 * 2 + 2 * 1  # strides 8, 16 and 32 of 64 x 32 pixels: 42


def signature_of(
    outputs: Mapping[str, Shape], picture: Shape = (1, 3, 32, 64), dtype: str = "float32"
) -> ModelSignature:
    return ModelSignature(
        inputs=(Tensor(name="images", shape=picture, dtype=dtype),),
        outputs=tuple(Tensor(name=name, shape=shape, dtype="float32") for name, shape in outputs.items()),
        metadata={},
    )


def decode(head: Head, outputs: Sequence[NDArray[np.float32]], wanted: list[int], floors: list[float]) -> Candidates:
    return head.decode(outputs, (64, 32), np.array(wanted, np.int64), np.array(floors, np.float32))


@pytest.mark.parametrize(
    ("signature", "family", "input_size", "classes"),
    [
        (signature_of(NANODET_OUTPUTS, (1, 3, None, None)), "nanodet", None, 3),
        (signature_of(NANODET_OUTPUTS), "nanodet", (64, 32), 3),
        (signature_of(dict(reversed(NANODET_OUTPUTS.items()))), "nanodet", (64, 32), 3),  # in whatever order
        (signature_of(SSD_OUTPUTS), "ssd", (64, 32), 3),
        (signature_of(dict(reversed(SSD_OUTPUTS.items()))), "ssd", (64, 32), 3),
        (signature_of({"output": (1, YOLOX_CELLS, 7)}), "yolox", (64, 32), 2),
        (signature_of({"output": (1, 3549, 85)}, (1, 3, 416, 416)), "yolox", (416, 416), 80),  # 52² + 26² + 13²
    ],
)
def test_a_model_is_recognised_by_its_head(
    signature: ModelSignature, family: str, input_size: tuple[int, int] | None, classes: int
) -> None:
    head = recognise(signature)
    assert (head.family, head.input_size, head.classes) == (family, input_size, classes)
    assert [name for name, known in FAMILIES.items() if known(signature)] == [family]  # and by no other family


@pytest.mark.parametrize(
    ("signature", "words"),
    [
        (signature_of({"output0": (1, 84, 8400)}, (1, 3, 640, 640)), "output0 float32 (1, 84, 8400)"),  # YOLOv8
        (signature_of({"output": (1, 25200, 85)}, (1, 3, 640, 640)), "output float32 (1, 25200, 85)"),  # YOLOv5
        (signature_of({"dets": (1, 300, 4), "labels": (1, 300, 91)}, (1, 3, 560, 560)), "labels float32 (1, 300, 91)"),
        (signature_of({"output": (1, 3549, 85)}, (1, 3, None, None)), "images float32 (1, 3, ?, ?)"),  # free YOLOX
        (signature_of({"output": (1, YOLOX_CELLS, 5)}), "(1, 42, 5)"),  # no classes
        (signature_of({"output": (1, None, 85)}), "(1, ?, 85)"),
        (signature_of({"output": (1, 1000)}), "(1, 1000)"),  # a classifier
        (signature_of({"output": (1, YOLOX_CELLS, 7)}, (1, 32, 64, 3)), "(1, 32, 64, 3)"),  # channels last
        (signature_of({"output": (1, YOLOX_CELLS, 7)}, dtype="uint8"), "images uint8"),
        (signature_of({"output": (1, YOLOX_CELLS, 7)}, dtype="float16"), "images float16"),
        (signature_of({name: NANODET_OUTPUTS[name] for name in list(NANODET_OUTPUTS)[:5]}), "reg_16"),  # a map short
        (signature_of(NANODET_OUTPUTS | {"cls_8": (1, None, 4)}), "cls_8 float32 (1, ?, 4)"),  # classes differ
        (signature_of(SSD_OUTPUTS, (1, 3, None, None)), "anchors"),  # anchors belong to one size
        (signature_of({"box_encodings": (1, 2, 4), "class_logits": (1, 2, 3)}), "class_logits"),  # without anchors
        (signature_of({}), "out "),
    ],
)
def test_an_unknown_head_is_refused_with_what_was_found_in_the_graph(signature: ModelSignature, words: str) -> None:
    with pytest.raises(ValueError, match="none of nanodet, ssd, yolox; found in the graph: in images") as caught:
        recognise(signature)
    assert words in str(caught.value)


def test_a_model_with_two_inputs_is_refused() -> None:
    one = signature_of(SSD_OUTPUTS)
    two = ModelSignature(inputs=one.inputs * 2, outputs=one.outputs, metadata={})
    with pytest.raises(ValueError, match="found in the graph"):
        recognise(two)


def side_maps(stride_8: FloatArray | None = None, bins: int = 8) -> list[FloatArray]:
    """NanoDet's side maps for 64 x 32 pixels, all even except the finest where told otherwise."""
    maps = [np.zeros((1, cells, 4 * bins), np.float32) for cells in (32, 8, 2)]
    return maps if stride_8 is None else [stride_8, *maps[1:]]


def class_maps() -> list[FloatArray]:
    return [np.zeros((1, cells, 3), np.float32) for cells in (32, 8, 2)]


def test_nanodet_sides_are_the_mean_of_their_bins_times_the_stride() -> None:
    scores, sides = class_maps(), np.full((1, 32, 4, 8), -100, np.float32)
    scores[0][0, 10, 1] = 0.7
    # Cell 10 of 8 a row is column 2, row 1: its centre is at (2.5 * 8, 1.5 * 8) = (20, 12).
    sides[0, 10, 0, 1] = 0  # left: all in bin 1, 1 * 8 = 8
    sides[0, 10, 1, [0, 1]] = 0  # top: half 0, half 1, .5 * 8 = 4
    sides[0, 10, 2, [2, 4]] = 0, np.log(3)  # right: a quarter 2, three quarters 4, 3.5 * 8 = 28
    sides[0, 10, 3, :] = 0  # bottom: even over 0..7, 3.5 * 8 = 28
    found = decode(
        recognise(signature_of(NANODET_OUTPUTS)), [*scores, *side_maps(sides.reshape(1, 32, 32))], [1], [0.5]
    )
    assert_allclose(found.boxes, [[20 - 8, 12 - 4, 20 + 28, 12 + 28]], rtol=1e-6)
    assert_allclose(found.scores, [0.7])
    assert found.label_ids.tolist() == [1]


@pytest.mark.parametrize(
    ("level", "cell", "centre"),
    [
        (0, 0, (4, 4)),
        (0, 31, (60, 28)),  # the last of 8 x 4
        (1, 5, (24, 24)),  # of 4 x 2: column 1, row 1
        (2, 1, (48, 16)),  # of 2 x 1: column 1
    ],
)
def test_nanodet_cells_are_counted_row_by_row_at_every_stride(level: int, cell: int, centre: tuple[int, int]) -> None:
    scores, sides = class_maps(), side_maps()
    scores[level][0, cell, 0] = 0.9
    for tensor in sides:
        tensor.reshape(1, -1, 4, 8)[:, :, :, 1] = 100  # every side is one stride long
    found = decode(recognise(signature_of(NANODET_OUTPUTS)), [*scores, *sides], [0], [0.5])
    (x, y), stride = centre, (8, 16, 32)[level]
    assert_allclose(found.boxes, [[x - stride, y - stride, x + stride, y + stride]], rtol=1e-6)


def test_nanodet_maps_are_found_by_name_and_size_in_whatever_order_they_come() -> None:
    names = ["reg_32", "cls_16", "reg_8", "cls_32", "cls_8", "reg_16"]
    head = recognise(signature_of({name: NANODET_OUTPUTS[name] for name in names}))
    scores, sides = class_maps(), side_maps()
    scores[1][0, 5, 2] = 0.9
    tensors = dict(
        zip([f"cls_{s}" for s in (8, 16, 32)] + [f"reg_{s}" for s in (8, 16, 32)], [*scores, *sides], strict=True)
    )
    found = decode(head, [tensors[name] for name in names], [2], [0.5])
    assert_allclose(found.boxes, [[24 - 56, 24 - 56, 24 + 56, 24 + 56]])  # even bins: 3.5 * 16 = 56


def test_nanodet_classes_as_wide_as_a_side_map_are_told_apart_by_name() -> None:
    wide = dict.fromkeys(NANODET_OUTPUTS, (1, None, 32))
    assert recognise(signature_of(wide)).classes == 32


def test_nanodet_with_eleven_bins_is_read_too() -> None:
    outputs = {name: (1, None, 44) if name.startswith("reg") else shape for name, shape in NANODET_OUTPUTS.items()}
    scores = class_maps()
    scores[2][0, 0, 0] = 0.9
    found = decode(recognise(signature_of(outputs)), [*scores, *side_maps(bins=11)], [0], [0.5])
    assert_allclose(found.boxes, [[16 - 160, 16 - 160, 16 + 160, 16 + 160]])  # even over 0..10: 5 * 32 = 160


def test_nanodet_large_logits_do_not_overflow() -> None:
    scores, sides = class_maps(), side_maps()
    scores[0][0, 0, 0] = 0.9
    sides[0][:] = 1e4
    found = decode(recognise(signature_of(NANODET_OUTPUTS)), [*scores, *sides], [0], [0.5])
    assert_allclose(found.boxes, [[4 - 28, 4 - 28, 4 + 28, 4 + 28]])


ANCHORS = np.array([(0.0, 0.0, 0.5, 0.5), (0.2, 0.4, 0.6, 0.8)], np.float32)  # top, left, bottom, right


def ssd_outputs(encodings: list[list[float]], logits: list[list[float]]) -> list[FloatArray]:
    return [np.array([encodings], np.float32), np.array([logits], np.float32), ANCHORS]


def test_ssd_without_offsets_gives_the_anchors() -> None:
    found = decode(
        recognise(signature_of(SSD_OUTPUTS)), ssd_outputs([[0] * 4] * 2, [[-9, 0, -9], [-9, 2, -9]]), [1], [0.5]
    )
    # left, top, right, bottom of 64 x 32 pixels
    assert_allclose(found.boxes, [[0, 0, 32, 16], [25.6, 6.4, 51.2, 19.2]], rtol=1e-6)
    assert_allclose(found.scores, [0.5, 0.880797], rtol=1e-5)  # 1 / (1 + e^-0) and 1 / (1 + e^-2)
    assert found.label_ids.tolist() == [1, 1]


def test_ssd_offsets_are_tenths_of_the_anchor_and_sizes_fifths_of_a_logarithm() -> None:
    encodings = [[0.0] * 4, [2.5, -5.0, 5 * np.log(2), 5 * np.log(0.5)]]
    found = decode(recognise(signature_of(SSD_OUTPUTS)), ssd_outputs(encodings, [[-9] * 3, [-9, -9, 3]]), [2], [0.5])
    # The second anchor is 0.4 x 0.4 around x = .6, y = .4. Down by 2.5 / 10 * .4 = .1, left by .5 * .4 = .2:
    # the centre is (.4, .5); twice as high, .8, and half as wide, .2: x .3 .. .5, y .1 .. .9.
    assert_allclose(found.boxes, [[0.3 * 64, 0.1 * 32, 0.5 * 64, 0.9 * 32]], rtol=1e-5)


def test_ssd_outputs_are_found_by_name_in_whatever_order_they_come() -> None:
    head = recognise(signature_of(dict(reversed(SSD_OUTPUTS.items()))))
    outputs = ssd_outputs([[0] * 4] * 2, [[-9, 3, -9], [-9, -9, -9]])
    assert_allclose(decode(head, outputs[::-1], [1], [0.5]).boxes, [[0, 0, 32, 16]])


@pytest.mark.parametrize(("floor", "count"), [(0.0, 2), (1.0, 0), (0.5, 1)])
def test_ssd_takes_floors_up_to_the_ends_of_the_range(floor: float, count: int) -> None:
    outputs = ssd_outputs([[0] * 4] * 2, [[-9, 1, -9], [-9, -1, -9]])
    assert len(decode(recognise(signature_of(SSD_OUTPUTS)), outputs, [1], [floor]).boxes) == count


def test_yolox_boxes_are_offsets_from_their_cell_and_logarithms_in_strides() -> None:
    rows = np.zeros((1, YOLOX_CELLS, 7), np.float32)
    # Row 10 is column 2, row 1 at stride 8; row 32 + 5 is column 1, row 1 of 4 x 2 at stride 16; row 41 the last at 32.
    rows[0, 10] = 0.5, 0.25, 0, 0, 0.8, 0.9, 0.1
    rows[0, 37] = 0, 0, np.log(2), np.log(0.5), 0.5, 1.0, 0
    rows[0, 41] = 0.5, 0.5, 0, 0, 1.0, 0.6, 0
    found = decode(recognise(signature_of({"output": (1, YOLOX_CELLS, 7)})), [rows], [0], [0.4])
    assert_allclose(
        found.boxes,
        [
            [16, 6, 24, 14],  # centre ((2 + .5) * 8, (1 + .25) * 8) = (20, 10), 8 x 8
            [0, 12, 32, 20],  # centre (16, 16), 2 * 16 wide, 16 / 2 high
            [32, 0, 64, 32],  # centre ((1 + .5) * 32, .5 * 32) = (48, 16), 32 x 32
        ],
        rtol=1e-6,
    )
    assert_allclose(found.scores, [0.72, 0.5, 0.6], rtol=1e-6)  # objectness times class


def nanodet_answer() -> tuple[ModelSignature, list[FloatArray]]:
    scores = class_maps()
    scores[0][0, 3] = 0.9, 0.2, 0.6
    return signature_of(NANODET_OUTPUTS), [*scores, *side_maps()]


def ssd_answer() -> tuple[ModelSignature, list[FloatArray]]:
    logits = np.log(np.array([[0.9, 0.2, 0.6], [1e-5] * 3]) / (1 - np.array([[0.9, 0.2, 0.6], [1e-5] * 3])))
    return signature_of(SSD_OUTPUTS), ssd_outputs([[0] * 4] * 2, logits.tolist())


def yolox_answer() -> tuple[ModelSignature, list[FloatArray]]:
    rows = np.zeros((1, YOLOX_CELLS, 8), np.float32)
    rows[0, 3, 4:] = 1.0, 0.9, 0.2, 0.6
    return signature_of({"output": (1, YOLOX_CELLS, 8)}), [rows]


@pytest.mark.parametrize("answer", [nanodet_answer(), ssd_answer(), yolox_answer()], ids=["nanodet", "ssd", "yolox"])
@pytest.mark.parametrize(
    ("wanted", "floors", "label_ids"),
    [
        ([0, 1, 2], [0.5, 0.5, 0.5], [0, 2]),
        ([0, 1, 2], [0.95, 0.1, 0.7], [1]),  # each label has a floor of its own
        ([2, 0], [0.5, 0.5], [2, 0]),  # in the order of the wanted labels
        ([1], [0.5], []),
        ([1], [0.1], [1]),  # what is not wanted does not come back, however sure
    ],
)
def test_every_family_gives_back_wanted_labels_that_reach_their_floor_and_nothing_else(
    answer: tuple[ModelSignature, list[FloatArray]], wanted: list[int], floors: list[float], label_ids: list[int]
) -> None:
    signature, outputs = answer
    found = decode(recognise(signature), outputs, wanted, floors)
    assert found.label_ids.tolist() == label_ids
    assert found.boxes.shape == (len(label_ids), 4)
    assert_allclose(found.scores, [[0.9, 0.2, 0.6][label] for label in label_ids], rtol=1e-5)
    assert [array.dtype.name for array in (found.boxes, found.scores, found.label_ids)] == [
        "float32",
        "float32",
        "int64",
    ]
