"""Our tracker beside those of others: same detections, same metrics, at several frame rates; and what an update costs.

`tracker_peers.py` runs the others, in two environments of their own: norfair needs numpy 1, and Roboflow's numpy 2.
A peer is measured as it comes and with some settings that suit it better; for each frame rate its best one counts.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import venv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from edge_agent.edges.clock import SystemClock
from edge_agent.edges.inference import ModelSettings
from edge_agent.edges.sources import open_source
from edge_agent.edges.sources.supervised import CaptureSettings
from edge_agent.stages.detect.detector import DetectSettings
from edge_agent.tools.tracking import motchallenge, rows
from edge_agent.tools.tracking.run import identified, run_tracker
from edge_agent.tools.tracking.score import Score, combined, evaluate
from edge_agent.vision import load_vision

HERE = Path(__file__).parent
SHARED = HERE.parents[1] / "shared" / "data"
OURS = "edge-agent"
BASELINE = "Roboflow ByteTrack"
GROUPS = {
    "roboflow": ("trackers==2.6.1", "supervision==0.30.9", "pydantic"),  # supervision 0.31 has no ByteTrack
    "others": ("norfair==2.3.0", "trackforge==0.4.0", "ioutrack-rs==0.4.0", "pydantic"),
}
EVERY = (1, 3, 5)
OBJECTS = (10, 50, 200)
Scores = dict[str, Score]
"""By sequence."""


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--mot", type=Path, nargs="+", default=[SHARED / "mot", SHARED / "video" / "PETS09-S2L1"],
        help="sequences, or folders of them; one with video.mp4 for det/det.txt is looked at with the default model",
    )  # fmt: skip
    parser.add_argument("--every", type=int, nargs="+", default=EVERY)
    parser.add_argument("--rounds", type=int, default=3, help="of the measurement of cost; 0 leaves it out")
    parser.add_argument("--peers", type=Path, default=HERE, help="where the others' environments lie; made if absent")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write all figures there")
    args = parser.parse_args()
    pythons = {group: python_of(args.peers / f".peers-{group}", packages) for group, packages in GROUPS.items()}
    sequences = [read(folder) for place in args.mot for folder in motchallenge.find_sequences(place)]
    kept: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        for every in args.every:
            found = measure([sequence.every(every) for sequence in sequences], every, pythons, Path(folder))
            print_scores(found, every)
            kept[str(every)] = {
                peer: {setting: figures(scores) for setting, scores in settings.items()}
                for peer, settings in found.items()
            }
        if args.rounds:
            kept["cost"] = cost(pythons, Path(folder), args.rounds)
            print_cost(kept["cost"])
    if args.json:
        args.json.write_text(json.dumps(kept, indent=1))


def python_of(folder: Path, packages: Sequence[str]) -> Path:
    """An environment of others, made on the first call."""
    python = folder / "bin" / "python"
    if not python.exists():
        print(f"making {folder} …", file=sys.stderr)
        venv.create(folder, with_pip=True)
        subprocess.run([python, "-m", "pip", "install", "-q", *packages], check=True)
    return python


def read(folder: Path) -> rows.Sequence:
    """A sequence with its public detections, or with those of the default model in its video."""
    if (folder / motchallenge.FOUND).exists() or not (folder / "video.mp4").exists():
        return motchallenge.read_sequence(folder)
    rate_hz, length, size = motchallenge.read_info(folder / motchallenge.INFO)
    truth = motchallenge.read_truth(folder / motchallenge.TRUTH, folder.name)
    last = length or int(np.max(truth.boxes.frames, initial=0))
    return rows.Sequence(
        name=folder.resolve().name, rate_hz=rate_hz, looked=np.arange(1, last + 1), size=size, found=look(folder),
        truth=truth,
    )  # fmt: skip


def look(folder: Path) -> rows.Found:
    """What the default model finds in a sequence's video, weak boxes included."""
    detector = load_vision(ModelSettings()).detector(DetectSettings(labels=("person",)))
    source = open_source(
        f"file://{folder / 'video.mp4'}", CaptureSettings(), SystemClock(), threading.Event(), pace="as_fast"
    )
    frames, boxes, scores = [], [], []
    for frame in source.frames():
        found = detector.detect(frame)
        frames += [frame.seq + 1] * len(found)
        boxes.append(found.boxes.astype(np.float64))
        scores.append(found.scores.astype(np.float64))
    places = np.concatenate(boxes)
    places[:, 2:] -= places[:, :2]
    return rows.Found(frames=np.array(frames, np.int64), ltwh=places, scores=np.concatenate(scores))


