"""The ground plane: where in metres an object stands, and how fast it moves, from four known corners on the floor."""

from __future__ import annotations

import functools
import math
from collections import deque
from collections.abc import Mapping
from typing import Annotated, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import AfterValidator, Field

from edge_agent import geometry
from edge_agent.records import Box, Frame, Track, Tracks
from edge_agent.settings import Section, UnitPoint

Corners = tuple[UnitPoint, UnitPoint, UnitPoint, UnitPoint]
Metres = tuple[float, float]
"""A place on the ground: across and along the rectangle, from its first corner."""

FASTEST_KMH = 1000.0
"""What seems faster than anything on the ground is a box that jumps."""

_LEAST_AREA = 0.001
"""Of the picture: from a smaller rectangle nobody reads distances."""


def _is_seen_rectangle(corners: Corners) -> Corners:
    """Refuse what no rectangle looks like to a camera."""
    turns = [_turn(corners[i - 2], corners[i - 1], corners[i]) for i in range(4)]
    if not (all(turn > 0 for turn in turns) or all(turn < 0 for turn in turns)):
        raise ValueError("must be four corners in the order in which one walks around them, none bent inwards")
    if abs(_area(corners)) < _LEAST_AREA:
        raise ValueError(f"must cover at least {_LEAST_AREA:g} of the picture, to tell distances from")
    return corners


def _turn(first: UnitPoint, corner: UnitPoint, last: UnitPoint) -> float:
    """More than 0 where the way turns to one side, less where to the other."""
    return (corner[0] - first[0]) * (last[1] - corner[1]) - (corner[1] - first[1]) * (last[0] - corner[0])


def _area(corners: Corners) -> float:
    (left, top), (right, bottom) = ((a[0] - c[0], a[1] - c[1]) for a, c in (corners[::2], corners[1::2]))
    return (left * bottom - top * right) / 2


class GroundSettings(Section):
    """Where the floor is in the picture: a rectangle on it, and how large that really is."""

    corners: Annotated[Corners, AfterValidator(_is_seen_rectangle)]
    """Its four corners where they are seen, 0..1 of the picture, in the order in which one walks around it."""

    width_m: Annotated[float, Field(gt=0, le=10_000)]
    """How far the first corner is from the second, and the third from the fourth, in metres."""

    length_m: Annotated[float, Field(gt=0, le=10_000)]
    """How far the second corner is from the third, and the fourth from the first, in metres."""

    REACH: ClassVar[float] = 1.5
    """How many times as far from the camera as the furthest corner anything is known: there an error in the picture is
    that many times, squared, as many metres."""


class Ground:
    """Turns places in the picture into places on the ground.

    A flat floor is seen by a camera without distortion through a homography, which four corners determine. How far away
    a place is goes with 1 / w, the third of its homogeneous coordinates.
    """

    def __init__(self, settings: GroundSettings) -> None:
        to_square = geometry.homography(np.array(settings.corners))
        across, along, w = (to_square * [[settings.width_m], [settings.length_m], [1.0]]).tolist()
        self._rows: tuple[tuple[float, float, float], ...] = (tuple(across), tuple(along), tuple(w))
        self._least_w = min(self._across(2, corner) for corner in settings.corners) / GroundSettings.REACH

    def place(self, point: UnitPoint) -> Metres | None:
        """Where a point of the picture lies on the ground.

        Args:
            point: x and y, 0..1 of the picture.

        Returns:
            Metres across and along the rectangle; None above the horizon, and so near to it that a point is too far
            away to tell: more than `REACH` times as far from the camera as the rectangle's furthest corner.
        """
        w = self._across(2, point)
        return (self._across(0, point) / w, self._across(1, point) / w) if w >= self._least_w else None

    def foot(self, box: Box) -> Metres | None:
        """Where an object stands; None where `place` says so, and where its box is cut off by the picture's edge.

        Such a box shows neither its foot nor its middle: both would seem to stand still, or move at half the speed.

        Args:
            box: xyxy, 0..1 of the picture.
        """
        left, _, right, bottom = box
        is_cut_off = left < _EDGE or right > 1 - _EDGE or bottom > 1 - _EDGE
        return None if is_cut_off else self.place(geometry.bottom_centre(box))

    def _across(self, row: int, point: UnitPoint) -> float:
        x, y, one = self._rows[row]
        return x * point[0] + y * point[1] + one


