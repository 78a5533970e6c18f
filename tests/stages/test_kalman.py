"""The filter: closed form over any gap, positive variances, corrections towards what was seen."""

from __future__ import annotations

import numpy as np
import pytest
from builders import boxes_of
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from edge_agent.records import FloatArray
from edge_agent.stages.track import kalman
from edge_agent.stages.track.kalman import Motions

BOX = (100.0, 200.0, 140.0, 300.0)  # centre (120, 250), 40 x 100: its size is 100

positions = st.floats(-2000, 2000)
lengths = st.floats(1, 1000)
gaps_s = st.lists(st.floats(0.001, 2.0), min_size=1, max_size=8)

NAMES = ("place", "velocity", "place_variance", "covariance", "velocity_variance")


@st.composite
def motions_at_a_steady_size(draw: st.DrawFn) -> Motions:
    """One box in double precision, moving, with a size that stays."""
    place = [[draw(positions), draw(positions), draw(lengths), draw(lengths)]]
    velocity = [[draw(st.floats(-500, 500)), draw(st.floats(-500, 500)), 0.0, 0.0]]
    deviations = np.array([[draw(st.floats(0.1, 100)) for _ in range(4)]])
    speeds = np.array([[draw(st.floats(0.1, 100)) for _ in range(4)]])
    correlation = draw(st.floats(-0.99, 0.99))
    return Motions.of(
        place=np.array(place),
        velocity=np.array(velocity),
        place_variance=deviations**2,
        covariance=correlation * deviations * speeds,
        velocity_variance=speeds**2,
    )


def arrays(motions: Motions) -> list[FloatArray]:
    return [getattr(motions, name) for name in NAMES]


def assert_is_a_covariance(motions: Motions) -> None:
    """Both variances are positive and their determinant is not negative."""
    assert np.all(motions.place_variance > 0)
    assert np.all(motions.velocity_variance > 0)
    assert np.all(motions.covariance**2 <= motions.place_variance * motions.velocity_variance * (1 + 1e-4))


SURE = np.ones(1, np.float32)


def begun(boxes: FloatArray) -> Motions:
    return kalman.begin(kalman.to_cxcywh(boxes))


def corrected_by(motions: Motions, boxes: FloatArray, scores: FloatArray) -> Motions:
    return kalman.correct(motions, kalman.to_cxcywh(boxes), scores)


@given(motions_at_a_steady_size(), gaps_s)
def test_one_prediction_over_a_gap_equals_many_short_ones(motions: Motions, parts_s: list[float]) -> None:
    stepwise = motions
    for part_s in parts_s:
        stepwise = kalman.predict(stepwise, np.array([part_s]))
    at_once = kalman.predict(motions, np.array([sum(parts_s)]))
    for one, other in zip(arrays(at_once), arrays(stepwise), strict=True):
        assert_allclose(one, other, rtol=1e-4, atol=1e-3)  # float32, over hundreds of pixels


