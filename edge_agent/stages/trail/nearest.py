"""How near a rule came to speaking: the moment at which the fewest of its conditions failed, and by the least."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from edge_agent.records import Condition, Spoken, Track
from edge_agent.stages.trail.entries import Judged, Milliseconds

Key = tuple[str, str | None]
"""A rule, or a line with a direction."""

Noted = tuple[Spoken, Track | None, tuple[Condition, ...]]
"""How it stands with a rule: what it would say, of which object, and all its conditions."""

_DIGITS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """How it stood with a rule at one moment.

    Attributes:
        spoken: what the rule would have said.
        at_ms: when that was.
        conditions: all of them.
        failed: how many did not hold.
        gap: how far these were from what was wanted, each less than 1.
    """

    spoken: Spoken
    at_ms: Milliseconds
    conditions: tuple[Condition, ...]
    failed: int
    gap: float

    def judged(self, zone: str | None) -> Judged:
        """What is kept of it."""
        conditions = self.conditions
        if conditions[0].name == "label" and not conditions[0].holds:
            conditions = conditions[:1]
        return judged(self.spoken, zone, self.at_ms, conditions)


def keep_nearer(
    moments: dict[Key, Moment], key: Key, noted: Noted, failing: Sequence[Condition], at_ms: Milliseconds
) -> None:
    """Remember how it stands with a rule that does not speak, if it never came nearer to it.

    Args:
        moments: what is remembered.
        key: of the rule.
        noted: how it stands.
        failing: the conditions that do not hold.
        at_ms: when that is.
    """
    before = moments.get(key)
    if before is not None and len(failing) > before.failed:
        return
    gap = 0.0
    for condition in failing:
        distance = abs(condition.value - condition.wanted)
        gap += distance / (1.0 + distance)
    if before is None or len(failing) < before.failed or gap < before.gap:
        spoken, _track, conditions = noted
        moments[key] = Moment(
            spoken=spoken, at_ms=at_ms, conditions=conditions, failed=len(failing), gap=gap
        )  # fmt: skip


def judged(spoken: Spoken, zone: str | None, at_ms: Milliseconds, conditions: tuple[Condition, ...]) -> Judged:
    """How it stands with a rule, as it is kept."""
    return Judged(
        name=spoken.name,
        kind=spoken.kind,
        direction=spoken.direction,
        active=spoken.active,
        zone=zone,
        at_ms=at_ms,
        conditions=tuple(Condition(one.name, rounded(one.value), rounded(one.wanted), one.holds) for one in conditions),
    )


def rounded(value: float) -> float:
    """As many digits as anybody reads."""
    return round(float(value), _DIGITS)
