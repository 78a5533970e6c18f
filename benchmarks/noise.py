"""What the motion gate says of noise, a tree in the wind and a blinking lamp, and what it still sees behind them.

Real clips are made noisier, and given a tree or a lamp; what the gate says of them as they are is taken for the truth.
Figures are of the pictures that are compared, five a second.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import av
import cv2
import numpy as np
from camera_clips import FPS, Mover, scene

from edge_agent.edges.inference import ModelSettings
from edge_agent.edges.sources.planes import view_planes
from edge_agent.records import ByteArray, Frame
from edge_agent.stages.detect.detector import DetectSettings
from edge_agent.stages.gate.motion import Gate
from edge_agent.stages.gate.settings import GateSettings
from edge_agent.vision import load_vision

VIDEO = Path(__file__).parents[2] / "shared" / "data" / "video"
WALK_S = 600.0
CLIPS = ("one-by-one-person-detection.mp4", "ir-indoor-1.mp4", "ir-indoor-2.mp4", "PETS09-S2L1/video.mp4")
DETECTED = {"one-by-one-person-detection"}  # a revolving door moves in it all the time: persons are the truth
RATE_HZ = 5.0
LEAST_WIDTH = 640
LATER_S = 150.0
LEARN_S = 60.0  # what is said before is not counted
BLINK_S = 1.6
DIFFERS = 15  # grey levels: somebody is there
SAMPLES = 4  # of a full-size picture, in a pixel of the small one

Change = Callable[[ByteArray, float], ByteArray]
"""A luma plane and its moment in, another one out."""


def main() -> None:
    """Print a row a clip and change."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("clips", nargs="*", type=Path, default=[VIDEO / name for name in CLIPS])
    args = parser.parse_args()
    print("false: of the pictures in which nothing moves. seen: of those in which something does, of the onsets.")
    print(f"{'clip':28} {'change':26} {'false':>14} {'seen':>14} {'onsets':>7}")
    scenes = {"walkers": walkers()}
    for clip in args.clips:
        frames = list(read(clip))
        truth = somebody(frames) if clip.stem in DETECTED else watch(frames, lambda luma, _at_s: luma)
        scenes[clip.parent.name if clip.stem == "video" else clip.stem] = frames, truth
    for name, (frames, truth) in scenes.items():
        place = np.median([frame.luma for frame in frames[:: len(frames) // 60]], axis=0).astype(np.uint8)
        for what, change in changes(place).items():
            report(f"{name:28} {what:26}", truth, watch(frames, change))


def changes(place: ByteArray) -> dict[str, Change]:
    """What is done to a clip of a place, by name."""
    return {
        "as it is": lambda luma, _at_s: luma,
        **{f"noise {sigma} after shrinking": noise(sigma) for sigma in (2, 5, 8, 10, 15)},
        "noise 2, later 10": _later(noise(2), noise(10)),
        "tree in the wind": tree(place),
        "blinking lamp": lamp,
    }


def _later(early: Change, late: Change) -> Change:
    return lambda luma, at_s: (late if at_s > LATER_S else early)(luma, at_s)


def read(clip: Path) -> Iterator[Frame]:
    """Frames of a clip, five a second, three times over so that there is time to learn."""
    with av.open(str(clip)) as container:
        stream = container.streams.video[0]
        step = max(1, round(float(stream.average_rate or RATE_HZ) / RATE_HZ))
        pictures = [view_planes(p) for i, p in enumerate(container.decode(stream)) if i % step == 0]
    for seq in range(3 * len(pictures)):
        at_s = seq / RATE_HZ
        frame = pictures[seq % len(pictures)].taken(at_s=at_s, utc_ns=0, utc_synced=False, seq=seq)
        yield enlarged(frame) if frame.width < LEAST_WIDTH else frame


def walkers() -> tuple[list[Frame], list[tuple[float, bool]]]:
    """People, a third of the picture tall, who walk through the tree and past the lamp in turn; when they are there."""
    begins_s = np.arange(LEARN_S, WALK_S - 9, 9)
    movers = [
        Mover(kind="walker", begins_s=at_s, ends_s=at_s + 4, height_norm=0.33, speed_norm=0.12,
              start_norm=(0.66, 0.35) if number % 2 else (0.14, 0.3), angle=0.0, look=number)
        for number, at_s in enumerate(begins_s.tolist())
    ]  # fmt: skip
    frames, grey = [], np.full((180, 320), 128, np.uint8)
    for number, picture in enumerate(scene(size=(640, 360), seconds=WALK_S, movers=movers, noise=1.5, seed=1)):
        if number % round(FPS / RATE_HZ) == 0:
            planes = {"luma": picture[:360], "chroma_blue": grey, "chroma_red": grey}
            frames.append(Frame(**planes, at_s=number / FPS, utc_ns=0, utc_synced=False, seq=number))
    return frames, [(frame.at_s, any(m.begins_s <= frame.at_s < m.ends_s for m in movers)) for frame in frames]


def enlarged(frame: Frame) -> Frame:
    """Make a frame so large that noise on it is white where it is sampled."""
    size = (LEAST_WIDTH, frame.height * LEAST_WIDTH // frame.width // 2 * 2)
    chroma = np.full((size[1] // 2, size[0] // 2), 128, np.uint8)
    return replace(frame, luma=cv2.resize(frame.luma, size), chroma_blue=chroma, chroma_red=chroma)


def watch(frames: list[Frame], change: Change) -> list[tuple[float, bool]]:
    """When something moves."""
    gate = Gate(GateSettings(), RATE_HZ)
    found = []
    for frame in frames:
        regions = gate.observe(replace(frame, luma=change(frame.luma, frame.at_s))).regions
        found.append((frame.at_s, regions is not None and len(regions) > 0))
    return found


def somebody(frames: list[Frame]) -> list[tuple[float, bool]]:
    """When a person is in view, by the detector."""
    detector = load_vision(ModelSettings()).detector(DetectSettings())
    third = [bool(detector.detect(frame).strong.any()) for frame in frames[: len(frames) // 3]]
    return [(frame.at_s, seen) for frame, seen in zip(frames, third * 3, strict=True)]


def report(head: str, truth: list[tuple[float, bool]], found: list[tuple[float, bool]]) -> None:
    """Print what was said of nothing, and what was missed."""
    pairs = [(true, seen) for (at_s, true), (_, seen) in zip(truth, found, strict=True) if at_s >= LEARN_S]
    still, moving = [seen for true, seen in pairs if not true], [seen for true, seen in pairs if true]
    onsets = [
        i for i in range(1, len(pairs) - 5) if pairs[i][0] and not any(true for true, _ in pairs[max(0, i - 10) : i])
    ]
    caught = sum(any(seen for _, seen in pairs[i : i + 5]) for i in onsets)
    print(
        f"{head} {sum(still):5}/{len(still):5} {sum(still) / max(1, len(still)):.2f} {sum(moving):5}/{len(moving):5}"
        f" {sum(moving) / max(1, len(moving)):.2f} {caught:3}/{len(onsets):3}",
        flush=True,
    )


def noise(sigma: float) -> Change:
    """White noise of the sensor that is `sigma` grey levels once the picture is shrunk."""
    random = np.random.default_rng(1)
    grain = random.normal(0, sigma * np.sqrt(SAMPLES), 1 << 22).astype(np.float32)

    def change(luma: ByteArray, _at_s: float) -> ByteArray:
        start = int(random.integers(0, grain.size - luma.size))
        return np.clip(luma + grain[start : start + luma.size].reshape(luma.shape), 0, 255).astype(np.uint8)

    return change


def tree(place: ByteArray) -> Change:
    """Leaves that sway about 4 % of the picture's width in gusts, behind whoever is there, in a tenth of it."""
    height, width = place.shape
    rows, columns = slice(0, height * 6 // 10), slice(width * 13 // 20, width * 19 // 20)
    shape = (rows.stop - rows.start, columns.stop - columns.start)
    coarse = cv2.GaussianBlur(np.random.default_rng(3).normal(0, 1, (45, 60)).astype(np.float32), (0, 0), 1.2)
    leaves = cv2.resize(coarse / coarse.std() * 30 + 90, (shape[1] + width // 8, shape[0]))
    leaves = np.clip(leaves, 0, 255).astype(np.uint8)
    axes = (shape[1] // 2, shape[0] // 2)
    crown = cv2.ellipse(np.zeros(shape, np.uint8), axes, axes, 0, 0, 360, 1, -1).astype(bool)

    def change(luma: ByteArray, at_s: float) -> ByteArray:
        gust = 0.5 + 0.5 * np.sin(at_s / 7) ** 2
        shift = (np.sin(2 * np.pi * 0.45 * at_s) + 0.4 * np.sin(2 * np.pi * 1.13 * at_s)) * gust * 0.02 * width
        left, out = int(width / 16 + shift), luma.copy()
        is_free = np.abs(luma[rows, columns].astype(np.int16) - place[rows, columns]) < DIFFERS
        np.copyto(out[rows, columns], leaves[:, left : left + shape[1]], where=crown & is_free)
        return out

    return change


def lamp(luma: ByteArray, at_s: float) -> ByteArray:
    """A lamp of 3 % of the picture that goes on and off every 1.6 s, with a glow."""
    height, width = luma.shape
    if at_s % BLINK_S < BLINK_S / 2:
        return luma
    glow = np.zeros((height, width), np.float32)
    cv2.circle(glow, (width // 4, height // 4), height // 10, 120, -1)
    glow = cv2.GaussianBlur(glow, (0, 0), height / 30)
    return np.clip(luma + glow, 0, 255).astype(np.uint8)


if __name__ == "__main__":
    main()