def test_a_prediction_moves_the_place_by_velocity_times_time_and_widens_its_variance(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(kalman, "_NOISE", np.ones(4, np.float32))
    motions = Motions.of(
        place=np.array([[10.0, 20.0, 1.0, 2.0]]),  # its size is 2, so the noise is (1 * 2)² = 4
        velocity=np.array([[3.0, -4.0, 0.0, 0.0]]),
        place_variance=np.full((1, 4), 5.0),
        covariance=np.full((1, 4), 0.5),
        velocity_variance=np.full((1, 4), 2.0),
    )
    later = kalman.predict(motions, np.array([3.0]))
    assert_allclose(later.place, [[19, 8, 1, 2]])
    assert_allclose(later.velocity, motions.velocity)
    assert_allclose(later.place_variance[0, :2], 62.0)  # 5 + 2 * .5 * 3 + 2 * 3² + 4 * 3³ / 3
    assert_allclose(later.covariance[0, :2], 24.5)  # .5 + 2 * 3 + 4 * 3² / 2
    assert_allclose(later.velocity_variance[0, :2], 14.0)  # 2 + 4 * 3


def test_the_velocity_of_a_side_dies_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kalman, "_NOISE", np.ones(4, np.float32))
    monkeypatch.setattr(kalman, "SIDE_DECAY_HZ", 1.0)
    motions = Motions.of(
        place=np.array([[0.0, 0.0, 1.0, 1.0]]),
        velocity=np.array([[0.0, 0.0, 2.0, -4.0]]),
        place_variance=np.full((1, 4), 5.0),
        covariance=np.full((1, 4), 0.5),
        velocity_variance=np.full((1, 4), 2.0),
    )
    later = kalman.predict(motions, np.array([np.log(2)]))  # half of the velocity is left, and it carried half a second
    assert_allclose(later.place[0, 2:], [2, -1])
    assert_allclose(later.velocity[0, 2:], [1, -2])
    # 5 + 2 * .5 * .5 + 2 * .5², and of the noise log 2 - 2 * .5 + (1 - .25) / 2
    assert_allclose(later.place_variance[0, 2:], 6 + np.log(2) - 0.625, rtol=1e-6)
    assert_allclose(later.covariance[0, 2:], 0.25 + 0.5 + 0.125)  # .5 * .5 + .5 * .5 * 2, and of the noise .5² / 2
    assert_allclose(later.velocity_variance[0, 2:], 2 * 0.25 + 0.375)  # and of the noise (1 - .25) / 2
    much_later = kalman.predict(motions, np.array([100.0]))
    assert_allclose(much_later.place[0, 2:], [3, -3])  # it never goes further than its velocity times 1 s


@given(st.floats(0, 10))
def test_how_far_velocities_carry_is_what_a_prediction_moves(dt_s: float) -> None:
    first = begun(boxes_of(BOX))
    moving = Motions.of(**{name: getattr(first, name) for name in NAMES} | {"velocity": np.full((1, 4), 10.0)})
    later = kalman.predict(moving, np.array([dt_s]))
    assert_allclose(first.place + 10 * kalman.reach(np.array([dt_s])), later.place, rtol=1e-6)


def test_what_is_believed_moves_with_the_picture_and_is_as_sure_as_before() -> None:
    first = begun(boxes_of(BOX))
    shifted = first.shifted(np.array([3, -2], np.float32))
    assert_allclose(shifted.place, [[123, 248, 40, 100]])
    for before, after in zip(arrays(first)[1:], arrays(shifted)[1:], strict=True):
        assert_allclose(after, before)


def test_each_box_is_predicted_over_a_time_of_its_own() -> None:
    first = begun(boxes_of(BOX, BOX))
    moving = Motions.of(**{name: getattr(first, name) for name in NAMES} | {"velocity": np.full((2, 4), 10.0)})
    later = kalman.predict(moving, np.array([0.0, 2.0]))
    side = 10 * (1 - np.exp(-2 * kalman.SIDE_DECAY_HZ)) / kalman.SIDE_DECAY_HZ
    assert_allclose(later.place, [[120, 250, 40, 100], [140, 270, 40 + side, 100 + side]])


@pytest.mark.parametrize("times", [3, 9])  # few that are the same for several boxes, and many
def test_boxes_are_predicted_together_as_each_would_be_alone(times: int) -> None:
    boxes = begun(boxes_of(*((0.0, 0.0, 10.0 * width, 80.0) for width in range(1, 10))))
    dt_s = np.arange(9) % times * 0.7
    together = kalman.predict(boxes, dt_s)
    for row in range(9):
        alone = kalman.predict(boxes[np.array([row])], dt_s[row : row + 1])
        assert_allclose(together[np.array([row])].beliefs, alone.beliefs, rtol=1e-6)


@given(st.lists(st.tuples(positions, positions, lengths, lengths, st.floats(0.0, 60.0)), min_size=1, max_size=12))
def test_variances_stay_positive_through_any_history(sightings: list[tuple[float, ...]]) -> None:
    motions = begun(boxes_of(BOX))
    for x, y, width, height, dt_s in sightings:
        motions = kalman.predict(motions, np.array([dt_s], np.float32))
        assert_is_a_covariance(motions)
        motions = corrected_by(motions, boxes_of((x, y, x + width, y + height)), SURE)
        assert_is_a_covariance(motions)
        assert all(np.isfinite(array).all() for array in arrays(motions))


