"""A street that never was: cut-out people walk behind a garden wall, each on a timetable that is known exactly.

Drawn and not filmed, since footage of pedestrians that may be given away is hard to come by, and since the truth
about a drawn clip needs no counting by eye.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import cv2
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from numpy.typing import NDArray

    Picture = NDArray[np.uint8]

WIDTH, HEIGHT = 768, 432
FRAMES_A_SECOND = 10
DURATION_S = 26
WALL_TOP = 384  # people stand behind it: both portraits end at the hip
WALL_BRICK_SCALE = 0.25
WALL_LIGHT = 0.75  # the wall stands in the shade, which sets it apart from the ground behind it
HORIZON = 110
PATH_TOP = 270
TEXTURE_CONTRAST = 0.35  # of a texture close by: distance and a small lens wash the rest out
SKY_BGR = (206, 196, 182)
NOISE_DEVIATION = 1.5  # grey levels, as a small sensor has by day; without it no packet has a camera's size
NOISE_SEED = 20240917
NOISE_FRAMES = 7  # fields of noise, used in turn: seven never beats with a group of pictures
STANDING_PLACE = 0.35  # of the way; not in the middle, where one would draw a line to count at
STEP_S = 0.55  # a step
STEP_RISE_PX = 3.0  # how far a head rises with each

# Outlines of the two persons in their pictures, x and y in pixels of 512x512, followed by eye.
ASTRONAUT_OUTLINE = (
    (20, 512), (22, 450), (40, 300), (62, 250), (112, 212), (118, 172), (150, 152), (182, 148), (172, 118), (155, 95),
    (154, 62), (172, 36), (205, 18), (240, 15), (272, 28), (296, 55), (301, 85), (290, 112), (272, 128), (258, 165),
    (285, 190), (303, 225), (303, 240), (340, 272), (358, 310), (362, 348), (405, 344), (452, 360), (486, 400),
    (496, 445), (508, 470), (508, 512),
)  # fmt: skip
PHOTOGRAPHER_OUTLINE = (
    (0, 290), (22, 225), (75, 145), (130, 125), (158, 108), (168, 82), (200, 65), (240, 72), (266, 95), (270, 128),
    (262, 140), (290, 140), (325, 140), (328, 172), (330, 200), (318, 232), (302, 248), (304, 275), (285, 300),
    (250, 308), (215, 290), (192, 320), (165, 350), (140, 380), (150, 440), (152, 512), (10, 512), (0, 470),
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Passage:
    """One person's way through the picture: from one edge to the other at an even pace, or standing for a while."""

    person: str
    height_px: int  # of the cut-out, wall included
    starts_s: float
    ends_s: float
    is_leftward: bool = False
    stands_s: float = 0.0  # how long

    def centre_x(self, at_s: float, width_px: int) -> float | None:
        """Return where the middle of the cut-out is, None while the person is out of the picture."""
        if not self.starts_s <= at_s < self.ends_s:
            return None
        walking_s = self.ends_s - self.starts_s - self.stands_s
        elapsed = at_s - self.starts_s
        before_s = walking_s * STANDING_PLACE
        walked = min(elapsed, before_s) + max(0.0, elapsed - before_s - self.stands_s)
        ratio = walked / walking_s
        if self.is_leftward:
            ratio = 1 - ratio
        return -width_px / 2 + ratio * (WIDTH + width_px)


