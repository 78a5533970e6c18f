"""More looks than the machine has: who gets how many, and how late, by a semaphore around the model and by turns.

Cameras are threads that take the newest of some decoded frames, as a pipeline does, and let the built-in model look
at it. Both ways run in turn, so that whatever else the machine does hits them alike.
"""

from __future__ import annotations

import argparse
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice

import numpy as np

from edge_agent.app import open_recording
from edge_agent.clips import PEDESTRIANS
from edge_agent.edges.clock import SystemClock
from edge_agent.edges.inference import ModelSettings
from edge_agent.edges.turns import Looks, Turns, places_for
from edge_agent.records import Detections, Frame, Motion
from edge_agent.records import Look as Why
from edge_agent.stages.detect.detector import DetectSettings
from edge_agent.stages.gate.pace import Pace
from edge_agent.vision import Vision, load_vision

FPS = 15.0
FRAMES = 30

Look = Callable[[Frame, Motion], Detections | None]


@dataclass(kw_only=True, eq=False)
class Camera:
    """A camera of the benchmark, and how late its looks were done after the frame was there."""

    group: str
    rate_hz: float
    weight: float = 1.0
    why: Why = "active"
    late_s: list[float] = field(default_factory=list)
    longest_s: float = 0.0

    def run(self, frames: Sequence[Frame], look: Look, began_s: float, seconds: float) -> None:
        """Look at the newest frame whenever that is due."""
        pace, done_s = Pace(self.rate_hz), began_s
        motion = Motion(moving=True, changed=False, look=self.why, regions=None, scene_changed=False)
        while (now_s := time.monotonic()) < began_s + seconds:
            index = int((now_s - began_s) * FPS)
            at_s = began_s + index / FPS
            if not pace.is_due(at_s):
                time.sleep(began_s + (index + 1) / FPS - now_s)
                continue
            pace.take(at_s)
            look(replace(frames[index % FRAMES], at_s=at_s), motion)
            now_s = time.monotonic()
            self.late_s.append(now_s - at_s)
            self.longest_s, done_s = max(self.longest_s, now_s - done_s), now_s


def by_semaphore(vision: Vision, cameras: Sequence[Camera]) -> dict[Camera, Look]:
    """As it was: whoever is awakened first runs the model; frames are prepared before."""
    permits = threading.BoundedSemaphore(places_for(1))

    def infer(tensor: np.ndarray) -> Sequence[np.ndarray]:
        with permits:
            return vision.infer(tensor)

    gated = replace(vision, infer=infer)

    def look_of() -> Look:
        detector = gated.detector(DetectSettings())
        return lambda frame, _motion: detector.detect(frame)

    return {camera: look_of() for camera in cameras}


def by_turns(vision: Vision, cameras: Sequence[Camera]) -> dict[Camera, Look]:
    """As the daemon does."""
    clock = SystemClock()
    turns = Turns(places_for(1), clock)

    def look_of(camera: Camera) -> Look:
        detector = vision.detector(DetectSettings())
        looks = Looks(
            turns=turns,
            clock=clock,
            rate_hz=camera.rate_hz,
            weight=camera.weight,
            dropped=lambda: 0,
            beat=lambda: None,
        )
        return looks.in_turn(lambda frame, _motion: detector.detect(frame))

    return {camera: look_of(camera) for camera in cameras}


WAYS = {"semaphore": by_semaphore, "turns": by_turns}


def main() -> None:
    """Print a table a scene."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cameras", type=int, default=24)
    parser.add_argument("--rate-hz", type=float, default=10.0)
    parser.add_argument("--seconds", type=float, default=10.0, help="of each way in each round")
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    vision = load_vision(ModelSettings())
    frames = list(islice(open_recording(PEDESTRIANS).frames(), FRAMES))
    many, rate_hz = args.cameras, args.rate_hz
    scenes: dict[str, list[Camera]] = {
        f"{many} cameras want {rate_hz:g} looks a second each": [
            Camera(group="all", rate_hz=rate_hz) for _ in range(many)
        ],
        "one of them weighs 4": [
            *(Camera(group="weight 1", rate_hz=rate_hz) for _ in range(many - 1)),
            Camera(group="weight 4", rate_hz=rate_hz, weight=4.0),
        ],
        "and one is idle, with a refresh every 2 s": [
            *(Camera(group="active", rate_hz=rate_hz) for _ in range(many)),
            Camera(group="idle", rate_hz=0.5, why="refresh"),
        ],
        "4 cameras want 5 looks a second, and 40 are idle, with a refresh every 5 s, all at the same moment": [
            *(Camera(group="active", rate_hz=5.0) for _ in range(4)),
            *(Camera(group="idle", rate_hz=0.2, why="refresh") for _ in range(40)),
        ],
    }
    print(f"{places_for(1)} places, {vision.name}, {vision.input_size[0]}x{vision.input_size[1]}")
    for title, cameras in scenes.items():
        print(f"\n{title}")
        compare(vision, frames, cameras, args.seconds, args.rounds)


def compare(vision: Vision, frames: Sequence[Frame], scene: Sequence[Camera], seconds: float, rounds: int) -> None:
    """Run a scene each way in turn, and print a row a way and group."""
    ran = {way: [replace(camera, late_s=[]) for camera in scene] for way in WAYS}
    for _round in range(rounds):
        for way, cameras in ran.items():
            run(frames, WAYS[way](vision, cameras), seconds)
    print(
        "way        cameras   looks a second: all   each  least  most   late ms: p50    p99    max   longest without s"
    )
    for way, cameras in ran.items():
        for group in dict.fromkeys(camera.group for camera in cameras):
            some = [camera for camera in cameras if camera.group == group]
            each_hz = [len(camera.late_s) / (seconds * rounds) for camera in some]
            late_ms = np.concatenate([camera.late_s for camera in some]) * 1000
            p50, p99 = np.percentile(late_ms, [50, 99])
            print(
                f"{way:10} {len(some):3} {group:10} {sum(each_hz):12.1f} {np.mean(each_hz):6.2f} {min(each_hz):6.2f} "
                f"{max(each_hz):5.2f} {p50:14.0f} {p99:6.0f} {max(late_ms):6.0f} "
                f"{max(camera.longest_s for camera in some):19.2f}"
            )


def run(frames: Sequence[Frame], looks: dict[Camera, Look], seconds: float) -> None:
    """Let all cameras go for some seconds."""
    began_s = time.monotonic() + 0.2
    threads = [
        threading.Thread(target=camera.run, args=(frames, look, began_s, seconds)) for camera, look in looks.items()
    ]
    time.sleep(0.2)
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


if __name__ == "__main__":
    main()
