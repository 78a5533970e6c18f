"""The files of MOTChallenge: sequences in folders, with detections, truth and the frame rate; and results.

Source of the format: A. Milan et al., "MOT16: A Benchmark for Multi-Object Tracking", arXiv 1603.00831, §3.3 and §4,
and L. Leal-Taixé et al., "MOTChallenge 2015: Towards a Benchmark for Multi-Target Tracking", arXiv 1504.01942, §3.2.
"""

from __future__ import annotations

import configparser
from pathlib import Path

import numpy as np

from edge_agent.errors import ConfigError, SourceError, StorageError
from edge_agent.records import BoolArray, IntArray
from edge_agent.tools.tracking.rows import Found, Identified, Numbers, Sequence, Truth

INFO, FOUND, TRUTH = Path("seqinfo.ini"), Path("det/det.txt"), Path("gt/gt.txt")
_SPLIT = "train"  # where a whole benchmark keeps the sequences whose truth is public

_FRAME, _ID, _BOX, _SCORE, _CLASS = 0, 1, slice(2, 6), 6, 7  # columns
_BOX_COLUMNS = 6
_PEDESTRIAN = 1
_CLASSES = range(1, 14)
_DISTRACTORS = (2, 7, 8, 12)  # a person on a vehicle, one that never moves, something alike, a reflection
_VEHICLE, _VEHICLE_DISTRACTS = 6, "MOT20"  # one without a motor, in that year's sequences only
_NO_SCORE = -1.0
_MOST_FRAMES = 1_000_000


def find_sequences(folder: Path) -> list[Path]:
    """The folders of sequences: `folder` itself, those in it, or those in its `train`, by name.

    Raises:
        SourceError: there is none.
    """
    for place in (folder, folder / _SPLIT):
        if _is_sequence(place):
            return [place]
        found = sorted(inner for inner in place.glob("*") if _is_sequence(inner))
        if found:
            return found
    if not folder.is_dir():
        raise SourceError(f"{folder} is no folder of sequences")
    raise SourceError(f"{folder} has no sequences in it: folders with {INFO}, {FOUND} and {TRUTH}")


def read_sequence(folder: Path) -> Sequence:
    """Read a sequence.

    Raises:
        SourceError: one of its files is not there.
        ConfigError: one of them is not understood.
    """
    rate_hz, stated, size = read_info(folder / INFO)
    found, truth = read_found(folder / FOUND), read_truth(folder / TRUTH, folder.resolve().name)
    last = int(np.max(truth.boxes.frames, initial=0))
    if stated is None:
        length = max(last, int(np.max(found.frames, initial=0)))
    elif last > stated:
        raise ConfigError(f"{folder / TRUTH} goes on to frame {last}, and {folder / INFO} says seqLength={stated}")
    else:
        length = stated
    within = found.frames <= length
    return Sequence(
        name=folder.resolve().name,
        rate_hz=rate_hz,
        looked=np.arange(1, length + 1, dtype=np.int64),
        size=size,
        found=Found(frames=found.frames[within], ltwh=found.ltwh[within], scores=found.scores[within]),
        truth=truth,
    )


def read_info(path: Path) -> tuple[float, int | None, tuple[int, int] | None]:
    """Frames a second, and where they stand the number of frames and the width and height of pictures.

    Raises:
        SourceError: the file is not there.
        ConfigError: it is not understood, or says no frame rate.
    """
    parser = configparser.ConfigParser(interpolation=None, strict=False)
    try:
        parser.read_string(_text(path))
    except configparser.Error as error:
        raise ConfigError(f"{path} cannot be understood: {str(error).splitlines()[0]}") from error
    said = {key: value for section in parser.sections() for key, value in parser.items(section)}
    rate_hz = _number(path, said, "frameRate")
    if rate_hz is None:
        raise ConfigError(f"{path} says no frameRate: without it nobody knows when its frames were taken")
    length, width, height = (_number(path, said, key) for key in ("seqLength", "imWidth", "imHeight"))
    if length is not None and length > _MOST_FRAMES:
        raise ConfigError(f"{path}: seqLength={length:g} is more than {_MOST_FRAMES}")
    size = None if width is None or height is None else (int(width), int(height))
    return rate_hz, None if length is None else int(length), size


def read_found(path: Path) -> Found:
    """Read the boxes of a detector.

    Scores of 0 to 1 are taken as they are. Where there are others, as of a classifier's margin, the logistic function
    makes 0..1 of all: their order stays, and a margin of 0 becomes 0.5. A score of -1, none, or 0 throughout says
    nothing, and the box counts as sure.

    Raises:
        SourceError: the file is not there.
        ConfigError: it is not understood.
    """
    rows = _rows(path)
    scores = rows[:, _SCORE].copy() if rows.shape[1] > _SCORE else np.full(len(rows), _NO_SCORE)
    said = scores != _NO_SCORE
    if ((scores[said] < 0) | (scores[said] > 1)).any():
        scores[said] = 1 / (1 + np.exp(-np.clip(scores[said], -_FAR, _FAR)))
    elif not scores[said].any():
        said[:] = False
    scores[~said] = 1.0
    return Found(frames=_frames(rows), ltwh=rows[:, _BOX], scores=scores)


