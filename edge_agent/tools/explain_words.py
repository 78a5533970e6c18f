"""What a trail knows, in plain sentences: one line a fact, with its numbers and the setting that decides."""

from __future__ import annotations

from collections.abc import Iterator

from edge_agent.stages.trail.entries import (
    Boxes,
    EventEntry,
    Figures,
    Judged,
    Milliseconds,
    ObjectEntry,
    Stay,
    Took,
    WatchEntry,
)
from edge_agent.tools.explain import EventId, Story, Wall, iso
from edge_agent.tools.explain_conditions import condition_words, counted, number

_MS = 1000.0


def in_words(story: Story, wall: Wall | None) -> Iterator[str]:
    """All of it, an event or a moment."""
    for watch in story.watches:
        yield from _watch(watch, wall)
    if not story.watches and story.before and story.after:
        yield _gap(story.before, story.after, wall)
    for event in story.events:
        yield from event_words(event, wall, with_figures=not story.is_moment)
    for one in story.objects:
        yield from object_words(one, wall, with_figures=story.is_moment)


def event_words(event: EventEntry, wall: Wall | None, *, with_figures: bool) -> Iterator[str]:
    """An event, and why it was said.

    Args:
        event: the event.
        wall: the clock that moments are told by; UTC without.
        with_figures: tell what was known of its object then.
    """
    about, rule = event.about, event.rule
    whose = f"{_name(event.camera, about)}, " if about else ""
    by = f", by {_name_of(rule)}" if rule else ""
    id_ = EventId(event.run, event.camera, event.seq)
    yield f"event {id_} at {iso(event.at_ms, wall)}: {whose}{event.type}: {', '.join(event.reason)}{by}"
    if about and with_figures:
        yield from _figures(_name(event.camera, about), about, wall)
    if rule:
        yield f"{_name_of(rule)}: spoke, for all its conditions held"
        for told in rule.conditions:
            if words := condition_words(told, rule):
                yield f"{_name_of(rule)}: {words}"


def object_words(one: ObjectEntry, wall: Wall | None, *, with_figures: bool) -> Iterator[str]:
    """An object: what became of it, and why rules did not speak of it.

    Args:
        one: the object.
        wall: the clock that moments are told by; UTC without.
        with_figures: tell what is known of it.
    """
    name, about = _name(one.camera, one.about), one.about
    if with_figures:
        yield from _figures(name, about, wall)
    if one.path:
        first, last = (f"({x:g}, {y:g})" for x, y in (one.path[0], one.path[-1]))
        yield f"{name}: stood at {first} first and at {last} last, in parts of the picture's width and height"
    yield f"{name}: {_fate(one, wall)}"
    for rule, direction, count in one.spoke:
        yield f"{name}: {_rule_name(rule, direction)} spoke of it{_times(count)}"
    for judged in one.nearest:
        failed = judged.failed
        held = len(judged.conditions) - len(failed)
        what = f"{name}: {_name_of(judged)} did not speak of it"
        if failed and failed[0].name == "label":
            yield f"{what}: {about.label} is none of its labels (labels)"
            continue
        when = f"{iso(judged.at_ms, wall)}, when {held} of {len(judged.conditions)} conditions held"
        yield f"{what}; it came closest at {when}"
        for told in failed:
            if words := condition_words(told, judged):
                yield f"{_name_of(judged)}: {words}"


def _figures(name: str, about: Figures, wall: Wall | None) -> Iterator[str]:
    """What was known of an object."""
    yield (
        f"{name}: {about.label}, first seen {iso(about.first_ms, wall)}, found in {about.hits} of {about.looks} looks, "
        f"last {iso(about.seen_ms, wall)}"
    )
    yield f"{name}: scores from {number(about.low)} to {number(about.top)}, median {number(about.score)}"
    yield from (f"{name}: {fact}" for fact in _confirmation(about))
    for stay in about.zones:
        yield f"{name}: {_stay(stay, about.seen_ms, wall)}"
    if about.still_ms is not None:
        yield f"{name}: has stood still since {iso(about.still_ms, wall)} (track.stationary_s)"
    yield from (f"{name}: {_took(took, about.label)}, near it" for took in about.took)


def _confirmation(about: Figures) -> Iterator[str]:
    """Whether an object was reported, and what that takes."""
    wanted, there_s = about.confirm, (about.seen_ms - about.first_ms) / _MS
    asked = [
        (about.hits, wanted.hits, "found {} times, {} wanted (track.confirm_hits)"),
        (there_s, wanted.seconds, "there for {} s, {} s wanted (track.confirm_s)"),
        (about.score, wanted.score, "median score {}, {} wanted (track.confirm_score, confirm_scores)"),
        (about.top, wanted.top, "best score {}, {} wanted (track.confirm_top)"),
    ]
    told = [(value >= least, words.format(number(value), number(least))) for value, least, words in asked if least > 0]
    if about.confirmed:
        yield f"confirmed, and stays so: {'; '.join(words for _holds, words in told)}"
        return
    short = [words for holds, words in told if not holds]
    if about.held:
        looks = counted(about.held, "look")
        short.append(f"at {looks} nothing new was confirmed, for the light had changed (track.scene_hold_s)")
    for words in short or (_PART,):
        yield f"not confirmed, so not reported: {words}"


