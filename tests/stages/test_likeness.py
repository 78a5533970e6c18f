"""Likeness, the camera's turn, and labels that are taken for one another: tables with the arithmetic."""

from __future__ import annotations

import numpy as np
import pytest
from builders import boxes_of
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.testing import assert_allclose

from edge_agent import geometry
from edge_agent.records import Box, FloatArray
from edge_agent.stages.track import kin
from edge_agent.stages.track.camera import CameraShift
from edge_agent.stages.track.likeness import LEAST_OVERLAP, least_overlaps, pairs_of

HERE = (0.0, 0.0, 10.0, 20.0)


@pytest.mark.parametrize(
    ("box", "similarity"),
    [
        (HERE, 1.0),
        ((5.0, 0.0, 15.0, 20.0), 1 / 3),  # 100 shared, 200 + 200 - 100 in all; equally tall
        ((0.0, 0.0, 10.0, 10.0), 0.25),  # half of it is shared, and it is half as tall
        ((0.0, 0.0, 20.0, 40.0), 0.125),  # a quarter, and twice as tall
    ],
)
def test_likeness_is_overlap_times_the_ratio_of_heights(box: Box, similarity: float) -> None:
    pairs = pairs_of(boxes_of(HERE), boxes_of(box))
    assert (pairs.rows.tolist(), pairs.columns.tolist()) == ([0], [0])
    assert_allclose(pairs.similarity, [similarity], rtol=1e-6)


@pytest.mark.parametrize("box", [(10.0, 0.0, 20.0, 20.0), (0.0, 20.0, 10.0, 40.0), (50.0, 50.0, 60.0, 60.0)])
def test_what_only_touches_is_no_pair(box: Box) -> None:
    assert len(pairs_of(boxes_of(HERE), boxes_of(box)).rows) == 0


boxes = hnp.arrays(np.float32, (5, 4), elements=st.integers(0, 100)).map(
    lambda array: np.concatenate([array[:, :2], array[:, :2] + array[:, 2:]], axis=1)
)


@given(boxes, boxes)
def test_pairs_are_those_that_overlap_with_at_most_their_overlap(one: FloatArray, other: FloatArray) -> None:
    pairs, overlap = pairs_of(one, other), geometry.iou(one, other)
    assert set(zip(pairs.rows.tolist(), pairs.columns.tolist(), strict=True)) >= set(
        zip(*(axis.tolist() for axis in np.nonzero(overlap > 1e-6)), strict=True)
    )
    assert np.all(pairs.similarity <= overlap[pairs.rows, pairs.columns] + 1e-5)
    assert np.all(pairs.similarity > 0)


def test_less_is_asked_for_the_less_a_place_is_known() -> None:
    widths, deviations = np.full(4, 10, np.float32), np.array([0, 2, 5, 100], np.float32)
    # .4, .4 e^(-3 * .2), .4 e^(-3 * .5), and no less than is asked for at all
    assert_allclose(least_overlaps(widths, deviations, 0.4), [0.4, 0.2195, 0.0893, LEAST_OVERLAP], atol=1e-4)


def test_who_asks_for_nothing_gets_it() -> None:
    assert least_overlaps(np.ones(1, np.float32), np.zeros(1, np.float32), 0.0) == 0


# The camera's turn


def turned(by: tuple[float, float], objects: int, times: int = 1, noise_px: float = 1.0) -> FloatArray:
    """What a camera is believed to have turned at last that shows `by` at each of some looks, 5 a second."""
    camera, believed = CameraShift(), np.zeros(2, np.float32)
    surprises = np.tile(np.array(by, np.float32), (objects, 1))
    for _ in range(times):
        believed = camera.estimate(surprises, np.full_like(surprises, noise_px**2), 0.2)
    return believed


def test_a_large_turn_is_believed_nearly_whole_and_at_once() -> None:
    assert_allclose(turned((40.0, -20.0), 8), [40, -20], rtol=0.05)


def test_what_may_be_chance_is_not_believed() -> None:
    assert_allclose(turned((0.4, 0.0), 4), [0, 0], atol=1e-6)  # of 4, the median errs by .6 of what one does


@pytest.mark.parametrize("objects", [0, 1, 3])
def test_a_few_may_walk_alike(objects: int) -> None:
    assert turned((40.0, 0.0), objects).tolist() == [0, 0]


def test_a_camera_that_keeps_turning_is_believed_more_and_more() -> None:
    believed = [float(turned((5.0, 0.0), 4, times)[0]) for times in (1, 5, 20)]
    assert 0 < believed[0] < believed[1] < believed[2] < 5


def test_most_decide() -> None:
    surprises = np.array([[30, 0], [31, 0], [29, 0], [30, 0], [-200, 5], [90, 90], [30, 0]], np.float32)
    believed = CameraShift().estimate(surprises, np.ones_like(surprises), 0.2)
    assert_allclose(believed, [30, 0], atol=1.0)


def test_a_camera_that_is_forgotten_is_fixed_until_it_turns() -> None:
    camera, many = CameraShift(), np.full((6, 2), 20, np.float32)
    noise = np.full((6, 2), 25, np.float32)
    first = camera.estimate(many, noise, 0.2)
    for _ in range(20):
        camera.estimate(many, noise, 0.2)
    camera.forget()
    assert camera.estimate(many, noise, 0.2).tolist() == first.tolist()


def test_no_time_is_no_turn() -> None:
    many = np.full((6, 2), 20, np.float32)
    assert CameraShift().estimate(many, np.ones_like(many), 0.0).tolist() == [0, 0]


# Labels


def test_labels_of_a_kind_may_be_one_another_and_each_is_itself() -> None:
    names = ("person", "car", "truck", "cow", "sheep", "gizmo")
    related = {(names[a], names[b]) for a, b in zip(*np.nonzero(kin.table(names)), strict=True)}
    assert related == {(name, name) for name in names} | {
        ("car", "truck"), ("truck", "car"), ("cow", "sheep"), ("sheep", "cow"),
    }  # fmt: skip


def test_there_may_be_no_labels() -> None:
    assert kin.table(()).shape == (0, 0)