@given(st.floats(-300, 300), st.floats(0.01, 20.0))
def test_a_correction_moves_the_place_towards_what_was_seen_and_never_beyond(shift: float, dt_s: float) -> None:
    expected = kalman.predict(begun(boxes_of(BOX)), np.array([dt_s], np.float32))
    corrected = corrected_by(expected, boxes_of((BOX[0] + shift, BOX[1], BOX[2] + shift, BOX[3])), SURE)
    moved = float(corrected.place[0, 0] - expected.place[0, 0])
    assert abs(moved) <= abs(shift) + 1e-3
    assert moved * shift >= 0
    assert corrected.velocity[0, 0] * shift >= 0
    assert np.all(corrected.place_variance < expected.place_variance)


def test_a_correction_weighs_what_was_believed_against_what_was_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kalman, "MEASUREMENT_STD", 0.05)
    # Seen at once again, both are equally uncertain, (0.05 * 100)² = 25: the place moves half of the 10 pixels.
    corrected = corrected_by(begun(boxes_of(BOX)), boxes_of((110.0, 200.0, 150.0, 300.0)), SURE)
    assert_allclose(corrected.place, [[125, 250, 40, 100]])
    assert_allclose(corrected.place_variance, np.full((1, 4), 12.5))
    assert_allclose(corrected.velocity, np.zeros((1, 4)))  # place and velocity are not linked yet


def test_what_the_detector_is_less_sure_of_is_believed_less() -> None:
    seen = boxes_of((110.0, 200.0, 150.0, 300.0))
    # With a score of 0 a box lies three times as far off: 9 times the variance, so that it weighs a tenth.
    corrected = corrected_by(begun(boxes_of(BOX)), seen, np.zeros(1, np.float32))
    assert_allclose(corrected.place, [[121, 250, 40, 100]])


def test_a_steady_walk_is_learnt() -> None:
    motions = begun(boxes_of(BOX))
    for step in range(1, 26):
        motions = kalman.predict(motions, np.array([0.2], np.float32))
        x = step * 0.2 * 80  # 80 pixels a second
        motions = corrected_by(motions, boxes_of((BOX[0] + x, BOX[1], BOX[2] + x, BOX[3])), SURE)
    assert_allclose(motions.velocity, [[80, 0, 0, 0]], atol=1)
    assert_allclose(motions.place, [[120 + 400, 250, 40, 100]], atol=1)


@pytest.mark.parametrize("count", [0, 1, 3])
def test_boxes_and_centres_are_two_ways_to_write_the_same(count: int) -> None:
    boxes = boxes_of(*[BOX] * count)
    places = kalman.to_cxcywh(boxes)
    assert_allclose(places, np.array([[120, 250, 40, 100]] * count, np.float32).reshape(-1, 4))
    assert_allclose(kalman.to_xyxy(places), boxes)


def test_a_side_that_is_believed_to_be_negative_counts_as_none() -> None:
    assert_allclose(kalman.to_xyxy(np.array([[10, 10, -4, 6]], np.float32)), [[10, 7, 10, 13]])


def test_nothing_is_predicted_and_corrected_into_nothing() -> None:
    none = corrected_by(kalman.predict(begun(boxes_of()), np.zeros(0, np.float32)), boxes_of(), SURE)
    assert all(array.shape == (0, 4) for array in arrays(none))


def test_rows_are_taken_joined_and_replaced_without_touching_the_original() -> None:
    first, second = begun(boxes_of(BOX)), begun(boxes_of((0.0, 0.0, 10.0, 10.0)))
    both = first.joined(second)
    assert_allclose(both[np.array([1, 0])].place, [second.place[0], first.place[0]])
    replaced = both.replaced(np.array([0]), second)
    assert_allclose(replaced.place, [second.place[0], second.place[0]])
    assert_allclose(both.place, [first.place[0], second.place[0]])
