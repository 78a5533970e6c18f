"""`eval events`: what the agent says of a clip beside what the same rules say of who is known to be there."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import videos
from builders import frame_of

from edge_agent import app
from edge_agent.cli.files import load_settings
from edge_agent.cli.main import main
from edge_agent.cli.replay import TrackSpy
from edge_agent.clips import PEDESTRIANS
from edge_agent.stages.rules.dwell import DwellSettings
from edge_agent.stages.rules.line import LineSettings
from edge_agent.stages.rules.rules import Rules
from edge_agent.stages.rules.zone import ZoneSettings
from edge_agent.tools.happenings import agreement
from edge_agent.tools.happenings.happening import Happening, Listener
from edge_agent.tools.happenings.truth import TrueTracks
from edge_agent.tools.replay import replay
from edge_agent.tools.tracking.motchallenge import read_truth

# Pairing


def at(*times_s: float, what: str = "line door: in") -> list[Happening]:
    return [Happening(what=what, at_s=time_s) for time_s in times_s]


@pytest.mark.parametrize(
    ("true_s", "said_s", "right", "duplicates", "delays_s"),
    [
        ((1, 5), (1.5, 5), 2, 0, [0.5, 0]),
        ((1, 5), (1.5,), 1, 0, [0.5]),
        ((1,), (3,), 1, 0, [2]),  # as far apart as may be
        ((1,), (3.1,), 0, 0, []),
        ((3,), (1,), 1, 0, [-2]),
        ((1,), (1.2, 1.6), 1, 1, [0.2]),  # the nearer is right, the other said twice
        ((1,), (1.2, 9), 1, 0, [0.2]),  # the other is about nothing
        ((1, 2), (2.5, 3.5), 2, 0, [1.5, 1.5]),  # the nearest pair alone, 2 and 2.5, would leave 3.5 without one
        ((1, 2), (0.5, 1.5, 2.5), 2, 1, [0.5, 0.5]),
        ((), (1,), 0, 0, []),
        ((1,), (), 0, 0, []),
    ],
)
def test_what_is_said_is_paired_one_to_one_within_the_tolerance(
    true_s: Sequence[float], said_s: Sequence[float], right: int, duplicates: int, delays_s: list[float]
) -> None:
    [part] = agreement.compare(at(*true_s), at(*said_s), 2.0).values()
    assert (part.expected, part.said, part.right, part.duplicates) == (len(true_s), len(said_s), right, duplicates)
    assert sorted(map(abs, part.delays_s)) == pytest.approx(sorted(map(abs, delays_s)))
    assert len(part.missed_s) == len(true_s) - right
    assert len(part.wrong_s) == len(said_s) - right
    assert part.recall == (right / len(true_s) if true_s else None)
    assert part.precision == (right / len(said_s) if said_s else None)


def test_it_is_told_when_something_was_missed_or_wrong() -> None:
    parts = agreement.compare([*at(1, 7), *at(3, what="b")], [*at(1.2, 1.6, 20), *at(3, what="b")], 2.0)
    assert parts["line door: in"].missed_s == (7,)
    assert parts["line door: in"].wrong_s == (1.6, 20)
    overall = agreement.together(parts)
    assert (overall.missed_s, overall.wrong_s, overall.duplicates) == ((7,), (1.6, 20), 1)


def test_only_the_same_thing_is_paired() -> None:
    parts = agreement.compare(at(1, what="line door: in"), at(1, what="line door: out"), 2.0)
    assert {what: (part.expected, part.said, part.right) for what, part in parts.items()} == {
        "line door: in": (1, 0, 0),
        "line door: out": (0, 1, 0),
    }
    overall = agreement.together(parts)
    assert (overall.recall, overall.precision, overall.delay_s(50)) == (0, 0, None)


def test_the_delay_is_that_of_the_middle_and_of_nearly_all() -> None:
    times = np.arange(0, 1010, 10, dtype=np.float64)  # 101 of them, said 0, 0.01, … 1 s later
    [part] = agreement.compare(at(*times), at(*(times + np.linspace(0, 1, 101))), 2.0).values()
    assert part.delay_s(50) == pytest.approx(0.5)
    assert part.delay_s(95) == pytest.approx(0.95)


# What rules say of the truth

ZONE = ZoneSettings(polygon=((0.25, 0), (0.75, 0), (0.75, 1), (0.25, 1)), inertia_s=0.15)
LINE = LineSettings.model_validate({"from": (0.5, 1.0), "to": (0.5, 0.0)})  # upwards: its right hand is on the right
DWELL = DwellSettings(name="waits", kind="dwell", zone="middle", after_s=0.95)


def happened(path: Path, frames: int) -> list[tuple[str, float]]:
    """What rules say of a truth in frames of 100 x 50 pixels, ten a second, with one zone, line and rule."""
    truth, ear = TrueTracks(read_truth(path), "person"), Listener("person")
    rules = Rules(("person",), {"middle": ZONE}, {"door": LINE}, [DWELL])
    found: list[Happening] = []
    for seq in range(frames):
        frame = frame_of(seq / 10, seq=seq, size=(100, 50))
        found += ear.hear(rules.evaluate(truth.at(frame), frame))
    found += ear.hear(rules.finish(frame))
    return [(one.what, pytest.approx(one.at_s)) for one in found]


def write_truth(path: Path, *walks: tuple[int, range, Callable[[int], float]]) -> Path:
    """Identities, the frames they are in and the middle of their feet then; boxes are 10 wide and 20 high."""
    rows = sorted((frame, number, place(frame)) for number, frames, place in walks for frame in frames)
    path.write_text("".join(f"{frame},{number},{x - 5},20,10,20,1,1,1\n" for frame, number, x in rows))
    return path


def test_who_walks_across_enters_crosses_dwells_and_leaves(tmp_path: Path) -> None:
    # At 2 pixels a frame from 0 in frame 1: in the zone from 26 (frame 14, 1.3 s), beyond the line by more than 0.5
    # pixels at 52 (frame 27, 2.6 s), 0.95 s after 1.3 s at 2.3 s, out at 76 (frame 39, 3.8 s); inertia is 0.15 s.
    path = write_truth(tmp_path / "gt.txt", (7, range(1, 50), lambda frame: 2 * (frame - 1)))
    assert happened(path, 50) == [
        ("zone middle: entered", 1.5),
        ("dwell waits", 2.3),
        ("line door: in", 2.6),
        ("zone middle: left", 4.0),
    ]


def test_who_appears_in_a_zone_has_entered_and_who_disappears_there_has_not_left(tmp_path: Path) -> None:
    path = write_truth(
        tmp_path / "gt.txt", (1, range(11, 15), lambda _frame: 40), (2, range(18, 20), lambda _frame: 60)
    )
    assert happened(path, 30) == [("zone middle: entered", 1.0), ("zone middle: entered", 1.7)]


def test_who_is_annotated_again_after_a_gap_was_there_all_the_while(tmp_path: Path) -> None:
    seen = [*range(1, 6), *range(11, 16)]
    path = tmp_path / "gt.txt"
    path.write_text("".join(f"{frame},1,35,20,10,20,1,1,1\n" for frame in seen))
    assert happened(path, 20) == [("zone middle: entered", 0.0), ("dwell waits", 1.0)]


def test_somebody_is_there_from_the_first_to_the_last_frame_he_is_annotated_in(tmp_path: Path) -> None:
    truth = TrueTracks(read_truth(write_truth(tmp_path / "gt.txt", (7, range(2, 5), lambda _frame: 40))), "person")
    assert truth.last_frame == 4
    there = [truth.at(frame_of(seq / 10, seq=seq)) for seq in range(6)]
    assert [[track.id for track in tracks.live] for tracks in there] == [[], [7], [7], [7], [], []]
    assert [[track.id for track in tracks.ended] for tracks in there] == [[], [], [], [], [7], []]


def test_who_is_of_another_label_is_passed_over(tmp_path: Path) -> None:
    truth = TrueTracks(read_truth(write_truth(tmp_path / "gt.txt", (7, range(1, 9), lambda _frame: 40))), "car")
    rules, frame = Rules(("person", "car"), {"middle": ZONE}), frame_of(size=(100, 50))
    said = rules.evaluate(truth.at(frame), frame)
    assert [one.what for one in Listener("car").hear(said)] == ["zone middle: entered"]
    assert list(Listener("person").hear(said)) == []


def test_who_is_marked_hidden_all_along_is_nobody(tmp_path: Path) -> None:
    path = tmp_path / "gt.txt"
    path.write_text("".join(f"{frame},1,35,20,10,20,0,1,1\n" for frame in range(1, 9)))
    assert happened(path, 20) == []


# A clip through the agent

CONFIG = """
device: {id: box}
cameras:
  - id: place
    source: "rtsp://192.0.2.1/"
    detect: {rate_hz: 10}
    zones: {left: {polygon: [[0, 0], [0.5, 0], [0.5, 1], [0, 1]]}}
    lines: {middle: {from: [0.55, 1.0], to: [0.55, 0.0]}}
    rules: [{name: waits, kind: dwell, after_s: 2}]
