"""The tracker on drawn worlds: where things are at each moment is known, so who is who is too."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np
import pytest
from builders import detections_of, joined
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_agent.records import Box, Detections, Track, Tracks
from edge_agent.stages.track.tracker import Tracker, TrackSettings

HERE = (100.0, 100.0, 140.0, 200.0)
NOTHING = Detections.empty()

World = Callable[[float], Sequence[Detections]]


def moved(box: Box, x: float, y: float = 0.0) -> Box:
    return (box[0] + x, box[1] + y, box[2] + x, box[3] + y)


def looks(rate_hz: float, until_s: float, from_s: float = 0.0) -> list[float]:
    return [from_s + i / rate_hz for i in range(round((until_s - from_s) * rate_hz) + 1)]


def follow(world: World, times_s: Iterable[float], tracker: Tracker | None = None) -> list[Tracks]:
    tracker = tracker or Tracker(TrackSettings())
    return [tracker.update(joined([detections_of(), *world(at_s)]), at_s) for at_s in times_s]


def confirmed_ids(history: Sequence[Tracks]) -> set[int]:
    return {track.id for tracks in history for track in tracks.live if track.confirmed}


def ended_ids(history: Sequence[Tracks]) -> list[int]:
    return [track.id for tracks in history for track in tracks.ended]


@pytest.mark.parametrize("rate_hz", [2, 5, 10])
@pytest.mark.parametrize("speed", [0, 20, 45])  # pixels a second: at 2 Hz and 45, more than half its width a look
def test_one_walker_is_one_object(rate_hz: float, speed: float) -> None:
    history = follow(lambda at_s: [detections_of(moved(HERE, speed * at_s))], looks(rate_hz, 10))
    assert confirmed_ids(history) == {1}
    assert ended_ids(history) == []


@pytest.mark.parametrize("rate_hz", [2, 5, 10])
def test_a_walker_at_a_run_is_one_object_once_its_speed_is_known(rate_hz: float) -> None:
    def walks_then_runs(at_s: float) -> Sequence[Detections]:
        return [detections_of(moved(HERE, 15 * at_s**2))]  # up to 180 pixels a second, more than four widths

    assert confirmed_ids(follow(walks_then_runs, looks(rate_hz, 6))) == {1}


@pytest.mark.parametrize("rate_hz", [5, 10])
def test_two_that_cross_keep_their_ids_when_their_boxes_differ(rate_hz: float) -> None:
    tall, small = (0.0, 100.0, 60.0, 250.0), (300.0, 160.0, 340.0, 240.0)

    def crossing(at_s: float) -> Sequence[Detections]:
        return [detections_of(moved(tall, 50 * at_s)), detections_of(moved(small, -50 * at_s))]

    history = follow(crossing, looks(rate_hz, 6))
    assert confirmed_ids(history) == {1, 2}
    ends = {track.id: track.box for track in history[-1].live}
    assert ends == {1: moved(tall, 300), 2: moved(small, -300)}


def test_neighbours_are_told_apart() -> None:
    row = [moved(HERE, 45 * i) for i in range(10)]
    history = follow(lambda at_s: [detections_of(*(moved(box, 10 * at_s) for box in row))], looks(5, 6))
    assert confirmed_ids(history) == set(range(1, 11))
    assert [track.box for track in history[-1].live] == [moved(box, 60) for box in row]


def hidden(from_s: float, to_s: float, speed: float = 20.0) -> World:
    """A walker that is behind something for a while."""
    return lambda at_s: [] if from_s <= at_s < to_s else [detections_of(moved(HERE, speed * at_s))]


@pytest.mark.parametrize("rate_hz", [2, 5, 10])
def test_hidden_for_less_than_memory_s_it_keeps_its_id(rate_hz: float) -> None:
    history = follow(hidden(3.0, 4.9), looks(rate_hz, 8), Tracker(TrackSettings(memory_s=2.5)))
    assert confirmed_ids(history) == {1}
    assert ended_ids(history) == []


@pytest.mark.parametrize("rate_hz", [2, 5, 10])
def test_hidden_for_longer_than_memory_s_it_has_ended_and_what_comes_is_another(rate_hz: float) -> None:
    times_s = looks(rate_hz, 12)
    history = follow(hidden(3.0, 7.0), times_s, Tracker(TrackSettings(memory_s=2.5)))
    assert confirmed_ids(history) == {1, 2}
    assert ended_ids(history) == [1]
    ended_s = next(at_s for at_s, tracks in zip(times_s, history, strict=True) if tracks.ended)
    assert ended_s == pytest.approx(3.0 - 1 / rate_hz + 2.5, abs=1.01 / rate_hz)  # memory counts from its last sighting


def test_not_looking_is_no_miss() -> None:
    tracker = Tracker(TrackSettings(memory_s=1.0, confirm_hits=1))
    before = tracker.update(detections_of(HERE), 0.0)
    for i in range(1, 1000):
        assert tracker.update(None, i * 0.04) == before
    assert tracker.update(detections_of(HERE), 40.0).live[0].id == 1


def test_looking_at_nothing_is_a_miss() -> None:
    tracker = Tracker(TrackSettings(memory_s=0.5, confirm_hits=1))
    tracker.update(detections_of(HERE), 0.0)
    assert [len(tracker.update(NOTHING, at_s).ended) for at_s in (0.25, 0.5, 0.75)] == [0, 1, 0]


def test_an_object_that_ended_is_reported_once_and_no_longer_lives() -> None:
    history = follow(lambda at_s: [detections_of(HERE)] if at_s < 2 else [], looks(5, 20))
    assert ended_ids(history) == [1]
    last = next(tracks for tracks in history if tracks.ended)
    assert last.live == ()
    assert last.ended[0].seen_s == pytest.approx(1.8)
    assert last.ended[0].confirmed


def test_flicker_is_never_confirmed() -> None:
    def flicker(at_s: float) -> Sequence[Detections]:
        step = round(at_s * 5)
        return [detections_of(moved(HERE, 200 * (step % 7)))] if step % 3 == 0 else []

    history = follow(flicker, looks(5, 60))
    assert confirmed_ids(history) == set()
    assert max(len(tracks.live) for tracks in history) <= 3  # and it is forgotten soon


def test_what_is_seen_in_less_than_half_of_the_looks_is_not_confirmed() -> None:
    history = follow(lambda at_s: [detections_of(HERE, score=0.9)] if round(at_s * 5) % 3 == 0 else [], looks(5, 60))
    assert confirmed_ids(history) == set()  # its median, misses counting 0, is 0


@pytest.mark.parametrize(("hits", "rate_hz"), [(1, 5), (3, 5), (10, 5)])
def test_it_is_confirmed_with_its_last_needed_hit(hits: int, rate_hz: float) -> None:
    history = follow(lambda _: [detections_of(HERE)], looks(rate_hz, 4), Tracker(TrackSettings(confirm_hits=hits)))
    assert [tracks.live[0].confirmed for tracks in history] == [i + 1 >= hits for i in range(len(history))]


@pytest.mark.parametrize(("score", "confirmed"), [(0.5, True), (0.49, False)])
def test_it_is_confirmed_from_its_least_median_score_on(score: float, *, confirmed: bool) -> None:
    tracker = Tracker(TrackSettings(confirm_score=0.5, confirm_top=0.0))
    history = follow(lambda _: [detections_of(HERE, score=score)], looks(5, 4), tracker)
    assert history[-1].live[0].confirmed is confirmed


def test_what_is_confirmed_stays_so_however_badly_it_is_seen_later() -> None:
    def fades(at_s: float) -> Sequence[Detections]:
        return [detections_of(HERE) if at_s < 2 else detections_of(HERE, score=0.21, strong=False)]

    history = follow(fades, looks(5, 20))
    assert all(track.confirmed for tracks in history[3:] for track in tracks.live)
    assert confirmed_ids(history) == {1}


def test_the_score_is_the_median_with_looks_that_missed_it_in_between_as_nothing() -> None:
    tracker = Tracker(TrackSettings())
    scores = [0.5, 0.875, None, 0.75, None, 0.75]  # floats that float32 holds exactly
    reported: list[tuple[float, float]] = []
    for i, score in enumerate(scores):
        found = NOTHING if score is None else detections_of(HERE, score=score)
        (track,) = tracker.update(found, i * 0.2).live
        reported.append((track.score, track.top_score))
    # of .5; of .5 .875; the same, as it may have left; of 0 .5 .75 .875; the same; of 0 0 .5 .75 .75 .875
    medians, tops = zip(*reported, strict=True)
    assert medians == (0.5, 0.6875, 0.6875, 0.625, 0.625, 0.625)
    assert tops == (0.5, *[0.875] * 5)


def test_weak_boxes_keep_an_object_alive() -> None:
    def half_hidden(at_s: float) -> Sequence[Detections]:
        box = moved(HERE, 20 * at_s)
        return [detections_of(box) if at_s < 2 else detections_of(box, score=0.25, strong=False)]

    history = follow(half_hidden, looks(5, 20))
    assert confirmed_ids(history) == {1}
    assert ended_ids(history) == []
    assert history[-1].live[0].seen_s == 20.0


def test_weak_boxes_never_begin_an_object() -> None:
    history = follow(lambda _: [detections_of(HERE, score=0.39, strong=False)], looks(5, 20))
    assert all(tracks == Tracks(live=()) for tracks in history)


def test_a_weak_box_does_not_bring_back_what_was_missed() -> None:
    def comes_back_weak(at_s: float) -> Sequence[Detections]:
        if at_s < 2:
            return [detections_of(HERE)]
        return [] if at_s < 3 else [detections_of(HERE, score=0.25, strong=False)]

    history = follow(comes_back_weak, looks(5, 8))
    assert ended_ids(history) == [1]
    assert history[-1].live == ()


def test_a_sure_box_goes_before_a_weak_one() -> None:
    tracker = Tracker(TrackSettings())
    tracker.update(detections_of(HERE), 0.0)
    exact = detections_of(HERE, score=0.3, strong=False)
    beside = detections_of(moved(HERE, 8), score=0.6)
    assert tracker.update(joined([exact, beside]), 0.2).live[0].box == moved(HERE, 8)


def test_labels_do_not_mix() -> None:
    tracker = Tracker(TrackSettings())
    tracker.update(detections_of(HERE, label="person"), 0.0)
    tracks = tracker.update(detections_of(HERE, label="car"), 0.2)
    assert [(track.id, track.label, track.seen_s) for track in tracks.live] == [(1, "person", 0.0), (2, "car", 0.2)]


def test_a_person_in_front_of_a_car_leaves_the_car_as_it_is() -> None:
    def both(_at_s: float) -> Sequence[Detections]:
        return [detections_of(HERE, label="car"), detections_of(HERE, label="person")]

    history = follow(both, looks(5, 4))
    assert {(track.id, track.label) for tracks in history for track in tracks.live} == {(1, "car"), (2, "person")}


def test_the_reported_box_is_where_it_was_last_seen_and_never_where_it_is_presumed() -> None:
    seen: set[Box] = {moved(HERE, 20 * at_s) for at_s in looks(5, 8)}
    history = follow(hidden(3.0, 5.0), looks(5, 8))
    assert {track.box for tracks in history for track in tracks.live} <= seen
    while_hidden = [tracks.live[0] for tracks in history[16:25]]
    assert {track.box for track in while_hidden} == {moved(HERE, 20 * 2.8)}
    assert {track.seen_s for track in while_hidden} == {2.8}


def test_the_same_world_is_the_same_story_at_2_5_and_10_looks_a_second() -> None:
    def world(at_s: float) -> Sequence[Detections]:
        present = [detections_of(moved(HERE, 25 * at_s))] if 1 <= at_s < 9 else []
        parked = [detections_of((400.0, 100.0, 500.0, 160.0), label="car")] if at_s < 6 else []
        return present + parked

    ended_s = {}
    for rate_hz in (2, 5, 10):
        times_s = looks(rate_hz, 16)
        history = follow(world, times_s)
        assert len(confirmed_ids(history)) == 2
        ended_s[rate_hz] = [at_s for at_s, tracks in zip(times_s, history, strict=True) for _ in tracks.ended]
    for rate_hz in (2, 5):
        assert ended_s[rate_hz] == pytest.approx(ended_s[10], abs=1.01 / rate_hz)


@pytest.mark.parametrize("seed", range(5))
def test_while_the_gate_is_shut_a_parked_car_survives_a_look_that_misses_it_and_the_jitter_of_its_boxes(
    seed: int,
) -> None:
    random, tracker = np.random.default_rng(seed), Tracker(TrackSettings())
    car = np.array((300.0, 200.0, 400.0, 260.0))

    def jittery(_at_s: float) -> Sequence[Detections]:
        left, top, right, bottom = (car + random.normal(0, 1.5, 4)).tolist()  # 1.5 % of its width
        return [detections_of((left, top, right, bottom), label="car")]

    history = follow(jittery, looks(5, 6), tracker)  # it parks, and the gate stays open a little
    history += follow(lambda at_s: [] if at_s in {46.0, 96.0} else jittery(at_s), looks(0.1, 196, from_s=16), tracker)
    assert confirmed_ids(history) == {1}
    assert ended_ids(history) == []


def test_a_parked_car_that_left_while_the_gate_was_shut_ends_after_a_few_looks() -> None:
    tracker = Tracker(TrackSettings(memory_s=2.5))
    follow(lambda _: [detections_of(HERE, label="car")], looks(5, 4), tracker)
    gone = follow(lambda _: [], looks(0.1, 54, from_s=14), tracker)
    assert [len(tracks.ended) for tracks in gone] == [0, 0, 1, 0, 0]  # a miss counts for a second at most


def test_what_walks_while_looks_are_far_apart_is_not_presumed_to_have_gone_on() -> None:
    tracker = Tracker(TrackSettings())
    follow(lambda at_s: [detections_of(moved(HERE, 20 * at_s))], looks(5, 4), tracker)
    stopped = moved(HERE, 80)
    assert [track.id for track in tracker.update(detections_of(stopped), 20.0).live] == [1]


def test_nothing_comes_of_nothing() -> None:
    tracker = Tracker(TrackSettings())
    for found, at_s in ((None, 0.0), (NOTHING, 0.1), (detections_of(), 0.2), (None, 0.3)):
        assert tracker.update(found, at_s) == Tracks(live=())


def test_many_objects_are_tracked() -> None:
    crowd = [(60.0 * (i % 20), 120.0 * (i // 20), 60.0 * (i % 20) + 40, 120.0 * (i // 20) + 100) for i in range(200)]
    history = follow(lambda _: [detections_of(*crowd)], looks(5, 2))
    assert confirmed_ids(history) == set(range(1, 201))


steps = st.lists(
    st.one_of(
        st.none(),
        st.lists(
            st.tuples(st.integers(0, 4), st.sampled_from([0.3, 0.5, 0.9]), st.sampled_from(["person", "car"])),
            max_size=4,
        ),
    ),
    max_size=40,
)


@given(steps, st.sampled_from([0.1, 0.2, 0.7, 5.0]))
@settings(max_examples=60)
def test_whatever_is_seen_ids_are_never_used_again_and_every_object_ends_at_most_once(
    history: list[list[tuple[int, float, str]] | None], apart_s: float
) -> None:
    tracker, begun, ended = Tracker(TrackSettings()), 0, set[int]()
    confirmed: set[int] = set()
    for i, step in enumerate(history):
        found = (
            None
            if step is None
            else joined(
                [
                    detections_of(),
                    *(
                        detections_of(moved(HERE, 30 * x), label=label, score=score, strong=score > 0.4)
                        for x, score, label in step
                    ),
                ]
            )
        )
        tracks = tracker.update(found, i * apart_s)
        live = [track.id for track in tracks.live]
        new = [track_id for track_id in live if track_id > begun]
        assert live == sorted(set(live))
        assert new == list(range(begun + 1, begun + 1 + len(new)))  # they count from 1
        assert not ended & set(live)
        gone = [track.id for track in tracks.ended]
        assert not ended & set(gone)
        assert not set(gone) & set(live)
        assert all(track.confirmed for track in (*tracks.live, *tracks.ended) if track.id in confirmed)
        assert all(0 <= track.score <= track.top_score <= 1 for track in tracks.live)
        assert all(track.first_s <= track.seen_s <= i * apart_s for track in tracks.live)
        begun, ended = begun + len(new), ended | set(gone)
        confirmed |= {track.id for track in tracks.live if track.confirmed}
        known: tuple[Track, ...] = tracks.live
        assert len(known) <= begun - len(ended)


def test_the_same_detections_give_the_same_tracks() -> None:
    def run() -> list[Tracks]:
        random = np.random.default_rng(5)

        def world(_at_s: float) -> Sequence[Detections]:
            return [detections_of(moved(HERE, float(x)), score=0.5) for x in random.integers(0, 300, 4)]

        return follow(world, looks(5, 10))

    assert run() == run()


def test_what_is_forgotten_neither_lives_nor_ends_and_its_id_is_not_used_again() -> None:
    tracker, person = Tracker(TrackSettings()), detections_of((10, 10, 50, 110))
    for at_s in (0.0, 0.2, 0.4):
        tracker.update(person, at_s)
    tracker.forget()
    assert tracker.update(None, 0.6) == Tracks(live=())
    assert [track.id for track in tracker.update(person, 0.8).live] == [2]
