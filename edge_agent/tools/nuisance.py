"""Places that cry wolf, as the agent has learnt them, and the lines of a configuration that would leave them out."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from edge_agent.edges.notebook import Page
from edge_agent.settings import Polygon
from edge_agent.stages.nuisance.learnt import Learnt
from edge_agent.stages.nuisance.nuisance import Nuisance
from edge_agent.stages.nuisance.places import LEAST_TIMES, Place, places

__all__ = ["FILE", "LEAST_TIMES", "Nuisance", "in_words", "places", "proposal", "remembered", "summary", "verdict"]

_log = logging.getLogger(__name__)

FILE = "nuisance.json"
"""In the state folder."""

_NS = 1e9
_UNITS = (("h", 3600.0), ("min", 60.0), ("s", 1.0), ("ms", 0.001))


def remembered(camera: str, labels: tuple[str, ...], page: Page | None, utc_ns: int) -> Nuisance:
    """A map that goes on from what was learnt before, so much older by now; what is damaged counts as nothing.

    Args:
        camera: its id.
        labels: what it looks for.
        page: what was written of it.
        utc_ns: now; a clock that was set back since makes nothing younger.
    """
    if page is None:
        return Nuisance(labels)
    try:
        learnt = Learnt.from_json(page.content)
    except ValueError as error:
        _log.warning('camera "%s": what was learnt of its places counts as nothing: %s', camera, error)
        return Nuisance(labels)
    return Nuisance(labels, learnt, max(0.0, (utc_ns - page.utc_ns) / _NS))


def verdict(nuisance: Nuisance, found: Sequence[Place]) -> str:
    """What is known of a camera, in a few words."""
    learnt = nuisance.learnt
    if learnt.watched_s < _UNITS[-1][1]:
        return "nothing was learnt yet"
    unit, unit_s = next(unit for unit in _UNITS if learnt.watched_s >= unit[1])
    wolves = f"{len(found)} places cry wolf" if len(found) > 1 else f"{'one' if found else 'no'} place cries wolf"
    return f"{wolves}; watched for {learnt.watched_s / unit_s:.3g} {unit}"


def in_words(place: Place) -> str:
    """What is known of a place, on one line."""
    lost = f"at least {place.passed:g} real ones passed there" if place.passed else "no real one has passed there"
    left, top, right, bottom = place.box
    where = f"{left:.2f} to {right:.2f} across, {top:.2f} to {bottom:.2f} down"
    return f"{place.label}, {where}: {place.times:g} times wrong, {place.per_hour:g} an hour; {lost}"


def summary(nuisance: Nuisance, found: Sequence[Place]) -> dict[str, Any]:
    """The same as JSON types."""
    return {"watched_s": round(nuisance.learnt.watched_s, 1), "places": [asdict(place) for place in found]}


def proposal(camera: str, found: Sequence[Place], existing: Mapping[str, tuple[Polygon, ...]]) -> list[str]:
    """The lines that leave places out, for their label only: a mask would blind for all.

    Args:
        camera: its id.
        found: what to leave out.
        existing: the areas that are left out already, by label; what is pasted takes their place, so it repeats them.
    """
    lines = [f"  - id: {_quoted(camera)}", "    detect:", "      filters:"]
    for label in dict.fromkeys(place.label for place in found):
        lines += [f"        {_quoted(label)}:", "          without:"]
        lines += [f"            - {_corners(polygon)}" for polygon in existing.get(label, ())]
        for place in found:
            if place.label == label:
                lines += [f"            # {in_words(place)}", f"            - {_corners(place.outline)}"]
    return lines


def _quoted(name: str) -> str:
    return name if name.isidentifier() else f'"{name}"'


def _corners(polygon: Iterable[tuple[float, float]]) -> str:
    return f"[{', '.join(f'[{x:g}, {y:g}]' for x, y in polygon)}]"
