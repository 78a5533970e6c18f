"""`eval track`: sequences of MOTChallenge's form in, the agent's tracker through them, figures out."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from edge_agent.cli.main import main
from edge_agent.tools.tracking import run
from edge_agent.tools.tracking.motchallenge import read_found, read_info, read_sequence, read_truth

FRAMES = 40
HIDDEN = range(21, 24)  # when the detector does not see him
INFO = f"[Sequence]\nname=walk\nimDir=img1\nframeRate=10\nseqLength={FRAMES}\nimWidth=640\nimHeight=480\nimExt=.jpg\n"


def walker(frame: int) -> str:
    """Where somebody is who walks across, as left, top, width and height: 20 pixels a second."""
    return f"{100 + 2 * frame},50,30,80"


def write_sequence(folder: Path, info: str = INFO) -> None:
    """Somebody walks across, always seen but for `HIDDEN`."""
    for part in ("det", "gt"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    seen = (frame for frame in range(1, FRAMES + 1) if frame not in HIDDEN)
    (folder / "det/det.txt").write_text("".join(f"{frame},-1,{walker(frame)},0.9\n" for frame in seen))
    there = (f"{frame},1,{walker(frame)},1,1,1\n" for frame in range(1, FRAMES + 1))
    (folder / "gt/gt.txt").write_text("".join(there))
    (folder / "seqinfo.ini").write_text(info)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the sequence `mot/walk`, to work in."""
    write_sequence(tmp_path / "mot" / "walk")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def printed(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """What a command prints that goes well."""
    assert main(["eval", "track", *arguments]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    return out


def reported(path: Path) -> list[list[float]]:
    return [list(map(float, line.split(","))) for line in path.read_text().splitlines()]


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(("every", "frames"), [(1, 40), (3, 14), (5, 8)])  # 1, 4, … 40 and 1, 6, … 36
def test_what_was_found_is_reported_under_its_frame_and_one_identity(
    every: int, frames: int, capsys: pytest.CaptureFixture[str]
) -> None:
    found = json.loads(printed(capsys, "--mot", "mot", "--every", str(every), "--out", "out", "--json"))
    rows = reported(Path("out/walk.txt"))
    times = [int(row[0]) for row in rows]
    assert all((time - 1) % every == 0 and time not in HIDDEN for time in times)  # no presumed boxes
    assert [row[2:6] for row in rows] == [list(map(float, walker(time).split(","))) for time in times]
    assert [row[6:] for row in rows] == [[1, -1, -1, -1]] * len(rows)
    assert len({row[1] for row in rows}) == 1
    # One identity and no false alarms: the part that was found is all there is to know.
    part = len(rows) / frames
    expected = {"hota": part, "deta": part, "assa": part, "mota": part, "idf1": 2 * part / (1 + part), "idsw": 0}
    assert part > 0.6
    assert {name: found[name] for name in expected} == pytest.approx(expected, abs=1e-9)
    assert found["sequences"] == [{"name": "walk"} | {name: found[name] for name in expected}]


@pytest.mark.parametrize(("score", "is_reported"), [(0.75, False), (0.95, True)])
def test_what_was_found_once_is_not_reported_unless_the_detector_was_sure(
    folder: Path, capsys: pytest.CaptureFixture[str], score: float, *, is_reported: bool
) -> None:
    with (folder / "mot/walk/det/det.txt").open("a") as file:
        file.write(f"30,-1,500,300,30,80,{score}\n")
    printed(capsys, "--mot", "mot", "--out", "out")
    assert (300.0 in {row[3] for row in reported(Path("out/walk.txt"))}) is is_reported  # he walks at 50


@pytest.mark.usefixtures("folder")
def test_people_read_a_table_in_percent(capsys: pytest.CaptureFixture[str]) -> None:
    figures = json.loads(printed(capsys, "--mot", "mot", "--json"))
    row = " ".join(f"{figures[name] * 100:6.2f}" for name in ("hota", "deta", "assa", "mota", "idf1"))
    assert printed(capsys, "--mot", "mot").splitlines() == [
        "own tracker, every frame, in percent; IDSW is a number",
        "",
        "           HOTA   DetA   AssA   MOTA   IDF1   IDSW",
        f"walk     {row}      0",
        f"combined {row}      0",
    ]


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(("least", "code"), [("60", 0), ("99", 1)])
def test_less_than_is_asked_for_is_a_failure(least: str, code: int) -> None:
    assert main(["eval", "track", "--mot", "mot", "--min", least]) == code


@pytest.mark.parametrize("place", [".", "walk", "train/walk", "train/walk/../walk"])
def test_a_sequence_is_found_where_benchmarks_keep_it(
    place: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = tmp_path / "MOT17"
    write_sequence(root / place)
    (root / "test" / "other").mkdir(parents=True)
    (root / "readme.txt").write_text("no sequence")
    [row] = json.loads(printed(capsys, "--mot", str(root), "--json"))["sequences"]
    assert row["name"] == ("MOT17" if place == "." else "walk")


def test_what_a_detector_is_not_sure_of_is_weak_and_what_is_less_is_left_out() -> None:
    ltwh = np.array([[0, 0, 9, 9], [1, 0, 9, 9], [2, 0, 9, 9], [3, 0, 9, 9], [4, 0, 0, 9]], np.float64)
    found = run.detections(ltwh, np.array([0.3, 0.1, 0.9, 0.4, 0.8]))
    assert found.boxes.tolist() == [[2, 0, 11, 9], [3, 0, 12, 9], [0, 0, 9, 9]]  # the best first; without area none
    assert found.strong.tolist() == [True, True, False]
    assert (found.label_names, found.label_ids.tolist()) == (("person",), [0, 0, 0])


def logistic(margin: float) -> float:
    return 1 / (1 + math.exp(-margin))


@pytest.mark.parametrize(
    ("scores", "expected"),
    [
        ([0.2, 0.9, 1], [0.2, 0.9, 1]),
        ([1, 1], [1, 1]),
        ([0, 0], [1, 1]),  # says nothing
        ([-1, -1], [1, 1]),  # nor does this
        ([-1, 0.3], [1, 0.3]),
        ([-0.5, 0, 2], [logistic(-0.5), 0.5, logistic(2)]),  # a classifier's margin
        ([3, 100, 1e9], [logistic(3), 1, 1]),
        ([math.nan, 0.5], [1, 0.5]),
    ],
)
def test_scores_of_any_detector_become_0_to_1(scores: list[float], expected: list[float], tmp_path: Path) -> None:
    path = tmp_path / "det.txt"
    path.write_text("".join(f"{frame},-1,0,0,9,9,{score}\n" for frame, score in enumerate(scores, start=1)))
    assert read_found(path).scores == pytest.approx(expected)


@pytest.mark.parametrize(
    ("text", "counts", "distracts"),
    [
        ("1,1,0,0,9,9,1,1,1\n1,2,0,0,9,9,1,7,1\n1,3,0,0,9,9,0,1,1\n1,4,0,0,9,9,1,3,1\n", "+...", ".+.."),
        ("1,1,0,0,9,9,1,-1,-1,-1\n1,2,0,0,9,9,0,-1,-1,-1\n", "+.", ".."),  # MOT15
        ("1,1,0,0,9,9,1,-4.2,7,0\n1,2,0,0,9,9,1,7,1,0\n", "++", ".."),  # MOT15 with places in the world
        ("1,1,0,0,9,9,1\n1,2,0,0,9,9,0\n", "+.", ".."),
        ("1,1,0,0,9,9\n", "+", "."),
        ("1,1,0,0,9,9,1,6,1\n1,2,0,0,9,9,1,1,1\n", ".+", ".."),
        ("\ufeff 2 , 1 , 0, 0, 9, 9, 1, 1, 1\r\n\r\n  \r\n1.0,2.0,0,0,9,9,1.0,1.0,0.5\r\n\r\n", "++", ".."),
        ("", "", ""),
    ],
)
def test_what_counts_and_what_distracts_is_read(text: str, counts: str, distracts: str, tmp_path: Path) -> None:
    path = tmp_path / "gt.txt"
    path.write_bytes(text.encode())
    truth = read_truth(path)
    assert "".join(".+"[flag] for flag in truth.counts.tolist()) == counts
    assert "".join(".+"[flag] for flag in truth.distracts.tolist()) == distracts
    assert truth.boxes.frames.tolist() == sorted(truth.boxes.frames.tolist())


def test_vehicles_without_a_motor_distract_where_that_is_the_rule(tmp_path: Path) -> None:
    (tmp_path / "gt.txt").write_text("1,1,0,0,9,9,1,6,1\n")
    assert read_truth(tmp_path / "gt.txt", "MOT20-01").distracts.tolist() == [True]


@pytest.mark.parametrize(
    ("info", "expected"),
    [
        (INFO, (10.0, 40, (640, 480))),
        ("[sequence]\nFRAMERATE = 7.5\n", (7.5, None, None)),
        ("; a note\n[Sequence]\nframeRate=30\nname=50%\nseqLength=12\n",
         (30.0, 12, None)),
        ("\ufeff[A]\nx=1\n[Sequence]\nframeRate=25\nframeRate=25\n", (25.0, None, None)),
    ],
)  # fmt: skip
def test_the_frame_rate_is_read(info: str, expected: tuple[object, ...], tmp_path: Path) -> None:
    (tmp_path / "seqinfo.ini").write_bytes(info.encode())
    assert read_info(tmp_path / "seqinfo.ini") == expected


def test_a_sequence_is_as_long_as_it_says_or_as_what_is_in_it(folder: Path) -> None:
    path = folder / "mot/walk"
    (path / "det/det.txt").write_text("1,-1,0,0,9,9,1\n50,-1,0,0,9,9,1\n")
    assert read_sequence(path).looked.tolist() == list(range(1, 41))
    assert read_sequence(path).found.frames.tolist() == [1]
    (path / "seqinfo.ini").write_text("[Sequence]\nframeRate=10\n")
    assert read_sequence(path).looked.tolist() == list(range(1, 51))


def with_file(name: str, content: str | None) -> Callable[[Path], None]:
    """Write a file of the sequence, or take it away."""

    def change(walk: Path) -> None:
        (walk / name).unlink() if content is None else (walk / name).write_text(content)

    return change


ABSENT = "cannot be read: No such file or directory"
TWICE = "1,1,0,0,9,9,1,1,1\n1,1,5,0,9,9,1,1,1\n"


@pytest.mark.parametrize(
    ("change", "more", "code", "line"),
    [
        (with_file("det/det.txt", None), (), 69, f"mot/walk/det/det.txt {ABSENT}"),
        (with_file("gt/gt.txt", None), (), 69, f"mot/walk/gt/gt.txt {ABSENT}"),
        (with_file("seqinfo.ini", None), (), 69, f"mot/walk/seqinfo.ini {ABSENT}"),
        (with_file("x", ""), ("--mot", "none"), 69, "none is no folder of sequences"),
        (with_file("x", ""), ("--mot", "mot/walk/det"), 69,
         "mot/walk/det has no sequences in it: folders with seqinfo.ini, det/det.txt and gt/gt.txt"),
        (with_file("seqinfo.ini", "[Sequence]\nseqLength=9\n"), (), 78,
         "mot/walk/seqinfo.ini says no frameRate: without it nobody knows when its frames were taken"),
        (with_file("seqinfo.ini", "frameRate=9\n"), (), 78,
         "mot/walk/seqinfo.ini cannot be understood: File contains no section headers."),
        (with_file("seqinfo.ini", "[Sequence]\nframeRate=0\n"), (), 78,
         "mot/walk/seqinfo.ini: frameRate=0 must be a number above 0"),
        (with_file("seqinfo.ini", "[Sequence]\nframeRate=fast\n"), (), 78,
         "mot/walk/seqinfo.ini: frameRate=fast must be a number above 0"),
        (with_file("seqinfo.ini", "[Sequence]\nframeRate=9\nseqLength=1e9\n"), (), 78,
         "mot/walk/seqinfo.ini: seqLength=1e+09 is more than 1000000"),
        (with_file("seqinfo.ini", "[Sequence]\nframeRate=9\nseqLength=9\n"), (), 78,
         "mot/walk/gt/gt.txt goes on to frame 40, and mot/walk/seqinfo.ini says seqLength=9"),
        (with_file("det/det.txt", "\n1,-1,0,0,9,nine,1\n"), (), 78,
         "mot/walk/det/det.txt:2: has something that is no number: '1,-1,0,0,9,nine,1'"),
        (with_file("det/det.txt", "1,-1,0,0,9\n"), (), 78,
         "mot/walk/det/det.txt:1: has 5 numbers, and frame, id and a box are 6"),
        (with_file("det/det.txt", "0,-1,0,0,9,9,1\n"), (), 78,
         "mot/walk/det/det.txt:1: frames count from 1, and boxes are finite: '0,-1,0,0,9,9,1'"),
        (with_file("gt/gt.txt", "1,1,0,inf,9,9,1,1,1\n"), (), 78,
         "mot/walk/gt/gt.txt:1: frames count from 1, and boxes are finite: '1,1,0,inf,9,9,1,1,1'"),
        (with_file("gt/gt.txt", TWICE), (), 78, "mot/walk/gt/gt.txt: frame 1 has two boxes of the identity 1"),
        (with_file("gt/gt.txt", ""), (), 78,
         "mot: nothing in its truth counts: no pedestrian that is not marked 0"),
        (with_file("x", ""), ("--out", "mot/walk/x"), 69, "cannot write mot/walk/x/walk.txt: File exists"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_in_one_line(
    change: Callable[[Path], None],
    more: tuple[str, ...],
    code: int,
    line: str,
    folder: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    change(folder / "mot/walk")
    assert main(["eval", "track", "--mot", "mot", *more]) == code
    assert capsys.readouterr() == ("", f"edge-agent: {line}\n")


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("step", ["0", "-1", "two"])
def test_a_step_is_a_whole_number_from_1(step: str) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["eval", "track", "--mot", "mot", "--every", step])
    assert ended.value.code == 2


@pytest.mark.usefixtures("folder")
def test_without_scipy_its_install_line_is_said(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "scipy.optimize", None)
    assert main(["eval", "track", "--mot", "mot"]) == 78
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("edge-agent: scipy.optimize cannot be loaded (")
    assert err.endswith("); pip install 'edge-agent[eval]'\n")
