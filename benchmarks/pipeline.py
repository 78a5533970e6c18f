"""The whole line beside its limit, beside the loop that people write themselves, and beside a line as Frigate's is.

Each way is a process of its own that reads the same clip with the same model file and one thread for everything; they
take turns, and the cheapest round of each counts. `peers.py` holds the ways of others, in an environment of its own,
for their libraries are none of ours.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import venv
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np

from edge_agent.edges import catalogue
from edge_agent.records import ByteArray

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from brokers import running
from camera_clips import Encoding, film

HERE = Path(__file__).parent
VIDEO = HERE.parents[1] / "shared" / "data" / "video"
SIZE = (1920, 1080)
FPS = 15.0
PEERS = ("supervision==0.26.1", "norfair==2.3.0", "onnxruntime", "av", "opencv-python-headless", "paho-mqtt")
OURS = ("limit", "edge-agent", "limit, 5 looks a second", "edge-agent, as it comes")
THEIRS = ("loop of one's own", "as Frigate does")


def main() -> None:
    """Print a table a clip."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=40.0, help="of each clip")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--peers", type=Path, default=HERE / ".peers", help="environment for the others; made if absent"
    )
    args = parser.parse_args()
    python = peers_python(args.peers)
    model = catalogue.find(catalogue.DEFAULT).path
    with tempfile.TemporaryDirectory() as folder, running(Path(folder)) as broker:
        for name, clip in clips(Path(folder), args.seconds).items():
            job = {"clip": str(clip), "model": str(model), "port": broker.port, "folder": folder}
            rows = measure(job, python, args.rounds)
            print(f"\n{name}: {SIZE[0]}x{SIZE[1]}, {FPS:g} a second, {rows['limit']['frames']:.0f} frames")
            print_rows(rows)


def peers_python(folder: Path) -> Path:
    """The others' environment, made on the first call."""
    python = folder / "bin" / "python"
    if not python.exists():
        print(f"making {folder} …", file=sys.stderr)
        venv.create(folder, with_pip=True)
        subprocess.run([python, "-m", "pip", "install", "-q", *PEERS], check=True)
    return python


def clips(folder: Path, seconds: float) -> Mapping[str, Path]:
    """One with somebody now and then, and one with about twenty people in view all the time."""
    made = {}
    for name, pictures in {
        "sparse": enlarged(VIDEO / "one-by-one-person-detection.mp4"),
        "crowd": four_times(VIDEO / "PETS09-S2L1" / "video.mp4"),
    }.items():
        made[name] = folder / f"{name}.mp4"
        encoding = Encoding(crf=23)
        film({made[name]: encoding}, limited(pictures, round(seconds * FPS)), size=SIZE, fps=FPS)
    return made


def limited(pictures: Iterator[ByteArray], count: int) -> Iterator[ByteArray]:
    """So many pictures, and no more."""
    for _number, picture in zip(range(count), pictures, strict=False):
        yield picture


def enlarged(clip: Path) -> Iterator[ByteArray]:
    """A clip as large as the others, I420, again and again."""
    while True:
        with av.open(str(clip)) as container:
            for picture in container.decode(video=0):
                yield picture.reformat(*SIZE, format="yuv420p").to_ndarray()


def four_times(clip: Path) -> Iterator[ByteArray]:
    """A clip four times beside and above each other, each half as wide and high as the others."""
    width, height = SIZE[0] // 2, SIZE[1] // 2
    while True:
        with av.open(str(clip)) as container:
            for picture in container.decode(video=0):
                small = picture.reformat(width, height, format="bgr24").to_ndarray()
                large = np.tile(small, (2, 2, 1))
                yield cv2.cvtColor(large, cv2.COLOR_BGR2YUV_I420)


def measure(job: Mapping[str, Any], python: Path, rounds: int) -> dict[str, dict[str, float]]:
    """What each way takes, in the round in which it took least CPU."""
    best: dict[str, dict[str, float]] = {}
    for _round in range(rounds):
        for name in (*OURS, *THEIRS):
            ours = name in OURS
            script = HERE / ("line.py" if ours else "peers.py")
            row = run([sys.executable if ours else str(python), str(script)], {**job, "way": name})
            if name not in best or row["cpu_ms"] < best[name]["cpu_ms"]:
                best[name] = row
    return best


def run(command: Sequence[str], job: Mapping[str, Any]) -> dict[str, float]:
    """Run one way in a process of its own."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENCV_FFMPEG_CAPTURE_OPTIONS": "threads;1"}
    done = subprocess.run([*command, json.dumps(job)], env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{job['way']} failed:\n{done.stderr}")
    row: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return row


def print_rows(rows: Mapping[str, Mapping[str, float]]) -> None:
    """Print a row a way."""
    head = f"{'':26} {'frames/s':>9} {'looks':>6} {'things':>7} {'CPU ms a frame':>15} {'of limit':>9}"
    print(f"{head} {'of own loop':>12} {'peak MB':>8}")
    own = rows["loop of one's own"]["cpu_ms"]
    for name, row in rows.items():
        limit = rows["limit" if name in {"limit", "edge-agent", "loop of one's own"} else "limit, 5 looks a second"]
        line = f"{name:26} {row['fps']:9.1f} {row['looks']:6.0f} {row['things']:7.0f} {row['cpu_ms']:15.2f}"
        print(f"{line} {row['cpu_ms'] / limit['cpu_ms']:9.3f} {row['cpu_ms'] / own:12.3f} {row['peak_mb']:8.0f}")


if __name__ == "__main__":
    main()
