"""One small answer of every kind of model that is understood, with what a person reads in it.

The picture is 64 wide and 32 high, so strides 8, 16, 32 and 64 have 8x4, 4x2, 2x1 and 1x1 cells: 32, 8, 2 and 1. There
are three classes; in each answer one thing of class 1 is there, and what it is and where is worked out beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_agent.records import FloatArray

SIZE = (64, 32)
CLASSES = 3
CELLS = 32 + 8 + 2
Tensors = dict[str, NDArray[Any]]


@dataclass(frozen=True, kw_only=True)
class Kind:
    """A kind of head.

    Attributes:
        family: that reads it.
        outputs: what the model answers.
        box: where the thing is, xyxy pixels.
        score: how sure the model is.
        classes: how many the graph has, None where it numbers them.
        layout: of the picture.
        dtype: of the picture.
        more_inputs: shapes of what the model takes besides.
        colour: of the picture.
        resize: how it is made to fit.
        mean: subtracted from 0..255 in the first channel.
        std: divides what is left.
        tells: whether its answer alone tells the family; else a person does.
    """

    family: str
    outputs: Tensors
    box: Sequence[float]
    score: float
    classes: int | None = CLASSES
    layout: str = "nchw"
    dtype: str = "float32"
    more_inputs: Mapping[str, Sequence[int]] = field(default_factory=dict)
    colour: str = "rgb"
    resize: str = "letterbox"
    mean: float = 0.0
    std: float = 255.0
    tells: bool = True

    @property
    def told(self) -> str | None:
        """What a person has to say."""
        return None if self.tells else self.family


def zeros(*shape: int) -> FloatArray:
    return np.zeros(shape, np.float32)


def logit(score: float) -> float:
    return float(np.log(score / (1 - score)))


def nanodet(bins: int) -> Tensors:
    """Cell 10 of 8 a row is column 2, row 1: its centre is at (2.5 * 8, 1.5 * 8) = (20, 12)."""
    scores = {f"cls_{stride}": zeros(1, cells, CLASSES) for stride, cells in ((8, 32), (16, 8), (32, 2))}
    sides = {f"reg_{stride}": zeros(1, cells, 4 * bins) for stride, cells in ((8, 32), (16, 8), (32, 2))}
    scores["cls_8"][0, 10, 1] = 0.7
    sides["reg_8"].reshape(1, 32, 4, bins)[0, 10, :, 1] = 100  # each side all in bin 1: one stride
    return scores | sides


def nanodet_plus() -> Tensors:
    """Cell 32 + 5 is column 1, row 1 of 4 x 2 at stride 16, whose corner is at (16, 16)."""
    rows = zeros(1, CELLS + 1, CLASSES + 4 * 8)
    rows[0, 37, 1] = 0.7
    rows[0, 37, CLASSES:].reshape(4, 8)[:, [0, 1]] = 100  # half in bin 0, half in bin 1: half a stride
    return {"output": rows}


def yolox() -> Tensors:
    rows = zeros(1, CELLS, 5 + CLASSES)
    # Column 2, row 1 at stride 8: centre ((2 + .5) * 8, (1 + .25) * 8) = (20, 10); e^0 and 2 strides large.
    rows[0, 10] = 0.5, 0.25, 0, np.log(2), 0.8, 0.1, 0.9, 0
    return {"output": rows}


def centres(strides: Sequence[int], boxes_a_cell: int = 1) -> FloatArray:
    """(cells, 2): the centre of every cell in pixels, as decoded boxes have it where nothing is."""
    found = [
        ((column + 0.5) * stride, (row + 0.5) * stride)
        for stride in strides
        for row in range(-(-SIZE[1] // stride))
        for column in range(-(-SIZE[0] // stride))
        for _ in range(boxes_a_cell)
    ]
    return np.array(found, np.float32)


def with_objectness(strides: Sequence[int], boxes_a_cell: int) -> Tensors:
    rows = zeros(1, len(centres(strides, boxes_a_cell)), 5 + CLASSES)
    rows[0, :, :2] = centres(strides, boxes_a_cell)
    rows[0, 7] = 20, 10, 8, 16, 0.8, 0.1, 0.9, 0
    return {"output": rows}


def maps(*, logits: bool, by_box: bool) -> Tensors:
    """Raw maps; at stride 16, in row 1 and column 2 of 2 x 4, the second box is a thing.

    Its centre is at ((2 * .75 - .5 + 2) * 16, (2 * .5 - .5 + 1) * 16) = (48, 24), its sides are (2 * .25) ** 2, a
    quarter, of its anchor's.
    """
    found = {}
    for stride in (8, 16, 32):
        boxes = np.full((1, 3, SIZE[1] // stride, SIZE[0] // stride, 5 + CLASSES), 1e-4, np.float32)
        if stride == 16:
            boxes[0, 1, 1, 2] = 0.75, 0.5, 0.25, 0.25, 0.8, 0.1, 0.9, 1e-4
        numbers = np.log(boxes / (1 - boxes)) if logits else boxes
        flat = np.ascontiguousarray(numbers.transpose(0, 1, 4, 2, 3)).reshape(1, -1, *numbers.shape[2:4])
        found[f"logits_{stride}" if logits else f"map_{stride}"] = numbers if by_box else flat
    return found


MAPS_YOLOV5 = (48 - 62 / 8, 24 - 45 / 8, 48 + 62 / 8, 24 + 45 / 8)
MAPS_YOLOV7 = (48 - 76 / 8, 24 - 55 / 8, 48 + 76 / 8, 24 + 55 / 8)


def yolov6() -> Tensors:
    rows = with_objectness(P3, 1)["output"]
    rows[0, :, 4] = 1
    return {"outputs": rows}


def in_parts(tensors: Tensors, *, turned: bool = False) -> Tensors:
    """The same with boxes in parts of the picture."""
    (name, rows), scale = next(iter(tensors.items())), np.array(SIZE * 2, np.float32)
    rows = rows.copy()
    if turned:
        rows[0, :4] /= scale[:, None]
    else:
        rows[0, :, :4] /= scale
    return {name: rows}


def without_objectness(strides: Sequence[int], *, turned: bool) -> Tensors:
    rows = zeros(1, len(centres(strides)), 4 + CLASSES)
    rows[0, :, :2] = centres(strides)
    rows[0, 7] = 20, 10, 8, 16, 0.1, 0.9, 0
    return {"output0": rows if turned else np.ascontiguousarray(rows.transpose(0, 2, 1))}


def yolo_nas(*, boxes_first: bool) -> Tensors:
    boxes, scores = zeros(1, CELLS, 4), zeros(1, CELLS, CLASSES)
    boxes[0, 7] = 16, 2, 24, 18
    scores[0, 7, 1] = 0.9
    return {"a": boxes, "b": scores} if boxes_first else {"a": scores, "b": boxes}


ANCHORS = np.array([(0.0, 0.0, 0.5, 0.5), (0.2, 0.4, 0.6, 0.8)], np.float32)  # top, left, bottom, right


def ssd_offsets() -> FloatArray:
    """The second anchor is 0.4 x 0.4 around x = .6, y = .4.

    Down by 2.5 / 10 * .4 = .1, left by .5 * .4 = .2: the centre is (.4, .5); twice as high, .8, and half as wide, .2:
    x .3 .. .5, y .1 .. .9.
    """
    return np.array([[[0, 0, 0, 0], [2.5, -5.0, 5 * np.log(2), 5 * np.log(0.5)]]], np.float32)


SSD_BOX = (0.3 * 64, 0.1 * 32, 0.5 * 64, 0.9 * 32)


def ssd_logits() -> Tensors:
    logits = np.full((1, 2, CLASSES), -9, np.float32)
    logits[0, 1, 1] = logit(0.9)
    return {"box_encodings": ssd_offsets(), "class_logits": logits, "anchors": ANCHORS}


def ssd_scores() -> Tensors:
    scores = zeros(1, 2, CLASSES)
    scores[0, 1, 1] = 0.9
    return {"Call:2": scores, "Call:1": ssd_offsets(), "Call:0": ANCHORS[None]}


def ssd_corners() -> Tensors:
    """Offsets of corners, x before y, of anchors side by side; the second is 0.5 x 0.5 around x = .75, y = .5.

    Left by .4 * .5 = .2, top by .2 * .5 = .1 down, right by .3 * .5 = .15 to the left, bottom by .1 down: x .3 .. .85,
    y .35 .. .85.
    """
    offsets = np.array([[[0, 0, 0, 0], [-0.4, 0.2, -0.3, 0.2]]], np.float32)
    anchors = np.array([[(0.0, 0.25, 0.5, 0.75), (0.5, 0.25, 1.0, 0.75)]], np.float32)
    return ssd_scores() | {"Call:1": offsets, "Call:0": anchors}


SSD_CORNERS_BOX = (0.3 * 64, 0.35 * 32, 0.85 * 64, 0.85 * 32)


def rows_of(*numbers: float, dtype: type = np.float32) -> NDArray[Any]:
    return np.array([numbers], dtype)


def tensorflow() -> Tensors:
    boxes = zeros(1, 3, 4)
    boxes[0, 0] = 0.25, 0.5, 0.75, 1.0  # top, left, bottom, right
    return {
        "detection_boxes:0": boxes,
        "detection_classes:0": rows_of(2, 1, 1),  # from 1 on: class 1 is the second
        "detection_scores:0": rows_of(0.9, 0.1, 0),
        "num_detections:0": np.array([3], np.float32),
    }


def tflite() -> Tensors:
    boxes = zeros(1, 3, 4)
    boxes[0, 0] = 0.25, 0.5, 0.75, 1.0
    return {
        "PostProcess": boxes,
        "PostProcess:1": rows_of(1, 0, 0),  # from 0 on
        "PostProcess:2": rows_of(0.9, 0.1, 0),
        "PostProcess:3": np.array([3], np.float32),
    }


def detr(boxes_name: str, logits_name: str) -> Tensors:
    boxes, logits = zeros(1, 5, 4), np.full((1, 5, CLASSES), -9, np.float32)
    boxes[0, 3] = 0.5, 0.5, 0.25, 0.5  # centre, width, height: of 64 x 32, centre (32, 16), 16 x 16
    logits[0, 3, 1] = logit(0.9)
    return {boxes_name: boxes, logits_name: logits}


def detr_and_nothing() -> Tensors:
    """A fourth column says that nothing is there; of the thing, e^0 + 27 + e^0 + e^0 = 30, so 27 / 30 = .9."""
    boxes, logits = zeros(1, 5, 4), np.full((1, 5, CLASSES + 1), -9, np.float32)
    boxes[0, 3] = 0.5, 0.5, 0.25, 0.5
    logits[0, :, CLASSES] = 9
    logits[0, 3] = 0, np.log(27), 0, 0
    return {"logits": logits, "pred_boxes": boxes, "last_hidden_state": zeros(1, 5, 8)}


def detr_with_a_column_too_many() -> Tensors:
    """Four columns, as a box has."""
    outputs = detr("dets", "labels")
    logits = np.concatenate([outputs["labels"], np.full((1, 5, 1), -9, np.float32)], axis=2)
    return {"labels": logits, "dets": outputs["dets"]}


def detr_scores() -> Tensors:
    outputs = detr("a", "b")
    outputs["b"] = np.where(outputs["b"] > 0, 0.9, 0.01).astype(np.float32)
    return outputs


def detr_rows() -> Tensors:
    return {"output0": np.concatenate(list(detr_scores().values()), axis=2)}


def detr_deployed() -> Tensors:
    boxes = zeros(1, 3, 4)
    boxes[0, 0] = 16, 2, 24, 18
    return {"labels": rows_of(1, 0, 0, dtype=np.int64), "boxes": boxes, "scores": rows_of(0.9, 0.1, 0)}


def torchvision() -> Tensors:
    boxes = np.array([(16, 2, 24, 18), (0, 0, 8, 8)], np.float32)
    return {"boxes": boxes, "scores": np.array([0.9, 0.1], np.float32), "labels": np.array([1, 2])}


def nms_in_graph() -> Tensors:
    boxes = zeros(1, 3, 4)
    boxes[0, :2] = (16, 2, 24, 18), (0, 0, 8, 8)
    return {
        "num_dets": np.array([[1]], np.int32),  # so the second, however sure, is none
        "det_boxes": boxes,
        "det_scores": rows_of(0.9, 0.8, 0),
        "det_classes": rows_of(1, 1, 0, dtype=np.int32),
    }


def nms_without_count() -> Tensors:
    boxes = zeros(1, 3, 4)
    boxes[0, 0] = 0.25, 0.0625, 0.375, 0.5625  # of 64 x 32: 16, 2, 24, 18
    return {"bboxes": boxes, "labels": rows_of(1, 0, 0, dtype=np.int64), "scores": rows_of(0.9, 0.1, 0)}


def nms_selected() -> Tensors:
    boxes, scores = zeros(1, 5, 4), zeros(1, CLASSES, 5)
    boxes[0, 3], boxes[0, 4] = (2, 16, 18, 24), (0, 0, 8, 8)  # top, left, bottom, right
    scores[0, 1, 3:] = 0.9, 0.8
    return {"boxes": boxes, "scores": scores, "indices": np.array([(0, 1, 3), (-1, -1, -1)])}  # the second is none


def mmdeploy(*dims: int) -> Tensors:
    things = zeros(*dims, 3, 5)
    things[..., 0, :] = 16, 2, 24, 18, 0.9
    labels = np.zeros((*dims, 3), np.int64)
    labels[..., 0] = 1
    return {"dets": things, "labels": labels}


def paddle(*, counted: bool) -> Tensors:
    things = {"multiclass_nms3_0.tmp_0": np.array([(1, 0.9, 16, 2, 24, 18), (1, 0.8, 0, 0, 8, 8)], np.float32)}
    return (
        things | {"multiclass_nms3_0.tmp_2": np.array([1], np.int32)}
        if counted
        else {"output": things.popitem()[1][:1]}
    )


def yolov8_maps(*, halves: int, logits: bool) -> Tensors:
    """At stride 8 the cell in row 1 and column 2 of 4 x 8, with its centre at (20, 12), and each side in bin 1: 8."""
    found = {}
    for stride in (8, 16, 32):
        rows, columns = SIZE[1] // stride, SIZE[0] // stride
        sides = zeros(1, 64, rows, columns)
        classes = np.full((1, CLASSES, rows, columns), -9 if logits else 1e-3, np.float32)
        if stride == 8:
            sides.reshape(4, 16, rows, columns)[:, 1, 1, 2] = 100
            classes[0, 1, 1, 2] = np.log(9) if logits else 0.9
        total = np.clip(classes.sum(axis=1, keepdims=True), 0, 1)
        split = {f"reg{stride}": sides, f"cls{stride}": classes, f"sum{stride}": total}
        joined = {f"logits{stride}": np.concatenate([sides, classes], axis=1)}
        found |= joined if halves == 1 else dict(list(split.items())[:halves])
    return found


YOLOV8_MAPS_BOX = (12, 4, 28, 20)


def picodet() -> Tensors:
    """As NanoDet's, with a fourth stride of one cell."""
    cells = ((8, 32), (16, 8), (32, 2), (64, 1))
    outputs = {f"transpose_{stride}": zeros(1, count, CLASSES) for stride, count in cells}
    outputs |= {f"reshape_{stride}": zeros(1, count, 32) for stride, count in cells}
    outputs["transpose_8"][0, 10, 1] = 0.7
    outputs["reshape_8"].reshape(1, 32, 4, 8)[0, 10, :, 1] = 100  # each side all in bin 1: one stride
    return outputs