# Those who stand farther back, and so are smaller, come first: they are drawn first.
PASSAGES: tuple[Passage, ...] = (
    Passage(person="photographer", height_px=255, starts_s=9.0, ends_s=16.0, is_leftward=True),
    Passage(person="astronaut", height_px=290, starts_s=16.5, ends_s=25.0, stands_s=2.0),
    Passage(person="photographer", height_px=310, starts_s=2.0, ends_s=8.0),
    Passage(person="astronaut", height_px=290, starts_s=4.5, ends_s=12.0, is_leftward=True),
    Passage(person="photographer", height_px=345, starts_s=17.0, ends_s=22.0),
    Passage(person="astronaut", height_px=330, starts_s=11.0, ends_s=17.0),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class CutOut:
    """A person without background: colours, and how much each pixel belongs to the person, 0..1."""

    colours: Picture  # (H, W, 3) BGR
    share: NDArray[np.float32]  # (H, W, 1)


def frames(pictures: Mapping[str, Picture]) -> Iterator[Picture]:
    """Yield the clip's frames (432, 768, 3) in BGR, drawn from pictures named as in scikit-image."""
    background = _background(pictures)
    wall = _wall(pictures["brick"])
    outlines = {"astronaut": ASTRONAUT_OUTLINE, "photographer": PHOTOGRAPHER_OUTLINE}
    sources = {"astronaut": pictures["astronaut"], "photographer": pictures["camera"]}
    cut_outs = [_cut_out(sources[p.person], outlines[p.person], p) for p in PASSAGES]
    generator = np.random.Generator(np.random.PCG64(NOISE_SEED))
    noise = [generator.normal(0, NOISE_DEVIATION, background.shape).astype(np.float32) for _ in range(NOISE_FRAMES)]
    for index in range(DURATION_S * FRAMES_A_SECOND):
        canvas = background.copy()
        for passage, cut_out in zip(PASSAGES, cut_outs, strict=True):
            _place(canvas, cut_out, passage, index / FRAMES_A_SECOND)
        canvas[WALL_TOP:] = wall
        yield np.clip(canvas + noise[index % NOISE_FRAMES], 0, 255).astype(np.uint8)


def _place(canvas: NDArray[np.float32], cut_out: CutOut, passage: Passage, at_s: float) -> None:
    height, width = cut_out.colours.shape[:2]
    centre_x = passage.centre_x(at_s, width)
    if centre_x is None:
        return
    rise = STEP_RISE_PX * abs(math.sin(math.pi * (at_s - passage.starts_s) / STEP_S))
    # Sub-pixel steps, as film has them: rounding would make every walk stutter.
    move = np.array([[1, 0, centre_x - width / 2], [0, 1, HEIGHT - height - rise]], np.float32)
    colours = cv2.warpAffine(cut_out.colours, move, (WIDTH, HEIGHT), borderMode=cv2.BORDER_REPLICATE)
    share = cv2.warpAffine(cut_out.share, move, (WIDTH, HEIGHT))[:, :, np.newaxis]
    canvas += share * (colours.astype(np.float32) - canvas)


def _cut_out(picture: Picture, outline: tuple[tuple[int, int], ...], passage: Passage) -> CutOut:
    whole_share = np.zeros(picture.shape[:2], np.float32)
    cv2.fillPoly(whole_share, [np.array(outline, np.int32)], (1.0,), cv2.LINE_8)
    left, right = min(x for x, _ in outline), max(x for x, _ in outline)
    top = min(y for _, y in outline)
    scale = passage.height_px / (picture.shape[0] - top)
    size = (round((right - left) * scale), passage.height_px)
    colours = cv2.resize(picture[top:, left:right], size, interpolation=cv2.INTER_AREA)
    share = cv2.resize(whole_share[top:, left:right], size, interpolation=cv2.INTER_AREA)
    if passage.is_leftward == (passage.person == "photographer"):  # who looks to the right in the picture
        colours, share = cv2.flip(colours, 1), cv2.flip(share, 1)
    return CutOut(colours=np.asarray(colours, np.uint8), share=np.asarray(share, np.float32)[:, :, np.newaxis])


def _background(pictures: Mapping[str, Picture]) -> NDArray[np.float32]:
    """Draw sky over grass over a gravel path, each texture flat as a far camera sees it."""
    canvas = np.empty((HEIGHT, WIDTH, 3), np.float32)
    canvas[:HORIZON] = SKY_BGR
    grass = _tiled(pictures["grass"], HEIGHT - HORIZON, 0.3)
    canvas[HORIZON:] = grass * np.array([0.55, 1.0, 0.75], np.float32)  # the texture is grey: make it green
    gravel = _tiled(pictures["gravel"], WALL_TOP - PATH_TOP, 0.25)
    canvas[PATH_TOP:WALL_TOP] = gravel * np.array([0.9, 0.95, 1.0], np.float32)
    return canvas


def _wall(brick: Picture) -> NDArray[np.float32]:
    tiled = _tiled(brick, HEIGHT - WALL_TOP, WALL_BRICK_SCALE)
    return cast("NDArray[np.float32]", tiled * np.array([0.6, 0.7, 1.0], np.float32) * np.float32(WALL_LIGHT))


def _tiled(texture: Picture, height: int, scale: float) -> NDArray[np.float32]:
    small = cv2.resize(texture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    times = (math.ceil(height / small.shape[0]), math.ceil(WIDTH / small.shape[1]), 1)
    tiled = np.tile(small, times)[:height, :WIDTH].astype(np.float32)
    return cast("NDArray[np.float32]", tiled.mean() + (tiled - tiled.mean()) * np.float32(TEXTURE_CONTRAST))