"""


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Some seconds of a clip, a configuration, and as its truth exactly what the agent itself makes of it."""
    folder = tmp_path_factory.mktemp("clip")
    (folder / "config.yaml").write_text(CONFIG)
    clip = videos.excerpt(PEDESTRIANS, folder / "clip.mp4", last_s=12.0)
    settings = load_settings(folder / "config.yaml")
    spy = TrackSpy(app.build_replay(settings, settings.cameras[0], app.load_model(settings), "test"))
    rows = []
    for frame, _messages in replay(spy.pipeline, app.open_recording(clip).frames()):
        for track in spy.tracks.live:
            if track.confirmed and track.seen_s == frame.at_s:
                left, top, right, bottom = track.box
                rows.append(f"{frame.seq + 1},{track.id},{left},{top},{right - left},{bottom - top},1,1,1\n")
    (folder / "gt.txt").write_text("".join(rows))
    return folder


def arguments(folder: Path, *more: str) -> list[str]:
    named = {"--truth": "gt.txt", "-c": "config.yaml"}
    paths = [word for option, name in named.items() for word in (option, str(folder / name))]
    return ["eval", "events", str(folder / "clip.mp4"), *paths, *more]


def test_an_agent_whose_tracks_are_the_truth_is_right_in_everything(
    recorded: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments(recorded, "--json", "--min-recall", "100", "--min-precision", "100")) == 0
    found = json.loads(capsys.readouterr().out)
    assert {part["what"] for part in found["parts"]} >= {"zone left: entered", "line middle: in", "dwell waits"}
    for part in (found, *found["parts"]):
        assert part["expected"] == part["said"] == part["right"] > 0
        assert (part["recall"], part["precision"], part["duplicates"]) == (1, 1, 0)
    assert found["expected"] == sum(part["expected"] for part in found["parts"]) > 10
    assert (found["every"], found["tolerance_s"]) == (1, 2.0)
    assert -0.3 < found["delay_p50_s"] <= 0  # it dwells from its first sight, and was known as somebody after three