def measure(
    sequences: Sequence[rows.Sequence], every: int, pythons: Mapping[str, Path], folder: Path
) -> dict[str, dict[str, Scores]]:
    """The scores of each peer with each of its settings."""
    found: dict[str, dict[str, Scores]] = {
        OURS: {"as it comes": {one.name: evaluate(one.truth, run_tracker(one)) for one in sequences}}
    }
    save(sequences, every, folder / "in.npz")
    truths = {one.name: one.truth for one in sequences}
    for group, python in pythons.items():
        for name, table in ask(python, "track", group, folder).items():
            peer, setting, sequence = name.split("|")
            said = identified(table[:, 0].astype(np.int64), table[:, 1].astype(np.int64), table[:, 2:])
            score = evaluate(truths[sequence], once(said))
            found.setdefault(peer, {}).setdefault(setting, {})[sequence] = score
    return found


def once(said: rows.Identified) -> rows.Identified:
    """The same with each identity once a frame, its first: some peers report an object twice when tracks part."""
    pairs = np.stack([said.frames, said.ids], axis=1)
    kept = np.sort(np.unique(pairs, axis=0, return_index=True)[1])
    return replace(said, frames=said.frames[kept], ids=said.ids[kept], ltwh=said.ltwh[kept])


def save(sequences: Sequence[rows.Sequence], every: int, path: Path) -> None:
    """What the peers are given: all boxes, for those of two passes use the weak ones."""
    given: dict[str, Any] = {"sequences": json.dumps([one.name for one in sequences])}
    for one in sequences:
        boxes = np.concatenate([one.found.ltwh[:, :2], one.found.ltwh[:, :2] + one.found.ltwh[:, 2:]], axis=1)
        given |= {
            f"{one.name}|looked": one.looked, f"{one.name}|frames": one.found.frames, f"{one.name}|boxes": boxes,
            f"{one.name}|scores": one.found.scores, f"{one.name}|rates": np.array([one.rate_hz, one.rate_hz / every]),
        }  # fmt: skip
    np.savez(path, **given)


