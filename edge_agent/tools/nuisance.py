"""Places that cry wolf, as the agent has learnt them, and the lines of a configuration that would leave them out."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from edge_agent.edges.clock import Clock, SystemClock
from edge_agent.edges.notebook import Notebook, Page
from edge_agent.settings import Polygon
from edge_agent.stages.nuisance.learnt import Learnt
from edge_agent.stages.nuisance.map import NuisanceMap
from edge_agent.stages.nuisance.nuisances import LEAST_TIMES, Nuisance, nuisances

_log = logging.getLogger(__name__)

FILE = "nuisance.json"
"""In the state folder."""

LEAST = LEAST_TIMES
"""So often a place must have been wrong, unless it is asked for otherwise."""

_NS = 1e9
_UNITS = (("h", 3600.0), ("min", 60.0), ("s", 1.0), ("ms", 0.001))


def notebook_in(state: Path, clock: Clock | None = None) -> Notebook:
    """The file of what was learnt, in the state folder."""
    return Notebook(state / FILE, clock or SystemClock())


def map_of(camera: str, labels: tuple[str, ...], pages: Mapping[str, Page], clock: Clock | None = None) -> NuisanceMap:
    """A map that goes on from what was learnt before, so much older by now; what is damaged counts as nothing.

    Args:
        camera: its id.
        labels: what it looks for.
        pages: what was written of all cameras.
        clock: tells when it is; one that was set back since makes nothing younger.
    """
    page = pages.get(camera)
    if page is None:
        return NuisanceMap(labels)
    try:
        learnt = Learnt.from_json(page.content)
    except ValueError as error:
        _log.warning('camera "%s": what was learnt of its places counts as nothing: %s', camera, error)
        return NuisanceMap(labels)
    return NuisanceMap(labels, learnt, max(0.0, ((clock or SystemClock()).utc_ns() - page.utc_ns) / _NS))


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What is known of one camera: for how long it was watched, long ago less, and its nuisances, the worst first."""

    watched_s: float
    nuisances: tuple[Nuisance, ...]


def known(nuisance: NuisanceMap, least_times: float = LEAST) -> Known:
    """What a map knows now."""
    learnt = nuisance.learnt
    return Known(watched_s=round(learnt.watched_s, 3), nuisances=tuple(nuisances(learnt, least_times)))


def verdict(one: Known) -> str:
    """What is known of a camera, in a few words."""
    if not one.watched_s:
        return "nothing was learnt yet"
    unit, unit_s = next(unit for unit in _UNITS if one.watched_s >= unit[1])
    count = len(one.nuisances)
    wolves = f"{count} places cry wolf" if count > 1 else f"{'one' if count else 'no'} place cries wolf"
    return f"{wolves}; watched for {one.watched_s / unit_s:.3g} {unit}"


def in_words(one: Nuisance) -> str:
    """What is known of a nuisance, on one line."""
    lost = f"at least {one.passed:g} real ones passed there" if one.passed else "no real one has passed there"
    left, top, right, bottom = one.box
    where = f"{left:.2f} to {right:.2f} across, {top:.2f} to {bottom:.2f} down"
    return f"{one.label}, {where}: {one.times:g} times wrong, {one.per_hour:g} an hour; {lost}"


def proposal(camera: str, found: Sequence[Nuisance], existing: Mapping[str, tuple[Polygon, ...]]) -> list[str]:
    """The lines that leave nuisances out, for their label only: a mask would blind for all.

    Args:
        camera: its id.
        found: what to leave out.
        existing: the areas that are left out already, by label; what is pasted takes their place, so it repeats them.
    """
    lines = [f"  - id: {_quoted(camera)}", "    detect:", "      filters:"]
    for label in dict.fromkeys(one.label for one in found):
        lines += [f"        {_quoted(label)}:", "          without:"]
        lines += [f"            - {_corners(polygon)}" for polygon in existing.get(label, ())]
        for one in found:
            if one.label == label:
                lines += [f"            # {in_words(one)}", f"            - {_corners(one.outline)}"]
    return lines


def _quoted(name: str) -> str:
    return name if name.isidentifier() else f'"{name}"'


def _corners(polygon: Iterable[tuple[float, float]]) -> str:
    return f"[{', '.join(f'[{x:g}, {y:g}]' for x, y in polygon)}]"