_PART = "it began as part of another object, of which twice as many finds are wanted (track.confirm_hits)"


def _stay(stay: Stay, seen_ms: Milliseconds, wall: Wall | None) -> str:
    zone, since_ms, until_ms = stay
    for_s = number(((seen_ms if until_ms is None else until_ms) - since_ms) / _MS)
    if until_ms is None:
        return f"in zone {zone} since {iso(since_ms, wall)}, for {for_s} s"
    return f"was in zone {zone} from {iso(since_ms, wall)} to {iso(until_ms, wall)}, for {for_s} s"


def _fate(one: ObjectEntry, wall: Wall | None) -> str:
    if one.fate == "lives":
        return f"was there still when this was noted, at {iso(one.at_ms, wall)}"
    if one.fate == "over":
        return "ended because no picture came any more, it was paused, or the agent stopped"
    memory = "memory_s" if one.about.still_ms is None else "stationary_memory_s"
    return f"ended: not found any more after {iso(one.about.seen_ms, wall)}, for as long as is waited (track.{memory})"


def _watch(watch: WatchEntry, wall: Wall | None) -> Iterator[str]:
    """How a camera was watched for some time."""
    name = f"camera {watch.camera}"
    span = f"from {iso(watch.from_ms, wall)} to {iso(watch.at_ms, wall)}"
    looks = f"the detector looked at {watch.looks} of {watch.frames} pictures"
    if watch.paused:
        came = counted(watch.frames, "picture")
        yield f"{name}: {span} paused by a command (pause, or detect OFF), so nobody looked at the {came} that came"
        return
    yield f"{name}: {span} {_why_looked(watch)}: {looks}"
    if watch.given_up:
        given_up = counted(watch.given_up, "look")
        yield f"{name}: {given_up} had to be given up, for the machine is too slow (detect.rate_hz, model)"
    if watch.looks and not watch.boxes:
        yield f"{name}: no look found anything, not even a weak box (detect.weak)"
    for label, boxes in watch.boxes.items():
        yield from (f"{name}: {fact}" for fact in _boxes(label, boxes))
    for judged in watch.nearest:
        yield f"{_name_of(judged)}: did not speak of the scene; it came closest at {iso(judged.at_ms, wall)}"
        for told in judged.failed:
            if words := condition_words(told, judged):
                yield f"{_name_of(judged)}: {words}"
    if watch.broke_off:
        yield f"{name}: after {iso(watch.at_ms, wall)} no picture came for long, it was paused, or the agent stopped"


def _why_looked(watch: WatchEntry) -> str:
    """Why the detector looked, or why it hardly did."""
    if watch.moving:
        return "a trigger had come" if watch.external else "something moved, or the light changed"
    if watch.external:
        return "no trigger came (gate.mode: external), so nobody looked but now and then"
    return "nothing moved (gate), so nobody looked but now and then (gate.refresh_s)"


def _boxes(label: str, boxes: Boxes) -> Iterator[str]:
    setting = f"(detect.thresholds.{label}, model.threshold)"
    if boxes.strong:
        yield (
            f"{label}: {counted(boxes.strong, 'box')} reached {number(boxes.wanted)} {setting}, {boxes.weak} did not; "
            f"the best had {number(boxes.top)}"
        )
    elif boxes.weak:
        yield (
            f"{label}: {counted(boxes.weak, 'box')}, below the threshold; the best had {number(boxes.top)}, "
            f"{number(boxes.wanted)} wanted {setting}"
        )
    yield from (_took(took, label) for took in boxes.took)
    if boxes.flickers:
        yield f"{label}: {counted(boxes.flickers, 'object')} ended before being confirmed"


def _took(took: Took, label: str) -> str:
    name, count, value, wanted = took
    if name in {"within", "without"}:
        return f"a filter took {counted(count, 'box')} for where they stood (detect.filters.{label}.{name})"
    side = "at least" if name.startswith("min") else "at most"
    return (
        f"a filter took {counted(count, 'box')}; the last had {number(value)}, {side} {number(wanted)} wanted "
        f"(detect.filters.{label}.{name})"
    )


def _gap(before: WatchEntry, after: WatchEntry, wall: Wall | None) -> str:
    span = f"camera {before.camera}: from {iso(before.at_ms, wall)} to {iso(after.from_ms, wall)} nobody looked"
    if before.run != after.run:
        return f"{span}: the agent did not run, or was killed before it could note more"
    return f"{span}: no picture came from the camera, or the machine stood still"


def _name(camera: str, about: Figures) -> str:
    """An object as events call it."""
    return f"{camera}-{about.id}"


def _name_of(judged: Judged) -> str:
    return _rule_name(judged.name, judged.direction)


def _rule_name(name: str, direction: str | None) -> str:
    return f"line {name} ({direction})" if direction else f"rule {name}"


def _times(count: int) -> str:
    return "" if count == 1 else f" {count} times"
