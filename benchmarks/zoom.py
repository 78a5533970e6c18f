"""What a closer look finds of persons far away, and costs: AP50 by their height, on PETS09-S2L1 in a larger picture.

The clip, 480x360, is laid into a still picture of 1920x1080 at several sizes. So its persons become as small as those
far away are, though with fewer pixels than a camera of that size would give.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from edge_agent.edges.inference import ModelSettings
from edge_agent.edges.sources.planes import view_planes
from edge_agent.records import ByteArray, Frame
from edge_agent.stages.detect.detector import DetectSettings
from edge_agent.stages.gate.motion import Gate
from edge_agent.stages.gate.settings import GateSettings
from edge_agent.vision import load_vision

SEQUENCE = Path(__file__).parents[2] / "shared" / "data" / "video" / "PETS09-S2L1"
SIZE = (1920, 1080)
WIDTHS = (360, 480, 720, 960, 1440)
CLIP_WIDTH = 480
TRUE_FPS = 7.0
LEAST_SCORE = 0.01
HEIGHTS = {"< 5 %": (0.0, 0.05), "5-10 %": (0.05, 0.1), "> 10 %": (0.1, 1.0), "all": (0.0, 1.0)}
"""Of the picture."""

Found = dict[str, Any]


def main() -> None:
    """Print a row for the whole alone, and one with a closer look."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sequence", type=Path, default=SEQUENCE, help="a folder with video.mp4 and gt/gt.txt")
    parser.add_argument("--model", default="default")
    parser.add_argument("--every", type=int, default=8, help="look at every so manieth frame")
    args = parser.parse_args()
    vision = load_vision(ModelSettings(name=args.model, threshold=LEAST_SCORE))
    print(f"{'zoom':6} {'looks':>6} {'CPU ms a look':>14}  " + "".join(f"{f'AP50 {name}':>14}" for name in HEIGHTS))
    for zoom in (False, True):
        detector = vision.detector(DetectSettings(labels=("person",), weak=1.0, zoom=zoom))
        found: list[Found] = []
        truth: list[Found] = []
        spent_s, looks = 0.0, 0
        for width in WIDTHS:
            gate = Gate(GateSettings(), TRUE_FPS)
            for frame, persons in pictures(args.sequence, width):
                regions = gate.observe(frame).regions
                if frame.seq % args.every:
                    continue
                image, looks = width * 10_000 + frame.seq, looks + 1
                began_s = time.thread_time()
                detections = detector.detect(frame, regions)
                spent_s += time.thread_time() - began_s
                found += [
                    _row(image, box, score) for box, score in zip(detections.boxes, detections.scores, strict=True)
                ]
                truth += [_row(image, box, 1.0) for box in persons]
        values = average_precisions(truth, found)
        print(f"{zoom!s:6} {looks:6} {spent_s / looks * 1000:14.2f}  " + "".join(f"{one:14.3f}" for one in values))


def pictures(sequence: Path, width: int) -> Iterator[tuple[Frame, ByteArray]]:
    """Frames with the clip so wide in their middle, and the true boxes of each, (N, 4) xyxy."""
    height = width * 3 // 4
    left, top = ((whole - part) // 4 * 2 for whole, part in zip(SIZE, (width, height), strict=True))
    place = cv2.GaussianBlur(np.random.default_rng(0).integers(60, 160, SIZE[::-1]).astype(np.uint8), (0, 0), 5)
    grey = np.full((SIZE[1] // 2, SIZE[0] // 2), 128, np.uint8)
    rows = np.loadtxt(sequence / "gt" / "gt.txt", delimiter=",")
    with av.open(str(sequence / "video.mp4")) as container:
        for seq, picture in enumerate(container.decode(video=0)):
            planes = view_planes(picture)
            frame = Frame(
                luma=_laid(place, planes.luma, (left, top), (width, height)),
                chroma_blue=_laid(grey, planes.chroma_blue, (left // 2, top // 2), (width // 2, height // 2)),
                chroma_red=_laid(grey, planes.chroma_red, (left // 2, top // 2), (width // 2, height // 2)),
                at_s=seq / TRUE_FPS,
                utc_ns=0,
                utc_synced=False,
                seq=seq,
            )
            boxes = rows[rows[:, 0] == seq + 1, 2:6] * width / CLIP_WIDTH
            boxes[:, 2:] += boxes[:, :2]
            yield frame, boxes + np.array([left, top] * 2)


def _laid(ground: ByteArray, plane: ByteArray, at: tuple[int, int], size: tuple[int, int]) -> ByteArray:
    whole = ground.copy()
    whole[at[1] : at[1] + size[1], at[0] : at[0] + size[0]] = cv2.resize(plane, size, interpolation=cv2.INTER_AREA)
    return whole


def _row(image: int, box: ByteArray, score: float) -> Found:
    left, top, right, bottom = map(float, box)
    return {"image_id": image, "category_id": 1, "bbox": [left, top, right - left, bottom - top], "score": float(score)}


def average_precisions(truth: list[Found], found: list[Found]) -> list[float]:
    """AP50 by COCO's rules, its areas being heights: one a range of `HEIGHTS`."""
    with contextlib.redirect_stdout(io.StringIO()):  # pycocotools talks
        coco = COCO()
        images = [{"id": image} for image in sorted({row["image_id"] for row in truth})]
        persons = [
            {**row, "id": index, "iscrowd": 0, "area": row["bbox"][3] / SIZE[1]} for index, row in enumerate(truth, 1)
        ]
        coco.dataset = {"images": images, "annotations": persons, "categories": [{"id": 1, "name": "person"}]}
        coco.createIndex()
        known = {image["id"] for image in images}
        results = coco.loadRes([row for row in found if row["image_id"] in known])
        for row in results.dataset["annotations"]:
            row["area"] = row["bbox"][3] / SIZE[1]
        evaluation = COCOeval(coco, results, "bbox")
        evaluation.params.iouThrs = np.array([0.5])
        evaluation.params.areaRng = [list(heights) for heights in HEIGHTS.values()]
        evaluation.params.areaRngLbl = list(HEIGHTS)
        evaluation.evaluate()
        evaluation.accumulate()
    precision = evaluation.eval["precision"]  # (1, recalls, 1, heights, detections)
    return [float(np.mean(precision[0, :, 0, index, -1])) for index in range(len(HEIGHTS))]


if __name__ == "__main__":
    main()
