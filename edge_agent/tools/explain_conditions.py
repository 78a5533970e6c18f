"""The conditions of rules in words, each with its number, the number wanted, and the setting that says so."""

from __future__ import annotations

from collections.abc import Mapping

from edge_agent.records import Condition, ConditionName
from edge_agent.stages.trail.entries import Judged

_Both = tuple[str, str]
"""What is said of a condition that holds, and of one that does not."""


def _either(words: str) -> _Both:
    """The numbers say which of the two it is."""
    return words, words


RULE_WORDS: Mapping[ConditionName, _Both] = {
    "label": ("it is one of its labels (labels)", "it is none of its labels (labels)"),
    "zone": ("it was in zone {zone} (zone)", "it was not in zone {zone} (zone)"),
    "entered": ("it entered zone {zone} (on: enter)", "it did not enter zone {zone} (on: enter)"),
    "left": ("it left zone {zone} (on: leave)", "it did not leave zone {zone} (on: leave)"),
    "dwelt_s": _either("it had been {where} for {value} s, {wanted} s wanted (after_s)"),
    "count": _either("{value} were {where}, {bound} {wanted} wanted (at_least)"),
    "held_s": _either("that had been so for {value} s, {wanted} s wanted (for_s)"),
    "still_s": _either("it had stood still for {value} s, {wanted} s wanted (after_s)"),
    "alone_s": _either(
        "it had stood still, and nobody stayed near it, for {value} s, {wanted} s wanted (after_s, near, stays_s)"
    ),
    "speed_kmh": _either("its speed was {value} km/h, more than {wanted} km/h wanted (over_kmh)"),
    "came_from": (
        "it came from the line's {hand} hand",
        "it had not been farther than the hysteresis on the line's {hand} hand before (hysteresis)",
    ),
    "through": (
        "it passed between the line's ends",
        "it did not pass between the line's ends (from, to, anchor)",
    ),
    "beyond": _either(
        "it was {value} of the picture's height {side} the line, more than {wanted} beyond wanted (hysteresis)"
    ),
    "schedule": ("it was within its schedule (schedule)", "it was outside its schedule (schedule)"),
    "cooldown_s": (
        "nothing was left of its cooldown (cooldown_s)",
        "{value} s were left of its cooldown (cooldown_s)",
    ),
    "said": ("it had not been said of it already", "it had been said of it already, and lasted still"),
}  # fmt: skip
"""What rules look at; box filters have words of their own."""

_OVER = "its schedule had closed, or nothing more was seen (schedule)"


def condition_words(told: Condition, judged: Judged) -> str:
    """A condition in words, whether it holds or not; nothing where it says nothing.

    Args:
        told: the condition.
        judged: of which rule, and when.
    """
    if told.name == "zone" and judged.zone is None:
        return ""
    if told.name == "schedule" and judged.active is False:
        return _OVER
    holds, fails = RULE_WORDS.get(told.name, ("", ""))
    return (holds if told.holds else fails).format(
        value=number(abs(told.value) if told.name == "beyond" else told.value),
        wanted=number(told.wanted),
        zone=judged.zone,
        where=f"in zone {judged.zone}" if judged.zone else "in view",
        bound="at most" if judged.active is False else "at least",
        hand="left" if judged.direction == "in" else "right",
        side="beyond" if told.value > 0 else "short of",
    )


def number(value: float) -> str:
    """Up to three digits after the point, and no more than there are."""
    return f"{round(value, 3):.12g}"


def counted(count: int, what: str) -> str:
    """So many of something, in words: `1 box`, `2 boxes`."""
    return f"{count} {what}" if count == 1 else f"{count} {what}{'es' if what.endswith('x') else 's'}"