def test_people_read_a_table_and_what_is_not_enough_is_a_failure(
    recorded: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = (line.split(",", 2) for line in (recorded / "gt.txt").read_text().splitlines())
    # Everybody is there once more, a little lower, and all of it 2.5 seconds late: half of it cannot be found.
    late = [f"{int(frame) + 25},{number},{rest}\n" for frame, number, rest in rows if int(frame) < 90]
    for name in ("clip.mp4", "config.yaml"):
        (tmp_path / name).symlink_to(recorded / name)
    (tmp_path / "gt.txt").write_text("".join(late))
    assert main(arguments(tmp_path, "--min-recall", "99", "--tolerance", "0.5")) == 1
    head, empty, columns, *lines = capsys.readouterr().out.splitlines()
    assert (head, empty) == ("recall and precision in percent, delay in seconds", "")
    names = ["expected", "said", "right", "recall", "precision", "twice", "delay", "p50", "p95"]
    assert columns.split() == names
    *figures, _p50, _p95 = lines[-1].removeprefix("all").split()
    expected, said, right = map(int, figures[:3])
    assert figures[3:5] == [f"{right / expected * 100:.1f}", f"{right / said * 100:.1f}"]
    assert main(arguments(tmp_path, "--min-precision", "99", "--tolerance", "0.5")) == 1


def test_the_agent_may_be_shown_some_of_the_frames_only(recorded: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments(recorded, "--json", "--every", "3")) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["every"] == 3
    assert found["recall"] > 0.6
    assert found["delay_p95_s"] > 0  # two looks more until somebody is confirmed take longer


@pytest.mark.parametrize(
    ("more", "code", "line"),
    [
        (("--truth", "none.txt"), 69, "none.txt cannot be read: No such file or directory"),
        (("--camera", "yard"), 78, "--camera yard: no such camera; there are: place"),
        (("--label", "cat"), 78,
         'camera "place" does not look for cat; --label says what the truth speaks of'),
        (("--truth", "later.txt"), 78, "the truth goes on to frame 500, and the clip has 120: is it another's?"),
        (("--truth", "away.txt"), 78, 'nothing of away.txt concerns a zone, line or rule of camera "place"'),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_in_one_line(
    more: tuple[str, ...],
    code: int,
    line: str,
    recorded: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(recorded)
    Path("later.txt").write_text("500,1,0,0,9,9,1,1,1\n")
    Path("away.txt").write_text("1,1,500,0,9,9,1,1,1\n")
    assert main(arguments(recorded, *more)) == code
    assert capsys.readouterr() == ("", f"edge-agent: {line}\n")
