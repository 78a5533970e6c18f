"""Pictures in, pictures out: the resizing and colour that the stages need, by OpenCV, which is loaded on first use."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_agent import runtimes
from edge_agent.records import BoolArray, ByteArray, FloatArray, Frame

_SAMPLES_A_SIDE = 2
"""A pixel of the small picture is the mean of 2x2 samples, which halves the noise; more cost more and gain little."""


def shrink(plane: ByteArray, width: int, height: int) -> ByteArray:
    """Make a small, smooth picture of a plane: (H, W) uint8 in, (height, width) uint8 out.

    Samples are taken before they are averaged, so that the cost does not follow the camera's resolution.
    """
    cv2 = _cv2()
    sample_size = (width * _SAMPLES_A_SIDE, height * _SAMPLES_A_SIDE)
    samples = cv2.resize(plane, sample_size, interpolation=cv2.INTER_NEAREST)
    return cv2.resize(samples, (width, height), interpolation=cv2.INTER_AREA)


def sample(plane: ByteArray, width: int, height: int) -> ByteArray:
    """Take so many samples of a plane as they are: (H, W) uint8 in, (height, width) uint8 out."""
    samples: ByteArray = _cv2().resize(plane, (width, height), interpolation=_cv2().INTER_NEAREST)
    return samples


def copy_where(plane: ByteArray, wanted: ByteArray, target: ByteArray) -> None:
    """Copy a plane's pixels where they are wanted (not 0); elsewhere the target stays as it is. All (H, W) uint8."""
    _cv2().copyTo(plane, wanted, target)


class Scratch:
    """Memory for the pictures between a frame and a model's input, written anew each time.

    What the system gives it clears first, page by page, which takes as long as filling it.

    Args:
        width: of the largest picture, even.
        height: the same.
    """

    def __init__(self, width: int, height: int) -> None:
        self._bgr = np.empty(width * height * 3, np.uint8)
        self._planes = np.empty(width * height * 3, np.uint8)

    def bgr(self, width: int, height: int) -> ByteArray:
        """Room for a BGR picture: (height, width, 3)."""
        return self._bgr[: width * height * 3].reshape(height, width, 3)

    def i420(self, width: int, height: int) -> ByteArray:
        """Room for luma, then both chroma planes one after the other: (height * 3 / 2, width)."""
        return self._planes[: width * height * 3 // 2].reshape(height * 3 // 2, width)

    def channels(self, width: int, height: int) -> ByteArray:
        """Room for three channels apart from each other, the same that `i420` gives: (3, height, width)."""
        return self._planes[: width * height * 3].reshape(3, height, width)


def to_bgr(frame: Frame, width: int, height: int, scratch: Scratch | None = None) -> ByteArray:
    """Resize a frame's planes and make them a BGR picture: (height, width, 3) uint8. `width` and `height` are even.

    Resizing comes first: colour is then worked out for the small picture only. With `scratch` the picture lies there,
    and holds until the next one.
    """
    cv2 = _cv2()
    scratch = scratch or Scratch(width, height)
    planes, bgr = (frame.luma, frame.chroma_blue, frame.chroma_red), scratch.bgr(width, height)
    if frame.full_range:  # OpenCV's YCrCb is full range, and has no sub-sampled form
        resized = scratch.channels(width, height)
        for plane, place in zip(planes, resized, strict=True):
            cv2.resize(plane, (width, height), dst=place, interpolation=cv2.INTER_LINEAR)
        luma, chroma_blue, chroma_red = resized
        return cv2.cvtColor(cv2.merge((luma, chroma_red, chroma_blue)), cv2.COLOR_YCrCb2BGR, dst=bgr)
    i420 = scratch.i420(width, height)
    chroma = i420[height:].reshape(2, height // 2, width // 2)
    for plane, place in zip(planes, (i420[:height], *chroma), strict=True):
        cv2.resize(plane, place.shape[::-1], dst=place, interpolation=cv2.INTER_LINEAR)
    return cv2.cvtColor(i420, cv2.COLOR_YUV2BGR_I420, dst=bgr)


def fill_channels(picture: ByteArray, table: NDArray[Any], channels: NDArray[Any], scratch: Scratch) -> None:
    """Write a picture's channels apart from each other, each value replaced by what a table has for it.

    Args:
        picture: (h, w, 3) uint8.
        table: (3, 256), one row a channel, of the channels' type.
        channels: (3, H, W) with H >= h and W >= w; its top left is written.
        scratch: at least as large as the picture.
    """
    cv2 = _cv2()
    height, width = picture.shape[:2]
    apart = cv2.split(picture, list(scratch.channels(width, height)))
    for plane, row, target in zip(apart, table, channels, strict=True):
        cv2.LUT(plane, row, dst=target[:height, :width])


def fill_pixels(picture: ByteArray, table: NDArray[Any], target: NDArray[Any]) -> None:
    """Write a picture, each value replaced by what a table has for it in its channel.

    Args:
        picture: (h, w, 3) uint8.
        table: (3, 256), one row a channel, of the target's type.
        target: (H, W, 3) with H >= h and W >= w; its top left is written.
    """
    height, width = picture.shape[:2]
    lookup = np.ascontiguousarray(table.T)[:, None]  # (256, 1, 3)
    _cv2().LUT(np.ascontiguousarray(picture), lookup, dst=target[:height, :width])


def blobs(mask: BoolArray, least_pixels: float) -> FloatArray:
    """Boxes around what hangs together in a mask.

    The mask is grown by a pixel first, so that a thing in two halves is one; the boxes are of what it has grown to.

    Args:
        mask: (H, W) bool.
        least_pixels: smaller things are left out.

    Returns:
        (N, 4) float32 xyxy in the mask's pixels.
    """
    if not mask.any():
        return np.zeros((0, 4), np.float32)
    cv2 = _cv2()
    whole = cv2.dilate(mask.view(np.uint8), _NEIGHBOURS)
    # The named algorithm is three times as fast as the default, and 16 bits count every blob of a small picture.
    _count, labelled, stats, _centres = cv2.connectedComponentsWithStatsWithAlgorithm(
        whole, 8, cv2.CV_16U, cv2.CCL_SPAGHETTI
    )
    true_sizes = np.bincount(labelled[mask], minlength=len(stats))  # without what the closing added
    kept = stats[1:][true_sizes[1:] >= least_pixels].astype(np.float32)  # row 0 is the background
    left, top, width, height = kept[:, :4].T
    return np.stack([left, top, left + width, top + height], axis=1)


def highest_around(values: FloatArray) -> FloatArray:
    """For each place the highest of its value and those beside it. (H, W) float32 in and out."""
    highest: FloatArray = _cv2().dilate(values, _NEIGHBOURS)
    return highest


_NEIGHBOURS = np.ones((3, 3), np.uint8)


@functools.cache
def _cv2() -> Any:
    cv2 = runtimes.load("cv2")
    cv2.setNumThreads(1)  # cameras run side by side; for pictures this small, sharing one out costs more than it saves
    return cv2
