"""The changes that fit a model to its use, each made on a copy of its graph and proved before it is taken."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from edge_agent.edges.surgery import Graph, SurgeryError, focus, labels, size
from edge_agent.stages.detect.head import shape_of
from edge_agent.tools import likeness
from edge_agent.tools.workbench import ProofError, Step, Workbench
from edge_agent.vision import Vision

_LABELS = ("names", "labels")
"""Under which metadata may have them."""

_MORE_COLUMNS, _MORE_ROWS = 192, 320
"""Multiples of all usual strides, by which the other size is larger beside which a graph is made free of its own."""

_STRIDES = 64, 32
"""The largest of any family, and of most."""


def fix_weights(bench: Workbench) -> None:
    """Make constants of weights that could be given anew with each run.

    Raises:
        SurgeryError: it answers otherwise then.
    """
    graph = bench.graph.copy()
    listed = graph.fix_weights()
    if not listed:
        return
    changed = bench.load(graph)
    proved = bench.prove(changed, bench.answers)
    told = f"{listed} made constants, which were listed as inputs"
    bench.take(graph, changed, Step(kind="weights", told=told, proof=proved))


def prune_labels(bench: Workbench, wanted: tuple[str, ...]) -> None:
    """Compute no other labels than these.

    Raises:
        SurgeryError: the graph does not allow it.
        ProofError: the changed model answers otherwise.
    """
    vision = bench.vision
    head = vision.head
    kept = np.array([place for place, label in enumerate(vision.label_names) if label in wanted], np.int64)
    if not head.class_columns or head.classes is None:
        raise SurgeryError(
            "it answers with numbers of labels, or weighs them together: none has a column that could be left out"
        )
    names = bench.graph.outputs
    columns = []
    for one in head.class_columns:
        count = bench.answers[0][names[one.output]].shape[one.axis]
        columns.append(labels.Columns(names[one.output], one.axis, one.kept(count, head.classes, kept)))
    graph = bench.graph.copy()
    labels.prune(graph, bench.walk(graph), columns)
    set_labels(graph, [vision.label_names[place] for place in kept])
    changed = bench.load_alike(graph)
    expected = [dict(answer) for answer in bench.answers]
    for answer in expected:
        answer.update({one.output: np.take(answer[one.output], one.keep, one.axis) for one in columns})
    # Numbers of a label that is never likely are small: each column counts by itself, or another would do as well.
    proved = bench.prove(changed, expected, small=0)
    bench.take(graph, changed, Step(kind="labels", told=f"{len(kept)} of {head.classes} labels", proof=proved))


def set_labels(graph: Graph, labels: Sequence[str]) -> None:
    """Let a file say what its classes mean, as a mapping of numbers, as Python writes it."""
    others = {key: value for key, value in graph.metadata.items() if key not in _LABELS}
    graph.set_metadata({**others, _LABELS[0]: repr(dict(enumerate(labels)))})


def fold_focus(bench: Workbench) -> None:
    """Make one convolution of a Focus.

    Raises:
        SurgeryError: there is one that cannot be folded.
    """
    graph = bench.graph.copy()
    if not focus.fold(graph, bench.walk(graph)):
        return
    changed = bench.load(graph)
    proved = bench.prove(changed, bench.answers)
    bench.take(graph, changed, Step(kind="focus", told="folded into the convolution that follows it", proof=proved))


def resize(bench: Workbench, wanted: tuple[int, int]) -> None:
    """Let it take pictures of another size.

    Raises:
        SurgeryError: the graph does not allow it.
        ProofError: the changed model answers otherwise.
    """
    vision = bench.vision
    layout, (width, height) = vision.head.layout, vision.input_size
    graph = bench.graph.copy()
    other = shape_of(layout, (width + _MORE_COLUMNS, height + _MORE_ROWS))
    changed = size.free(graph, bench.picture, bench.shape, other)
    apart = bench.difference(bench.load(graph), bench.answers)
    if apart.greatest:
        raise ProofError(f"made free of its size, it answers otherwise at its own: {apart}")
    size.fix(graph, bench.picture, shape_of(layout, wanted))
    resized = bench.load_alike(graph)
    alike = _seen_alike(bench, resized)
    constants = f", {changed} constants changed" if changed else ""
    told = f"{width}x{height} made {wanted[0]}x{wanted[1]}{constants}"
    bench.take(graph, resized, Step(kind="size", told=told, proof=f"at its own size {apart}; {alike}"))


def _seen_alike(bench: Workbench, resized: Vision) -> str:
    """Show that a model of another size finds the same in the same pixels, at both ends of what is new in it.

    Raises:
        ProofError: it does not.
    """
    vision, wanted = bench.vision, resized.input_size
    common = min(vision.input_size[0], wanted[0]), min(vision.input_size[1], wanted[1])
    shown = tuple(likeness.tensors(one, bench.frames, common) for one in (vision, resized))
    near = likeness.likeness((vision, resized), (shown[0], shown[1]), common)
    if not near.is_alike:
        raise ProofError(f"at {wanted[0]}x{wanted[1]} it sees something else in the same picture: {near}")
    moved = _whole_cells(wanted[0] - common[0]), _whole_cells(wanted[1] - common[1])
    if not any(moved):
        return f"of the same pixels {near}"
    shown = (
        likeness.tensors(vision, bench.frames, common, (0, 0)),
        likeness.tensors(resized, bench.frames, common, moved),
    )
    far = likeness.likeness((vision, resized), (shown[0], shown[1]), common, moved)
    if not far.is_alike:
        raise ProofError(
            f"at {wanted[0]}x{wanted[1]} it sees something else in the same picture where it saw nothing before: {far}"
        )
    return f"of the same pixels {near}; moved by {moved[0]}x{moved[1]}, to where it saw nothing before, {far}"


def _whole_cells(pixels: int) -> int:
    """The most by which a picture can be moved so that each stride's cells see it as before."""
    return next((pixels // stride * stride for stride in _STRIDES if pixels >= stride), 0)
