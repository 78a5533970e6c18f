"""The conditions by which every rule decides, and when a rule may speak at all."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from edge_agent.records import Condition, ConditionName, Track
from edge_agent.stages.rules.scene import IsOpen, Scene, Seen


def yes(name: ConditionName, *, holds: bool) -> Condition:
    """Something must be so."""
    return Condition(name, float(holds), 1.0, holds)


def at_least(name: ConditionName, value: float, wanted: float) -> Condition:
    """A number must be reached."""
    return Condition(name, value, wanted, value >= wanted)


def at_most(name: ConditionName, value: float, wanted: float) -> Condition:
    """A number must not be passed."""
    return Condition(name, value, wanted, value <= wanted)


def labelled(track: Track, labels: tuple[str, ...] | None) -> Condition:
    """The object must be one of these things; anything goes for None."""
    return yes("label", holds=labels is None or track.label in labels)


def in_zone(seen: Seen, zone: str | None) -> Condition:
    """The object must be in a zone; anywhere goes for None."""
    return yes("zone", holds=zone is None or zone in seen.zones)


def weigh(conditions: Iterable[Condition], *, whole: bool) -> tuple[bool, tuple[Condition, ...]]:
    """Whether all conditions hold, and which they are: up to the first that does not, unless the whole is asked for."""
    weighed: list[Condition] = []
    all_hold = True
    for condition in conditions:
        weighed.append(condition)
        if not condition.holds:
            all_hold = False
            if not whole:
                break
    return all_hold, tuple(weighed)


class Voice:
    """When a rule may speak: within its schedule, and not for its cooldown after it has spoken.

    Args:
        cooldown_s: how long it is silent after it has spoken, whichever object that was about.
        is_open: its schedule.
    """

    def __init__(self, cooldown_s: float, is_open: IsOpen) -> None:
        self._cooldown_s = cooldown_s
        self._is_open = is_open
        self._spoke_s: float | None = None
        self._scene: Scene | None = None
        self._asked: tuple[Condition, ...] = ()  # of that scene: the same for all its objects, until the rule speaks

    def schedule(self, scene: Scene) -> Condition:
        """It must be within its schedule."""
        return yes("schedule", holds=self._is_open(scene.utc_ns))

    def cooldown(self, scene: Scene) -> Condition:
        """Nothing of its cooldown must be left."""
        left_s = 0.0 if self._spoke_s is None else self._spoke_s + self._cooldown_s - scene.at_s
        return at_most("cooldown_s", max(left_s, 0.0), 0.0)

    def conditions(self, scene: Scene) -> Iterator[Condition]:
        """Both."""
        if scene is not self._scene:
            self._scene, self._asked = scene, (self.schedule(scene), self.cooldown(scene))
        yield from self._asked

    def speak(self, scene: Scene) -> None:
        """It speaks now."""
        self._spoke_s = scene.at_s
        self._scene = None
