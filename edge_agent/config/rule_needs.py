"""What lines and rules need that stands elsewhere in the file: the ground, where the device is, who is looked for."""

from __future__ import annotations

from collections.abc import Iterator

from edge_agent.config.looked_for import looked_for_by, nearest_label
from edge_agent.config.tree import Fault, Node
from edge_agent.config.wording import in_a_row, shown
from edge_agent.stages.rules.left_behind import LeftBehindSettings

_SUN = ("sunrise", "sunset")


def check(root: Node, camera: Node) -> Iterator[Fault]:
    """Find what one camera's lines and rules need and is not there."""
    rules = _entries(camera, "rules")
    lines = camera.keys.get("lines")
    if not _is_stated(root.find(("device", "location"))):
        for one in (*(lines.keys.values() if lines else ()), *rules):
            yield from _sun(one)
    for rule in rules:
        kind = rule.keys.get("kind")
        if kind and kind.text == "speed" and not _is_stated(camera.keys.get("ground")):
            yield kind.fault("needs the camera's `ground`; without it nobody knows how fast anything moves")
        if kind and kind.text == "left_behind":
            yield from _people(camera, rule)


def _sun(one: Node) -> Iterator[Fault]:
    """Whoever goes by the sun must say where."""
    schedule = one.keys.get("schedule")
    for window in (schedule.entries or (schedule,)) if schedule else ():
        for moment in filter(None, (window.keys.get("from"), window.keys.get("to"))):
            if moment.text and moment.text.startswith(_SUN):
                yield moment.fault(
                    f"is {shown(moment.written)}, which needs `device.location`, degrees north and degrees east"
                )


def _people(camera: Node, rule: Node) -> Iterator[Fault]:
    """Who may be with a thing must be looked for, or every thing would be alone."""
    looked_for = looked_for_by(camera)
    if not looked_for:
        return
    stated = _entries(rule, "people")
    for label in stated:
        if label.text is not None and label.text not in looked_for:
            what = f"this camera does not look for {shown(label.written)}, so nothing is ever seen to have company"
            yield label.fault(f"{what}; {nearest_label(label.text, looked_for)}")
    people = LeftBehindSettings.model_fields["people"].default
    if not _is_stated(rule.keys.get("people")) and not looked_for.keys() & set(people):
        words = in_a_row(map(shown, people), "and")
        yield rule.fault(f"`people` is {words} when left out, whom this camera does not look for; see `detect.labels`")


def _entries(node: Node, key: str) -> tuple[Node, ...]:
    child = node.keys.get(key)
    return child.entries if child else ()


def _is_stated(node: Node | None) -> bool:
    return node is not None and node.value is not None
