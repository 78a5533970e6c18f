"""The ways of others for `pipeline.py`, in an environment of its own: prints what one took.

The loop of one's own is what a tutorial makes of OpenCV, onnxruntime, supervision's ByteTrack and paho. The other is
built after Frigate's documentation: an ffmpeg process that decodes, a running average for motion, a crop of the region
that moves for the detector, norfair for tracking. Neither is anybody's code.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import cv2
import norfair
import numpy as np
import onnxruntime
import paho.mqtt.client as paho
import supervision

WIDTH, HEIGHT = 416, 256
MEAN = np.array([103.53, 116.28, 123.675], np.float32)
STD = np.array([57.375, 57.12, 58.395], np.float32)
THRESHOLD = 0.4
LOOKS_A_SECOND = 5
Counts = dict[str, float]


class Model:
    """NanoDet as one reads about it."""

    def __init__(self, path: str) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        self.names = [output.name for output in self.session.get_outputs()]

    def detect(self, picture: Any) -> tuple[Any, Any]:
        """Boxes (N, 4) xyxy in the picture's pixels and scores (N,) of persons."""
        height, width = picture.shape[:2]
        scale = min(WIDTH / width, HEIGHT / height)
        small = cv2.resize(picture, (round(width * scale), round(height * scale)))
        padded = np.full((HEIGHT, WIDTH, 3), 114, np.uint8)
        padded[: small.shape[0], : small.shape[1]] = small
        blob = ((padded.astype(np.float32) - MEAN) / STD).transpose(2, 0, 1)[None]
        outputs = dict(zip(self.names, self.session.run(None, {"images": np.ascontiguousarray(blob)}), strict=True))
        boxes, scores = [], []
        for stride in (8, 16, 32):
            classes, sides = outputs[f"cls_{stride}"][0], outputs[f"reg_{stride}"][0]
            best, labels = classes.max(axis=1), classes.argmax(axis=1)
            logits = sides.reshape(-1, 4, 11)
            weights = np.exp(logits - logits.max(axis=2, keepdims=True))
            distances = (weights * np.arange(11)).sum(axis=2) / weights.sum(axis=2) * stride
            rows, columns = np.mgrid[0 : HEIGHT // stride, 0 : WIDTH // stride]
            x, y = (columns.ravel() + 0.5) * stride, (rows.ravel() + 0.5) * stride
            corners = np.stack(
                [x - distances[:, 0], y - distances[:, 1], x + distances[:, 2], y + distances[:, 3]], axis=1
            )
            kept = (best > THRESHOLD) & (labels == 0)
            boxes.append(corners[kept] / scale)
            scores.append(best[kept])
        found, sure = np.concatenate(boxes), np.concatenate(scores)
        sizes = np.concatenate([found[:, :2], found[:, 2:] - found[:, :2]], axis=1)
        stay = np.array(cv2.dnn.NMSBoxes(sizes.tolist(), sure.tolist(), THRESHOLD, 0.5), int).ravel()
        return found[stay], sure[stay]


def connected(job: dict[str, Any]) -> paho.Client:
    """A client whose loop runs."""
    client = paho.Client(paho.CallbackAPIVersion.VERSION2)
    client.connect("127.0.0.1", job["port"])
    client.loop_start()
    return client


def own_loop(job: dict[str, Any]) -> Counts:
    """Read, detect, track, publish: every frame."""
    model, client = Model(job["model"]), connected(job)
    camera, tracker = cv2.VideoCapture(job["clip"]), supervision.ByteTrack(frame_rate=15)
    frames, things, clocks = 0, 0, started()
    while True:
        there, picture = camera.read()
        if not there:
            break
        boxes, scores = model.detect(picture)
        frames, things = frames + 1, things + len(boxes)
        found = supervision.Detections(
            xyxy=boxes.astype(np.float32), confidence=scores, class_id=np.zeros(len(boxes), int)
        )
        tracked = tracker.update_with_detections(found if len(boxes) else supervision.Detections.empty())
        for box, number in zip(tracked.xyxy.tolist(), tracked.tracker_id.tolist(), strict=True):
            client.publish("own/events", json.dumps({"id": number, "box": box}), qos=1)
    return {"frames": frames, "looks": frames, "things": things, **clocks}


def like_frigate(job: dict[str, Any]) -> Counts:
    """Five pictures a second from ffmpeg, motion by a running average, the region that moves, norfair."""
    model, client = Model(job["model"]), connected(job)
    width, height = 1280, 720
    command = ["ffmpeg", "-loglevel", "error", "-threads", "1", "-i", job["clip"], "-vf"]
    command += [f"fps={LOOKS_A_SECOND},scale={width}:{height}", "-f", "rawvideo", "-pix_fmt", "yuv420p", "-"]
    tracker = norfair.Tracker(distance_function="iou", distance_threshold=0.7)
    average: Any = None
    frames, looks, things, clocks = 0, 0, 0, started()
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        size = width * height * 3 // 2
        while process.stdout and len(data := process.stdout.read(size)) == size:
            frames += 3
            planes = np.frombuffer(data, np.uint8).reshape(height * 3 // 2, width)
            small = cv2.resize(planes[:height], (178, 100), interpolation=cv2.INTER_LINEAR)
            average = small.astype(np.float32) if average is None else average
            differs = cv2.threshold(cv2.absdiff(small, cv2.convertScaleAbs(average)), 30, 255, cv2.THRESH_BINARY)[1]
            contours, _ = cv2.findContours(
                cv2.dilate(differs, None, iterations=2), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE
            )
            cv2.accumulateWeighted(small, average, 0.01)
            boxes, scores = np.zeros((0, 4)), np.zeros(0)
            if contours:
                rects = np.array([cv2.boundingRect(contour) for contour in contours])
                left, top = rects[:, 0].min() * width // 178, rects[:, 1].min() * height // 100
                right, bottom = (rects[:, 0] + rects[:, 2]).max(), (rects[:, 1] + rects[:, 3]).max()
                right, bottom = right * width // 178, bottom * height // 100
                side = max(right - left, bottom - top, 320)
                left, top = min(left, max(0, width - side)), min(top, max(0, height - side))
                picture = cv2.cvtColor(planes, cv2.COLOR_YUV2BGR_I420)[top : top + side, left : left + side]
                boxes, scores = model.detect(picture)
                boxes = boxes + np.array([left, top, left, top])
                looks, things = looks + 1, things + len(boxes)
            detections = [
                norfair.Detection(box.reshape(2, 2), scores=np.array([score, score]))
                for box, score in zip(boxes, scores, strict=True)
            ]
            for tracked in tracker.update(detections):
                client.publish("frigate/events", json.dumps({"id": tracked.id, "box": tracked.estimate.tolist()}))
    return {"frames": frames, "looks": looks, "things": things, **clocks}


WAYS: dict[str, Callable[[dict[str, Any]], Counts]] = {"loop of one's own": own_loop, "as Frigate does": like_frigate}


def main() -> None:
    """Run the way that is asked for."""
    job = json.loads(sys.argv[1])
    cv2.setNumThreads(1)
    counts = WAYS[job["way"]](job)
    frames = counts["frames"]
    cpu_s, wall_s = _cpu_s() - counts.pop("cpu_s"), time.perf_counter() - counts.pop("wall_s")
    peak_mb = sum(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)) / 1000
    print(json.dumps({**counts, "cpu_ms": cpu_s * 1000 / frames, "fps": frames / wall_s, "peak_mb": peak_mb}))


def started() -> Counts:
    """The clocks, when all is set up and the first picture is about to be read."""
    return {"cpu_s": _cpu_s(), "wall_s": time.perf_counter()}


def _cpu_s() -> float:
    """Of this process and those that it ran."""
    return sum(usage.ru_utime + usage.ru_stime for usage in map(resource.getrusage, (0, resource.RUSAGE_CHILDREN)))


if __name__ == "__main__":
    main()