_FAR = 50.0  # a margin that is certain; e to a larger power says no more


def read_truth(path: Path, name: str = "") -> Truth:
    """Read what is there.

    Where the column for it holds a class of MOT16, MOT17 and MOT20 in every row, a pedestrian counts and what looks
    like one distracts; elsewhere, as in MOT15, everything counts. Whatever is marked 0 does not count.

    Args:
        path: the file.
        name: of the sequence: those of MOT20 have one more kind of distractor.

    Raises:
        SourceError: the file is not there.
        ConfigError: it is not understood, or has two boxes of an identity in a frame.
    """
    rows = _rows(path)
    boxes = Identified(frames=_frames(rows), ids=_whole(rows[:, _ID]), ltwh=rows[:, _BOX])
    _require_once(path, boxes)
    counts = rows[:, _SCORE] != 0 if rows.shape[1] > _SCORE else np.ones(len(rows), np.bool_)
    distracts: BoolArray = np.zeros(len(rows), np.bool_)
    if rows.shape[1] > _CLASS and np.isin(rows[:, _CLASS], _CLASSES).all():
        counts &= rows[:, _CLASS] == _PEDESTRIAN
        distractors = (*_DISTRACTORS, _VEHICLE) if name.startswith(_VEHICLE_DISTRACTS) else _DISTRACTORS
        distracts = np.isin(rows[:, _CLASS], distractors)
    return Truth(boxes=boxes, counts=np.asarray(counts, np.bool_), distracts=distracts)


def write_results(path: Path, said: Identified) -> None:
    """Write what a tracker reports, as MOTChallenge takes it.

    Raises:
        StorageError: it cannot be written.
    """
    lines = [
        f"{frame},{number},{left:.3f},{top:.3f},{width:.3f},{height:.3f},1,-1,-1,-1\n"
        for frame, number, (left, top, width, height) in zip(
            said.frames.tolist(), said.ids.tolist(), said.ltwh.tolist(), strict=True
        )
    ]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(lines), encoding="ascii")
    except OSError as error:
        raise StorageError(f"cannot write {path}: {error.strerror}") from error


def _is_sequence(folder: Path) -> bool:
    return any((folder / part).exists() for part in (INFO, FOUND.parent, TRUTH.parent))


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig", errors="replace")
    except OSError as error:
        raise SourceError(f"{path} cannot be read: {error.strerror}") from error


def _rows(path: Path) -> Numbers:
    """(N, C) the numbers of a file, rows in order of their frames; C is what the shortest row has, 6 at least."""
    texts = {line: text for line, text in enumerate(_text(path).splitlines(), start=1) if text.strip()}
    rows: list[list[float]] = []
    for line, text in texts.items():
        try:
            rows.append([float(word) for word in text.replace(",", " ").split()])
        except ValueError:
            raise ConfigError(f"{path}:{line}: has something that is no number: {text[:60]!r}") from None
        if len(rows[-1]) < _BOX_COLUMNS:
            raise ConfigError(f"{path}:{line}: has {len(rows[-1])} numbers, and frame, id and a box are {_BOX_COLUMNS}")
    columns = min(map(len, rows), default=_BOX_COLUMNS)
    table = np.array([row[:columns] for row in rows], np.float64).reshape(-1, columns)
    frames = table[:, _FRAME]
    sane = np.isfinite(table[:, :_BOX_COLUMNS]).all(axis=1) & (frames >= 1) & (frames <= _MOST_FRAMES)
    for line, is_sane in zip(texts, (sane & (frames == np.floor(frames))).tolist(), strict=True):
        if not is_sane:
            raise ConfigError(f"{path}:{line}: frames count from 1, and boxes are finite: {texts[line][:60]!r}")
    return np.nan_to_num(table[np.argsort(frames, kind="stable")], nan=_NO_SCORE)


def _frames(rows: Numbers) -> IntArray:
    return _whole(rows[:, _FRAME])


def _whole(column: Numbers) -> IntArray:
    return np.asarray(column, np.int64)


def _require_once(path: Path, boxes: Identified) -> None:
    pairs, times = np.unique(np.stack([boxes.frames, boxes.ids], axis=1), axis=0, return_counts=True)
    twice: BoolArray = times > 1
    if twice.any():
        frame, number = pairs[twice][0].tolist()
        raise ConfigError(f"{path}: frame {frame} has two boxes of the identity {number}")


def _number(path: Path, said: dict[str, str], key: str) -> float | None:
    """A number of the file that is more than 0, by its key in any case; None where there is none."""
    text = said.get(key.lower())
    if text is None:
        return None
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not (0 < value < np.inf):
        raise ConfigError(f"{path}: {key}={text} must be a number above 0")
    return value
