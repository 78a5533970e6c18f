"""Zones, lines and rules that could never speak: better said at once than waited for in vain."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

import numpy as np

from edge_agent import geometry
from edge_agent.config.looked_for import looked_for_by, nearest_label
from edge_agent.config.tree import Fault, Node
from edge_agent.config.wording import in_a_row, nearest, shown
from edge_agent.geometry import Point
from edge_agent.records import BoolArray, FloatArray
from edge_agent.stages.rules.ground import GroundSettings
from edge_agent.stages.rules.line import LineSettings

_STEPS = 64
"""A zone and a line are looked at in so many steps across."""

_WIDEST = 4.0
"""No camera's picture is more times as wide as it is high; the file does not say how wide this one's is."""

_LEAST_CORNERS = 3
_NO_AREA = 1e-6  # a pixel of a picture of 1000x1000


def check(camera: Node) -> Iterator[Fault]:
    """Find what can never speak of one camera's zones, lines and rules."""
    zones, lines = _named(camera, "zones"), _named(camera, "lines")
    masks = [corners for mask in _entries(camera, "mask") if (corners := _points(mask)) is not None]
    yield from _names(lines, _entries(camera, "rules"))
    for zone in zones.values():
        yield from _labels(camera, zone, "it never counts here")
        yield from _area(zone, masks)
    for line in lines.values():
        yield from _labels(camera, line, "it never counts here")
        yield from _line(line, masks)
    for rule in _entries(camera, "rules"):
        yield from _labels(camera, rule, "this rule never speaks of it")
        yield from _place(rule, zones, looked_for_by(camera))
        yield from _reach(rule, zones, camera)


def _named(camera: Node, key: str) -> Mapping[str, Node]:
    node = camera.keys.get(key)
    return node.keys if node else {}


def _entries(node: Node, key: str) -> tuple[Node, ...]:
    child = node.keys.get(key)
    return child.entries if child else ()


def _names(lines: Mapping[str, Node], rules: tuple[Node, ...]) -> Iterator[Fault]:
    """An event names its rule, so each needs a name of its own."""
    named = {name: f"the line in line {line.key_place.line}" for name, line in lines.items()}
    for rule in rules:
        name = rule.keys.get("name")
        if name is None or name.text is None:
            continue
        if name.text in named:
            yield name.fault(f"{named[name.text]} has the same name")
        named.setdefault(name.text, f"the rule in line {name.place.line}")


def _labels(camera: Node, node: Node, so: str) -> Iterator[Fault]:
    """What a zone, line or rule is about must be looked for."""
    looked_for = looked_for_by(camera)
    for label in _entries(node, "labels"):
        if label.text is not None and looked_for and label.text not in looked_for:
            what = f"this camera does not look for {shown(label.written)}, so {so}"
            yield label.fault(f"{what}; {nearest_label(label.text, looked_for)}")


def _place(rule: Node, zones: Mapping[str, Node], looked_for: Mapping[str, str]) -> Iterator[Fault]:
    """A rule's zone must be there, count what the rule is about, and be one that can be left if that is asked for."""
    node = rule.keys.get("zone")
    if node is None or node.text is None:
        return
    zone = zones.get(node.text)
    if zone is None:
        near = nearest(node.text, zones)
        there_are = (
            f"the camera's zones are {in_a_row(map(shown, zones), 'and')}" if zones else "the camera has no `zones`"
        )
        yield node.fault(
            f"there is no zone {shown(node.written)}; {f'did you mean {shown(near)}?' if near else there_are}"
        )
        return
    counted = {label.text for label in _entries(zone, "labels")}
    for label in _entries(rule, "labels"):
        if counted and label.text in looked_for and label.text not in counted:
            what = f"zone {shown(node.written)} does not count {shown(label.written)}"
            yield label.fault(f"{what}, so this rule never speaks of it")
    on, corners = rule.keys.get("on"), _points(zone.keys.get("polygon"))
    if on and on.text == "leave" and corners is not None and bool(np.all(geometry.in_polygon(_GRID, corners))):
        yield on.fault(f"zone {shown(node.written)} is the whole picture, so nothing ever leaves it")


