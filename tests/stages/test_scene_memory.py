"""What stands: it keeps its id when the detector fails, when the light changes, and when somebody passes before it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np
import pytest
from builders import boxes_of, detections_of, joined
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.records import Box, Detections, FloatArray, Motion, Track, Tracks
from edge_agent.stages.track.tracker import Tracker, TrackSettings

CAR = (300.0, 200.0, 400.0, 260.0)
SETTINGS = TrackSettings(stationary_s=5.0, stationary_memory_s=200.0)

World = Callable[[float], Sequence[Detections]]
Moves = Callable[[float], Motion | None]


def quiet(_at_s: float = 0.0) -> Motion:
    return moving()


def moving(*regions: Box, scene_changed: bool = False) -> Motion:
    return Motion(
        moving=bool(regions),
        changed=False,
        look="active",
        regions=boxes_of(*regions),
        scene_changed=scene_changed,
    )


def parked(_at_s: float = 0.0) -> Sequence[Detections]:
    return [detections_of(CAR, label="car")]


def nothing(_at_s: float = 0.0) -> Sequence[Detections]:
    return []


def watch(
    tracker: Tracker, world: World, *, from_s: float, to_s: float, rate_hz: float = 5.0, moves: Moves = quiet
) -> list[Tracks]:
    times_s = [from_s + i / rate_hz for i in range(round((to_s - from_s) * rate_hz))]
    return [tracker.update(joined([detections_of(), *world(at_s)]), at_s, moves(at_s)) for at_s in times_s]


def ended(history: Iterable[Tracks]) -> list[int]:
    return [track.id for tracks in history for track in tracks.ended if track.confirmed]


def only(history: Sequence[Tracks]) -> Track:
    (track,) = history[-1].live
    return track


def test_what_has_stood_for_long_enough_is_stationary_and_since_when_is_known() -> None:
    history = watch(Tracker(SETTINGS), parked, from_s=0, to_s=8)
    stands = [tracks.live[0].stationary for tracks in history]
    assert stands == [i >= 25 for i in range(40)]  # 5 s at 5 Hz
    assert only(history).still_since_s == 0.0


def test_what_drives_on_is_stationary_no_more_and_what_parks_again_is_since_then() -> None:
    def drives(at_s: float) -> Sequence[Detections]:
        x = 50 * min(max(at_s - 8, 0), 4)  # from 8 s to 12 s, 200 pixels
        return [detections_of((CAR[0] + x, CAR[1], CAR[2] + x, CAR[3]), label="car")]

    history = watch(Tracker(SETTINGS), drives, from_s=0, to_s=20)
    stands = [tracks.live[0].stationary for tracks in history]
    assert stands[25:41] == [True] * 16
    assert not any(stands[8 * 5 + 5 : 12 * 5 + 20])  # it takes .3 of a width, 30 pixels, to be known
    assert stands[-1]
    assert 11 < only(history).still_since_s < 12.5
    assert {track.id for tracks in history for track in tracks.live} == {1}


@pytest.mark.parametrize("rate_hz", [2, 5, 10])
def test_whoever_walks_is_never_stationary_though_his_boxes_jitter(rate_hz: float) -> None:
    random = np.random.default_rng(1)

    def walks(at_s: float) -> Sequence[Detections]:
        left, top, right, bottom = (
            np.array((50 + 12 * at_s, 100, 90 + 12 * at_s, 200)) + random.normal(0, 2, 4)
        ).tolist()
        return [detections_of((left, top, right, bottom))]  # a third of his width a second

    history = watch(Tracker(SETTINGS), walks, from_s=0, to_s=30, rate_hz=rate_hz)
    assert not any(track.stationary for tracks in history for track in tracks.live)


@pytest.mark.parametrize("seed", range(4))
def test_jitter_is_no_motion(seed: int) -> None:
    random = np.random.default_rng(seed)

    def jitters(_at_s: float) -> Sequence[Detections]:
        left, top, right, bottom = (np.array(CAR) + random.normal(0, 3, 4)).tolist()  # 3 % of its width
        return [detections_of((left, top, right, bottom), label="car", score=float(random.uniform(0.45, 0.9)))]

    history = watch(Tracker(SETTINGS), jitters, from_s=0, to_s=120)
    assert only(history).still_since_s == 0.0


def test_a_detector_that_fails_for_minutes_does_not_end_what_stands_while_nothing_moves() -> None:
    tracker = Tracker(SETTINGS)
    history = watch(tracker, parked, from_s=0, to_s=10)
    history += watch(tracker, nothing, from_s=10, to_s=190)
    assert ended(history) == []
    history += watch(tracker, parked, from_s=190, to_s=200)
    assert {track.id for tracks in history for track in tracks.live} == {1}


def test_but_not_for_ever() -> None:
    tracker = Tracker(SETTINGS)
    history = watch(tracker, parked, from_s=0, to_s=10)
    history += watch(tracker, nothing, from_s=10, to_s=209)
    assert ended(history) == []
    assert ended(watch(tracker, nothing, from_s=209, to_s=211)) == [1]  # last seen at 9.8 s


def test_where_something_moved_and_it_is_seen_no_more_it_has_gone_sooner() -> None:
    tracker = Tracker(SETTINGS)
    watch(tracker, parked, from_s=0, to_s=12)
    history = watch(tracker, nothing, from_s=12, to_s=40, moves=lambda at_s: moving(CAR) if at_s < 14 else quiet())
    assert ended(history) == [1]  # it had stood for 11.8 s, so as long it is waited for
    assert [at for at, tracks in enumerate(history) if tracks.ended] == [58]  # 12 s + 58 * .2 s = 11.8 s + 11.8 s


def test_motion_elsewhere_tells_nothing_of_it() -> None:
    tracker = Tracker(SETTINGS)
    watch(tracker, parked, from_s=0, to_s=12)
    beside = (500.0, 200.0, 600.0, 260.0)
    assert ended(watch(tracker, nothing, from_s=12, to_s=100, moves=lambda _: moving(beside))) == []


def test_whoever_passes_before_it_is_another_and_it_is_there_again_after_him() -> None:
    tracker = Tracker(SETTINGS)

    def passes(at_s: float) -> Sequence[Detections]:
        x = 60 * (at_s - 20)  # from the left to beyond it
        person = detections_of((250 + x, 180, 290 + x, 290), label="person")
        return [person] if 290 + x > 270 and 250 + x < 420 else [person, *parked()]

    history = watch(tracker, parked, from_s=0, to_s=20)
    history += watch(tracker, passes, from_s=20, to_s=24, moves=lambda _: moving((250.0, 180.0, 420.0, 290.0)))
    history += watch(tracker, parked, from_s=24, to_s=40)
    assert [track.id for track in history[-1].live] == [1]
    assert history[-1].live[0].label == "car"
    assert ended(history) == [2]  # he who passed


@pytest.mark.parametrize(
    ("comes", "is_it"),
    [
        ((350.0, 200.0, 450.0, 260.0), True),  # half beside it: a third of both together
        ((300.0, 200.0, 400.0, 230.0), True),  # its upper half: half of it, and half as high, so 0.25
        ((390.0, 200.0, 490.0, 260.0), False),  # the next place: 10 of 190
        ((325.0, 215.0, 375.0, 245.0), False),  # half as large: 0.25, and half as high, so 0.125
    ],
)
@pytest.mark.parametrize("gap_s", [4.0, 60.0])
def test_only_what_comes_where_it_stood_is_it_again_however_long_it_was_out_of_sight(
    comes: Box, gap_s: float, *, is_it: bool
) -> None:
    tracker = Tracker(SETTINGS)
    watch(tracker, parked, from_s=0, to_s=20)
    watch(tracker, nothing, from_s=20, to_s=20 + gap_s)
    history = watch(tracker, lambda _: [detections_of(comes, label="car")], from_s=20 + gap_s, to_s=22 + gap_s)
    assert [track.id for track in history[-1].live] == ([1] if is_it else [1, 2])


def test_where_it_is_not_known_what_moves_it_is_waited_for_as_long_as_it_had_stood() -> None:
    tracker = Tracker(SETTINGS)
    watch(tracker, parked, from_s=0, to_s=20, moves=lambda _: None)
    history = watch(tracker, nothing, from_s=20, to_s=60, moves=lambda _: None)
    assert ended(history) == [1]
    assert [at for at, tracks in enumerate(history) if tracks.ended] == [98]  # 19.8 s after 19.8 s


def test_frames_between_two_comparisons_of_the_gate_disturb_nothing() -> None:
    """A camera gives fifteen frames a second, of which the gate compares five and the detector looks at five."""
    tracker = Tracker(SETTINGS)
    unwatched = Motion(moving=False, changed=False, look=None, regions=None, scene_changed=False)
    history = []
    for frame in range(15 * 209):
        at_s = frame / 15
        if frame % 3:
            history.append(tracker.update(None, at_s, unwatched))
        else:
            found = parked() if at_s < 10 else nothing()
            history.append(tracker.update(joined([detections_of(), *found]), at_s, quiet()))
    assert ended(history) == []  # 200 s, though it had stood for 10
    assert ended(watch(tracker, nothing, from_s=209, to_s=211)) == [1]


def test_where_the_gate_has_compared_nothing_for_a_second_something_may_have_moved() -> None:
    tracker = Tracker(SETTINGS)
    watch(tracker, parked, from_s=0, to_s=20)
    watch(tracker, nothing, from_s=20, to_s=21.4, moves=lambda _: None)
    assert ended(watch(tracker, nothing, from_s=21.4, to_s=60)) == [1]
    tracker = Tracker(SETTINGS)
    watch(tracker, parked, from_s=0, to_s=20)
    watch(tracker, nothing, from_s=20, to_s=20.8, moves=lambda _: None)
    assert ended(watch(tracker, nothing, from_s=20.8, to_s=60)) == []


def test_looks_far_apart_count_for_ten_seconds_at_most() -> None:
    tracker = Tracker(SETTINGS)
    watch(tracker, parked, from_s=0, to_s=10)
    history = [tracker.update(detections_of(), 10 + 60.0 * i, quiet()) for i in range(1, 22)]
    assert [len(tracks.ended) for tracks in history] == [0] * 19 + [1, 0]  # 200 s are 20 misses


# The whole picture changes


def test_nothing_new_is_confirmed_while_the_picture_changes_and_a_little_after() -> None:
    tracker = Tracker(TrackSettings(scene_hold_s=3.0))
    watch(tracker, nothing, from_s=0, to_s=2)
    flash = watch(tracker, parked, from_s=2, to_s=3, moves=lambda _: moving(scene_changed=True))
    after = watch(tracker, parked, from_s=3, to_s=8)
    assert all(tracks.held for tracks in flash)
    assert not any(track.confirmed for tracks in flash for track in tracks.live)
    confirmed = [tracks.live[0].confirmed for tracks in after]
    assert confirmed == [i >= 14 for i in range(25)]  # the last change was at 2.8 s, and 3 s later it is 5.8 s
    assert [tracks.held for tracks in after] == [i < 14 for i in range(25)]


def test_what_was_confirmed_before_stays_so_and_is_followed_meanwhile() -> None:
    tracker = Tracker(TrackSettings())
    watch(tracker, parked, from_s=0, to_s=2)
    history = watch(tracker, parked, from_s=2, to_s=4, moves=lambda _: moving(scene_changed=True))
    assert all(tracks.live[0].confirmed and tracks.live[0].seen_s >= 2 for tracks in history)


def test_the_first_frame_is_new_to_the_gate_and_no_reason_to_wait() -> None:
    tracker = Tracker(TrackSettings())
    history = watch(tracker, parked, from_s=0, to_s=1, moves=lambda at_s: moving(scene_changed=at_s == 0))
    assert not any(tracks.held for tracks in history)
    assert history[-1].live[0].confirmed


def test_a_change_of_the_picture_is_over_when_the_picture_has_gone() -> None:
    tracker = Tracker(TrackSettings(scene_hold_s=3.0))
    watch(tracker, parked, from_s=0, to_s=1, moves=lambda at_s: moving(scene_changed=at_s > 0.5))
    assert (tracker.scene.held, tracker.scene.changes) == (True, 1)
    tracker.forget()
    assert (tracker.scene.held, tracker.scene.changes) == (False, 1)


def test_a_change_of_light_is_no_motion_where_it_stands() -> None:
    tracker = Tracker(SETTINGS)
    watch(tracker, parked, from_s=0, to_s=10)
    everywhere = (0.0, 0.0, 640.0, 480.0)
    history = watch(tracker, nothing, from_s=10, to_s=12, moves=lambda _: moving(everywhere, scene_changed=True))
    history += watch(tracker, nothing, from_s=12, to_s=100)
    assert ended(history) == []


# Labels


@pytest.mark.parametrize("rate_hz", [2, 5, 10])
def test_a_van_that_is_called_a_car_for_two_looks_stays_one_object_and_a_van(rate_hz: float) -> None:
    called = iter([*["truck"] * 6, "car", "car", *["truck"] * 12])

    def van(at_s: float) -> Sequence[Detections]:
        return [detections_of((CAR[0] + 10 * at_s, CAR[1], CAR[2] + 10 * at_s, CAR[3]), label=next(called))]

    history = watch(Tracker(TrackSettings()), van, from_s=0, to_s=20 / rate_hz, rate_hz=rate_hz)
    assert {(track.id, track.label) for tracks in history for track in tracks.live} == {(1, "truck")}


def test_what_is_called_a_car_more_often_than_a_truck_is_a_car() -> None:
    called = iter([*["truck"] * 3, *["car"] * 7])
    history = watch(Tracker(TrackSettings()), lambda _: [detections_of(CAR, label=next(called))], from_s=0, to_s=2)
    # With the fifth car: 1 + 63/64 + … + (63/64)⁴ = 4.85 is more than 1.5 times 3 (63/64)⁵; 3.91 was no more.
    assert [tracks.live[0].label for tracks in history] == ["truck"] * 7 + ["car"] * 3
    assert {track.id for tracks in history for track in tracks.live} == {1}


@pytest.mark.parametrize(("gap_s", "is_it"), [(0.8, True), (1.2, False)])
def test_what_was_out_of_sight_for_more_than_a_second_is_not_found_again_as_its_kin(
    gap_s: float, *, is_it: bool
) -> None:
    tracker = Tracker(SETTINGS)
    watch(tracker, parked, from_s=0, to_s=2)  # not stationary yet
    watch(tracker, nothing, from_s=2, to_s=2 + gap_s)
    history = watch(tracker, lambda _: [detections_of(CAR, label="truck")], from_s=2 + gap_s, to_s=3 + gap_s)
    assert [track.id for track in history[0].live] == ([1] if is_it else [1, 2])


def test_what_is_called_a_car_as_often_as_a_truck_keeps_its_label() -> None:
    called = iter(["truck", "car"] * 100)
    history = watch(Tracker(TrackSettings()), lambda _: [detections_of(CAR, label=next(called))], from_s=0, to_s=40)
    assert {(track.id, track.label) for tracks in history for track in tracks.live} == {(1, "truck")}


def test_what_is_called_by_another_name_after_a_miss_is_the_same_object() -> None:
    def van(at_s: float) -> Sequence[Detections]:
        here = (CAR[0] + 10 * at_s, CAR[1], CAR[2] + 10 * at_s, CAR[3])
        return [] if 1.9 < at_s < 2.3 else [detections_of(here, label="car" if 2.3 < at_s < 2.7 else "truck")]

    history = watch(Tracker(TrackSettings()), van, from_s=0, to_s=4)
    assert {(track.id, track.label) for tracks in history for track in tracks.live} == {(1, "truck")}


def test_what_stands_and_is_called_by_another_name_after_the_detector_failed_is_what_it_was() -> None:
    tracker = Tracker(SETTINGS)
    history = watch(tracker, parked, from_s=0, to_s=20)
    history += watch(tracker, nothing, from_s=20, to_s=80)
    history += watch(tracker, lambda _: [detections_of(CAR, label="truck", score=0.5)], from_s=80, to_s=82)
    assert {(track.id, track.label) for tracks in history for track in tracks.live} == {(1, "car")}


def test_a_person_never_becomes_a_car() -> None:
    tracker = Tracker(TrackSettings())
    watch(tracker, lambda _: [detections_of(CAR, label="person")], from_s=0, to_s=2)
    history = watch(tracker, parked, from_s=2, to_s=4)
    assert {(track.id, track.label) for track in history[-1].live} == {(1, "person"), (2, "car")}


def test_one_thing_that_is_called_two_names_in_the_same_look_is_one_object() -> None:
    def both(_at_s: float) -> Sequence[Detections]:
        near = (CAR[0] + 2, CAR[1], CAR[2] + 3, CAR[3])
        return [detections_of(CAR, label="truck", score=0.8), detections_of(near, label="car", score=0.6)]

    tracker = Tracker(TrackSettings())
    watch(tracker, lambda _: [detections_of(CAR, label="truck")], from_s=0, to_s=1)
    history = watch(tracker, both, from_s=1, to_s=4)
    assert {(track.id, track.label) for tracks in history for track in tracks.live} == {(1, "truck")}


def test_it_is_one_object_under_its_better_name_too_when_it_is_called_two_names_from_the_start() -> None:
    def van(_at_s: float) -> Sequence[Detections]:
        return [detections_of(CAR, label="truck", score=0.7), detections_of(CAR, label="car", score=0.8)]

    history = watch(Tracker(SETTINGS), van, from_s=0, to_s=4)
    assert {(track.id, track.label) for tracks in history for track in tracks.live} == {(1, "car")}


def test_two_that_are_never_taken_for_each_other_are_two_however_much_they_overlap() -> None:
    def rider(_at_s: float) -> Sequence[Detections]:
        return [detections_of(CAR, label="car"), detections_of(CAR)]

    assert len(watch(Tracker(SETTINGS), rider, from_s=0, to_s=4)[-1].live) == 2


def test_a_part_of_an_object_that_is_taken_for_another_must_be_found_twice_as_often() -> None:
    whole, half = (100.0, 100.0, 140.0, 200.0), (105.0, 110.0, 135.0, 160.0)
    tracker = Tracker(TrackSettings(confirm_hits=3))
    watch(tracker, lambda _: [detections_of(whole)], from_s=0, to_s=1)
    history = watch(tracker, lambda _: [detections_of(whole), detections_of(half)], from_s=1, to_s=3)
    assert [tracks.live[1].confirmed for tracks in history] == [i >= 5 for i in range(10)]


# When an object is real


def test_age_is_asked_in_seconds_at_any_rate() -> None:
    for rate_hz in (2.0, 5.0, 10.0):
        tracker = Tracker(TrackSettings(confirm_hits=1, confirm_s=1.5))
        history = watch(tracker, parked, from_s=0, to_s=4, rate_hz=rate_hz)
        assert [tracks.live[0].confirmed for tracks in history] == [i / rate_hz >= 1.5 for i in range(len(history))]


def test_what_is_out_of_sight_is_not_confirmed_when_it_would_be_old_enough() -> None:
    def gone(at_s: float) -> Sequence[Detections]:
        return parked() if at_s < 1.75 else []

    history = watch(Tracker(TrackSettings(confirm_s=2.0)), gone, from_s=0, to_s=4)
    assert not any(track.confirmed for tracks in history for track in (*tracks.live, *tracks.ended))


def test_what_is_out_of_sight_is_not_confirmed_when_the_picture_has_settled() -> None:
    def flares_up(at_s: float) -> Sequence[Detections]:
        return parked() if 2.3 < at_s < 2.9 else []

    def lamp(at_s: float) -> Motion:
        return moving(scene_changed=at_s == 0.2)  # held until 3.2

    history = watch(Tracker(TrackSettings()), flares_up, from_s=0, to_s=6, moves=lamp)
    assert any(track.established for tracks in history for track in tracks.live)
    assert not any(track.confirmed for tracks in history for track in (*tracks.live, *tracks.ended))


def test_it_must_have_been_seen_well_once() -> None:
    scores = iter([0.5, 0.5, 0.5, 0.5, 0.625, 0.5])
    history = watch(
        Tracker(TrackSettings(confirm_top=0.6)),
        lambda _: [detections_of(CAR, label="car", score=next(scores))],
        from_s=0,
        to_s=1.2,
    )
    assert [tracks.live[0].confirmed for tracks in history] == [False] * 4 + [True] * 2


@pytest.mark.parametrize(("label", "confirmed"), [("cow", True), ("person", False)])
def test_a_label_may_ask_for_less(label: str, *, confirmed: bool) -> None:
    settings = TrackSettings(confirm_scores={"cow": 0.3})
    history = watch(Tracker(settings), lambda _: [detections_of(CAR, label=label, score=0.375)], from_s=0, to_s=4)
    assert history[-1].live[0].confirmed is confirmed


@pytest.mark.parametrize(("score", "looks"), [(0.85, 1), (0.75, 2)])
def test_it_is_established_at_once_when_the_detector_is_sure_and_else_with_the_second_look(
    score: float, looks: int
) -> None:
    history = watch(
        Tracker(TrackSettings(confirm_hits=5)), lambda _: [detections_of(CAR, score=score)], from_s=0, to_s=2
    )
    assert [tracks.live[0].established for tracks in history] == [i + 1 >= looks for i in range(10)]


# A camera that turns

CROWD = [(80.0 * i, 60.0 * (i % 3), 80.0 * i + 40, 60.0 * (i % 3) + 100) for i in range(6)]


def shaken(by: FloatArray) -> World:
    """A crowd that stands, seen by a camera that is at (T, 2) pixels at each look of 5 a second."""

    def world(at_s: float) -> Sequence[Detections]:
        x, y = by[round(at_s * 5)].tolist()
        return [detections_of(*((a + x, b + y, c + x, d + y) for a, b, c, d in CROWD))]

    return world


@given(st.integers(0, 20), st.floats(0, 12))
def test_a_crowd_keeps_its_ids_under_a_camera_that_jerks(seed: int, strength_px: float) -> None:
    """Up to 12 pixels to and fro, five times a second; each is 40 pixels wide."""
    jerks = np.clip(np.random.default_rng(seed).normal(0, strength_px / 2, (40, 2)), -strength_px, strength_px)
    jerks[:10] = 0
    history = watch(Tracker(TrackSettings()), shaken(jerks), from_s=0, to_s=8)
    assert {track.id for tracks in history for track in tracks.live if track.confirmed} == set(range(1, 7))


def test_a_long_pan_is_undone_and_what_stands_is_known_where_it_then_is() -> None:
    pan = np.zeros((80, 2))
    pan[30:, 0] = 25 * np.arange(50)  # 125 pixels a second, three widths
    history = watch(Tracker(TrackSettings()), shaken(pan), from_s=0, to_s=16)
    assert {track.id for tracks in history for track in tracks.live} == set(range(1, 7))


# Half hidden


@pytest.mark.parametrize(
    "half",
    [
        (350.0, 200.0, 400.0, 260.0),  # its left half is hidden: the middle is a quarter of its width elsewhere,
        (365.0, 200.0, 400.0, 260.0),  # or a third,
        (300.0, 200.0, 335.0, 260.0),
    ],
)
def test_what_is_half_hidden_has_not_moved(half: Box) -> None:
    tracker = Tracker(SETTINGS)
    watch(tracker, parked, from_s=0, to_s=10)
    history = watch(tracker, lambda _: [detections_of(half, label="car")], from_s=10, to_s=20)
    history += watch(tracker, parked, from_s=20, to_s=30)
    assert {(track.id, track.still_since_s) for tracks in history for track in tracks.live} == {(1, 0.0)}


def test_what_was_half_hidden_when_it_stopped_has_not_moved_when_it_is_seen_whole() -> None:
    tracker = Tracker(SETTINGS)
    watch(tracker, lambda _: [detections_of((350.0, 200.0, 400.0, 260.0), label="car")], from_s=0, to_s=10)
    history = watch(tracker, parked, from_s=10, to_s=20)
    assert {(track.id, track.still_since_s) for tracks in history for track in tracks.live} == {(1, 0.0)}


def test_a_sure_box_under_a_kindred_name_goes_before_a_weak_one_under_its_own() -> None:
    """While it comes in it is more of a truck; then it is surely a car, and weakly still a truck."""
    tracker = Tracker(TrackSettings())
    watch(tracker, lambda _: [detections_of(CAR, label="truck", score=0.5)], from_s=0, to_s=0.4)

    def both(_at_s: float) -> Sequence[Detections]:
        weak = detections_of(CAR, label="truck", score=0.3, strong=False)
        return [weak, detections_of(CAR, label="car", score=0.7)]

    history = watch(tracker, both, from_s=0.4, to_s=3)
    assert [(track.id, track.label, track.confirmed) for track in history[-1].live] == [(1, "car", True)]
