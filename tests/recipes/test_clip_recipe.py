"""The clip that ships is the one the recipe makes, and shows what its timetable says."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest

from recipes.checksum import sha256_of
from recipes.clip import build, scene
from recipes.errors import RecipeError

if TYPE_CHECKING:
    from numpy.typing import NDArray

CLIP = Path(build.__file__).parents[2] / "edge_agent" / "clips" / build.CLIP_NAME
LARGEST_BYTES = 1_000_000
LEAST_CHANGE = 30  # grey levels by which a person differs from the empty scene somewhere; noise and coding stay below


@pytest.fixture(scope="module")
def decoded() -> list[NDArray[np.uint8]]:
    video = cv2.VideoCapture(str(CLIP))
    assert video.get(cv2.CAP_PROP_FPS) == scene.FRAMES_A_SECOND
    frames = []
    while True:
        found, frame = video.read()
        if not found:
            break
        frames.append(np.asarray(frame, np.uint8))
    video.release()
    return frames


def test_the_shipped_clip_is_the_one_the_recipe_pins() -> None:
    assert sha256_of(CLIP) == build.CLIP_SHA256
    assert CLIP.stat().st_size < LARGEST_BYTES


def test_the_clip_is_as_long_and_as_large_as_the_scene(decoded: list[NDArray[np.uint8]]) -> None:
    assert len(decoded) == scene.DURATION_S * scene.FRAMES_A_SECOND
    assert {frame.shape for frame in decoded} == {(scene.HEIGHT, scene.WIDTH, 3)}


def test_somebody_is_in_the_picture_just_when_the_timetable_says(decoded: list[NDArray[np.uint8]]) -> None:
    empty = decoded[0].astype(np.int16)
    for index, frame in enumerate(decoded):
        at_s = index / scene.FRAMES_A_SECOND
        # A person needs a moment to step over the edge of the picture, and to leave across it.
        inside = any(p.starts_s + 0.3 <= at_s < p.ends_s - 0.3 for p in scene.PASSAGES)
        outside = not any(p.starts_s <= at_s < p.ends_s for p in scene.PASSAGES)
        changed = bool((np.abs(cv2.blur(frame, (5, 5)) - cv2.blur(empty, (5, 5))) > LEAST_CHANGE).any())
        assert not (inside and not changed), f"{at_s} s: nobody there"
        assert not (outside and changed), f"{at_s} s: somebody there"


@pytest.mark.parametrize("passage", scene.PASSAGES, ids=lambda p: f"{p.person} at {p.starts_s} s")
def test_each_person_comes_in_at_one_edge_and_leaves_at_the_other(passage: scene.Passage) -> None:
    width = 200
    times = np.arange(passage.starts_s, passage.ends_s, 1 / scene.FRAMES_A_SECOND)
    places = [passage.centre_x(float(at_s), width) for at_s in times]
    known = np.array([place for place in places if place is not None])
    assert len(known) == len(places)
    steps = np.diff(known) * (-1 if passage.is_leftward else 1)
    assert np.all(steps > -1e-6)
    first, last = (known[-1], known[0]) if passage.is_leftward else (known[0], known[-1])
    assert first < -width / 2 + 30
    assert last > scene.WIDTH + width / 2 - 30
    # standing takes no way at all: 2 s are 20 steps, less the two that begin and end it
    assert (steps < 1e-6).sum() >= passage.stands_s * scene.FRAMES_A_SECOND - 2


def test_nobody_is_there_before_or_after_a_passage() -> None:
    passage = scene.PASSAGES[0]
    assert passage.centre_x(passage.starts_s - 0.1, 200) is None
    assert passage.centre_x(passage.ends_s, 200) is None


def test_a_missing_ffmpeg_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))  # an empty folder
    with pytest.raises(RecipeError, match="ffmpeg is not on the PATH"):
        build.encode([], tmp_path / "clip.mp4")
