"""Box filters that nothing can pass, or that have no effect, and zones in which they let nothing stand."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

from edge_agent import geometry
from edge_agent.config.looked_for import looked_for_by
from edge_agent.config.tree import Fault, Node
from edge_agent.records import BoolArray
from edge_agent.settings import UnitPoint
from edge_agent.stages.detect.filters import FilterSettings

_LARGEST = {"area": 1.0, "height": 1.0, "ratio": math.inf}
"""What has a least and a largest value, and what it cannot exceed."""

_GRID = (64, 36)  # points at which areas are compared; one so small that none lies in it is not judged
_FINE_GRID = (256, 144)  # the same of zones, which a device is not to be refused for that overlap by a strip


def check_filters(camera: Node) -> Iterator[Fault]:
    """Find what is wrong in the box filters of a camera; that their labels are looked for is checked elsewhere."""
    filters = camera.find(("detect", "filters"))
    for one in filters.keys.values() if filters else ():
        yield from _bounds(one)
        yield from _areas(one)
    if filters is not None and camera.keys.get("zones"):
        yield from _zones(camera, filters.keys)


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


def _zones(camera: Node, filters: Mapping[str, Node]) -> Iterator[Fault]:
    """Of what counts in a zone, something must be let stand in it."""
    looked_for = tuple(looked_for_by(camera))
    for zone in camera.keys["zones"].keys.values():
        polygon, anchor, stated = (zone.keys.get(key) for key in ("polygon", "anchor", "labels"))
        corners = _corners(polygon) if polygon else None
        if polygon is None or corners is None or (anchor and anchor.text != "bottom"):
            continue  # what stands in the zone with its middle has its feet somewhere else
        labels = [label.text or "" for label in stated.entries] if stated else looked_for
        inside = geometry.polygon_mask([corners], *_FINE_GRID)
        if inside.any() and labels and not any(_lets_stand(filters.get(label), inside) for label in labels):
            yield polygon.fault("nothing that counts in it may stand there, by `within` and `without` of its filters")


def _lets_stand(one: Node | None, inside: BoolArray) -> bool:
    """Whether a filter lets anything stand in an area; one that is wrong in itself is reported elsewhere."""
    within, without = (_polygons(one.keys.get(key)) if one else [] for key in ("within", "without"))
    if within is None or without is None:
        return True
    allowed, taken = (
        geometry.polygon_mask([corners for _node, corners in some], *_FINE_GRID) for some in (within, without)
    )
    return bool((inside & ~taken & (allowed if within else True)).any())


def _polygons(node: Node | None) -> list[tuple[Node, list[UnitPoint]]] | None:
    """The polygons of a list with their corners; None when something in it is none."""
    polygons = []
    for polygon in node.entries if node else ():
        corners = _corners(polygon)
        if corners is None:
            return None
        polygons.append((polygon, corners))
    return polygons


def _corners(polygon: Node) -> list[UnitPoint] | None:
    """The corners of a polygon; None when it is none."""
    corners = []
    for corner in polygon.entries:
        numbers = [number for one in corner.entries if (number := _as_number(one)) is not None and 0 <= number <= 1]
        if len(numbers) != len(corner.entries) or len(numbers) != 2:  # noqa: PLR2004  (x and y)
            return None
        corners.append((numbers[0], numbers[1]))
    return corners if len(set(corners)) >= _TRIANGLE else None


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
