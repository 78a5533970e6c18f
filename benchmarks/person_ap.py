"""How well the built-in models find persons in PETS09-S2L1: AP50 by COCO's rules, on every 8th frame."""

from __future__ import annotations

import argparse
import contextlib
import io
import threading
import time
from pathlib import Path

import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from edge_agent.edges.clock import SystemClock
from edge_agent.edges.inference import ModelSettings
from edge_agent.edges.sources import open_source
from edge_agent.edges.sources.supervised import CaptureSettings
from edge_agent.stages.detect.detector import DetectSettings
from edge_agent.vision import load_vision

SEQUENCE = Path(__file__).parents[2] / "shared" / "data" / "video" / "PETS09-S2L1"
LEAST_SCORE = 0.01  # far below any threshold in use: AP is about the order of all boxes
WANTED = {"default": 0.85, "ssdlite": 0.65}


def main() -> None:
    """Print a row a model."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sequence", type=Path, default=SEQUENCE, help="a folder with video.mp4 and gt/gt.txt")
    parser.add_argument("--every", type=int, default=8, help="look at every so manieth frame")
    args = parser.parse_args()
    if not args.sequence.is_dir():
        raise SystemExit(f"{args.sequence} is not there; --sequence names another place")
    print(f"{'model':10} {'frames':>6} {'persons':>8} {'AP50':>7} {'wanted':>7} {'CPU ms a look':>14}")
    for model, wanted in WANTED.items():
        frames, persons, ap50, cpu_ms = evaluate(model, args.sequence, args.every)
        print(f"{model:10} {frames:6} {persons:8} {ap50:7.3f} {wanted:7.2f} {cpu_ms:14.2f}")


def evaluate(model: str, sequence: Path, every: int) -> tuple[int, int, float, float]:
    """Number of frames and of true persons, AP50, and CPU ms a look."""
    settings = DetectSettings(labels=("person",), weak=1.0)
    detector = load_vision(ModelSettings(name=model, threshold=LEAST_SCORE)).detector(settings)
    source = open_source(
        f"file://{sequence / 'video.mp4'}", CaptureSettings(), SystemClock(), threading.Event(), pace="as_fast"
    )
    looked, found, spent_s = [], [], 0.0
    for frame in source.frames():
        if frame.seq % every:
            continue
        began_s = time.thread_time()
        detections = detector.detect(frame)
        spent_s += time.thread_time() - began_s
        looked.append(frame.seq)
        for (left, top, right, bottom), score in zip(
            detections.boxes.tolist(), detections.scores.tolist(), strict=True
        ):
            box = [left, top, right - left, bottom - top]
            found.append({"image_id": frame.seq, "category_id": 1, "bbox": box, "score": score})
    truth = _truth(sequence, looked)
    return len(looked), len(truth), _ap50(truth, found, looked), spent_s / len(looked) * 1000


def _truth(sequence: Path, looked: list[int]) -> list[dict[str, object]]:
    """MOTChallenge rows `frame, id, left, top, width, height, …`, frames from 1, as COCO annotations."""
    rows = np.loadtxt(sequence / "gt" / "gt.txt", delimiter=",")
    kept = rows[np.isin(rows[:, 0] - 1, looked)]
    return [
        {"id": index, "image_id": int(row[0]) - 1, "category_id": 1, "bbox": row[2:6].tolist(), "iscrowd": 0,
         "area": float(row[4] * row[5])}
        for index, row in enumerate(kept, start=1)
    ]  # fmt: skip


def _ap50(truth: list[dict[str, object]], found: list[dict[str, object]], looked: list[int]) -> float:
    with contextlib.redirect_stdout(io.StringIO()):  # pycocotools talks
        coco = COCO()
        images = [{"id": seq} for seq in looked]
        coco.dataset = {"images": images, "annotations": truth, "categories": [{"id": 1, "name": "person"}]}
        coco.createIndex()
        evaluation = COCOeval(coco, coco.loadRes(found), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return float(evaluation.stats[1])


if __name__ == "__main__":
    main()
