"""Made-up sequences in which trackers do everything wrong that they can, the same wherever Python makes them.

`random.Random` promises the same numbers in every version, which numpy's generators do not.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

Row = tuple[float, ...]
Box = tuple[float, float, float, float]
CLASSES = {"MOT15": (-1,), "MOT17": (1, 1, 1, 1, 2, 3, 7, 8, 12), "MOT20": (1, 1, 1, 1, 6, 7, 11, 13)}


@dataclass
class Scene:
    """Lines as they stand in files, after the benchmark whose rules hold."""

    benchmark: str
    frames: int
    truth: list[Row] = field(default_factory=list)  # frame, id, left, top, width, height, mark, class, visibility
    said: list[Row] = field(default_factory=list)  # frame, id, left, top, width, height


def scenes(count: int) -> Iterator[Scene]:
    """So many, each of another kind: sparse or crowded, well or badly tracked, with or without distractors."""
    for seed in range(count):
        yield scene(seed)


def scene(seed: int) -> Scene:
    """The scene of a number."""
    draw = random.Random(seed)  # noqa: S311  (no secret)
    made = Scene(benchmark=draw.choice(list(CLASSES)), frames=draw.randint(1, 40))
    width, people = draw.choice((100.0, 400.0)), draw.choice((1, 3, 8, 20, 30)) if seed % 8 else 0
    faults = Faults(draw)
    for number in draw.sample(range(1, 500), people):
        walk(made, draw, number, width, faults)
    for frame in range(1, made.frames + 1):
        if draw.random() < faults.false_alarm:
            made.said.append((frame, 2000 + draw.randint(0, 3), *box(draw, width)))
    return made


class Faults:
    """How likely each fault of a tracker is."""

    def __init__(self, draw: random.Random) -> None:
        self.miss = draw.choice((0.0, 0.0, 0.1, 0.5))
        self.switch = draw.choice((0.0, 0.02, 0.2))
        self.jitter = draw.choice((0.0, 0.05, 0.3))
        self.false_alarm = draw.choice((0.0, 0.1, 0.9))


def ranked(lines: Iterable[str]) -> list[Row]:
    """Lines of a detector as if they were a tracker's: whoever is the nth from the left in a frame is called n."""
    found = sorted(tuple(map(float, line.split(","))) for line in lines)
    made: list[Row] = []
    for frame, of_it in itertools.groupby(found, key=lambda row: row[0]):
        in_order = sorted(row[2:6] for row in of_it)
        made += [(int(frame), number, *place) for number, place in enumerate(in_order, start=1)]
    return made


def walk(made: Scene, draw: random.Random, number: int, width: float, faults: Faults) -> None:
    """Somebody who is there for a while, and what is said about that."""
    first, last = sorted((draw.randint(1, made.frames), draw.randint(1, made.frames)))
    left, top, wide, high = box(draw, width)
    speed, kind = draw.uniform(-3, 3), draw.choice(CLASSES[made.benchmark])
    said_id = 3 * number
    for frame in range(first, last + 1):
        here = (left + speed * (frame - first), top, wide, high)
        if draw.random() > 0.1:  # whoever annotates blinks, too
            made.truth.append((frame, number, *here, int(draw.random() > 0.1), kind, round(draw.random(), 2)))
        if draw.random() < faults.switch:
            said_id += 10_000
        if draw.random() >= faults.miss:
            made.said.append((frame, said_id, *shaken(draw, here, faults.jitter)))


def box(draw: random.Random, width: float) -> Box:
    """Somewhere, of whole numbers so that overlaps of exactly a half occur; sometimes of no area."""
    size = draw.choice((0.0, 12.0, 24.0, 24.0, 36.0))
    return float(draw.randint(0, int(width))), float(draw.randint(0, 60)), size, 2 * size


def shaken(draw: random.Random, here: Box, jitter: float) -> Box:
    """A box beside the true one; where there is no jitter, the same or one that overlaps by exactly a half."""
    left, top, wide, high = here
    if not jitter:
        return left + (wide / 3 if draw.random() < 0.2 else 0), top, wide, high
    shift_x, shift_y, grow = (round(draw.gauss(0, jitter), 3) for _ in range(3))
    return left + wide * shift_x, top + high * shift_y, wide * max(0.2, 1 + grow), high
