"""What happened, as far as events tell: one line each, so that those of the truth and those of the agent compare."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from edge_agent.records import Event, Said, Spoken


@dataclass(frozen=True, slots=True, kw_only=True)
class Happening:
    """Something that happened.

    Attributes:
        what: which rule says it and what, such as `zone porch: entered` or `line door: in`.
        at_s: when, by the frame it was said on.
    """

    what: str
    at_s: float


class Listener:
    """Turns what rules say into happenings: of zones by how an object's own events name them, of rules by their events.

    Args:
        label: of the objects that count; events about others are passed over, those about the scene are not.
    """

    def __init__(self, label: str) -> None:
        self._label = label
        self._zones: dict[int, tuple[str, ...]] = {}  # by track id, as last told

    def hear(self, said: Sequence[Said]) -> Iterator[Happening]:
        """What happened, in the order in which it was said."""
        for one in said:
            if isinstance(one, Event):
                yield from (Happening(what=what, at_s=one.frame.at_s) for what in self._of(one))

    def _of(self, event: Event) -> Iterator[str]:
        if event.track is not None and event.track.label != self._label:
            return
        if event.rule is not None:
            yield _in_words(event.rule)
        elif event.track is None:
            return
        elif event.event_type == "end":
            self._zones.pop(event.track.id, None)
        else:
            before = self._zones.get(event.track.id, ())
            self._zones[event.track.id] = event.zones
            yield from (f"zone {zone}: entered" for zone in event.zones if zone not in before)
            yield from (f"zone {zone}: left" for zone in before if zone not in event.zones)


def _in_words(rule: Spoken) -> str:
    if rule.direction is not None:
        return f"{rule.kind} {rule.name}: {rule.direction}"
    if rule.active is not None:
        return f"{rule.kind} {rule.name}: {'begun' if rule.active else 'over'}"
    return f"{rule.kind} {rule.name}"
