"""The kinds of rules that there are, one file each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any

from pydantic import Field

from edge_agent.records import RuleKind
from edge_agent.stages.rules.dwell import DwellSettings, dwell
from edge_agent.stages.rules.left_behind import LeftBehindSettings, left_behind
from edge_agent.stages.rules.occupancy import Occupancy, OccupancySettings
from edge_agent.stages.rules.removed import RemovedSettings, removed
from edge_agent.stages.rules.scene import IsOpen, Rule
from edge_agent.stages.rules.speed import SpeedSettings, speed
from edge_agent.stages.rules.still import StillSettings, still
from edge_agent.stages.rules.watch import Kind, Watch
from edge_agent.stages.rules.zone import PassageSettings, passage

RuleSettings = Annotated[
    PassageSettings
    | DwellSettings
    | OccupancySettings
    | StillSettings
    | LeftBehindSettings
    | RemovedSettings
    | SpeedSettings,
    Field(discriminator="kind"),
]
"""One rule of a camera; `kind` says which."""

KINDS: Mapping[RuleKind, Callable[[Any], Kind]] = {
    "zone": passage,
    "dwell": dwell,
    "still": still,
    "left_behind": left_behind,
    "removed": removed,
    "speed": speed,
}
"""The kinds about single objects, each made from its own settings."""


def rule_of(settings: RuleSettings, is_open: IsOpen) -> Rule:
    """Make a rule that speaks within its schedule."""
    if isinstance(settings, OccupancySettings):
        return Occupancy(settings, is_open)
    return Watch(settings, KINDS[settings.kind](settings), is_open)
