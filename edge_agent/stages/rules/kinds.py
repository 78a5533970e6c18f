"""The kinds of rules that there are, one file each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any

from pydantic import Field

from edge_agent.records import RuleKind
from edge_agent.stages.rules.dwell import DwellSettings, dwell
from edge_agent.stages.rules.occupancy import Occupancy, OccupancySettings
from edge_agent.stages.rules.scene import IsOpen, Rule
from edge_agent.stages.rules.watch import Kind, Watch
from edge_agent.stages.rules.zone import PassageSettings, passage

RuleSettings = Annotated[PassageSettings | DwellSettings | OccupancySettings, Field(discriminator="kind")]
"""One rule of a camera; `kind` says which."""

KINDS: Mapping[RuleKind, Callable[[Any], Kind]] = {"zone": passage, "dwell": dwell}
"""The kinds about single objects, each made from its own settings."""


def rule_of(settings: RuleSettings, is_open: IsOpen) -> Rule:
    """Make a rule that speaks within its schedule."""
    if isinstance(settings, OccupancySettings):
        return Occupancy(settings, is_open)
    return Watch(settings, KINDS[settings.kind](settings), is_open)