def detection_output() -> Tensors:
    rows = np.full((1, 1, 3, 7), -1, np.float32)
    rows[0, 0, 0] = 0, 1, 0.9, 0.25, 0.0625, 0.375, 0.5625  # of 64 x 32: 16, 2, 24, 18
    return {"detection_out": rows}


def efficientdet() -> Tensors:
    rows = zeros(1, 3, 7)
    rows[0, 0] = 0, 2, 16, 18, 24, 0.9, 2  # top, left, bottom, right; classes from 1
    return {"detections:0": rows}


def paddle_raw(cells: int) -> Tensors:
    boxes, scores = zeros(1, cells, 4), zeros(1, CLASSES, cells)
    boxes[0, 7] = 16, 2, 24, 18
    scores[0, 1, 7] = 0.9
    return {"concat_14.tmp_0": scores, "tmp_17": boxes}


def deepstream() -> Tensors:
    rows = zeros(1, CELLS, 6)
    rows[0, 7] = 16, 2, 24, 18, 0.9, 1
    rows[0, 8, 5] = 2
    return {"output": rows}


def deepstream_in_three() -> Tensors:
    rows = deepstream()["output"]
    return {"boxes": rows[..., :4], "scores": rows[..., 4:5], "classes": rows[..., 5:]}


def yolov4() -> Tensors:
    boxes, confidences = zeros(1, 3 * (8 + 2), 1, 4), zeros(1, 3 * (8 + 2), CLASSES)  # of strides 16 and 32
    boxes[0, 7, 0] = 0.25, 0.0625, 0.375, 0.5625
    confidences[0, 7, 1] = 0.9
    return {"boxes": boxes, "confs": confidences}


