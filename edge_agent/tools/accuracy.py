"""How good a detector is on labelled pictures, by COCO's metric.

The metric is pycocotools' own, not one written after it: figures of others can be compared with it to the last digit.
What it is given comes from the agent's detector, by the way that a camera's pictures take.

Source: T.-Y. Lin et al., "Microsoft COCO: Common Objects in Context", ECCV 2014, and cocodataset.org, "Detection
evaluation".
"""

from __future__ import annotations

import contextlib
import io
from collections import Counter
from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_agent import runtimes
from edge_agent.records import Detections
from edge_agent.stages.detect.detector import DetectSettings
from edge_agent.tools.labelled import Labelled, read_frame
from edge_agent.vision import Vision

LEAST_SCORE = 0.001
"""Far below any threshold in use: what counts is the order of all boxes by score."""

MOST_A_PICTURE = 100
"""So many boxes of a picture count at most, of all labels together: COCO's largest number of detections."""

_MOST_CANDIDATES = 1000
"""With so low a threshold, the usual number leaves less than `MOST_A_PICTURE` after suppression."""


Row = dict[str, Any]
"""A box as pycocotools takes it: `image_id`, `category_id`, `bbox` as left, top, width and height in pixels; with its
`score` when it was found, with `area` and `iscrowd` when it was annotated."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """Precision and recall, 0..1; None where nothing is annotated.

    Attributes:
        objects: how many are annotated, without crowds.
        ap: average precision, the mean over least overlaps of 0.5, 0.55, … 0.95.
        ap50: average precision where an overlap of 0.5 is enough.
        ap75: the same for 0.75.
        ar100: recall by `MOST_A_PICTURE` boxes, the mean over those overlaps.
    """

    objects: int
    ap: float | None
    ap50: float | None
    ap75: float | None
    ar100: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Accuracy:
    """Means over all labels of which something is annotated, and the figures of every label that was looked for."""

    overall: Figures
    labels: Mapping[str, Figures]


def require_metric() -> None:
    """See that pycocotools is there, before much time is spent.

    Raises:
        RuntimeMissingError: it is not.
    """
    _load_metric()


def look(vision: Vision, labelled: Labelled, category_ids: Mapping[str, int], folder: Path) -> Iterator[list[Row]]:
    """Detect what is on each picture: a list a picture, in the file's order, the best first.

    Args:
        vision: the model; its own threshold does not count.
        labelled: which pictures.
        category_ids: what to look for, and what the file calls it.
        folder: where the pictures lie.

    Raises:
        SourceError: a picture cannot be read.
        ConfigError: a picture is of another size than its annotations.
    """
    labels = tuple(category_ids)
    # Not checked, for it does not come from a configuration: a label of a file may be longer than one may be there.
    settings = DetectSettings.model_construct(labels=labels, thresholds=dict.fromkeys(labels, LEAST_SCORE), weak=1.0)
    detector = vision.detector(settings, max_candidates=_MOST_CANDIDATES)
    for picture in labelled.pictures:
        found = detector.detect(read_frame(picture, folder))
        yield _rows(found, picture.id, category_ids)[:MOST_A_PICTURE]


def judge(labelled: Labelled, category_ids: Mapping[str, int], found: Iterable[Row]) -> Accuracy:
    """Compare what was found with what is annotated.

    Args:
        labelled: what is there.
        category_ids: what was looked for; nothing else counts.
        found: on all pictures.

    Raises:
        RuntimeMissingError: pycocotools is not installed.
    """
    coco, cocoeval = _load_metric()
    truth = list(_truth(labelled, set(category_ids.values())))
    with contextlib.redirect_stdout(io.StringIO()):  # it talks
        evaluation = cocoeval.COCOeval(
            _indexed(coco.COCO(), labelled, category_ids, truth),
            _indexed(coco.COCO(), labelled, category_ids, found),
            "bbox",
        )
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    objects = Counter(row["category_id"] for row in truth if not row["iscrowd"])
    ap, ap50, ap75, ar100 = (float(evaluation.stats[place]) for place in _PLACES)
    # (overlaps, recalls, categories) and (overlaps, categories): of things of any size, with the most boxes
    precision, recall = evaluation.eval["precision"][..., 0, -1], evaluation.eval["recall"][..., 0, -1]
    columns = {number: column for column, number in enumerate(evaluation.params.catIds)}
    return Accuracy(
        overall=Figures(objects=objects.total(), ap=ap, ap50=ap50, ap75=ap75, ar100=ar100),
        labels={
            label: _of_label(objects[number], precision[..., columns[number]], recall[..., columns[number]])
            for label, number in category_ids.items()
        },
    )


_PLACES = (0, 1, 2, 8)  # where pycocotools' summary has AP, AP50, AP75 and AR100
_AT_50, _AT_75 = 0, 5  # of the overlaps 0.5, 0.55, … 0.95


def _load_metric() -> tuple[Any, Any]:
    return runtimes.load("pycocotools.coco"), runtimes.load("pycocotools.cocoeval")


def _rows(found: Detections, image_id: int, category_ids: Mapping[str, int]) -> list[Row]:
    return [
        {
            "image_id": image_id,
            "category_id": category_ids[found.label_names[label_id]],
            "bbox": [left, top, right - left, bottom - top],
            "score": score,
        }
        for (left, top, right, bottom), score, label_id in zip(
            found.boxes.tolist(), found.scores.tolist(), found.label_ids.tolist(), strict=True
        )
    ]


def _truth(labelled: Labelled, wanted: Container[int]) -> Iterator[Row]:
    for one in labelled.annotations:
        if one.category_id in wanted:
            width, height = one.bbox[2:]
            yield {
                "image_id": one.image_id,
                "category_id": one.category_id,
                "bbox": list(one.bbox),
                "area": width * height if one.area is None else one.area,
                "iscrowd": one.iscrowd,
            }


def _indexed(table: Any, labelled: Labelled, category_ids: Mapping[str, int], rows: Iterable[Row]) -> Any:
    """Fill a table of pycocotools.

    Rows are numbered anew from 1: it takes one with the number 0 for none, and needs numbers that differ.
    """
    table.dataset = {
        "images": [{"id": picture.id} for picture in labelled.pictures],
        "categories": [{"id": number, "name": label} for label, number in category_ids.items()],
        "annotations": [
            {"area": row["bbox"][2] * row["bbox"][3], "iscrowd": 0, **row, "id": number}
            for number, row in enumerate(rows, start=1)
        ],
    }
    table.createIndex()
    return table


def _of_label(objects: int, precision: NDArray[np.float64], recall: NDArray[np.float64]) -> Figures:
    """The figures of one label from its (overlaps, recalls) and (overlaps,), all -1 where nothing is annotated."""
    if not objects:
        return Figures(objects=0, ap=None, ap50=None, ap75=None, ar100=None)
    return Figures(
        objects=objects,
        ap=float(precision.mean()),
        ap50=float(precision[_AT_50].mean()),
        ap75=float(precision[_AT_75].mean()),
        ar100=float(recall.mean()),
    )
