"""What closer looks and tiles find of small persons, and cost: recall, AP50 and false boxes by how tall they are.

The clip PETS09-S2L1, 480x360, is laid into a still picture of 1920x1080 in six places, small, so that its persons are
as small as those far away are, though with fewer pixels than a camera of that size would give. In some places it plays,
in some it stands still, in one it stops. The whole is encoded as a camera would, and read as a recording is; the real
motion gate says where something moves.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from numpy.typing import NDArray
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from edge_agent import geometry
from edge_agent.app import open_recording
from edge_agent.edges.inference import ModelSettings
from edge_agent.records import ByteArray, Detections, FloatArray, Infer
from edge_agent.stages.detect.detector import Detector, DetectSettings
from edge_agent.stages.gate.motion import Gate
from edge_agent.stages.gate.settings import GateSettings
from edge_agent.vision import Vision, load_vision

SEQUENCE = Path(__file__).parents[2] / "shared" / "data" / "video" / "PETS09-S2L1"
SIZE = (1920, 1080)
CLIP_SIZE = (480, 360)
TRUE_FPS = 7
PLACES = ((960, "plays"), (400, "plays"), (320, "stops"), (280, "plays"), (280, "stands"), (240, "plays"))
"""How wide the clip is there, and what it does."""

GRIDS_AND_ZOOMS = ((0, "none"), (1, "none"), (2, "none"), (4, "none"), (8, "none"), (0, "2x2"), (0, "3x2"), (0, "3x3"),
                   (2, "2x2"), (4, "2x2"))  # fmt: skip
LEAST_SCORE = 0.01
THRESHOLD = 0.4
LEAST_IOU = 0.5
HEIGHTS = {"<5%": (0.0, 0.05), "5-10%": (0.05, 0.1), ">10%": (0.1, 1.0)}
"""Of the picture."""

Found = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where the clip is laid, and from which of its pictures on it plays, until a moment."""

    left: int
    top: int
    width: int
    first: int
    until: int

    @property
    def height(self) -> int:
        """Its clip keeps its form."""
        return self.width * 3 // 4


@dataclass(kw_only=True)
class Way:
    """One setting, what it found and what it cost."""

    zoom: int
    tile: str
    detector: Detector
    runs: list[int]
    spent_s: float = 0.0
    found: list[Found] = field(default_factory=list)
    strong: dict[int, FloatArray] = field(default_factory=dict)