def flat(*, score_first: bool) -> Tensors:
    score_and_label = [(0.9, 1), (0.55, 2)]
    ends = score_and_label if score_first else [(label, score) for score, label in score_and_label]
    return {"output": np.array([(0, 16, 2, 24, 18, *ends[0]), (0, 0, 0, 8, 8, *ends[1])], np.float32)}


def end_to_end() -> Tensors:
    rows = zeros(1, 5, 6)
    rows[0, 0] = 16, 2, 24, 18, 0.9, 1
    return {"output0": rows}


IMAGENET_BGR = {"colour": "bgr", "mean": 103.53, "std": 57.375}
IMAGENET = {"colour": "rgb", "mean": 123.675, "std": 58.395}
RAW_BGR = {"colour": "bgr", "mean": 0.0, "std": 1.0}
HALF = {"mean": 127.5, "std": 127.5, "resize": "stretch"}
BYTES: dict[str, Any] = {"mean": 0.0, "std": 1.0, "dtype": "uint8"}
P3, P6 = (8, 16, 32), (8, 16, 32, 64)
AT_CENTRE = (20 - 4, 10 - 8, 20 + 4, 10 + 8)  # centre (20, 10), 8 wide, 16 high


def _kind(family: str, outputs: Callable[[], Tensors], box: Sequence[float], score: float, **rest: Any) -> Kind:
    return Kind(family=family, outputs=outputs(), box=box, score=score, **rest)


