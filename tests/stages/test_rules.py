"""Life cycle, zones and counts: what is said about tracks, and when."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import pytest
from builders import frame_of, track_of
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.records import Box, Count, Event, Track, Tracks
from edge_agent.stages.rules.anchor import Anchor
from edge_agent.stages.rules.count import Counts
from edge_agent.stages.rules.lifecycle import Lifecycle
from edge_agent.stages.rules.rules import Rules
from edge_agent.stages.rules.zone import Zone, ZoneSettings

# Frames are 160 x 90. A thing's feet are the middle of its box's lower side.
LEFT_HALF = ((0.0, 0.0), (0.5, 0.0), (0.5, 1.0), (0.0, 1.0))
UPPER_HALF = ((0.0, 0.0), (1.0, 0.0), (1.0, 0.5), (0.0, 0.5))


def standing(x: float, y: float) -> Box:
    """A box whose feet are at x, y in 0..1."""
    return (x * 160 - 5, y * 90 - 20, x * 160 + 5, y * 90)


IN_LEFT, IN_RIGHT = standing(0.25, 0.75), standing(0.75, 0.75)


def told(rules: Rules, at_s: float, *live: Track, ended: Sequence[Track] = ()) -> list[Event | Count]:
    return list(rules.evaluate(Tracks(live=live, ended=tuple(ended)), frame_of(at_s)))


def brief(said: Sequence[Event | Count]) -> list[tuple[object, ...]]:
    return [
        (one.zone, one.label, one.value)
        if isinstance(one, Count)
        else (one.event_type, one.reason, one.track.id, one.zones)
        for one in said
    ]


def events(said: Sequence[Event | Count]) -> list[tuple[object, ...]]:
    return brief([one for one in said if isinstance(one, Event)])


def counts(said: Sequence[Event | Count]) -> list[tuple[object, ...]]:
    return brief([one for one in said if isinstance(one, Count)])


# Life cycle


def test_an_object_is_told_of_once_it_is_confirmed_and_once_it_has_ended() -> None:
    rules = Rules(("person",), {})
    unsure, sure = track_of(confirmed=False), track_of()
    story = [events(told(rules, at_s, track)) for at_s, track in ((0.0, unsure), (0.2, sure), (0.4, sure))]
    story.append(events(told(rules, 0.6, ended=[sure])))
    assert story == [[], [("new", ("appeared",), 1, ())], [], [("end", ("disappeared",), 1, ())]]


def test_what_was_never_told_of_does_not_end() -> None:
    rules = Rules(("person",), {})
    told(rules, 0.0, track_of(confirmed=False))
    assert events(told(rules, 0.2, ended=[track_of(confirmed=False)])) == []


def test_who_ends_is_told_before_who_is_new() -> None:
    rules = Rules(("person",), {})
    told(rules, 0.0, track_of(1), track_of(2))
    said = told(rules, 0.2, track_of(2), track_of(3), track_of(4), ended=[track_of(1)])
    assert [(kind, track_id) for kind, _, track_id, _ in events(said)] == [("end", 1), ("new", 3), ("new", 4)]


def test_an_event_carries_the_object_and_the_frame_of_that_moment() -> None:
    rules, frame = Rules(("person",), {}), frame_of(3.0, seq=7)
    track = track_of(5, seen_s=3.0)
    event = rules.evaluate(Tracks(live=(track,)), frame)[0]
    assert isinstance(event, Event)
    assert event.track is track
    assert event.frame is frame


def test_finish_ends_everything_that_is_present_and_nothing_twice() -> None:
    rules = Rules(("person", "car"), {"left": ZoneSettings(polygon=LEFT_HALF)})
    told(rules, 0.0, track_of(1, box=IN_LEFT), track_of(2, label="car"), track_of(3, confirmed=False))
    said = rules.finish(frame_of(0.2))
    assert [(kind, why, track_id) for kind, why, track_id, _ in events(said)] == [
        ("end", ("disappeared",), 1),
        ("end", ("disappeared",), 2),
    ]
    assert [one.value for one in said if isinstance(one, Count)] == [0, 0, 0, 0]
    assert rules.finish(frame_of(0.4)) == ()


def test_finish_of_nothing_says_the_counts_that_nobody_has_heard() -> None:
    assert brief(Rules(("person",), {}).finish(frame_of())) == [(None, "person", 0)]


frames = st.lists(
    st.lists(
        st.tuples(st.integers(1, 5), st.booleans(), st.sampled_from([IN_LEFT, IN_RIGHT, standing(0.25, 0.25)])),
        max_size=5,
        unique_by=lambda seen: seen[0],
    ),
    max_size=30,
)


def play(history: list[list[tuple[int, bool, Box]]]) -> list[Event | Count]:
    """Tell random track histories that keep to what a tracker promises; an id that is left out has ended."""
    rules = Rules(
        ("person",),
        {"left": ZoneSettings(polygon=LEFT_HALF), "up": ZoneSettings(polygon=UPPER_HALF, inertia_s=0.0)},
    )
    said: list[Event | Count] = []
    live: dict[int, Track] = {}
    generation: dict[int, int] = defaultdict(int)
    for i, step in enumerate(history):
        at_s = i * 0.3
        now: dict[int, Track] = {}
        for person, confirmed, box in step:
            track_id = person + 10 * generation[person]
            was_confirmed = track_id in live and live[track_id].confirmed
            now[track_id] = track_of(track_id, box=box, seen_s=at_s, confirmed=confirmed or was_confirmed)
        ended = [track for track_id, track in live.items() if track_id not in now]
        for track in ended:
            generation[track.id % 10] += 1  # ids are never used again
        live = dict(sorted(now.items()))
        said += told(rules, at_s, *live.values(), ended=ended)
    return [*said, *rules.finish(frame_of(len(history) * 0.3))]


@given(frames)
def test_every_object_has_one_new_then_updates_then_one_end(history: list[list[tuple[int, bool, Box]]]) -> None:
    said = play(history)
    lives: dict[int, list[str]] = defaultdict(list)
    zones: dict[int, tuple[str, ...]] = {}
    for seq, event in enumerate(one for one in said if isinstance(one, Event)):
        assert event.seq == seq  # without gaps
        assert event.reason
        lives[event.track.id].append(event.event_type)
        if event.event_type == "update":
            assert event.zones != zones[event.track.id]  # something happened
            entered, left = set(event.zones) - set(zones[event.track.id]), set(zones[event.track.id]) - set(event.zones)
            assert event.reason == ("zone_entered",) * bool(entered) + ("zone_left",) * bool(left)
        zones[event.track.id] = event.zones
    for life in lives.values():
        assert life == ["new", *["update"] * (len(life) - 2), "end"]


@given(frames)
def test_a_count_is_said_when_it_changes_and_at_last_all_are_none(history: list[list[tuple[int, bool, Box]]]) -> None:
    last: dict[tuple[str | None, str], int] = {}
    for one in play(history):
        if isinstance(one, Count):
            assert one.value != last.get((one.zone, one.label))
            assert one.value >= 0
            last[one.zone, one.label] = one.value
    assert last == {(None, "person"): 0, ("left", "person"): 0, ("up", "person"): 0}


def changing(*tracks: Track) -> list[tuple[object, ...]]:
    """What is said of an object that is so in one frame after the other, its `new` left out."""
    rules = Rules(("person", "car"), {"left": ZoneSettings(polygon=LEFT_HALF, labels=("person",), inertia_s=0)})
    return [event for i, track in enumerate(tracks) for event in events(told(rules, i * 0.2, track))][1:]


def test_coming_to_a_stand_and_moving_on_are_updates() -> None:
    moves = track_of(box=IN_RIGHT)
    stands = moves._replace(stationary=True)
    assert changing(moves, stands, stands, moves) == [
        ("update", ("stationary",), 1, ()),
        ("update", ("moving",), 1, ()),
    ]
    assert changing(stands, stands, moves) == [("update", ("moving",), 1, ())]  # its `new` says that it stands


def test_another_label_is_an_update_and_so_is_leaving_a_zone_that_does_not_count_it() -> None:
    seen_s = iter([0.0, 0.2, 0.4])
    person, car, again = (
        track_of(label=label, box=IN_LEFT, seen_s=next(seen_s)) for label in ("person", "car", "person")
    )
    assert changing(person, car, again) == [
        ("update", ("zone_left", "label_changed"), 1, ()),
        ("update", ("zone_entered", "label_changed"), 1, ("left",)),
    ]


def test_all_that_happens_to_an_object_in_a_frame_is_one_update() -> None:
    person = track_of(box=IN_RIGHT)
    then = track_of(label="car", box=IN_LEFT, seen_s=0.2)._replace(stationary=True)
    assert changing(person, then._replace(label="person")) == [("update", ("zone_entered", "stationary"), 1, ("left",))]
    assert changing(person, then) == [("update", ("stationary", "label_changed"), 1, ())]


def test_the_life_cycle_forgets_what_has_ended() -> None:
    lifecycle = Lifecycle()
    for track_id in range(1, 100):
        list(lifecycle.update(Tracks(live=(track_of(track_id),)), {}))
        list(lifecycle.update(Tracks(live=(), ended=(track_of(track_id),)), {}))
    assert lifecycle.present == {}


# Zones


@pytest.mark.parametrize(
    ("feet", "inside"),
    [
        ((0.25, 0.5), True),
        ((0.75, 0.5), False),
        ((0.499, 0.5), True),
        ((0.501, 0.5), False),
        ((0.0, 0.5), True),  # on the picture's left edge
        ((0.25, 1.0), True),  # on its lower edge, where a box that is cut off stands
        ((0.25, 1.2), True),  # and below it
        ((0.0, 1.0), True),
    ],
)
def test_an_object_is_in_a_zone_by_its_feet(feet: tuple[float, float], *, inside: bool) -> None:
    zone = Zone(ZoneSettings(polygon=LEFT_HALF))
    assert (1 in zone.update(Tracks(live=(track_of(box=standing(*feet)),)), frame_of())) is inside


@pytest.mark.parametrize(
    ("anchor", "y"),
    [("bottom", 0.95), ("centre", 0.7), ("top", 0.45)],  # of a box from 0.45 to 0.95 of the height
)
def test_an_object_is_in_a_zone_by_the_anchor_that_was_chosen(anchor: Anchor, y: float) -> None:
    box = (75.0, 0.45 * 90, 85.0, 0.95 * 90)
    for begin, inside in ((y - 0.05, True), (y + 0.01, False)):
        strip = ((0.0, begin), (1.0, begin), (1.0, y + 0.04), (0.0, y + 0.04))
        zone = Zone(ZoneSettings(polygon=strip, anchor=anchor))
        assert (1 in zone.update(Tracks(live=(track_of(box=box),)), frame_of())) is inside


def test_an_object_has_been_in_a_zone_since_it_first_stood_there() -> None:
    zone = Zone(ZoneSettings(polygon=LEFT_HALF, inertia_s=0.5))
    places = {
        0.0: IN_LEFT,
        0.5: IN_LEFT,
        1.0: IN_RIGHT,
        1.25: IN_LEFT,
        2.0: IN_RIGHT,
        2.5: IN_RIGHT,
        3.0: IN_LEFT,
        3.5: IN_LEFT,
    }
    since = []
    for at_s, box in places.items():
        track = track_of(box=box, seen_s=at_s, confirmed=at_s >= 0.5)
        since.append(zone.update(Tracks(live=(track,)), frame_of(at_s)).get(1))
    # Out of it for a moment at 1 s, for longer from 2 s; in it again from 3 s.
    assert since == [0.0, 0.0, 0.0, 0.0, 0.0, None, None, 3.0]


def test_a_thing_in_the_lower_right_corner_is_in_a_zone_that_covers_the_picture() -> None:
    whole = ZoneSettings(polygon=((0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0)))
    corner = (158.0, 60.0, 162.0, 95.0)
    assert set(Zone(whole).update(Tracks(live=(track_of(box=corner),)), frame_of())) == {1}


def test_new_names_the_zones_it_is_in_in_the_order_of_the_configuration() -> None:
    zones = {name: ZoneSettings(polygon=polygon) for name, polygon in (("up", UPPER_HALF), ("left", LEFT_HALF))}
    rules = Rules(("person",), zones)
    said = told(rules, 0.0, track_of(1, box=standing(0.25, 0.25)), track_of(2, box=standing(0.75, 0.75)))
    assert events(said) == [
        ("new", ("appeared", "zone_entered"), 1, ("up", "left")),
        ("new", ("appeared",), 2, ()),
    ]


def walk(inertia_s: float, *steps: tuple[float, Box]) -> list[tuple[float, tuple[object, ...]]]:
    """What is said of one object that is at each place at each moment, its `new` left out."""
    rules = Rules(("person",), {"left": ZoneSettings(polygon=LEFT_HALF, inertia_s=inertia_s)})
    said: list[tuple[float, tuple[object, ...]]] = []
    for at_s, box in steps:
        said += [(at_s, event) for event in events(told(rules, at_s, track_of(box=box, seen_s=at_s)))]
    return said[1:]


ENTERED, LEFT = ("update", ("zone_entered",), 1, ("left",)), ("update", ("zone_left",), 1, ())


def test_a_zone_is_entered_and_left_after_its_inertia_on_the_other_side() -> None:
    steps = [(i * 0.25, IN_LEFT if 4 <= i < 12 else IN_RIGHT) for i in range(20)]
    assert walk(0.5, *steps) == [(1.0 + 0.5, ENTERED), (3.0 + 0.5, LEFT)]


@pytest.mark.parametrize("rate_hz", [2, 4, 8])
def test_inertia_is_in_seconds_whatever_the_rate(rate_hz: int) -> None:
    steps = [(i / rate_hz, IN_LEFT if i / rate_hz >= 2 else IN_RIGHT) for i in range(6 * rate_hz)]
    assert walk(1.0, *steps) == [(3.0, ENTERED)]


def test_without_inertia_a_zone_is_entered_with_the_first_step() -> None:
    assert walk(0.0, (0.0, IN_RIGHT), (0.2, IN_LEFT), (0.4, IN_RIGHT)) == [(0.2, ENTERED), (0.4, LEFT)]


def test_a_brief_touch_of_a_zone_is_not_said() -> None:
    steps = [(i * 0.25, IN_LEFT if i % 3 == 0 else IN_RIGHT) for i in range(1, 40)]
    assert walk(0.5, *steps) == []


def test_being_missed_neither_enters_nor_leaves() -> None:
    rules = Rules(("person",), {"left": ZoneSettings(polygon=LEFT_HALF, inertia_s=0.5)})
    told(rules, 0.0, track_of(box=IN_RIGHT))
    told(rules, 0.2, track_of(box=IN_LEFT, seen_s=0.2))
    missed = track_of(box=IN_LEFT, seen_s=0.2)
    assert [events(told(rules, at_s, missed)) for at_s in (0.4, 0.8, 1.2, 2.0)] == [[], [], [], []]
    assert events(told(rules, 2.2, track_of(box=IN_LEFT, seen_s=2.2))) == [ENTERED]


def test_from_one_zone_into_the_next_is_one_update_with_both_reasons() -> None:
    right_half = ((0.5, 0.0), (1.0, 0.0), (1.0, 1.0), (0.5, 1.0))
    zones = {
        "left": ZoneSettings(polygon=LEFT_HALF, inertia_s=0),
        "right": ZoneSettings(polygon=right_half, inertia_s=0),
    }
    rules = Rules(("person",), zones)
    told(rules, 0.0, track_of(box=IN_LEFT))
    said = told(rules, 0.2, track_of(box=IN_RIGHT, seen_s=0.2))
    assert events(said) == [("update", ("zone_entered", "zone_left"), 1, ("right",))]
    assert counts(said) == [("left", "person", 0), ("right", "person", 1)]


def test_only_the_labels_of_a_zone_enter_it() -> None:
    rules = Rules(("person", "car"), {"left": ZoneSettings(polygon=LEFT_HALF, labels=("car",))})
    said = told(rules, 0.0, track_of(1, box=IN_LEFT), track_of(2, label="car", box=IN_LEFT))
    assert [(track_id, zones) for _, _, track_id, zones in events(said)] == [(1, ()), (2, ("left",))]
    assert counts(said) == [(None, "person", 1), (None, "car", 1), ("left", "car", 1)]


def test_a_zone_forgets_what_has_ended() -> None:
    zone = Zone(ZoneSettings(polygon=LEFT_HALF))
    for track_id in range(1, 50):
        track = track_of(track_id, box=IN_LEFT)
        assert set(zone.update(Tracks(live=(track,)), frame_of())) == {track_id}
        assert zone.update(Tracks(live=(), ended=(track,)), frame_of()) == {}


def test_a_zone_with_no_labels_at_all_is_refused() -> None:
    with pytest.raises(ValueError, match="labels"):
        ZoneSettings(polygon=LEFT_HALF, labels=())


# Counts


def test_counts_are_said_at_first_all_even_none_and_then_when_they_change() -> None:
    counter = Counts(("person", "car"), {"left": ("person",)})
    in_left, outside = ("person", ("left",)), ("person", ())
    story = [brief(list(counter.update(present))) for present in ([], [], [in_left, outside], [outside], [outside], [])]
    assert story == [
        [(None, "person", 0), (None, "car", 0), ("left", "person", 0)],
        [],
        [(None, "person", 2), ("left", "person", 1)],
        [(None, "person", 1), ("left", "person", 0)],
        [],
        [(None, "person", 0)],
    ]


def test_only_what_was_told_of_is_counted() -> None:
    rules = Rules(("person",), {})
    assert counts(told(rules, 0.0, track_of(confirmed=False))) == [(None, "person", 0)]
    assert counts(told(rules, 0.2, track_of())) == [(None, "person", 1)]
    assert counts(told(rules, 0.4, ended=[track_of()])) == [(None, "person", 0)]


def test_an_object_that_is_missed_for_a_moment_still_counts() -> None:
    rules = Rules(("person",), {"left": ZoneSettings(polygon=LEFT_HALF)})
    told(rules, 0.0, track_of(box=IN_LEFT))
    assert counts(told(rules, 1.0, track_of(box=IN_LEFT))) == []  # last seen at 0 s


def test_events_come_before_the_counts_that_they_change() -> None:
    said = told(Rules(("person",), {}), 0.0, track_of())
    assert [type(one) for one in said] == [Event, Count]


def test_an_end_names_the_zones_that_the_object_was_last_in() -> None:
    rules = Rules(("person",), {"left": ZoneSettings(polygon=LEFT_HALF)})
    told(rules, 0.0, track_of(box=IN_LEFT))
    assert events(told(rules, 1.0, ended=[track_of(box=IN_LEFT)])) == [("end", ("disappeared",), 1, ("left",))]
