"""The trail: what explains an event and what explains that there was none, bounded whatever comes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest
from builders import LABELS, UTC_NS, detections_of, frame_of, joined, track_of
from hypothesis import given, settings
from hypothesis import strategies as st
from walks import SIZE, Told, Walk, rules_of, story

from edge_agent.records import Box, Condition, Detections, Frame, Motion, Said, Spoken, Step, Track, Tracks
from edge_agent.stages.detect.filters import Filters, FilterSettings
from edge_agent.stages.rules.rules import Rules
from edge_agent.stages.trail.entries import (
    Confirming,
    Entry,
    EventEntry,
    ObjectEntry,
    WatchEntry,
    from_line,
    to_line,
)
from edge_agent.stages.trail.followed import MOST_PLACES, MOST_RULES, MOST_SCORES, MOST_STAYS
from edge_agent.stages.trail.nearest import Key, Moment, keep_nearer
from edge_agent.stages.trail.trail import Asked, Trail
from edge_agent.stages.trail.watched import MOST_FLICKERS

START_MS = UTC_NS // 10**6
CONFIRM = Confirming(hits=3, seconds=0.0, score=0.4, top=0.6)
ZONES = {
    "left": {"polygon": [[0, 0], [0.5, 0], [0.5, 1], [0, 1]], "inertia_s": 0},
    "top": {"polygon": [[0, 0], [1, 0], [1, 0.5], [0, 0.5]], "inertia_s": 0.5},
}
LEFT, RIGHT = (0.25, 0.75), (0.75, 0.75)
LOITER = {"name": "loiter", "kind": "dwell", "zone": "left", "after_s": 3}


def asked(**changes: Any) -> Asked:
    values = {
        "confirm": dict.fromkeys(LABELS, CONFIRM),
        "thresholds": dict.fromkeys(LABELS, 0.4),
        "zones": {"loiter": "left"},
    }
    return Asked(**{**values, **changes})


def gate(look: str | None = "active", *, moving: bool = True) -> Motion:
    return Motion(moving=moving, changed=False, look=look, regions=None, scene_changed=False)  # type: ignore[arg-type]


class Traced:
    """Rules with a trail beside them, to be told stories."""

    def __init__(self, make: Callable[[Any], Rules], **changes: Any) -> None:
        self.trail = Trail("run", "front", asked(**changes))
        self.rules = make(self.trail.weigh)
        self.entries: list[Entry] = []

    def evaluate(self, tracks: Tracks, frame: Frame) -> tuple[Said, ...]:
        said = self.rules.evaluate(tracks, frame)
        boxes = [track.box for track in tracks.live if track.seen_s == frame.at_s]
        found = detections_of(*boxes) if boxes else Detections.empty(LABELS)
        self._trace(frame, gate(), found, tracks, said)
        return said

    def finish(self, frame: Frame) -> tuple[Said, ...]:
        said = self.rules.finish(frame)
        self._trace(frame, None, None, Tracks(live=()), said)
        return said

    def _trace(
        self, frame: Frame, motion: Motion | None, found: Detections | None, tracks: Tracks, said: Sequence[Said]
    ) -> None:
        step = Step(frame=frame, motion=motion, found=found, kept=found, tracks=tracks, said=said)
        self.entries += self.trail.trace(step, self.rules.zones_since_s)

    def of(self, kind: type[Any]) -> list[Any]:
        return [entry for entry in self.entries if isinstance(entry, kind)]


def told(
    walks: Sequence[Walk], *rules: Mapping[str, Any], lines: Mapping[str, Any] | None = None
) -> tuple[Traced, Told]:
    traced = Traced(lambda note: rules_of(*rules, zones=ZONES, lines=lines, note=note))
    return traced, story(traced, walks)  # type: ignore[arg-type]


def values(conditions: Sequence[Condition]) -> dict[str, tuple[float, float, bool]]:
    return {one.name: (one.value, one.wanted, one.holds) for one in conditions}


def test_an_event_keeps_the_conditions_by_which_it_was_said_and_what_was_known_of_the_object() -> None:
    traced, _ = told([Walk(stops=((0, LEFT), (5, LEFT)))], LOITER)
    [event] = [one for one in traced.of(EventEntry) if one.rule]
    assert (event.seq, event.type, event.reason) == (2, "update", ("dwell",))  # after "new" and "stationary"
    assert event.at_ms == START_MS + 3000
    assert values(event.rule.conditions) == {
        "label": (1, 1, True),
        "zone": (1, 1, True),
        "dwelt_s": (3, 3, True),
        "said": (0, 0, True),
        "schedule": (1, 1, True),
        "cooldown_s": (0, 0, True),
    }
    about = event.about
    assert (about.looks, about.hits) == (31, 31)  # 0.0, 0.1, … 3.0 s
    assert (about.first_ms, about.seen_ms) == (START_MS, START_MS + 3000)
    assert about.zones == (("left", START_MS, None),)


def test_a_rule_that_never_spoke_keeps_the_moment_at_which_it_came_closest() -> None:
    # In the zone until it passes its edge: at 2.2 s of the walk from 2 to 4 s it stands at 0.3, at 3.0 s at 0.5.
    traced, _ = told([Walk(stops=((0, LEFT), (2, LEFT), (4, RIGHT), (8, RIGHT)))], LOITER)
    [one] = traced.of(ObjectEntry)
    [near] = one.nearest
    assert (near.name, near.kind, near.zone) == ("loiter", "dwell", "left")
    assert values(near.failed) == {"dwelt_s": (2.9, 3, False)}
    assert near.at_ms == START_MS + 2900
    assert one.spoke == ()
    assert one.about.zones == (("left", START_MS, START_MS + 3000),)
    assert (one.path[0], one.path[-1]) == (LEFT, RIGHT)


@pytest.mark.parametrize(
    ("stops", "failed", "at_s"),
    [
        # Outside first, where "zone" and "dwelt_s" fail; inside from 1 to 3 s, so 2 s up to the last sighting at 3.0.
        (((0, RIGHT), (0.9, RIGHT), (1, LEFT), (3, LEFT)), {"dwelt_s": (2.0, 3, False)}, 3.0),
        # Never inside: the first moment after its "new" is as good as any other.
        (((0, RIGHT), (4, RIGHT)), {"zone": (0, 1, False), "dwelt_s": (0, 3, False)}, 0.4),
        # Inside twice: 2.9 s and 1 s; the longer stay was nearer, though the other is later.
        (
            ((0, LEFT), (2.8, LEFT), (2.9, RIGHT), (4, RIGHT), (4.1, LEFT), (5, LEFT)),
            {"dwelt_s": (2.8, 3, False)},
            2.8,
        ),
    ],
)
def test_the_fewest_failed_conditions_are_nearest_and_then_the_nearest_numbers(
    stops: Any, failed: dict[str, tuple[float, float, bool]], at_s: float
) -> None:
    traced, _ = told([Walk(stops=stops)], LOITER)
    [near] = traced.of(ObjectEntry)[0].nearest
    assert values(near.failed) == failed
    assert near.at_ms == START_MS + round(at_s * 1000)


def test_one_condition_that_fails_by_much_is_nearer_than_two_by_little() -> None:
    spoken = Spoken(name="r", kind="dwell")
    moments: dict[Key, Moment] = {}
    two = (Condition("dwelt_s", 2.9, 3.0, holds=False), Condition("cooldown_s", 0.1, 0.0, holds=False))
    one = (Condition("dwelt_s", 3.0, 3.0, holds=True), Condition("cooldown_s", 3600.0, 0.0, holds=False))
    for at_ms, conditions in enumerate((two, one, two)):
        failing = [condition for condition in conditions if not condition.holds]
        keep_nearer(moments, ("r", None), (spoken, None, conditions), failing, at_ms)
    assert moments["r", None].at_ms == 1


def test_of_what_a_rule_is_not_about_only_that_is_kept() -> None:
    traced, _ = told([Walk(stops=((0, LEFT), (5, LEFT)))], {**LOITER, "labels": ["car"]})
    [near] = traced.of(ObjectEntry)[0].nearest
    assert values(near.conditions) == {"label": (0, 1, False)}


def test_a_rule_that_spoke_once_has_nothing_to_explain_any_more() -> None:
    traced, _ = told([Walk(stops=((0, LEFT), (5, LEFT)))], LOITER, {**LOITER, "name": "long", "after_s": 60})
    [one] = traced.of(ObjectEntry)
    assert one.spoke == (("loiter", None, 1),)
    assert [near.name for near in one.nearest] == ["long"]


def test_each_direction_of_a_line_is_explained() -> None:
    # From the left to the right over a line that goes upwards in the middle: its left hand is the left: in.
    line = {"from": [0.5, 1.0], "to": [0.5, 0.0], "labels": ["person"]}
    traced, story_told = told([Walk(stops=((0, LEFT), (1, LEFT), (3, RIGHT)))], lines={"door": line})
    assert [what for *_rest, what in story_told.by_rules()] == ["in"]
    [one] = traced.of(ObjectEntry)
    assert one.spoke == (("door", "in", 1),)
    assert [(near.name, near.direction) for near in one.nearest] == [("door", "out")]
    assert "through" in values(one.nearest[0].failed)
    [event] = [each for each in traced.of(EventEntry) if each.rule]
    assert (event.rule.direction, event.rule.failed) == ("in", ())
    assert values(event.rule.conditions)["through"] == (1, 1, True)


def test_a_rule_about_the_scene_is_explained_with_the_time_it_was_watched() -> None:
    busy = {"name": "busy", "kind": "occupancy", "at_least": 2, "for_s": 1}
    traced, _ = told([Walk(stops=((0, LEFT), (5, LEFT)))], busy)
    [watch] = traced.of(WatchEntry)
    [near] = watch.nearest
    assert values(near.failed)["count"] == (1, 2, False)
    pair = [Walk(track_id=number, stops=((0, LEFT), (5, LEFT))) for number in (1, 2)]
    traced, _ = told(pair, busy)
    begins, ends = [one for one in traced.of(EventEntry) if one.rule]
    assert (begins.about, begins.rule.active, ends.rule.active) == (None, True, False)
    assert values(begins.rule.conditions)["count"] == (2, 2, True)
    assert traced.of(WatchEntry)[-1].nearest == ()  # it spoke


def test_listening_changes_nothing_of_what_is_said() -> None:
    rules = (LOITER, {"name": "busy", "kind": "occupancy", "at_least": 1}, {"name": "s", "kind": "still", "after_s": 1})
    walks = [Walk(stops=((0, LEFT), (4, LEFT), (6, RIGHT), (9, RIGHT)), hidden=((1, 2),))]
    _, heard = told(walks, *rules)
    assert heard == story(rules_of(*rules, zones=ZONES), walks)


class Feed:
    """A trail that is shown single frames."""

    def __init__(self, **changes: Any) -> None:
        self.trail = Trail("run", "front", asked(**changes))

    def frame(
        self,
        at_s: float,
        *live: Track,
        motion: Motion | None = None,
        found: Detections | None = None,
        ended: tuple[Track, ...] = (),
        held: bool = False,
        filters: Filters | None = None,
    ) -> list[Entry]:
        frame = frame_of(at_s, size=SIZE)
        sifted = filters.explain(found, frame) if filters and found is not None else ()
        step = Step(
            frame=frame,
            motion=motion or gate(),
            found=found,
            kept=found,
            tracks=Tracks(live=live, ended=ended, held=held),
            said=(),
        )
        return self.trail.trace(step, {}, sifted)

    def end(self, at_s: float) -> list[Entry]:
        frame = frame_of(at_s, size=SIZE)
        step = Step(frame=frame, motion=None, found=None, kept=None, tracks=Tracks(live=()), said=())
        return self.trail.trace(step, {})


BOX: Box = (10.0, 10.0, 20.0, 40.0)


def seen(at_s: float, **changes: Any) -> Track:
    return track_of(**{"box": BOX, "first_s": 0.0, "seen_s": at_s, "confirmed": False, **changes})


def test_what_was_never_confirmed_is_kept_with_what_that_would_have_taken() -> None:
    feed = Feed()
    for at_s, score in ((0.0, 0.45), (0.2, 0.5), (0.4, 0.41)):
        feed.frame(at_s, seen(at_s, score=0.45, top_score=0.5), found=detections_of(BOX, score=score))
    for at_s in (0.6, 0.8):
        feed.frame(at_s, seen(0.4, score=0.45, top_score=0.5), found=Detections.empty(LABELS), held=at_s == 0.8)
    gone = seen(0.4, score=0.45, top_score=0.5)
    assert feed.frame(1.0, found=Detections.empty(LABELS), ended=(gone,)) == []  # told with the time it was in
    watch, one = feed.end(1.0)
    assert isinstance(watch, WatchEntry)
    assert isinstance(one, ObjectEntry)
    about = one.about
    assert (about.confirmed, about.looks, about.hits, about.held) == (False, 6, 3, 1)
    assert (about.score, about.low, about.top) == (0.45, 0.41, 0.5)
    assert about.confirm == CONFIRM
    assert one.history == (0.45, 0.5, 0.41)
    boxes = watch.boxes["person"]
    assert (boxes.strong, boxes.flickers, boxes.wanted) == (3, 1, 0.4)


def test_of_many_flickers_those_found_most_often_are_told_of_and_all_are_counted() -> None:
    feed = Feed()
    for number in range(1, 11):
        for look in range(number):
            at_s = number * 2 + look / 10
            track = seen(at_s, track_id=number, first_s=float(number * 2))
            feed.frame(at_s, track, found=detections_of(BOX))
        feed.frame(number * 2 + 1.5, found=Detections.empty(LABELS), ended=(seen(at_s, track_id=number),))
    watch, *flickers = feed.end(22.0)
    assert isinstance(watch, WatchEntry)
    assert watch.boxes["person"].flickers == 10
    assert sorted(one.about.id for one in flickers if isinstance(one, ObjectEntry)) == [8, 9, 10]
    assert len(flickers) == MOST_FLICKERS


def test_what_a_filter_took_is_kept_with_its_number_and_of_the_object_near_it() -> None:
    filters = Filters({"person": FilterSettings(min_height=0.5), "car": FilterSettings(max_area=0.01)})
    feed = Feed()
    low: Box = (11.0, 20.0, 21.0, 36.0)  # 16 of 64 pixels high
    far: Box = (100.0, 20.0, 110.0, 36.0)
    feed.frame(0.0, seen(0.0), found=detections_of(BOX))
    feed.frame(
        0.2,
        seen(0.0),
        found=joined([detections_of(low, far), detections_of(low, label="car")]),
        filters=filters,
    )
    *objects, watch = feed.end(0.4)
    assert isinstance(watch, WatchEntry)
    assert watch.boxes["person"].took == (("min_height", 2, 0.25, 0.5),)
    assert watch.boxes["car"].took == (("max_area", 1, round(160 / (128 * 64), 4), 0.01),)
    [one] = [each for each in objects if isinstance(each, ObjectEntry)]
    assert one.about.took == (("min_height", 1, 0.25, 0.5),)  # not the one far away, nor the car


def test_time_is_told_by_whether_anybody_looked_and_why_not() -> None:
    feed, entries = Feed(), []
    for i in range(50):  # 5 s of motion; every tenth look is given up, and only weak boxes are found
        found = None if i % 10 == 9 else detections_of(BOX, score=0.3, strong=False)
        entries += feed.frame(i / 10, motion=gate(), found=found)
    for i in range(5):  # then nothing moves: a look every 10 s
        entries += feed.frame(15.0 + 10 * i, motion=gate("refresh", moving=False), found=Detections.empty(LABELS))
    entries += feed.end(55.0)
    moving, quiet = [entry for entry in entries if isinstance(entry, WatchEntry)]
    assert (moving.moving, moving.frames, moving.looks, moving.given_up) == (True, 50, 45, 5)
    assert moving.boxes["person"].model_dump(exclude_defaults=True) == {"weak": 45, "top": 0.3, "wanted": 0.4}
    assert (quiet.moving, quiet.frames, quiet.looks, quiet.broke_off) == (False, 5, 5, True)
    assert (quiet.from_ms, quiet.at_ms) == (START_MS + 15_000, START_MS + 55_000)
    assert quiet.boxes == {}


def test_while_it_is_paused_frames_are_counted_and_the_time_is_told_apart_from_others() -> None:
    feed, entries = Feed(), []
    for i in range(3):
        entries += feed.frame(float(i), motion=gate(), found=Detections.empty(LABELS))
    entries += feed.end(2.0)
    for i in range(3, 103):  # more than a minute, of which each has an entry of its own
        entries += feed.trail.rest(frame_of(float(i), size=SIZE))
    entries += feed.frame(103.0, motion=gate(), found=Detections.empty(LABELS))
    entries += feed.trail.rest(frame_of(104.0, size=SIZE))
    entries += feed.trail.rest(None)  # the agent stops
    assert feed.trail.rest(None) == []
    watches = [entry for entry in entries if isinstance(entry, WatchEntry)]
    told = [
        ((one.from_ms - START_MS) // 1000, (one.at_ms - START_MS) // 1000, one.frames, one.looks) for one in watches
    ]
    assert told == [(0, 2, 3, 3), (3, 62, 60, 0), (63, 102, 40, 0), (103, 103, 1, 1), (104, 104, 1, 0)]
    assert [one.paused for one in watches] == [False, True, True, False, True]
    assert not any(one.moving for one in watches if one.paused)


def test_nothing_but_a_note_in_ten_minutes_while_nothing_happens() -> None:
    feed, entries = Feed(), []
    for i in range(6 * 60):  # an hour
        entries += feed.frame(10.0 * i, motion=gate("refresh", moving=False), found=Detections.empty(LABELS))
    assert len(entries) == 11  # each ten minutes that are over, and the first minute of each
    assert len({entry.from_ms for entry in entries}) <= 6


def test_an_object_that_stays_is_noted_each_minute_and_one_that_stands_ever_more_seldom() -> None:
    def noted(*, stationary: bool) -> list[int]:
        feed, entries = Feed(), []
        for i in range(0, 3600, 5):
            track = seen(float(i), confirmed=True, stationary=stationary)
            entries += feed.frame(float(i), track, found=detections_of(BOX))
        return [(one.at_ms - START_MS) // 1000 for one in entries if isinstance(one, ObjectEntry)]

    assert noted(stationary=False) == list(range(60, 3600, 60))
    assert noted(stationary=True) == [60, 120, 240, 480, 960, 1920]


def test_an_object_that_nobody_sees_is_not_noted_again() -> None:
    feed, entries = Feed(), []
    for i in range(600):
        track = seen(min(float(i), 30.0), confirmed=True)
        entries += feed.frame(float(i), track, found=Detections.empty(LABELS))
    assert len([one for one in entries if isinstance(one, ObjectEntry)]) == 1


def test_whoever_is_there_when_the_camera_breaks_off_is_over_and_no_longer_followed() -> None:
    feed = Feed()
    feed.frame(0.0, seen(0.0, confirmed=True), found=detections_of(BOX))
    one, watch = feed.end(0.2)
    assert isinstance(one, ObjectEntry)
    assert one.fate == "over"
    assert isinstance(watch, WatchEntry)
    assert watch.broke_off
    assert feed.end(0.4) == []


@pytest.mark.parametrize(
    "line", ["", "{", "[]", "null", "\x00", '{"kind":"watch"}', '{"kind":"event","run":1}', '{"kind":"?"}', "[" * 9999]
)
def test_a_damaged_line_is_no_entry(line: str) -> None:
    assert from_line(line) is None


# Whatever comes

PLACES = st.tuples(st.integers(0, 64), st.integers(16, 64)).map(lambda place: (place[0] / 64, place[1] / 64))


@st.composite
def walks(draw: st.DrawFn) -> list[Walk]:
    there = []
    for number in range(1, draw(st.integers(1, 4)) + 1):
        start_s = draw(st.integers(0, 30)) / 10
        lasts = draw(st.lists(st.integers(1, 30), min_size=1, max_size=4))
        moments = [start_s + sum(lasts[:count]) / 10 for count in range(len(lasts) + 1)]
        there.append(
            Walk(
                track_id=number,
                stops=tuple((at_s, draw(PLACES)) for at_s in moments),
                label=draw(st.sampled_from(["person", "car"])),
            )
        )
    return there


RULES = (
    LOITER,
    {"name": "in", "kind": "zone", "zone": "top", "on": "enter"},
    {"name": "out", "kind": "zone", "zone": "left", "on": "leave", "cooldown_s": 1},
    {"name": "stands", "kind": "still", "after_s": 0.5, "labels": ["person"]},
    {"name": "gone", "kind": "removed", "after_s": 0.5},
    {"name": "left", "kind": "left_behind", "labels": ["car"], "after_s": 1, "near": 0.1},
    {"name": "two", "kind": "occupancy", "at_least": 2, "for_s": 0.5},
)
LINES = {"door": {"from": [0.5, 1.0], "to": [0.5, 0.0], "labels": ["person", "car"]}}


@settings(max_examples=60, deadline=None)
@given(walks())
def test_every_explanation_agrees_with_what_was_said(there: list[Walk]) -> None:
    traced, story_told = told(there, *RULES, lines=LINES)
    said = [event for _, event in story_told.events]
    events = {entry.seq: entry for entry in traced.of(EventEntry)}
    assert sorted(events) == [event.seq for event in said]
    spoke: set[tuple[int, str, str | None]] = set()
    for event in said:
        entry = events[event.seq]
        assert (entry.type, entry.reason) == (event.event_type, event.reason)
        assert (entry.about.id if entry.about else None) == (event.track.id if event.track else None)
        assert (entry.rule.name if entry.rule else None) == (event.rule.name if event.rule else None)
        if entry.rule and event.rule:
            assert entry.rule.conditions
            assert not entry.rule.failed
            if event.track:
                spoke.add((event.track.id, event.rule.name, event.rule.direction))
    objects = {one.about.id: one for one in traced.of(ObjectEntry)}
    reported = {event.track.id for event in said if event.track}
    for one in objects.values():
        assert all(near.failed for near in one.nearest)
        assert {(one.about.id, name, direction) for name, direction, _ in one.spoke} == {
            each for each in spoke if each[0] == one.about.id
        }
        nearest = {(one.about.id, near.name, near.direction) for near in one.nearest}
        assert not nearest & spoke
        if one.about.id in reported and one.fate == "ended":  # every rule is either said or explained
            assert len(one.nearest) + len(one.spoke) == 6 + 2  # six rules about objects, and two directions
    assert all(near.failed for watch in traced.of(WatchEntry) for near in watch.nearest)


@settings(max_examples=20, deadline=None)
@given(walks(), st.integers(1, 20))
def test_no_entry_exceeds_its_bounds_and_all_are_read_as_they_were_written(there: list[Walk], times: int) -> None:
    longer = [
        Walk(
            track_id=walk.track_id,
            label=walk.label,
            stops=tuple((at_s * times, place) for at_s, place in walk.stops),
        )
        for walk in there
    ]
    many = [{**LOITER, "name": f"r{number}", "after_s": 10_000} for number in range(40)]
    traced, _ = told(longer, *RULES, *many, lines=LINES)
    for entry in traced.entries:
        line = to_line(entry)
        assert from_line(line) == entry
        assert line.endswith("\n")
        assert "\n" not in line[:-1]
        assert len(line) <= 16_000
        if isinstance(entry, ObjectEntry):
            assert len(entry.path) <= MOST_PLACES
            assert len(entry.history) <= MOST_SCORES
            assert len(entry.about.zones) <= MOST_STAYS
            assert len(entry.nearest) <= MOST_RULES
            assert all(0 <= side <= 1 for side in (*entry.box, *(x for place in entry.path for x in place)))