def ask(python: Path, verb: str, group: str, folder: Path) -> dict[str, Any]:
    """Run the peers of a group on `in.npz` of a folder."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    command = [
        python,
        "-I",
        "-W",
        "ignore",
        str(HERE / "tracker_peers.py"),
        verb,
        group,
        str(folder / "in.npz"),
        str(folder / "out.npz"),
    ]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"the peers of {group} failed:\n{done.stderr}")
    with np.load(folder / "out.npz") as given:
        return dict(given)


def best(settings: Mapping[str, Scores]) -> str:
    """The setting with the most HOTA."""
    return max(settings, key=lambda setting: combined(list(settings[setting].values())).hota.hota)


def figures(scores: Scores) -> dict[str, Any]:
    """All figures, of all together and of each sequence."""
    return {"combined": combined(list(scores.values())).figures()} | {
        name: score.figures() for name, score in scores.items()
    }


def print_scores(found: Mapping[str, Mapping[str, Scores]], every: int) -> None:
    """A row a tracker: as it comes, and with its best setting."""
    names = list(next(iter(found[OURS].values())))
    print(f"\n{'every frame' if every == 1 else f'1 frame of {every}'}: HOTA / IDF1 in percent / identity switches\n")
    print(f"{'':46} {'combined':>19} " + " ".join(f"{name:>19}" for name in names))
    for peer, settings in found.items():
        for setting in dict.fromkeys([next(iter(settings)), best(settings)]):
            of_all = [combined(list(settings[setting].values())), *(settings[setting][name] for name in names)]
            print(f"{f'{peer}, {setting}':46} " + " ".join(f"{in_short(score):>19}" for score in of_all))
    print_ahead(found)


def print_ahead(found: Mapping[str, Mapping[str, Scores]]) -> None:
    """How far we are ahead of the best figure of any peer with any setting, of all sequences together."""
    ours = combined(list(found[OURS]["as it comes"].values())).figures()
    others = [
        combined(list(scores.values())).figures()
        for peer, settings in found.items()
        for scores in settings.values()
        if peer != OURS
    ]
    ahead = [
        f"{name.upper()} {(ours[name] - max(one[name] for one in others)) * 100:+.2f}" for name in ("hota", "idf1")
    ]
    switches = max(others, key=lambda one: one["hota"])["idsw"]
    print(f"\nahead of any peer's best figure: {', '.join(ahead)}; switches {ours['idsw']}, of the best {switches}")


def in_short(score: Score) -> str:
    """HOTA, IDF1 and switches."""
    return f"{score.hota.hota * 100:.2f} / {score.identity.idf1 * 100:.2f} / {score.clear.switches}"


def scene(objects: int, length: int, draw: np.random.Generator) -> Iterator[tuple[Any, Any]]:
    """Boxes that cross a picture and turn back at its edges, shaken, now and then missed, and with false ones."""
    size = draw.uniform(30, 90, objects)
    place, speed = draw.uniform(0, (1800, 900), (objects, 2)), draw.normal(0, 8, (objects, 2))
    for _frame in range(length):
        place += speed
        speed = np.where((place < 0) | (place > (1800, 900)), -speed, speed)
        seen = draw.random(objects) < 0.9  # noqa: PLR2004  (one look in ten misses it)
        centre = place[seen] + draw.normal(0, 0.03, (int(seen.sum()), 2)) * size[seen, None]
        false = draw.uniform(0, (1800, 900), (draw.poisson(0.05 * objects), 2))
        low = np.concatenate([centre, false])
        sides = np.concatenate([size[seen], np.full(len(false), 50.0)])[:, None] * (1, 2)
        scores = np.concatenate(
            [np.clip(draw.normal(0.7, 0.15, len(centre)), 0.2, 0.99), draw.uniform(0.2, 0.6, len(false))]
        )
        yield np.concatenate([low, low + sides], axis=1), scores


def cost(pythons: Mapping[str, Path], folder: Path, rounds: int) -> dict[str, dict[str, list[float]]]:
    """CPU ms of one update, half of them and all but a hundredth below, by peer and number of objects.

    Of each frame the cheapest round counts: what other programs add to it is not the tracker's.
    """
    length = 240
    given: dict[str, Any] = {"objects": json.dumps(OBJECTS), "length": length, "rounds": rounds}
    for objects in OBJECTS:
        for number, (boxes, scores) in enumerate(scene(objects, length, np.random.default_rng(objects))):
            given |= {f"{objects}|{number}|boxes": boxes, f"{objects}|{number}|scores": scores}
    np.savez(folder / "in.npz", **given)
    spent: dict[str, dict[str, list[float]]] = {}
    for group, python in pythons.items():
        for name, times in ask(python, "cost", group, folder).items():
            peer, objects = name.split("|")
            row = spent.setdefault(peer, {})
            row.setdefault(objects, [float(np.percentile(times.min(axis=0), part)) / 1e6 for part in (50, 99)])
    return spent


def print_cost(spent: Mapping[str, Mapping[str, Sequence[float]]]) -> None:
    """A row a tracker."""
    print(f"\nCPU ms of one update, p50 / p99, and the ratio of p50 to {BASELINE}, with so many objects\n")
    print(f"{'':24} " + " ".join(f"{objects:>24}" for objects in OBJECTS))
    for peer, row in spent.items():
        cells = []
        for objects in map(str, OBJECTS):
            middle, high = row[objects]
            cells.append(f"{middle:.3f} / {high:.3f}  {middle / spent[BASELINE][objects][0]:5.2f}")
        print(f"{peer:24} " + " ".join(f"{cell:>24}" for cell in cells))


if __name__ == "__main__":
    main()
