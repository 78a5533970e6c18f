"""How near a rule came to speaking: the moment at which the fewest of its conditions failed, and by the least."""

from __future__ import annotations

from dataclasses import dataclass

from edge_agent.records import Condition, Spoken
from edge_agent.stages.trail.entries import Judged, Milliseconds, Told

Key = tuple[str, str | None]
"""A rule, or a line with a direction."""

_DIGITS = 3


@dataclass(slots=True)
class Moment:
    """How it stood with a rule at one moment. It is the trail's own.

    Attributes:
        spoken: what the rule would have said.
        at_ms: when that was.
        conditions: all of them.
        failed: how many did not hold.
        gap: how far the failed ones were from what was wanted, each less than 1.
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
    moments: dict[Key, Moment], key: Key, spoken: Spoken, at_ms: Milliseconds, conditions: tuple[Condition, ...]
) -> None:
    """Remember how it stands with a rule that does not speak, if it never came nearer to it."""
    before = moments.get(key)
    failed, gap = 0, 0.0
    for condition in conditions:
        if not condition.holds:
            failed += 1
            distance = abs(condition.value - condition.wanted)
            gap += distance / (1.0 + distance)
    if before is None:
        moments[key] = Moment(spoken, at_ms, conditions, failed, gap)
    elif failed < before.failed or (failed == before.failed and gap < before.gap):
        before.spoken, before.at_ms, before.conditions = spoken, at_ms, conditions
        before.failed, before.gap = failed, gap


def judged(spoken: Spoken, zone: str | None, at_ms: Milliseconds, conditions: tuple[Condition, ...]) -> Judged:
    """How it stands with a rule, as it is kept."""
    return Judged(
        name=spoken.name,
        kind=spoken.kind,
        direction=spoken.direction,
        active=spoken.active,
        zone=zone,
        at_ms=at_ms,
        conditions=tuple(Told(one.name, rounded(one.value), rounded(one.wanted), one.holds) for one in conditions),
    )


def rounded(value: float) -> float:
    """As many digits as anybody reads."""
    return round(float(value), _DIGITS)