def _reach(rule: Node, zones: Mapping[str, Node], camera: Node) -> Iterator[Fault]:
    """Of a rule of speed, some of its zone must lie where speeds are known."""
    kind, node, seen = rule.keys.get("kind"), rule.keys.get("zone"), camera.find(("ground", "corners"))
    zone = zones.get(node.text) if node and node.text else None
    corners, polygon = _points(seen), _points(zone.keys.get("polygon")) if zone else None
    if kind is None or kind.text != "speed" or node is None or corners is None or polygon is None:
        return
    anchor = zone.keys.get("anchor") if zone else None
    if (anchor and anchor.text not in {None, "bottom"}) or not _is_rectangle(corners):
        return  # what stands in the zone with its middle has its feet somewhere else
    inside = _GRID[geometry.in_polygon(_GRID, polygon)]
    w = geometry.homography(corners)[2]
    least_w = float(np.min(corners @ w[:2] + w[2])) / GroundSettings.REACH
    if len(inside) and bool(np.all(inside @ w[:2] + w[2] < least_w)):
        yield node.fault(
            f"zone {shown(node.written)} lies farther away than speeds are known, by the camera's `ground`"
        )


def _is_rectangle(corners: FloatArray) -> bool:
    """Whether the ground can be seen so; what is wrong with it is said elsewhere."""
    try:
        GroundSettings.model_validate({"corners": corners.tolist(), "width_m": 1, "length_m": 1})
    except ValueError:
        return False
    return True


def _area(zone: Node, masks: list[FloatArray]) -> Iterator[Fault]:
    """A zone must have an area, and not all of it under the mask."""
    polygon = zone.keys.get("polygon")
    corners = _points(polygon)
    if polygon is None or corners is None or len(np.unique(corners, axis=0)) < _LEAST_CORNERS:
        return
    x, y = (corners[1:] - corners[0]).T
    if float(np.max(np.abs(np.outer(x, y) - np.outer(y, x)))) < _NO_AREA:
        yield polygon.fault("all corners lie on one line, so nothing is ever in it")
        return
    inside = _GRID[geometry.in_polygon(_GRID, corners)]
    if len(inside) and bool(np.all(_in_any(inside, masks))):
        yield polygon.fault("lies wholly under the camera's `mask`, so nothing is ever in it")


def _line(line: Node, masks: list[FloatArray]) -> Iterator[Fault]:
    """A line must have a length, room on both sides of it, and not all of it under the mask."""
    start, end = _point(line.keys.get("from")), _point(line.keys.get("to"))
    stated, last = line.keys.get("hysteresis"), line.keys.get("to")
    hysteresis = _hysteresis(stated)
    if start is None or end is None or last is None or hysteresis is None:
        return
    if start == end:
        yield last.fault("is the same place as `from`, so the line has no length")
        return
    where = stated if stated and stated.value is not None else line
    first, second = _stretched(start), _stretched(end)
    if math.dist(first, second) <= hysteresis:
        yield where.fault(f"the line is no longer than its hysteresis, {hysteresis:g}")
        return
    reach = [geometry.beyond(_stretched(corner), first, second) for corner in _CORNERS]
    if min(-min(reach), max(reach)) <= hysteresis:
        yield where.fault(
            f"the picture ends beside the line within its hysteresis, {hysteresis:g}: nothing can cross it"
        )
    along = np.linspace(start, end, _STEPS, dtype=np.float32)
    if bool(np.all(_in_any(along, masks))):
        yield line.key_fault("lies wholly under the camera's `mask`, so nothing crosses it")


def _hysteresis(stated: Node | None) -> float | None:
    if stated is None or stated.value is None:
        return float(LineSettings.model_fields["hysteresis"].default)
    return _number(stated)


def _stretched(point: Point) -> Point:
    """A point of the widest picture, in parts of its height: what is too near even there is too near in any."""
    return point[0] * _WIDEST, point[1]


def _in_any(points: FloatArray, polygons: list[FloatArray]) -> BoolArray:
    inside = np.zeros(len(points), np.bool_)
    for polygon in polygons:
        inside |= geometry.in_polygon(points, polygon)
    return inside


def _points(node: Node | None) -> FloatArray | None:
    """Corners, (K, 2); None where something else stands."""
    points = [_point(entry) for entry in node.entries] if node else []
    known = [point for point in points if point is not None]
    return np.array(known, np.float32) if known and len(known) == len(points) else None


def _point(node: Node | None) -> Point | None:
    if node is None or len(node.entries) != 2:  # noqa: PLR2004  (x and y)
        return None
    x, y = map(_number, node.entries)
    return None if x is None or y is None else (x, y)


def _number(node: Node) -> float | None:
    """A number in 0..1; None where something else stands, which others report."""
    try:
        value = float(node.text or "")
    except ValueError:
        return None
    return value if 0 <= value <= 1 else None


_CORNERS: tuple[Point, ...] = ((0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0))
_MIDDLES = (np.arange(_STEPS) + 0.5) / _STEPS
_GRID: FloatArray = np.asarray(np.stack(np.meshgrid(_MIDDLES, _MIDDLES), axis=-1).reshape(-1, 2), np.float32)
"""(N, 2) the middles of so many fields of the picture."""
