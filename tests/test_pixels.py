"""The small pictures that the gate and the detector see."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from builders import coloured_frame, frame_of
from numpy.testing import assert_array_equal

from edge_agent import pixels


@pytest.mark.parametrize(
    ("size", "small"),
    [((1920, 1080), (160, 90)), ((64, 36), (160, 90)), ((161, 91), (160, 90)), ((33, 700), (32, 679))],
)
def test_shrink_gives_the_size_asked_for_whatever_the_plane(size: tuple[int, int], small: tuple[int, int]) -> None:
    plane = np.full(size[::-1], 77, np.uint8)
    shrunk = pixels.shrink(plane, *small)
    assert shrunk.shape == small[::-1]
    assert np.all(shrunk == 77)


def test_shrink_averages_samples_so_that_noise_cancels() -> None:
    plane = np.tile(np.array([[0, 100], [100, 200]], np.uint8), (90, 160))  # 2 x 2 samples to a pixel: mean 100
    assert_array_equal(pixels.shrink(plane, 160, 90), np.full((90, 160), 100, np.uint8))


def test_shrink_leaves_the_plane_as_it_is() -> None:
    plane = np.arange(90 * 160, dtype=np.uint64).astype(np.uint8).reshape(90, 160)
    plane.setflags(write=False)
    pixels.shrink(plane, 32, 18)


@pytest.mark.parametrize(
    ("luma", "blue", "red", "bgr"),
    [
        # BT.601 in studio range: y = 1.164 (Y - 16); R = y + 1.596 (Cr - 128);
        # G = y - 0.813 (Cr - 128) - 0.391 (Cb - 128); B = y + 2.018 (Cb - 128).
        (16, 128, 128, (0, 0, 0)),
        (235, 128, 128, (255, 255, 255)),
        (126, 128, 128, (128, 128, 128)),  # 1.164 * 110 = 128
        (81, 90, 240, (0, 0, 255)),  # red: R = 75.7 + 178.8 = 254.4, G = 75.7 - 91.1 + 14.9 = -.5, B = 75.7 - 76.7 = -1
        (41, 240, 110, (255, 0, 0)),  # blue: B = 29.1 + 226 = 255, R = 29.1 - 28.7 = .4, G = 29.1 + 14.6 - 43.8 = -.1
        (145, 54, 34, (0, 255, 0)),  # green: G = 150.2 + 76.4 + 28.9 = 255.5
    ],
)
def test_a_frame_in_one_colour_becomes_a_bgr_picture_in_that_colour(
    luma: int, blue: int, red: int, bgr: tuple[int, int, int]
) -> None:
    picture = pixels.to_bgr(coloured_frame(luma, blue, red), 64, 36)
    assert picture.shape == (36, 64, 3)
    assert picture.dtype == np.uint8
    assert np.all(np.abs(picture.astype(int) - bgr) <= 2)  # what rounding to 8 bits leaves


@pytest.mark.parametrize("size", [(161, 91), (160, 90), (1, 1), (2, 3)])
def test_a_frame_of_odd_size_is_a_picture_too(size: tuple[int, int]) -> None:
    assert pixels.to_bgr(frame_of(size=size), 32, 18).shape == (18, 32, 3)


def test_a_picture_keeps_left_and_right_and_up_and_down() -> None:
    luma = np.full((90, 160), 16, np.uint8)
    luma[:45, :80] = 235  # the upper left quarter is white
    picture = pixels.to_bgr(frame_of(luma=luma), 160, 90)
    assert picture[10, 10].tolist() == [255, 255, 255]
    assert [picture[y, x].tolist() for y, x in ((10, 150), (80, 10), (80, 150))] == [[0, 0, 0]] * 3


@pytest.mark.parametrize("full_range", [False, True])
def test_pictures_of_different_sizes_share_their_memory_and_are_what_they_would_be_without(*, full_range: bool) -> None:
    noise = np.random.default_rng(7)
    luma, blue, red = (noise.integers(0, 256, shape, np.uint8) for shape in ((90, 160), (45, 80), (45, 80)))
    frame = replace(frame_of(), luma=luma, chroma_blue=blue, chroma_red=red, full_range=full_range)
    scratch = pixels.Scratch(64, 48)
    pictures = [pixels.to_bgr(frame, *size, scratch) for size in ((64, 36), (32, 48), (64, 48))]
    assert_array_equal(pictures[-1], pixels.to_bgr(frame, 64, 48))
    assert all(np.shares_memory(picture, pictures[-1]) for picture in pictures)
    assert_array_equal(pixels.to_bgr(frame, 32, 48, scratch), pixels.to_bgr(frame, 32, 48))  # after a larger one


def mask_of(*rows: str) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
    return np.array([[letter == "#" for letter in row] for row in rows])


@pytest.mark.parametrize(
    ("mask", "least_pixels", "boxes"),
    [
        (mask_of("......", "......"), 1, []),
        (mask_of("......", "..#...", "......"), 1, [[1, 0, 4, 3]]),  # a pixel, and one more on every side
        (mask_of("......", "..#...", "......"), 2, []),
        (mask_of("......", "..##..", "......"), 2, [[1, 0, 5, 3]]),  # counted without what was added around it
        (mask_of("#.....", "......", "......"), 1, [[0, 0, 2, 2]]),  # cut off at the picture's edge
        (mask_of("#...#", "....."), 1, [[0, 0, 2, 2], [3, 0, 5, 2]]),  # three pixels apart: two things
        (mask_of("#.#", "..."), 2, [[0, 0, 3, 2]]),  # a pixel apart: one thing
        (mask_of("###", "###"), 6, [[0, 0, 3, 2]]),
    ],
)
def test_blobs_are_boxes_around_what_hangs_together(
    mask: np.ndarray[tuple[int, ...], np.dtype[np.bool_]], least_pixels: float, boxes: list[list[int]]
) -> None:
    found = pixels.blobs(mask, least_pixels)
    assert found.shape == (len(boxes), 4)
    assert found.dtype == np.float32
    assert found.tolist() == boxes
