"""The families of models that are understood, one file each; add a file and a line here to teach another.

A family gives every way in which it could read what a model answered. Where several are left, the labels decide, if
their number is known, and the person who set the agent up does otherwise: nothing is guessed between two readings.
"""

from __future__ import annotations

from collections.abc import Sequence

from edge_agent.stages.detect.families import (
    deepstream,
    detection_output,
    detr,
    detr_rows,
    efficientdet,
    in_graph,
    mmdeploy,
    nanodet,
    nanodet_plus,
    paddle,
    picodet,
    selected,
    ssd,
    tensorflow,
    torchvision,
    yolo_end_to_end,
    yolo_nas,
    yolov4,
    yolov5,
    yolov5_maps,
    yolov6,
    yolov8,
    yolov8_maps,
    yolox,
)
from edge_agent.stages.detect.head import Answer, Head, Recognise

_MODULES: tuple[Recognise, ...] = (
    nanodet.recognise,
    nanodet_plus.recognise,
    yolox.recognise,
    yolov4.recognise,
    yolov5.recognise,
    yolov5_maps.recognise,
    yolov6.recognise,
    yolov8.recognise,
    yolov8_maps.recognise,
    yolo_end_to_end.recognise,
    yolo_nas.recognise,
    ssd.recognise,
    detection_output.recognise,
    efficientdet.recognise,
    tensorflow.recognise,
    detr.recognise,
    detr_rows.recognise,
    torchvision.recognise,
    in_graph.recognise,
    selected.recognise,
    mmdeploy.recognise,
    paddle.recognise,
    picodet.recognise,
    deepstream.recognise,
)

_BY_ANCHORS: tuple[Recognise, ...] = (ssd.recognise, yolov5_maps.recognise)
"""Those that heed what a person says of anchors, boxes and scores."""

FAMILIES = (
    nanodet.FAMILY,
    nanodet_plus.FAMILY,
    yolox.FAMILY,
    yolox.DECODED,
    yolov4.FAMILY,
    yolov5.FAMILY,
    yolov5_maps.FAMILY,
    yolov5_maps.YOLOV7,
    yolov6.FAMILY,
    yolov8.FAMILY,
    yolov8_maps.FAMILY,
    yolo_end_to_end.FAMILY,
    yolo_nas.FAMILY,
    yolo_nas.DAMO,
    ssd.FAMILY,
    detection_output.FAMILY,
    efficientdet.FAMILY,
    tensorflow.FAMILY,
    tensorflow.LITE,
    detr.FAMILY,
    detr.DEPLOYED,
    detr_rows.FAMILY,
    torchvision.FAMILY,
    in_graph.FAMILY,
    in_graph.FLAT,
    in_graph.FLAT_NAS,
    selected.FAMILY,
    mmdeploy.FAMILY,
    paddle.FAMILY,
    paddle.RAW,
    picodet.FAMILY,
    deepstream.FAMILY,
)
"""What `model.family` may say."""


def recognise(answer: Answer, family: str | None = None) -> Head:
    """Find the one way to read a model's answer.

    Args:
        answer: to any picture.
        family: what the user says it is; None leaves it to the graph.

    Raises:
        ValueError: there is no such way, or there are several; the message says what was found and what decides.
    """
    if family is not None and family not in FAMILIES:
        raise ValueError(f"model.family is {family}, which is unknown; there are {', '.join(FAMILIES)}")
    modules = _BY_ANCHORS if answer.told.keys else _MODULES
    readings = [head for module in modules for head in module(answer)]
    if family is not None:
        mine = [head for head in readings if head.family == family]
        if not mine:
            others = ", ".join(dict.fromkeys(head.family for head in readings))
            why = f"it could be {others}" if others else _why_none(answer)
            raise ValueError(f"model.family is {family}, and its answer {_found(answer)} is not; {why}")
        readings = mine
    else:
        readings = [head for head in readings if not head.is_unusual]
    if not readings:
        raise ValueError(f"{_why_none(answer)}; its answer is {_found(answer)}")
    if answer.told.anchors is not None:  # then raw maps of two families are read alike
        readings = list({head.why: head for head in readings[::-1]}.values())[::-1]  # the first of each
    readings = _with_as_many_classes(readings, answer.classes)
    if len(readings) > 1:
        ways = " or ".join(f"{head.family} ({head.why})" for head in readings)
        kinds = dict.fromkeys(head.family for head in readings)
        decides = "model.family" if len(kinds) > 1 else "model.labels"
        raise ValueError(f"its answer {_found(answer)} can be read as {ways}; {decides} decides")
    return readings[0]


def _with_as_many_classes(readings: Sequence[Head], classes: int | None) -> list[Head]:
    """Those with as many classes as there are labels; when nobody says how many, those with as many as COCO has.

    All of them when none has: what is wrong then is said by whoever reads the labels.
    """
    for counts in _COCO if classes is None else ((classes,),):
        # Of two ways in which one family could read it the more usual is taken, of two families neither.
        ranks = [
            (head, -1 if head.classes is None else counts.index(head.classes))
            for head in readings
            if head.classes is None or head.classes in counts
        ]
        if ranks:
            return [
                head for head, rank in ranks if rank == min(one for other, one in ranks if other.family == head.family)
            ]
    return list(readings)


def _why_none(answer: Answer) -> str:
    """What else it may be."""
    shapes = answer.shapes
    anchors = ssd.lacks_anchors(answer)
    if anchors:
        return f"it looks like an SSD without its {anchors} anchors, and model.anchors is to name a file with them"
    if answer.told.keys:
        said = ", ".join(answer.told.keys)
        return f"it is no SSD and no raw maps of a YOLO, so {said} cannot be said of it"
    if len(shapes) == 1 and shapes[0][:-1] in {(), (1,)} and shapes[0][-1:] > (_A_BOX,):
        return "it looks like a classifier, which says what is in a picture and not where"
    maps = [shape[-2:] for shape in shapes if len(shape) == _MAPS and min(shape[-2:]) > 1]
    if len(set(maps)) > 1:
        return "it looks like maps of a detector from which no boxes are made yet; export it with its boxes decoded"
    if any(min(sides) > _A_BOX for sides in maps):
        return "it looks like one that gives maps of the picture, as for segments or depth, and boxes alone can be used"
    return f"its head is none of {', '.join(FAMILIES)}"


def _found(answer: Answer) -> str:
    return "; ".join(f"{name} {shape}" for name, shape in zip(answer.names, answer.shapes, strict=True)) or "nothing"


_COCO = ((80,), (90, 91, 81))  # the labels that are used; all numbers, and both after a background, which are rarer
_MAPS = 4  # dimensions
_A_BOX = 7  # numbers, at most, with its label and score
