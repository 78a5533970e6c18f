"""The nuisance map: flickers at one place become a place, real things clear it, old news fades, nothing grows."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from builders import frame_of, track_of
from hypothesis import given
from hypothesis import strategies as st

from edge_agent import geometry
from edge_agent.records import Box, Frame, Track, Tracks
from edge_agent.stages.nuisance.learnt import COLUMNS, HALF_LIFE_S, ROWS, Learnt
from edge_agent.stages.nuisance.map import SHORT_S, NuisanceMap
from edge_agent.stages.nuisance.nuisances import LEAST_TIMES, Nuisance, nuisances

SIZE = (320, 180)
"""Each cell is 10 x 10 pixels."""

LABELS = ("person", "car")
BUSH: Box = (100.0, 50.0, 120.0, 95.0)  # stands at (110, 95): column 11, row 9
HOUR_S = 3600.0


class Scene:
    """A map, the frames that it is shown, and tracks that come and go in them.

    Args:
        nuisance: the map.
    """

    def __init__(self, nuisance: NuisanceMap | None = None) -> None:
        self.nuisance = nuisance or NuisanceMap(LABELS)
        self.at_s = 0.0
        self._next_id = 1
        self.step()

    def step(self, *live: Track, ended: tuple[Track, ...] = (), seconds: float = 0.2) -> None:
        """A look later."""
        frame = replace(frame_of(self.at_s, size=SIZE))
        self.nuisance.note(Tracks(live=tuple(one._replace(seen_s=frame.at_s) for one in live), ended=ended), frame)
        self.at_s += seconds

    def passes(self, *boxes: Box, lasts_s: float = 1.0, beside: tuple[Track, ...] = (), **more: Any) -> None:
        """A track that is seen in these boxes, one look after another, and then is given up."""
        track = track_of(self._next_id, box=boxes[0], first_s=self.at_s, **more)
        self._next_id += 1
        for box in boxes:
            track = track._replace(box=box)
            self.step(*beside, track, seconds=lasts_s / len(boxes))
        track = track._replace(seen_s=track.first_s + lasts_s)
        self.step(*beside, ended=(track,))

    def flickers(self, times: int, box: Box = BUSH, **more: Any) -> None:
        for _time in range(times):
            self.passes(box, confirmed=False, **more)

    @property
    def nuisances(self) -> list[Nuisance]:
        return nuisances(self.nuisance.learnt)


def walk(y: float = 95.0, *, start: int = 0, end: int = 320, step: int = 10) -> tuple[Box, ...]:
    """Somebody 20 pixels wide and 40 high who walks to the right, with the feet at that height."""
    return tuple((x - 10.0, y - 40.0, x + 10.0, y) for x in range(start, end, step))


def test_five_flickers_at_one_place_make_it_one_and_four_do_not() -> None:
    scene = Scene()
    scene.flickers(4)
    assert scene.nuisances == []
    scene.flickers(1)
    [place] = scene.nuisances
    assert place == Nuisance(
        label="person",
        times=5.0,
        per_hour=5.0,  # in some seconds, which count as an hour
        passed=0.0,
        box=(11 / 32, 9 / 18, 12 / 32, 10 / 18),
        outline=((0.3438, 0.5), (0.375, 0.5), (0.375, 0.5556), (0.3438, 0.5556)),
    )


@pytest.mark.parametrize(
    ("boxes", "lasts_s", "confirmed", "false", "real"),
    [
        ((BUSH,), 1.0, False, 1, 0),
        ((BUSH,), SHORT_S, True, 1, 0),  # confirmed, but shortly, and never moved
        ((BUSH,), SHORT_S + 0.1, True, 0, 0),  # somebody who stood there, for all we know
        ((BUSH, (110.0, 50.0, 130.0, 95.0)), 1.0, True, 1, 0),  # 10 of 45 pixels: jitter
        ((BUSH, (115.0, 50.0, 135.0, 95.0)), 1.0, True, 0, 0),  # 15 of 45: neither here nor there
        ((BUSH, (123.0, 50.0, 143.0, 95.0)), 1.0, True, 0, 1),  # 23 of 45: on the way
        ((BUSH, (123.0, 50.0, 143.0, 95.0), BUSH), 1.0, True, 0, 1),  # and back
        ((BUSH, (123.0, 50.0, 143.0, 95.0)), 1.0, False, 0, 0),  # a moth
    ],
)
def test_how_a_track_ends_says_whether_it_was_real(
    *, boxes: tuple[Box, ...], lasts_s: float, confirmed: bool, false: int, real: int
) -> None:
    scene = Scene()
    scene.passes(*boxes, lasts_s=lasts_s, confirmed=confirmed)
    learnt = scene.nuisance.learnt
    assert np.max(learnt.false["person"]) == pytest.approx(false)
    assert np.max(learnt.passed["person"]) == pytest.approx(real)
    assert scene.nuisance.times_added == false + real


def test_a_real_thing_counts_in_each_cell_of_its_way_once_though_looks_are_far_apart() -> None:
    scene = Scene()
    scene.passes(*walk(step=40), *walk(step=40)[::-1])
    passed = scene.nuisance.learnt.passed["person"]
    assert passed[9, :29] == pytest.approx(np.ones(29))  # from x = 0 to 280
    assert np.sum(passed) == pytest.approx(29)


def test_one_who_walks_there_outweighs_four_flickers() -> None:
    scene = Scene()
    scene.flickers(9)
    assert scene.nuisances
    scene.passes(*walk())
    [place] = scene.nuisances  # 9 - 4 are five
    assert place.passed == 1.0
    scene.passes(*walk())
    assert scene.nuisances == []


def test_one_who_walks_elsewhere_clears_nothing_and_another_label_neither() -> None:
    scene = Scene()
    scene.flickers(6)
    scene.passes(*walk(y=150.0))
    scene.passes(*walk(), label="car")
    assert [(place.label, place.times, place.passed) for place in scene.nuisances] == [("person", 6.0, 0.0)]


def test_each_label_has_its_own_places_and_those_not_looked_for_have_none() -> None:
    scene = Scene()
    scene.flickers(6)
    scene.flickers(7, label="car", box=(200.0, 100.0, 240.0, 125.0))
    scene.flickers(8, label="cat")
    assert [(place.label, place.times) for place in scene.nuisances] == [("car", 7.0), ("person", 6.0)]


def test_a_part_of_somebody_is_no_place_s_fault() -> None:
    scene = Scene()
    somebody = track_of(100, box=(90.0, 40.0, 130.0, 120.0))
    scene.flickers(9, beside=(somebody,))
    assert scene.nuisances == []
    scene.flickers(9, beside=(somebody._replace(label="car"),))  # but one on a car is
    assert [place.times for place in scene.nuisances] == [9.0]


def test_what_is_spread_over_cells_that_touch_is_one_place_and_a_straggler_is_none_of_it() -> None:
    scene = Scene()
    for box, times in [
        (BUSH, 20),  # column 11, row 9
        ((110.0, 60.0, 130.0, 105.0), 12),  # column 12, row 10
        ((120.0, 70.0, 140.0, 115.0), 1),  # column 13, row 11: less than a tenth of the 20
        ((100.0, 110.0, 120.0, 155.0), 6),  # column 11, row 15
    ]:
        scene.flickers(times, box)
    assert [(place.times, place.box) for place in scene.nuisances] == [
        (32.0, (11 / 32, 9 / 18, 13 / 32, 11 / 18)),
        (6.0, (11 / 32, 15 / 18, 12 / 32, 16 / 18)),
    ]
    # Two squares that meet in a corner, and what lies between: six corners.
    assert len(scene.nuisances[0].outline) == 6


def test_after_a_week_half_is_left_and_so_of_the_time_that_it_took() -> None:
    scene = Scene()
    scene.flickers(12)
    watched_s = scene.nuisance.learnt.watched_s
    scene.at_s += HALF_LIFE_S
    scene.step()
    assert [place.times for place in scene.nuisances] == [6.0]
    assert scene.nuisance.learnt.watched_s == pytest.approx(watched_s / 2 + 30, abs=1)  # the gap was not watched
    scene.at_s += HALF_LIFE_S
    scene.step()
    assert scene.nuisances == []


def test_how_many_an_hour_goes_by_the_time_that_it_was_watched() -> None:
    scene = Scene()
    scene.flickers(12)
    for _half_minute in range(3 * 120):
        scene.step(seconds=30.0)
    [place] = scene.nuisances
    assert place.per_hour == pytest.approx(12 / 3, abs=0.05)


def test_where_nobody_looked_nothing_is_learnt_and_nothing_done() -> None:
    scene = Scene()
    scene.passes(*walk()[:20])
    tracks = Tracks(live=(track_of(1, box=BUSH, seen_s=50.0),))
    scene.nuisance.note(tracks, frame_of(50.0, size=SIZE))
    before = scene.nuisance.learnt
    scene.nuisance.note(tracks, frame_of(51.0, size=SIZE))
    assert scene.nuisance.learnt.watched_s == pytest.approx(before.watched_s + 1)
    assert scene.nuisance.times_added == 1


def test_what_somebody_was_told_stays_as_it_was() -> None:
    nuisance, frame = NuisanceMap(LABELS), frame_of(size=SIZE)
    flicker = track_of(box=BUSH, confirmed=False)
    told = nuisance.learnt
    nuisance.note(Tracks(live=(flicker,)), frame)
    nuisance.note(Tracks(live=(), ended=(flicker,)), frame)
    assert np.sum(nuisance.learnt.false["person"]) == 1
    assert np.sum(told.false["person"]) == 0


def test_who_was_there_when_it_broke_off_is_forgotten() -> None:
    scene = Scene()
    for box in walk():
        scene.step(track_of(7, box=box))
    scene.nuisance.forget()
    scene.step(ended=(track_of(7, box=BUSH),))
    assert scene.nuisance.times_added == 0


def test_somebody_outside_the_picture_is_taken_to_its_edge() -> None:
    scene = Scene()
    scene.flickers(3, (-30.0, -80.0, -10.0, -40.0))
    scene.flickers(4, (310.0, 150.0, 340.0, 190.0))
    false = scene.nuisance.learnt.false["person"]
    assert (false[0, 0], false[-1, -1]) == (pytest.approx(3, abs=0.01), pytest.approx(4, abs=0.01))


def test_what_was_learnt_can_be_written_and_read_and_goes_on_from_there() -> None:
    scene = Scene()
    scene.flickers(6)
    scene.passes(*walk(y=150.0))
    content = json.loads(json.dumps(scene.nuisance.learnt.to_json()))
    again = Scene(NuisanceMap(LABELS, Learnt.from_json(content)))
    assert again.nuisances == scene.nuisances
    again.flickers(1)
    assert [place.times for place in again.nuisances] == [7.0]
    aged = NuisanceMap(LABELS, Learnt.from_json(content), age_s=HALF_LIFE_S)
    assert np.max(aged.learnt.false["person"]) == pytest.approx(3, rel=0.01)
    assert set(NuisanceMap(("cat",), Learnt.from_json(content)).learnt.false) == {"cat"}


def ways_to_break(content: dict[str, Any]) -> Iterator[Any]:
    yield from (None, [], "x", 7, {}, {**content, "grid": [64, 36]}, {**content, "watched_s": "long"})
    for cells in ([], {"x": 1}, {"-1": 1}, {str(COLUMNS * ROWS): 1}, {"1": "x"}, {"1": -1}, {"1": 1e99}, {"1": None}):
        yield {**content, "false": {"person": cells}}
    yield {**content, "passed": {"person": {"1": float("nan")}}}
    yield {**content, "passed": {"person": {"9" * 30: 1.0}}}


@pytest.mark.parametrize("content", list(ways_to_break(Learnt.nothing(LABELS).to_json())), ids=str)
def test_what_is_damaged_is_a_value_error(content: Any) -> None:
    with pytest.raises(ValueError, match="not what was written"):
        Learnt.from_json(content)


boxes = st.tuples(st.integers(-50, 320), st.integers(-50, 180), st.integers(1, 100), st.integers(1, 100)).map(
    lambda b: (float(b[0]), float(b[1]), float(b[0] + b[2]), float(b[1] + b[3]))
)
lives = st.lists(
    st.tuples(st.lists(boxes, min_size=1, max_size=4), st.booleans(), st.sampled_from(("person", "car", "cat"))),
    max_size=20,
)


@given(lives=lives, times=st.integers(1, 9))
def test_whatever_comes_nothing_grows_and_every_place_was_wrong_often_enough(
    lives: list[tuple[list[Box], bool, str]], times: int
) -> None:
    scene = Scene()
    for way, confirmed, label in lives:
        for _time in range(times):
            scene.passes(*way, confirmed=confirmed, label=label)
    learnt = scene.nuisance.learnt
    assert set(learnt.false) == set(learnt.passed) == set(LABELS)
    assert all(grid.shape == (ROWS, COLUMNS) and np.min(grid) >= 0 for grid in learnt.false.values())
    assert sum(float(np.sum(grid)) for grid in learnt.false.values()) <= scene.nuisance.times_added + 1e-3
    assert len(json.dumps(learnt.to_json())) < 100_000
    for place in scene.nuisances:
        assert place.times >= LEAST_TIMES
        x, y = np.array(place.outline).T
        left, top, right, bottom = place.box
        assert left - 1e-3 <= np.min(x) < np.max(x) <= right + 1e-3
        assert top - 1e-3 <= np.min(y) < np.max(y) <= bottom + 1e-3
        assert min(place.box) >= 0
        assert max(place.box) <= 1
        inside = geometry.polygon_mask([place.outline], COLUMNS, ROWS)
        assert float(np.sum(learnt.false[place.label][inside])) == pytest.approx(place.times, abs=0.1)


def test_frames_of_any_size_fall_into_the_same_cells() -> None:
    grids = []
    for scale in (1, 4):
        nuisance = NuisanceMap(LABELS)
        frame: Frame = frame_of(1.0, size=(SIZE[0] * scale, SIZE[1] * scale))
        left, top, right, bottom = (side * scale for side in BUSH)
        track = track_of(1, box=(left, top, right, bottom), first_s=1.0, seen_s=1.0, confirmed=False)
        nuisance.note(Tracks(live=(track,)), frame)
        nuisance.note(Tracks(live=(), ended=(track,)), replace(frame, at_s=2.0))
        grids.append(nuisance.learnt.false["person"])
    np.testing.assert_allclose(*grids, rtol=1e-5)
