"""A frame in tiles: looked at always, so that what is small is seen even if it never moves."""

from __future__ import annotations

import math

from edge_agent.stages.detect.parts import LEAST_MAGNIFICATION, Canvas, Part

TILE_OVERLAP = 0.1
"""Of the frame's width and height: so much of it neighbours share, and a border. What is no larger is whole in one."""


GRIDS = r"^(none|[1-4]x[1-4])$"
"""How to write a grid: tiles beside each other, times tiles below each other."""


def grid_of(text: str) -> tuple[int, int]:
    """Read a grid; `none` is one tile, which is the whole."""
    columns, _, rows = "1x1".partition("x") if text == "none" else text.partition("x")
    return int(columns), int(rows)


def tiles_of(grid: tuple[int, int], canvas: Canvas, border_px: float) -> tuple[Part, ...]:
    """The tiles of a frame; none where they would show things hardly larger than the whole does.

    Args:
        grid: how many beside and below each other, at most: fewer where tiles of the model's own size already do.
        canvas: the frame, and how the model sees it.
        border_px: what ends so near a tile's end, in pixels that the model sees, counts as cut in two.
    """
    if grid == (1, 1):
        return ()
    border = border_px * canvas.scale
    width, lefts = _along(grid[0], canvas.width, canvas.least_width, border)
    height, tops = _along(grid[1], canvas.height, canvas.least_height, border)
    tiles = tuple(Part(left=left, top=top, width=width, height=height) for top in tops for left in lefts)
    return tiles if canvas.scale_of(tiles[0]) * LEAST_MAGNIFICATION <= canvas.scale else ()


def _along(most: int, whole: int, least: int, border: float) -> tuple[int, list[int]]:
    """How long tiles are along a side of the frame, and where they begin."""
    shared = TILE_OVERLAP * whole + 2 * border + _ROUNDING
    wanted = max((whole + (most - 1) * shared) / most, least, 2 * shared)
    side = max(2, min(math.ceil(wanted / 2) * 2, whole // 2 * 2))
    rest = whole - side
    count = 1 + math.ceil((rest - 1) / (side - shared)) if rest > 1 else 1  # the last pixel of an odd side is left out
    return side, [round(rest * place / max(1, count - 1)) // 2 * 2 for place in range(count)]


_ROUNDING = 4.0  # pixels by which neighbours may come to lie farther apart, to be even
