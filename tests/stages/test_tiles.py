"""Tiles: they cover the frame, and share so much that what is small is whole in one of them."""

from __future__ import annotations

import numpy as np
import pytest
from builders import boxes_of
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.stages.detect.parts import LEAST_MAGNIFICATION, Canvas, Part
from edge_agent.stages.detect.tiles import TILE_OVERLAP, grid_of, tiles_of

BORDER_PX = 2.0


def canvas_of(width: int, height: int, least: tuple[int, int] = (416, 256)) -> Canvas:
    return Canvas(width=width, height=height, least_width=least[0], least_height=least[1])


@pytest.mark.parametrize(("text", "grid"), [("none", (1, 1)), ("2x2", (2, 2)), ("3x1", (3, 1))])
def test_a_grid_is_so_many_beside_each_other_times_so_many_below(text: str, grid: tuple[int, int]) -> None:
    assert grid_of(text) == grid


def test_two_by_two_tiles_of_a_full_hd_frame() -> None:
    # The whole is seen at 1920/416 = 4.62 pixels to one, a border is 9.23. Neighbours share 192 + 18.5 + 4 = 214.5 of
    # the width and 108 + 18.5 + 4 = 130.5 of the height: (1920 + 214.5) / 2 = 1067.2 and (1080 + 130.5) / 2 = 605.2.
    assert tiles_of((2, 2), canvas_of(1920, 1080), BORDER_PX) == tuple(
        Part(left=left, top=top, width=1068, height=606) for top in (0, 474) for left in (0, 852)
    )


def test_no_tile_is_smaller_than_what_the_model_sees_and_then_fewer_do() -> None:
    # 800x300 is seen at 800/416 = 1.92 to one. A quarter of the width would be some 270; two of 416 cover 800 and share
    # 32 only, less than the 80 + 7.7 + 4 that they should; three do. The only row is 300 high, 300/256 = 1.17 to one.
    tiles = tiles_of((4, 1), canvas_of(800, 300), BORDER_PX)
    assert [(tile.left, tile.width, tile.height) for tile in tiles] == [(0, 416, 300), (192, 416, 300), (384, 416, 300)]


@pytest.mark.parametrize(
    ("grid", "size"),
    [
        ((1, 1), (1920, 1080)),
        ((2, 1), (1920, 1080)),  # as high as the whole: 4.2 pixels to one instead of 4.6
        ((4, 4), (620, 350)),  # 620 / 416 = 1.49, and no tile is seen larger than the camera saw it
        ((2, 2), (1, 1)),
    ],
)
def test_there_are_none_where_they_show_things_hardly_larger(grid: tuple[int, int], size: tuple[int, int]) -> None:
    assert tiles_of(grid, canvas_of(*size), BORDER_PX) == ()


SIZES = st.integers(300, 4000)
LEAST = st.sampled_from([(416, 256), (416, 416), (640, 384), (64, 64)])


@given(st.tuples(st.integers(1, 4), st.integers(1, 4)), SIZES, SIZES, LEAST)
def test_tiles_are_even_lie_within_the_frame_cover_it_and_are_no_more_than_asked_for(
    grid: tuple[int, int], width: int, height: int, least: tuple[int, int]
) -> None:
    canvas = canvas_of(width, height, least)
    tiles = tiles_of(grid, canvas, BORDER_PX)
    covered = np.zeros((height // 2, width // 2), np.bool_)
    for tile in tiles:
        assert not any(side % 2 for side in (tile.left, tile.top, tile.width, tile.height))
        assert tile.left >= 0 <= tile.top
        assert tile.left + tile.width <= width
        assert tile.top + tile.height <= height
        assert canvas.scale_of(tile) * LEAST_MAGNIFICATION <= canvas.scale
        covered[tile.top // 2 : (tile.top + tile.height) // 2, tile.left // 2 : (tile.left + tile.width) // 2] = True
    assert not tiles or covered.all()
    assert len(tiles) == len(set(tiles)) <= grid[0] * grid[1]


UNIT = st.floats(0, 1)
GRIDS = st.sampled_from([(2, 2), (3, 2), (3, 3), (4, 4)])


@given(GRIDS, SIZES, SIZES, st.tuples(UNIT, UNIT), st.tuples(UNIT, UNIT))
def test_what_is_no_larger_than_a_tenth_of_the_frame_is_whole_in_a_tile(
    grid: tuple[int, int], width: int, height: int, place: tuple[float, float], part: tuple[float, float]
) -> None:
    canvas = canvas_of(width, height, (160, 96))
    tiles = tiles_of(grid, canvas, BORDER_PX)
    wide, high = part[0] * TILE_OVERLAP * width, part[1] * TILE_OVERLAP * height
    # But for the last row and column of an odd frame, which no tile has.
    left, top = place[0] * (width // 2 * 2 - wide), place[1] * (height // 2 * 2 - high)
    box = boxes_of((left, top, left + wide, top + high))
    whole = [tile.holds(box)[0] and not tile.cuts(box, canvas, BORDER_PX * canvas.scale_of(tile))[0] for tile in tiles]
    assert not tiles or any(whole)
