"""Ask TrackEval for its figures of the sequences of `tracking_scenes.py`, and keep them in a file beside this one.

Once, and in an environment with trackeval==1.3.0 in it and nothing of ours: `python tests/trackeval_figures.py`.

TrackEval (MIT) needs opencv-python, which cannot be installed beside opencv-python-headless: both bring `cv2`.
"""

from __future__ import annotations

import contextlib
import io
import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from trackeval.datasets import MotChallenge2DBox
from trackeval.eval import Evaluator
from trackeval.metrics import CLEAR, HOTA, Identity
from tracking_scenes import CLASSES, Scene, ranked, scenes

COUNT = 120
MOT = Path(__file__).resolve().parents[2] / "shared" / "data" / "mot"
FILE = Path(__file__).with_suffix(".json")


def main() -> None:
    """Write the figures of each scene, and of all of a benchmark together."""
    made = list(enumerate(scenes(COUNT)))
    figures: dict[str, dict[str, list[float]]] = {}
    for benchmark in CLASSES:
        of_it = {f"{number:03}": scene for number, scene in made if scene.benchmark == benchmark}
        figures[benchmark] = ask(benchmark, of_it)
    figures["shared"] = ask("MOT17", {path.name: shared(path) for path in sorted(MOT.glob("MOT17-*"))})
    FILE.write_text(json.dumps(figures, indent=1).replace("\n   ", " ").replace("\n  ]", " ]") + "\n", encoding="ascii")


def shared(path: Path) -> Scene:
    """A real sequence, and its detections numbered from the left."""
    truth = [tuple(map(float, line.split(","))) for line in (path / "gt/gt.txt").read_text().splitlines()]
    said = ranked((path / "det/det.txt").read_text().splitlines())
    return Scene(benchmark="MOT17", frames=int(max(row[0] for row in truth)), truth=truth, said=said)


def ask(benchmark: str, of_it: dict[str, Scene]) -> dict[str, list[float]]:
    """TrackEval's HOTA, DetA, AssA, MOTA, IDF1 and identity switches of each sequence and of all."""
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        root = Path(folder)
        for name, scene in of_it.items():
            write(root / "gt" / name / "gt" / "gt.txt", scene.truth)
            write(root / "said" / "it" / "data" / f"{name}.txt", [(*row, 1, -1, -1, -1) for row in scene.said])
        quiet = {"PRINT_CONFIG": False}
        dataset = MotChallenge2DBox(
            {
                "GT_FOLDER": str(root / "gt"),
                "TRACKERS_FOLDER": str(root / "said"),
                "BENCHMARK": benchmark,
                "SKIP_SPLIT_FOL": True,
                "SEQ_INFO": {name: scene.frames for name, scene in of_it.items()},
                **quiet,
            }
        )
        evaluator = Evaluator({"PRINT_RESULTS": False, "OUTPUT_SUMMARY": False, "PLOT_CURVES": False, **quiet,
                               "OUTPUT_DETAILED": False, "TIME_PROGRESS": False, "BREAK_ON_ERROR": True})  # fmt: skip
        result, _messages = evaluator.evaluate([dataset], [HOTA(), CLEAR(quiet), Identity(quiet)])
        return {
            name: [round(float(figure), 9) for figure in row(of_one["pedestrian"])]
            for name, of_one in result["MotChallenge2DBox"]["it"].items()
        }


def row(found: dict[str, Any]) -> list[float]:
    """The six figures."""
    means = [np.mean(found["HOTA"][name]) for name in ("HOTA", "DetA", "AssA")]
    return [*means, found["CLEAR"]["MOTA"], found["Identity"]["IDF1"], found["CLEAR"]["IDSW"]]


def write(path: Path, rows: list[tuple[float, ...]]) -> None:
    """Write a file of numbers."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(",".join(map(repr, line)) + "\n" for line in rows), encoding="ascii")


if __name__ == "__main__":
    main()