class Speeds:
    """Remembers where objects stood in the last second, and says how fast they move.

    Of the sightings of that second, the slope is the median of those between any two: a box that jumps once, because
    something passed in front, does not count. It is a second whatever the frame rate; where looks are rarer, the last
    three that lie within `_LONGEST_S`.

    Source: H. Theil, 1950, and P. K. Sen, Journal of the American Statistical Association 63, 1968.
    """

    def __init__(self, ground: Ground) -> None:
        self._ground = ground
        self._sightings: dict[int, deque[tuple[float, float, float]]] = {}  # by track id: seconds, metres, metres
        self._known_kmh: dict[int, float] = {}

    def update(self, tracks: Tracks, frame: Frame) -> Mapping[int, float]:
        """How fast each object moves of which that is known, km/h by track id; as when it was last seen."""
        for track_id in (*(track.id for track in tracks.ended), *tracks.exchanged):
            self._lose(track_id)
        for track in tracks.live:
            if track.seen_s == frame.at_s:
                self._see(track, frame)
            elif frame.at_s - track.seen_s > _WINDOW_S:
                self._known_kmh.pop(track.id, None)
        return self._known_kmh

    def forget(self) -> None:
        """Nobody is there any longer."""
        self._sightings.clear()
        self._known_kmh.clear()

    def _lose(self, track_id: int) -> None:
        self._sightings.pop(track_id, None)
        self._known_kmh.pop(track_id, None)

    def _see(self, track: Track, frame: Frame) -> None:
        place = self._ground.foot(geometry.normalise(track.box, frame.width, frame.height))
        if place is None:
            self._lose(track.id)
            return
        sightings = self._sightings.setdefault(track.id, deque(maxlen=_MOST_SIGHTINGS))
        sightings.append((frame.at_s, *place))
        while _is_over(sightings, frame.at_s):
            sightings.popleft()
        self._known_kmh.pop(track.id, None)
        if len(sightings) >= _LEAST_SIGHTINGS and frame.at_s - sightings[0][0] >= _SHORTEST_S:
            speed_kmh = 0.0 if track.stationary else _slope(np.array(sightings)) * _KMH
            if speed_kmh <= FASTEST_KMH:
                self._known_kmh[track.id] = speed_kmh


def _is_over(sightings: deque[tuple[float, float, float]], now_s: float) -> bool:
    age_s = now_s - sightings[0][0]
    return age_s > (_WINDOW_S if len(sightings) > _LEAST_SIGHTINGS else _LONGEST_S)


def _slope(sightings: NDArray[np.float64]) -> float:
    """Metres a second of (N, 3) seconds and metres, N at least 2, no two at the same time."""
    first, last = _pairs(len(sightings))
    passed = sightings[last] - sightings[first]  # (M, 3), M = N (N - 1) / 2
    slopes = np.sort(passed[:, 1:] / passed[:, :1], axis=0)  # (M, 2); a third of what np.median takes
    across, along = (slopes[(len(slopes) - 1) // 2] + slopes[len(slopes) // 2]) / 2
    return math.hypot(across, along)


@functools.cache  # of at most `_MOST_SIGHTINGS`
def _pairs(count: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Every two of so many."""
    first, last = np.triu_indices(count, 1)
    return first, last


_EDGE = 0.004
"""A box that ends so near to the picture's edge is cut off by it: 5 pixels of 1280."""

_WINDOW_S = 1.0 + 1e-6  # the sum of so many frame times is seldom a second sharp
_LONGEST_S = 3.0
_SHORTEST_S = 0.5 - 1e-6
_LEAST_SIGHTINGS = 3
_MOST_SIGHTINGS = 64
_KMH = 3.6
