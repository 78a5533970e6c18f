"""The mask: nothing under it can be read from what it hands on, and all beside it is as it was."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from builders import frame_of
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from edge_agent import geometry
from edge_agent.records import ByteArray, Frame
from edge_agent.settings import Polygon
from edge_agent.stages.mask import Mask

PLANES = ("luma", "chroma_blue", "chroma_red")
LEFT_HALF: Polygon = ((0.0, 0.0), (0.5, 0.0), (0.5, 1.0), (0.0, 1.0))

sides = st.integers(0, 100).map(lambda percent: percent / 100)
corners = st.tuples(sides, sides)
areas = st.lists(st.lists(corners, min_size=3, max_size=6).map(tuple), min_size=1, max_size=3)


def grainy(seed: int, size: tuple[int, int] = (64, 36)) -> Frame:
    """A frame of nothing but noise, as a decoder hands it out: not to be written."""
    random = np.random.default_rng(seed)
    width, height = size
    chroma = ((height + 1) // 2, (width + 1) // 2)
    planes = [random.integers(0, 256, shape).astype(np.uint8) for shape in ((height, width), chroma, chroma)]
    for plane in planes:
        plane.setflags(write=False)
    return replace(frame_of(), luma=planes[0], chroma_blue=planes[1], chroma_red=planes[2])


def planes_of(frame: Frame) -> list[ByteArray]:
    return [getattr(frame, name).copy() for name in PLANES]


def black_under(frame: Frame, masked: np.ndarray[tuple[int, ...], np.dtype[np.bool_]]) -> Frame:
    """The frame with other luma, and other colour, wherever a pixel is masked."""
    luma, blue, red = planes_of(frame)
    luma[masked] = 0
    for y, x in np.argwhere(masked):
        blue[y // 2, x // 2] = red[y // 2, x // 2] = 0
    return replace(frame, luma=luma, chroma_blue=blue, chroma_red=red)


@given(areas, st.integers(1, 40), st.integers(1, 40), st.integers(0, 99))
def test_whatever_is_under_the_mask_what_it_hands_on_is_the_same(
    polygons: list[Polygon], width: int, height: int, seed: int
) -> None:
    frame = grainy(seed, (width, height))
    other = black_under(frame, geometry.polygon_mask(polygons, width, height))
    for one, two in zip(planes_of(Mask(polygons).blank(frame)), planes_of(Mask(polygons).blank(other)), strict=True):
        assert_array_equal(one, two)


def test_under_the_mask_is_grey_and_beside_it_the_picture() -> None:
    frame = grainy(1)
    blanked = Mask([LEFT_HALF]).blank(frame)
    for name in PLANES:
        plane, before = getattr(blanked, name), getattr(frame, name)
        half = plane.shape[1] // 2
        assert np.all(plane[:, :half] == 128)
        assert_array_equal(plane[:, half:], before[:, half:])
    assert (blanked.at_s, blanked.utc_ns, blanked.seq, blanked.full_range) == (0.0, frame.utc_ns, 0, False)


def test_colour_of_which_a_part_is_masked_is_masked() -> None:
    one_column: Polygon = ((0.0, 0.0), (1 / 64, 0.0), (1 / 64, 1.0), (0.0, 1.0))
    blanked = Mask([one_column]).blank(grainy(1))
    assert np.all(blanked.luma[:, 0] == 128)
    assert np.all(blanked.chroma_blue[:, 0] == 128)
    assert not np.all(blanked.chroma_blue[:, 1] == 128)


@pytest.mark.parametrize("size", [(64, 36), (63, 35), (2, 2), (1, 1)])
def test_overlapping_areas_are_masked_where_they_overlap_too(size: tuple[int, int]) -> None:
    everything: Polygon = ((0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0))
    blanked = Mask([LEFT_HALF, everything, everything]).blank(grainy(1, size))
    assert all(np.all(plane == 128) for plane in planes_of(blanked))


def test_without_a_mask_a_frame_is_handed_on_as_it_is() -> None:
    frame = grainy(1)
    assert Mask(()).blank(frame) is frame


def test_frames_of_another_size_and_the_next_of_the_same_leave_nothing_behind() -> None:
    mask = Mask([LEFT_HALF])
    for size in ((64, 36), (64, 36), (36, 64), (64, 36)):
        frame = grainy(sum(size), size)
        for one, two in zip(planes_of(mask.blank(frame)), planes_of(Mask([LEFT_HALF]).blank(frame)), strict=True):
            assert_array_equal(one, two)


def test_a_frame_in_the_decoders_own_memory_is_read_in_place() -> None:
    frame = grainy(1, (80, 36))
    padded = replace(
        frame, luma=frame.luma[:, :64], chroma_blue=frame.chroma_blue[:, :32], chroma_red=frame.chroma_red[:, :32]
    )
    before = planes_of(padded)
    blanked = Mask([LEFT_HALF]).blank(padded)
    assert_array_equal(blanked.luma[:, 32:], before[0][:, 32:])
    for one, two in zip(planes_of(padded), before, strict=True):
        assert_array_equal(one, two)