KINDS: dict[str, Kind] = {
    "NanoDet-m": _kind("nanodet", lambda: nanodet(8), (12, 4, 28, 20), 0.7, **IMAGENET_BGR),
    "NanoDet-g": _kind("nanodet", lambda: nanodet(11), (12, 4, 28, 20), 0.7, **IMAGENET_BGR),
    "NanoDet-Plus": _kind("nanodet-plus", nanodet_plus, (8, 8, 24, 24), 0.7, **IMAGENET_BGR),
    "YOLOX": _kind("yolox", yolox, AT_CENTRE, 0.72, **RAW_BGR),  # 0.8 of 0.9
    "YOLOv6": _kind("yolov6", yolov6, AT_CENTRE, 0.9),
    "YOLOX, decoded": _kind("yolox-decoded", lambda: with_objectness(P3, 1), AT_CENTRE, 0.72, **RAW_BGR),
    "YOLOv5, v7": _kind("yolov5", lambda: with_objectness(P3, 3), AT_CENTRE, 0.72),
    "YOLOv5, v7 with a fourth stride": _kind("yolov5", lambda: with_objectness(P6, 3), AT_CENTRE, 0.72),
    "YOLOv3-tiny": _kind("yolov5", lambda: with_objectness((16, 32), 3), AT_CENTRE, 0.72),
    "YOLOv5, in parts": _kind("yolov5", lambda: in_parts(with_objectness(P3, 3)), AT_CENTRE, 0.72),
    "YOLOv5, raw maps": _kind("yolov5-maps", lambda: maps(logits=True, by_box=False), MAPS_YOLOV5, 0.72, tells=False),
    "YOLOv5, raw maps by box, sigmoid in": _kind(
        "yolov5-maps", lambda: maps(logits=False, by_box=True), MAPS_YOLOV5, 0.72, tells=False
    ),
    "YOLOv7, raw maps by box": _kind(
        "yolov7-maps", lambda: maps(logits=True, by_box=True), MAPS_YOLOV7, 0.72, tells=False
    ),
    "YOLOv7, raw maps, sigmoid in": _kind(
        "yolov7-maps", lambda: maps(logits=False, by_box=False), MAPS_YOLOV7, 0.72, tells=False
    ),
    "YOLOv8, v9, v11, v12": _kind("yolov8", lambda: without_objectness(P3, turned=False), AT_CENTRE, 0.9),
    "YOLOv8, turned": _kind("yolov8", lambda: without_objectness(P3, turned=True), AT_CENTRE, 0.9),
    "YOLOv8 with a fourth stride": _kind("yolov8", lambda: without_objectness(P6, turned=False), AT_CENTRE, 0.9),
    "YOLOv8 with a finer stride": _kind(
        "yolov8", lambda: without_objectness((4, 8, 16, 32), turned=False), AT_CENTRE, 0.9
    ),
    "YOLOv8, in parts": _kind(
        "yolov8", lambda: in_parts(without_objectness(P3, turned=False), turned=True), AT_CENTRE, 0.9
    ),
    "YOLOv8, turned, in parts": _kind("yolov8", lambda: in_parts(without_objectness(P3, turned=True)), AT_CENTRE, 0.9),
    "YOLOv4-tiny": _kind("yolov4", yolov4, AT_CENTRE, 0.9, resize="stretch"),
    "YOLOv10, YOLO26, in parts": _kind("yolo-end-to-end", lambda: in_parts(end_to_end()), AT_CENTRE, 0.9, classes=None),
    "YOLOv10, YOLO26": _kind("yolo-end-to-end", end_to_end, AT_CENTRE, 0.9, classes=None),
    "YOLO-NAS": _kind("yolo-nas", lambda: yolo_nas(boxes_first=True), AT_CENTRE, 0.9, colour="bgr"),
    "YOLO-NAS, scores first": _kind(
        "yolo-nas", lambda: yolo_nas(boxes_first=False), AT_CENTRE, 0.9, colour="bgr", tells=False
    ),
    "DAMO-YOLO": _kind("damo-yolo", lambda: yolo_nas(boxes_first=False), AT_CENTRE, 0.9, std=1.0, tells=False),
    "SSD, logits": _kind("ssd", ssd_logits, SSD_BOX, 0.9, **HALF),
    "SSD, corners": _kind("ssd", ssd_corners, SSD_CORNERS_BOX, 0.9, **HALF),
    "SSD, scores, bytes": _kind("ssd", ssd_scores, SSD_BOX, 0.9, layout="nhwc", resize="stretch", **BYTES),
    "TensorFlow Object Detection API": _kind(
        "tensorflow", tensorflow, (32, 8, 64, 24), 0.9, classes=None, layout="nhwc", resize="stretch", **BYTES
    ),
    "TensorFlow Lite, post-processed": _kind(
        "tflite-detection", tflite, (32, 8, 64, 24), 0.9, classes=None, layout="nhwc", **HALF
    ),
    "RT-DETR, D-FINE, logits": _kind(
        "detr", lambda: detr("pred_boxes", "logits"), (24, 8, 40, 24), 0.9, resize="stretch"
    ),
    "RF-DETR": _kind("detr", lambda: detr("dets", "labels"), (24, 8, 40, 24), 0.9, resize="stretch", **IMAGENET),
    "RF-DETR with a column for nothing": _kind(
        "detr", detr_with_a_column_too_many, (24, 8, 40, 24), 0.9, resize="stretch", **IMAGENET
    ),
    "DETR, YOLOS": _kind("detr", detr_and_nothing, (24, 8, 40, 24), 0.9, resize="stretch", **IMAGENET),
    "RT-DETR, scores": _kind("detr", detr_scores, (24, 8, 40, 24), 0.9, resize="stretch"),
    "RT-DETR, joined": _kind("detr-rows", detr_rows, (24, 8, 40, 24), 0.9, resize="stretch"),
    "RT-DETR, D-FINE, deployed": _kind(
        "detr-deployed",
        detr_deployed,
        AT_CENTRE,
        0.9,
        classes=None,
        resize="stretch",
        more_inputs={"orig_target_sizes": (1, 2)},
    ),
    "torchvision": _kind("torchvision", torchvision, AT_CENTRE, 0.9, classes=None),
    "suppressed in the graph": _kind("nms-in-graph", nms_in_graph, AT_CENTRE, 0.9, classes=None),
    "suppressed in the graph, without a count": _kind("nms-in-graph", nms_without_count, AT_CENTRE, 0.9, classes=None),
    "suppressed by ONNX's operator": _kind("nms-selected", nms_selected, AT_CENTRE, 0.9),
    "MMDeploy, RTMDet": _kind("mmdeploy", lambda: mmdeploy(1), AT_CENTRE, 0.9, classes=None, **IMAGENET_BGR),
    "MMDetection, older": _kind("mmdeploy", mmdeploy, AT_CENTRE, 0.9, classes=None, **IMAGENET_BGR),
    "PaddleDetection": _kind(
        "paddle",
        lambda: paddle(counted=True),
        AT_CENTRE,
        0.9,
        classes=None,
        resize="stretch",
        more_inputs={"im_shape": (1, 2), "scale_factor": (1, 2)},
        **IMAGENET,
    ),
    "PaddleDetection, a list": _kind(
        "paddle", lambda: paddle(counted=False), AT_CENTRE, 0.9, classes=None, resize="stretch", **IMAGENET
    ),
    "PP-YOLOE, all boxes": _kind(
        "paddle-raw",
        lambda: paddle_raw(CELLS),
        AT_CENTRE,
        0.9,
        resize="stretch",
        more_inputs={"scale_factor": (1, 2)},
        **IMAGENET,
    ),
    "PicoDet, all boxes": _kind(
        "paddle-raw", lambda: paddle_raw(CELLS + 1), AT_CENTRE, 0.9, resize="stretch", **IMAGENET
    ),
    "PicoDet, maps": _kind("picodet", picodet, (12, 4, 28, 20), 0.7, resize="stretch", **IMAGENET),
    "Caffe's last layer": _kind(
        "detection-output", detection_output, AT_CENTRE, 0.9, classes=None, colour="bgr", **HALF
    ),
    "EfficientDet": _kind("efficientdet", efficientdet, AT_CENTRE, 0.9, classes=None, layout="nhwc", **BYTES),
    "YOLOv8, raw maps": _kind("yolov8-maps", lambda: yolov8_maps(halves=1, logits=True), YOLOV8_MAPS_BOX, 0.9),
    "YOLOv8, raw maps in two": _kind("yolov8-maps", lambda: yolov8_maps(halves=2, logits=False), YOLOV8_MAPS_BOX, 0.9),
    "YOLOv8, raw maps and their sums": _kind(
        "yolov8-maps", lambda: yolov8_maps(halves=3, logits=False), YOLOV8_MAPS_BOX, 0.9
    ),
    "YOLOv8 with its maps beside": _kind(
        "yolov8",
        lambda: yolov8_maps(halves=1, logits=True) | without_objectness(P3, turned=False),
        AT_CENTRE,
        0.9,
    ),
    "YOLOv5 with its maps beside": _kind(
        "yolov5", lambda: maps(logits=True, by_box=False) | with_objectness(P3, 3), AT_CENTRE, 0.72
    ),
    "torchvision with masks": _kind(
        "torchvision", lambda: {"masks": zeros(2, 1, 32, 64)} | torchvision(), AT_CENTRE, 0.9, classes=None
    ),
    "YOLOv7, a list with a dimension more": _kind(
        "nms-flat-yolov7", lambda: {"output": flat(score_first=False)["output"][None]}, AT_CENTRE, 0.9, classes=None
    ),
    "DeepStream": _kind("deepstream", deepstream, AT_CENTRE, 0.9, classes=None),
    "DeepStream, in three": _kind("deepstream", deepstream_in_three, AT_CENTRE, 0.9, classes=None),
    "YOLOv7, a list": _kind("nms-flat-yolov7", lambda: flat(score_first=False), AT_CENTRE, 0.9, classes=None),
    "YOLO-NAS, a list": _kind(
        "nms-flat-yolo-nas", lambda: flat(score_first=True), AT_CENTRE, 0.9, classes=None, colour="bgr"
    ),
}
