"""Removed: what stood somewhere for long is there no more, and was not seen to move away."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field

from edge_agent.records import Condition
from edge_agent.settings import Seconds
from edge_agent.stages.rules.conditions import at_least, in_zone
from edge_agent.stages.rules.scene import Scene, Seen
from edge_agent.stages.rules.still import stood_s
from edge_agent.stages.rules.watch import Kind, WatchSettings


class RemovedSettings(WatchSettings):
    """What stood somewhere for long is there no more; what was seen to move away was not removed."""

    kind: Literal["removed"]
    """That it is about what has gone."""

    after_s: Annotated[Seconds, Field(gt=0)]
    """How long it must have stood there until it was last seen; larger speaks of fewer."""


def removed(settings: RemovedSettings) -> Kind:
    """It is said just before the `end`, so as late as the tracker gives an object up that stands still."""

    def conditions(seen: Seen, _scene: Scene) -> Iterator[Condition]:
        yield in_zone(seen, settings.zone)
        yield at_least("still_s", stood_s(seen.track), settings.after_s)

    return Kind(reason="removed", conditions=conditions, of_the_gone=True)
