"""Still: an object has not left its place for long, such as an animal that lies, or a vehicle that blocks a dock."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field

from edge_agent.records import Condition, Track
from edge_agent.settings import Seconds
from edge_agent.stages.rules.conditions import at_least, in_zone
from edge_agent.stages.rules.scene import Scene, Seen
from edge_agent.stages.rules.watch import Kind, WatchSettings


class StillSettings(WatchSettings):
    """An object has not left its place for long."""

    kind: Literal["still"]
    """That it is about how long an object has stood still."""

    after_s: Annotated[Seconds, Field(gt=0)]
    """How long that must be, until it was last seen; larger speaks of fewer, and later."""


def stood_s(track: Track) -> float:
    """How long an object has stood still, up to when it was last seen; 0 while it moves."""
    return max(track.seen_s - track.still_since_s, 0.0)


def still(settings: StillSettings) -> Kind:
    """It counts up to when the object was last seen: who is missed has perhaps gone."""

    def conditions(seen: Seen, _scene: Scene) -> Iterator[Condition]:
        yield in_zone(seen, settings.zone)
        yield at_least("still_s", stood_s(seen.track), settings.after_s)

    return Kind(reason="stationary", conditions=conditions)