def main() -> None:
    """Print a row for each setting."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sequence", type=Path, default=SEQUENCE, help="a folder with video.mp4 and gt/gt.txt")
    parser.add_argument("--model", default="default", help="a built-in model or a file")
    parser.add_argument("--input", type=int, nargs=2, metavar=("WIDTH", "HEIGHT"), help="what a model of any size sees")
    parser.add_argument("--layout", type=int, default=0, help="which of the random layouts")
    parser.add_argument("--seconds", type=int, default=30)
    parser.add_argument("--gate", default="{}", help="settings of the gate, as JSON")
    parser.add_argument("--write", type=Path, help="write the clip there, and the truth beside it; look at nothing")
    args = parser.parse_args()
    if args.write:
        truth = write_clip(args.write, args.sequence, args.layout, args.seconds)
        np.savetxt(args.write.with_suffix(".txt"), truth, fmt="%.1f", delimiter=",")
        return
    with tempfile.TemporaryDirectory() as folder:
        clip = Path(folder) / "clip.mp4"
        truth = write_clip(clip, args.sequence, args.layout, args.seconds)
        ways = measure(clip, load_model(args.model, args.input), GateSettings.model_validate_json(args.gate))
    report(ways, truth)


def load_model(name: str, size: Sequence[int] | None) -> Vision:
    """A built-in model or a file, with its usual threshold."""
    file = "path" if name.endswith((".onnx", ".tflite")) else "name"
    return load_vision(ModelSettings.model_validate({file: name, "threshold": THRESHOLD, "input": size}))


def measure(clip: Path, vision: Vision, gate_settings: GateSettings) -> list[Way]:
    """Show a clip to detectors of all settings in turn, frame by frame."""
    ways = [way_of(vision, zoom, tile) for zoom, tile in GRIDS_AND_ZOOMS]
    gate = Gate(gate_settings, DetectSettings().rate_hz)
    for frame in open_recording(clip).frames():
        motion = gate.observe(frame)
        if motion.look is None:
            continue
        for way in ways:
            began_s = time.thread_time()
            found = way.detector.detect(frame, motion.regions)
            way.spent_s += time.thread_time() - began_s
            way.found += rows_of(frame.seq, found)
            way.strong[frame.seq] = found.boxes[found.strong]
    return ways


def way_of(vision: Vision, zoom: int, tile: str) -> Way:
    """A detector whose runs are counted; weak boxes go down to `LEAST_SCORE`, for AP."""
    runs = [0]
    infer = vision.infer

    def counted(tensor: NDArray[Any]) -> Sequence[NDArray[Any]]:
        runs[0] += 1
        return infer(tensor)

    counting: Infer = counted
    settings = DetectSettings(labels=("person",), weak=LEAST_SCORE / THRESHOLD, zoom=zoom, tile=tile)
    detector = Detector(
        infer=counting,
        head=vision.head,
        label_names=vision.label_names,
        input_size=vision.input_size,
        threshold=vision.threshold,
        settings=settings,
    )
    return Way(zoom=zoom, tile=tile, detector=detector, runs=runs)


def rows_of(image: int, found: Detections) -> list[Found]:
    """As pycocotools takes boxes."""
    return [row(image, box, score) for box, score in zip(found.boxes.tolist(), found.scores.tolist(), strict=True)]


def row(image: int, box: Sequence[float], score: float) -> Found:
    """One box."""
    left, top, right, bottom = box
    return {"image_id": image, "category_id": 1, "bbox": [left, top, right - left, bottom - top], "score": score}


def report(ways: Sequence[Way], truth: NDArray[np.float64]) -> None:
    """Print what each way found."""
    truth = truth[np.isin(truth[:, 0], list(ways[0].strong))]
    heights = (truth[:, 4] - truth[:, 2]) / SIZE[1]
    groups = {}
    for name, (low, high) in HEIGHTS.items():
        groups[f"{name} {_DOES[0]}"] = (low <= heights) & (heights < high) & (truth[:, 5] == 0)
    for kind in (1, 2):
        groups[f"<5% {_DOES[kind]}"] = (heights < HEIGHTS["<5%"][1]) & (truth[:, 5] == kind)
    print(f"{len(ways[0].strong)} looks; persons: " + ", ".join(f"{name} {sum(one)}" for name, one in groups.items()))
    print(
        f"{'zoom':>4} {'tile':>5} {'runs':>5} {'CPU ms':>7} {'a run':>6} {'false':>6} {'double':>6} | recall "
        + "".join(f"{name:>13}" for name in groups)
        + " | AP50 "
        + "".join(f"{name:>7}" for name in HEIGHTS)
    )
    for way in ways:
        hit, false, double = matched(truth, way.strong)
        looks, runs = len(way.strong), way.runs[0]
        print(
            f"{way.zoom:4} {way.tile:>5} {runs / looks:5.2f} {way.spent_s / looks * 1e3:7.1f} "
            f"{way.spent_s / runs * 1e3:6.1f} {false / looks:6.2f} {double / looks:6.2f} |        "
            + "".join(f"{np.mean(hit[one]) if one.any() else np.nan:13.3f}" for one in groups.values())
            + " |      "
            + "".join(f"{value:7.3f}" for value in average_precisions(truth, way.found))
        )


def matched(truth: NDArray[np.float64], strong: dict[int, FloatArray]) -> tuple[NDArray[np.bool_], int, int]:
    """Which of the true persons were found, how many boxes were none, and how many of these a person a second time."""
    hit = np.zeros(len(truth), np.bool_)
    false = double = 0
    for seq, boxes in strong.items():
        rows = np.flatnonzero(truth[:, 0] == seq)
        persons = truth[rows, 1:5].astype(np.float32)
        overlap = geometry.iou(boxes, persons)
        free = np.ones(len(boxes), np.bool_)
        while overlap.size and np.max(overlap) >= LEAST_IOU:
            box, person = np.unravel_index(np.argmax(overlap), overlap.shape)
            free[box], hit[rows[person]] = False, True
            overlap[box], overlap[:, person] = 0, 0
        left_over = boxes[free]
        false += len(left_over)
        again = np.maximum(geometry.covered(left_over, persons), geometry.covered(persons, left_over).T)
        double += int(np.count_nonzero((again[:, hit[rows]] > LEAST_IOU).any(axis=1)))
    return hit, false, double


def write_clip(path: Path, sequence: Path, layout: int, seconds: int) -> NDArray[np.float64]:
    """Write the clip; the truth is (N, 6): number of the picture, box as xyxy, and which of `_DOES`."""
    places = places_of(layout, seconds * TRUE_FPS)
    rows = np.loadtxt(sequence / "gt" / "gt.txt", delimiter=",")
    with av.open(str(sequence / "video.mp4")) as container:
        pictures = [picture.to_ndarray(format="yuv420p") for picture in container.decode(video=0)]
    truth = []
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("libx264", rate=TRUE_FPS)
        stream.width, stream.height = SIZE
        stream.pix_fmt = "yuv420p"
        stream.options = {"crf": "20", "preset": "veryfast", "tune": "zerolatency", "g": str(4 * TRUE_FPS)}
        for seq in range(seconds * TRUE_FPS):
            whole = ground()
            for place in places:
                shown = (place.first + min(seq, place.until)) % len(pictures)
                lay(whole, pictures[shown], place)
                boxes = rows[rows[:, 0] == shown + 1, 2:6]
                boxes[:, 2:] += boxes[:, :2]
                boxes = boxes * place.width / CLIP_SIZE[0] + np.array([place.left, place.top] * 2)
                does = 0 if seq <= place.until else 1 if place.until else 2
                truth += [(seq, *box, does) for box in boxes]
            frame = av.VideoFrame.from_ndarray(whole, format="yuv420p")
            frame.pts, frame.time_base = seq, Fraction(1, TRUE_FPS)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return np.array(truth)


def places_of(layout: int, frames: int) -> list[Place]:
    """Places that do not overlap, in a random layout."""
    random = np.random.default_rng(layout)
    until = {"plays": frames, "stands": 0, "stops": frames // 2}
    while True:
        places: list[Place] = []
        for width, does in PLACES:
            for _ in range(100):
                left, top = (int(random.integers(0, whole - side + 1)) // 2 * 2
                             for whole, side in zip(SIZE, (width, width * 3 // 4), strict=True))  # fmt: skip
                first = int(random.integers(0, 795))
                place = Place(left=left, top=top, width=width, first=first, until=until[does])
                if not any(overlap(place, other) for other in places):
                    places.append(place)
                    break
        if len(places) == len(PLACES):
            return places


def overlap(one: Place, other: Place) -> bool:
    """Whether two places share anything."""
    beside = one.left + one.width <= other.left or other.left + other.width <= one.left
    return not (beside or one.top + one.height <= other.top or other.top + other.height <= one.top)


def ground() -> ByteArray:
    """The still picture behind all places, as I420: (H * 3 / 2, W)."""
    noise = np.random.default_rng(0).integers(60, 160, SIZE[::-1]).astype(np.uint8)
    luma = cv2.GaussianBlur(noise, (0, 0), 5)
    return np.concatenate([luma, np.full((SIZE[1] // 2, SIZE[0]), 128, np.uint8)])


def lay(whole: ByteArray, picture: ByteArray, place: Place) -> None:
    """Write a picture of the clip into the whole; both I420."""
    for target, source, part in zip(planes(whole, SIZE), planes(picture, CLIP_SIZE), (1, 2, 2), strict=True):
        size = (place.width // part, place.height // part)
        small = cv2.resize(source, size, interpolation=cv2.INTER_AREA)
        top, left = place.top // part, place.left // part
        target[top : top + size[1], left : left + size[0]] = small


def planes(picture: ByteArray, size: tuple[int, int]) -> Iterator[ByteArray]:
    """Luma, blue and red of I420, as views."""
    width, height = size
    yield picture[:height]
    yield from picture[height:].reshape(2, height // 2, width // 2)


def average_precisions(truth: NDArray[np.float64], found: list[Found]) -> list[float]:
    """AP50 by COCO's rules, its areas being heights: one a range of `HEIGHTS`."""
    persons = [
        {**row(int(seq), box, 1.0), "id": number, "iscrowd": 0, "area": (box[3] - box[1]) / SIZE[1]}
        for number, (seq, *box, _) in enumerate(truth.tolist(), 1)
    ]
    with contextlib.redirect_stdout(io.StringIO()):  # pycocotools talks
        coco = COCO()
        images = [{"id": image} for image in sorted({person["image_id"] for person in persons})]
        coco.dataset = {"images": images, "annotations": persons, "categories": [{"id": 1, "name": "person"}]}
        coco.createIndex()
        results = coco.loadRes(found)
        for one in results.dataset["annotations"]:
            one["area"] = one["bbox"][3] / SIZE[1]
        evaluation = COCOeval(coco, results, "bbox")
        evaluation.params.iouThrs = np.array([LEAST_IOU])
        evaluation.params.areaRng = [list(heights) for heights in HEIGHTS.values()]
        evaluation.params.areaRngLbl = list(HEIGHTS)
        evaluation.evaluate()
        evaluation.accumulate()
    precision = evaluation.eval["precision"]  # (1, recalls, 1, heights, detections)
    return [float(np.mean(precision[0, :, 0, index, -1])) for index in range(len(HEIGHTS))]


_DOES = ("plays", "stopped", "stands")

if __name__ == "__main__":
    main()
