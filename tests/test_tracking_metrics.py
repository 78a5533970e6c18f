"""Figures of trackers: those worked out by hand, and TrackEval's own of made-up and of real sequences."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from data import shared_data
from tracking_scenes import Row, ranked, scenes

from edge_agent.tools.tracking import score
from edge_agent.tools.tracking.motchallenge import find_sequences, read_sequence, read_truth
from edge_agent.tools.tracking.rows import Identified, Truth

TRACKEVAL = json.loads(Path(__file__).with_name("trackeval_figures.json").read_text())
"""HOTA, DetA, AssA, MOTA, IDF1 and identity switches, as `trackeval_figures.py` has asked for them."""

HERE, HALF_OFF, AWAY = (0, 0, 30, 60), (10, 0, 30, 60), (300, 0, 30, 60)
"""HERE and HALF_OFF share 20 of 40 columns: an overlap of exactly a half."""


def identified(rows: Sequence[Row]) -> Identified:
    """Rows of frame, id, left, top, width and height."""
    table = np.array(sorted(rows, key=lambda row: row[0]), np.float64).reshape(-1, 6)
    return Identified(frames=table[:, 0].astype(np.int64), ids=table[:, 1].astype(np.int64), ltwh=table[:, 2:])


def written(folder: Path, rows: Sequence[Row], name: str = "") -> Truth:
    """What is read of truth that has been written."""
    path = folder / "gt.txt"
    path.write_text("".join(",".join(map(repr, row)) + "\n" for row in rows))
    return read_truth(path, name)


def figures(one: score.Score) -> list[float]:
    return list(one.figures().values())


def true(frame: int, number: int, box: Row, mark: int = 1, kind: int = 1) -> Row:
    return (frame, number, *box, mark, kind, 1.0)


def said(frame: int, number: int, box: Row) -> Row:
    return (frame, number, *box)


@pytest.mark.parametrize(
    ("truth", "reported", "expected"),
    [
        # Somebody for four frames, found in all, under one identity in two and another in two: each shares 2 of 4.
        ([true(frame, 1, HERE) for frame in (1, 2, 3, 4)],
         [said(frame, 7 + frame // 3, HERE) for frame in (1, 2, 3, 4)],
         [0.5**0.5, 1.0, 0.5, 3 / 4, 2 / (2 + 4 / 2), 1]),
        # An overlap of a half is enough for CLEAR, IDF1 and 10 of HOTA's 19 thresholds.
        ([true(1, 1, HERE)], [said(1, 7, HALF_OFF)], [10 / 19, 10 / 19, 10 / 19, 1.0, 1.0, 0]),
        # One of two is found, one box is of nobody: 1 of 3, and 1 - 1 of 2.
        ([true(1, 1, HERE), true(1, 2, AWAY)], [said(1, 7, HERE), said(1, 8, (600, 0, 30, 60))],
         [(1 / 3) ** 0.5, 1 / 3, 1.0, 0.0, 1 / (1 + 2 / 2), 0]),
        # A reflection (12) is reported: neither right nor wrong. A car (3) is reported: wrong.
        ([true(1, 1, HERE), true(1, 2, AWAY, kind=12)], [said(1, 7, HERE), said(1, 8, AWAY)], [1, 1, 1, 1, 1, 0]),
        ([true(1, 1, HERE), true(1, 2, AWAY, kind=3)], [said(1, 7, HERE), said(1, 8, AWAY)],
         [0.5**0.5, 0.5, 1, 0.0, 1 / 1.5, 0]),
        # Somebody who is marked 0 need not be found, and is no distractor.
        ([true(1, 1, HERE), true(1, 2, AWAY, mark=0)], [said(1, 7, HERE)], [1, 1, 1, 1, 1, 0]),
        # A switch after frames without him is one; the same identity after a pause is none.
        ([true(frame, 1, HERE) for frame in (1, 5, 9)], [said(1, 7, HERE), said(5, 7, HERE), said(9, 8, HERE)],
         [((2 * 2 / 3 + 1 / 3) / 3) ** 0.5, 1, (2 * 2 / 3 + 1 / 3) / 3, 2 / 3, 2 / (2 + 2 / 2), 1]),
        ([true(1, 1, HERE)], [], [0, 0, 0, 0, 0, 0]),
    ],
)  # fmt: skip
def test_figures_are_those_worked_out_by_hand(
    truth: list[Row], reported: list[Row], expected: list[float], tmp_path: Path
) -> None:
    found = score.evaluate(written(tmp_path, truth), identified(reported))
    assert figures(found) == pytest.approx(expected)


def test_who_was_followed_is_followed_on_though_another_box_fits_better(tmp_path: Path) -> None:
    truth = written(tmp_path, [true(1, 1, HERE), true(2, 1, HERE)])
    found = score.evaluate(truth, identified([said(1, 7, HERE), said(2, 7, HALF_OFF), said(2, 8, HERE)]))
    assert found.clear.switches == 0


@pytest.mark.parametrize("benchmark", ["MOT15", "MOT17", "MOT20"])
def test_figures_are_those_of_trackeval(benchmark: str, tmp_path: Path) -> None:
    table = dict(TRACKEVAL[benchmark])
    of_all = table.pop("COMBINED_SEQ")
    made = {f"{number:03}": scene for number, scene in enumerate(scenes(120))}
    scores = []
    for name, expected in table.items():
        truth = written(tmp_path, made[name].truth, benchmark)
        scores.append(score.evaluate(truth, identified(made[name].said)))
        assert figures(scores[-1]) == pytest.approx(expected, abs=1e-8), name
    assert len(scores) > 20
    assert figures(score.combined(scores)) == pytest.approx(of_all, abs=1e-8)


def test_figures_are_those_of_trackeval_in_crowds_that_were_filmed() -> None:
    table = dict(TRACKEVAL["shared"])
    of_all = table.pop("COMBINED_SEQ")
    scores = []
    for name, expected in table.items():
        folder = shared_data(f"mot/{name}")
        reported = identified(ranked((folder / "det/det.txt").read_text().splitlines()))
        scores.append(score.evaluate(read_sequence(folder).truth, reported))
        assert figures(scores[-1]) == pytest.approx(expected, abs=1e-8), name
    assert [folder.name for folder in find_sequences(shared_data("mot"))] == list(table)
    assert figures(score.combined(scores)) == pytest.approx(of_all, abs=1e-8)
