"""What of a configuration Home Assistant shows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, get_args

from edge_agent.records import RuleKind
from edge_agent.stages.encode.topics import Topics

Setting = Literal["detect", "threshold", "rate_hz"]
SETTINGS: tuple[Setting, ...] = get_args(Setting)
"""What may be changed while the agent runs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownRule:
    """A rule; `leaves` tells those that speak when something leaves a zone from those when it enters."""

    name: str
    kind: RuleKind
    leaves: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownCamera:
    """A camera.

    Attributes:
        id: its name in topics.
        labels: what it looks for.
        zones: what counts in each of its zones.
        lines: what each of its lines counts.
        rules: its rules.
    """

    id: str
    labels: tuple[str, ...]
    zones: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    lines: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    rules: tuple[ShownRule, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownDevice:
    """The agent with all its cameras.

    Attributes:
        topics: where it says and hears things.
        name: what people call it.
        version: of the agent.
        model: the name of what looks.
        cameras: its cameras.
        settable: what may be changed of each camera while the agent runs.
    """

    topics: Topics
    name: str
    version: str
    model: str
    cameras: tuple[ShownCamera, ...]
    settable: frozenset[Setting] = frozenset()
