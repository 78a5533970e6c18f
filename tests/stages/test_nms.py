"""Non-maximum suppression."""

from __future__ import annotations

import numpy as np
import pytest
from builders import boxes_of
from hypothesis import given
from hypothesis import strategies as st

from edge_agent import geometry
from edge_agent.records import Box
from edge_agent.stages.detect.nms import MAX_CANDIDATES, suppress, those_that_stay

A = (0.0, 0.0, 10.0, 10.0)
NEAR_A = (0.0, 0.0, 10.0, 8.0)  # 80 / 100 = 0.8 of A
BESIDE = (5.0, 0.0, 15.0, 10.0)  # 50 / 150 = 1/3 of A
FAR = (50.0, 50.0, 60.0, 60.0)


@pytest.mark.parametrize(
    ("boxes", "scores", "label_ids", "kept"),
    [
        ([], [], [], []),
        ([A], [0.5], [0], [0]),
        ([A, FAR], [0.5, 0.9], [0, 0], [1, 0]),  # best first
        ([A, NEAR_A], [0.5, 0.9], [0, 0], [1]),
        ([A, NEAR_A], [0.5, 0.9], [0, 1], [1, 0]),  # of different labels
        ([A, BESIDE], [0.9, 0.5], [0, 0], [0, 1]),
        ([A, A, A], [0.5, 0.5, 0.5], [0, 0, 0], [0]),  # a tie: the first
        ([FAR, A, NEAR_A], [0.5, 0.5, 0.5], [0, 0, 0], [0, 1]),
        # NEAR_A is suppressed by A and suppresses nothing: the third overlaps A by 64 / 100, and NEAR_A by 64 / 80.
        ([A, NEAR_A, (0.0, 0.0, 8.0, 8.0)], [0.9, 0.8, 0.7], [0, 0, 0], [0, 2]),
        ([(5.0, 5.0, 5.0, 5.0)] * 2, [0.9, 0.8], [0, 0], [0, 1]),  # without an area nothing overlaps
    ],
)
def test_of_boxes_of_a_label_that_overlap_much_only_the_best_stays(
    boxes: list[Box], scores: list[float], label_ids: list[int], kept: list[int]
) -> None:
    chosen = suppress(boxes_of(*boxes), np.array(scores, np.float32), np.array(label_ids, np.int64), 0.7)
    assert chosen.tolist() == kept


@pytest.mark.parametrize(("max_iou", "kept"), [(0.8, 2), (0.79, 1), (0.0, 1), (1.0, 2)])
def test_an_overlap_of_just_the_limit_is_allowed(max_iou: float, kept: int) -> None:
    scores, label_ids = np.array([0.9, 0.5], np.float32), np.zeros(2, np.int64)
    # 0.8 in float32 is 0.8 + 1.2e-8, which is what stands on both sides here
    assert len(suppress(boxes_of(A, NEAR_A), scores, label_ids, float(np.float32(max_iou)))) == kept


def test_only_the_best_candidates_go_in() -> None:
    count = MAX_CANDIDATES + 5
    apart = boxes_of(*((20.0 * i, 0.0, 20.0 * i + 10, 10.0) for i in range(count)))
    scores = np.linspace(0.1, 0.9, count, dtype=np.float32)
    kept = suppress(apart, scores, np.zeros(count, np.int64), 0.5)
    assert kept.tolist() == list(range(count - 1, 4, -1))
    more = suppress(apart, scores, np.zeros(count, np.int64), 0.5, most=count)
    assert more.tolist() == list(range(count - 1, -1, -1))


def test_of_one_label_none_need_be_named() -> None:
    boxes, scores = boxes_of(A, NEAR_A), np.array([0.5, 0.75], np.float32)
    assert suppress(boxes, scores, None, 0.7).tolist() == suppress(boxes, scores, np.zeros(2, np.int64), 0.7).tolist()


@pytest.mark.parametrize("count", [1, 8, 9, 64, 65, 300])
def test_each_that_stays_takes_the_next_away_which_spares_the_one_after(count: int) -> None:
    rivals = np.eye(count, k=1, dtype=np.bool_)  # each is outdone by the one before it alone
    assert those_that_stay(rivals).tolist() == list(range(0, count, 2))
    assert those_that_stay(rivals | rivals.T).tolist() == list(range(0, count, 2))


coordinates = st.integers(0, 12)
candidates = st.lists(
    st.tuples(
        coordinates, coordinates, coordinates, coordinates, st.sampled_from([0.2, 0.5, 0.5, 0.9]), st.integers(0, 2)
    ),
    max_size=25,
)


@given(candidates, st.sampled_from([0.0, 0.3, 0.6, 1.0]))
def test_what_stays_is_a_subset_in_which_no_two_of_a_label_overlap_more_than_the_limit(
    rows: list[tuple[int, int, int, int, float, int]], max_iou: float
) -> None:
    boxes = boxes_of(*((min(a, c), min(b, d), max(a, c), max(b, d)) for a, b, c, d, _, _ in rows))
    scores = np.array([row[4] for row in rows], np.float32)
    label_ids = np.array([row[5] for row in rows], np.int64)
    kept = suppress(boxes, scores, label_ids, max_iou)
    assert len(set(kept.tolist())) == len(kept)
    assert set(kept.tolist()) <= set(range(len(rows)))
    assert np.all(np.diff(scores[kept]) <= 0)
    overlap = geometry.iou(boxes, boxes)
    alike = label_ids[:, None] == label_ids
    rivals = (overlap > max_iou) & alike
    for one in kept:
        assert not any(rivals[one, other] for other in kept if other != one)
    for out in set(range(len(rows))) - set(kept.tolist()):  # and nothing went without a better one that stayed
        assert any(rivals[out, better] and scores[better] >= scores[out] for better in kept)
    assert kept.tolist() == suppress(boxes, scores, label_ids, max_iou).tolist()
