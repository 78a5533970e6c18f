"""Box filters that nothing can pass, or that have no effect: bounds that contradict each other, areas that are none."""

from __future__ import annotations

import math
from collections.abc import Iterator

from edge_agent import geometry
from edge_agent.config.tree import Fault, Node
from edge_agent.settings import UnitPoint
from edge_agent.stages.detect.filters import FilterSettings

_LARGEST = {"area": 1.0, "height": 1.0, "ratio": math.inf}
"""What has a least and a largest value, and what it cannot exceed."""

_GRID = (64, 36)  # points at which areas are compared; one so small that none lies in it is not judged


def check_filters(camera: Node) -> Iterator[Fault]:
    """Find what is wrong in the box filters of a camera; that their labels are looked for is checked elsewhere."""
    filters = camera.find(("detect", "filters"))
    for one in filters.keys.values() if filters else ():
        yield from _bounds(one)
        yield from _areas(one)


def _bounds(one: Node) -> Iterator[Fault]:
    for what in _LARGEST:
        low, high = _number(one, f"min_{what}"), _number(one, f"max_{what}")
        if low is not None and high is not None and 0 < high <= low:
            yield _either(one, f"min_{what}", f"max_{what}").fault(
                f"no box passes: `min_{what}` is {low:g} and `max_{what}` {high:g}; it must be less"
            )
    area, height = _number(one, "min_area"), _number(one, "max_height")
    if area is not None and height is not None and 0 < height < area:
        yield _either(one, "min_area", "max_height").fault(
            f"no box passes: one that is at most {height:g} high (`max_height`) takes up less than {area:g}"
        )


def _either(one: Node, first: str, second: str) -> Node:
    """The value that is stated of the two, the first of both; one of them always is, for defaults do not contradict."""
    return next(node for key in (first, second) if (node := one.keys.get(key)) and node.value is not None)


def _number(one: Node, key: str) -> float | None:
    """A number as it is stated, or its default; None when there is none, or what is stated cannot stand there."""
    stated = one.keys.get(key)
    if stated is None or stated.value is None:
        default = FilterSettings.model_fields[key].default
        return None if default is None else float(default)
    number = _as_number(stated)
    return number if number is not None and 0 <= number <= _LARGEST[key.partition("_")[2]] else None


def _areas(one: Node) -> Iterator[Fault]:
    within, without = _polygons(one.keys.get("within")), _polygons(one.keys.get("without"))
    if within is None or without is None:
        return
    flat = [node for node, corners in (*within, *without) if _in_a_line(corners)]
    for node in flat:
        yield node.fault("has no area: its corners lie on one line")
    if flat or not without:
        return
    taken = geometry.polygon_mask([corners for _node, corners in without], *_GRID)
    if not within and taken.all():
        yield one.keys["without"].fault("no box passes: it covers the whole picture")
    elif within:
        allowed = geometry.polygon_mask([corners for _node, corners in within], *_GRID)
        if allowed.any() and not (allowed & ~taken).any():
            yield one.keys["within"].fault("no box passes: all of it lies in `without`")


def _polygons(node: Node | None) -> list[tuple[Node, list[UnitPoint]]] | None:
    """The polygons of a list with their corners; None when something in it is none."""
    polygons = []
    for polygon in node.entries if node else ():
        corners = []
        for corner in polygon.entries:
            numbers = [number for one in corner.entries if (number := _as_number(one)) is not None and 0 <= number <= 1]
            if len(numbers) != len(corner.entries) or len(numbers) != 2:  # noqa: PLR2004  (x and y)
                return None
            corners.append((numbers[0], numbers[1]))
        if len(set(corners)) < _TRIANGLE:
            return None
        polygons.append((polygon, corners))
    return polygons


def _in_a_line(corners: list[UnitPoint]) -> bool:
    (left, top), *others = sorted(set(corners))
    right, bottom = others[-1]
    return all(abs((right - left) * (y - top) - (bottom - top) * (x - left)) <= _NO_AREA for x, y in others)


def _as_number(node: Node) -> float | None:
    try:
        return float(node.text) if node.text is not None else None
    except ValueError:
        return None


_TRIANGLE = 3
_NO_AREA = 1e-9  # what rounding makes of a line that is written with three digits
