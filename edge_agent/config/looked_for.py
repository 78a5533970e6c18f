"""What a camera looks for, by its file: nothing else can count in a zone, cross a line or have a threshold."""

from __future__ import annotations

from collections.abc import Mapping

from edge_agent.config.tree import Node
from edge_agent.config.wording import in_a_row, nearest, shown
from edge_agent.stages.detect.detector import DetectSettings


def looked_for_by(camera: Node) -> Mapping[str, str]:
    """The labels of `detect.labels`, as they are and as they are written; none when they are no list of texts."""
    node = camera.find(("detect", "labels"))
    if node is None or node.value is None:
        return {label: label for label in DetectSettings().labels}
    return {entry.text: entry.written for entry in node.entries if entry.text is not None}


def nearest_label(label: str, looked_for: Mapping[str, str]) -> str:
    """Which label was probably meant, or which there are."""
    near = nearest(label, looked_for)
    if near is not None:
        return f"did you mean {shown(looked_for[near])}?"
    return f"`detect.labels` holds {in_a_row(map(shown, looked_for.values()), 'and')}"
