"""Dwell: an object has been in a zone, or in view, for long."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field

from edge_agent.records import Condition
from edge_agent.settings import Seconds
from edge_agent.stages.rules.conditions import at_least, in_zone
from edge_agent.stages.rules.scene import Scene, Seen
from edge_agent.stages.rules.watch import Kind, WatchSettings


class DwellSettings(WatchSettings):
    """An object has been in a zone, or in view, for long."""

    kind: Literal["dwell"]
    """That it is about how long an object has been there."""

    after_s: Annotated[Seconds, Field(gt=0)]
    """How long that must be, from when it came in until it was last seen; larger speaks of fewer, and later."""


def dwell(settings: DwellSettings) -> Kind:
    """How long an object has been there counts up to when it was last seen: who is missed has perhaps gone."""

    def conditions(seen: Seen, _scene: Scene) -> Iterator[Condition]:
        yield in_zone(seen, settings.zone)
        came_s = seen.track.first_s if settings.zone is None else seen.since_s.get(settings.zone, seen.track.seen_s)
        yield at_least("dwelt_s", seen.track.seen_s - came_s, settings.after_s)

    return Kind(reason="dwell", conditions=conditions)
