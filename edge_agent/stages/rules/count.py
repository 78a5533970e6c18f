"""Counts: how many of each label are in view and in each zone, said when they change."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from edge_agent.records import Count


class Counts:
    """Remembers the counts that were said, and says those that changed; the first time all, zero included.

    Args:
        labels: what the camera looks for.
        zones: the labels that count in each zone.
    """

    def __init__(self, labels: tuple[str, ...], zones: dict[str, tuple[str, ...]]) -> None:
        places: list[tuple[str | None, str]] = [(None, label) for label in labels]
        places += [(zone, label) for zone, zone_labels in zones.items() for label in zone_labels]
        self._said: dict[tuple[str | None, str], int | None] = dict.fromkeys(places)

    def update(self, present: Iterable[tuple[str, tuple[str, ...]]]) -> Iterator[Count]:
        """Take the label and the zones of everything that is present."""
        now: Counter[tuple[str | None, str]] = Counter()
        for label, zones in present:
            now[None, label] += 1
            for inside in zones:
                now[inside, label] += 1
        for (zone, label), before in self._said.items():
            value = now[zone, label]
            if value != before:
                self._said[zone, label] = value
                yield Count(zone=zone, label=label, value=value)
