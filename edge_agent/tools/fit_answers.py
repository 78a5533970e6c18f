"""Changes to what a model answers with: what nobody reads is left out, and suppression is left to the agent."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from edge_agent import geometry
from edge_agent.edges import inference
from edge_agent.edges.surgery import SurgeryError, outputs
from edge_agent.stages.detect.families import recognise
from edge_agent.stages.detect.head import Answer, Candidates, Head
from edge_agent.tools import likeness
from edge_agent.tools.likeness import Answers
from edge_agent.tools.workbench import Step, Workbench
from edge_agent.vision import Vision, told_of

_SIDES = 3
"""Of a tensor that could be read: one picture, cells and columns."""

_LEAST_SCORE = 0.01
_SAME_BOX = 0.99
_SAME_SCORE = 1e-3


def drop_outputs(bench: Workbench) -> None:
    """Leave out answers that the family does not read, with what only they need; nothing where that is nothing.

    Raises:
        SurgeryError: it answers otherwise without them.
    """
    names = bench.graph.outputs
    blank = likeness.answers(bench.vision, [bench.vision.blank()])[0]
    kept = names
    for name in names:
        fewer = tuple(one for one in kept if one != name)
        if fewer and _reads_alike(bench, blank, kept, fewer):
            kept = fewer
    if kept == names:
        return
    graph = bench.graph.copy()
    spared = outputs.answer_with(graph, bench.walk(graph), kept)
    if not spared:
        return
    changed = bench.load(graph)
    proved = bench.prove(changed, [{name: answer[name] for name in kept} for answer in bench.answers])
    dropped = ", ".join(name for name in names if name not in kept)
    told = f"{dropped} left out, which nobody reads, with {spared} operation{'s' * (spared != 1)}"
    bench.take(graph, changed, Step(kind="outputs", told=told, proof=proved))


def _reads_alike(bench: Workbench, blank: Answers, names: Sequence[str], fewer: Sequence[str]) -> bool:
    """Whether a family reads the same in fewer answers."""
    try:
        before, after = (_head(bench, blank, one) for one in (names, fewer))
    except ValueError:
        return False
    if (before.family, before.why) != (after.family, after.why):
        return False
    read = [
        (_candidates(bench.vision, before, answer, names), _candidates(bench.vision, after, answer, fewer))
        for answer in bench.answers
    ]
    return all(
        np.array_equal(one.boxes, other.boxes)
        and np.array_equal(one.scores, other.scores)
        and np.array_equal(one.label_ids, other.label_ids)
        for one, other in read
    )


def _head(bench: Workbench, answer: Answers, names: Sequence[str], family: str | None = None) -> Head:
    vision = bench.vision
    return recognise(
        Answer(
            size=vision.input_size,
            names=tuple(names),
            outputs=tuple(answer[name] for name in names),
            is_byte=vision.head.dtype == "uint8",
            classes=len(vision.label_names),
            extra_inputs=tuple(one.name for one in vision.signature.inputs if one.name != bench.picture),
            told=told_of(bench.settings),
        ),
        family,
    )


def _candidates(vision: Vision, head: Head, answer: Answers, names: Sequence[str]) -> Candidates:
    every = np.arange(len(vision.label_names))
    no_floor = np.full(len(every), -np.inf, np.float32)
    return head.decode([answer[name] for name in names], vision.input_size, every, no_floor)


def leave_suppression(bench: Workbench) -> None:
    """Answer with what a suppression in the graph is given, where a family reads that.

    Raises:
        SurgeryError: there is one, and no family reads what it is given.
    """
    if not outputs.before_suppression(bench.graph):
        return
    told = likeness.found(bench.vision, bench.tensors, _LEAST_SCORE)
    boxes = sum(len(one.scores) for one in told)
    if not boxes:
        raise SurgeryError("it finds nothing in the pictures that it is shown, so nothing can be compared")
    # What is seen just as before is best: then nobody has to be told how.
    for names, head in sorted(_readable(bench), key=lambda one: len(_as_before(bench, one[1]))):
        graph = bench.graph.copy()
        spared = outputs.answer_with(graph, bench.walk(graph), names)
        settings = _as_before(bench, head)
        try:
            changed = bench.load(graph, **settings)
        except SurgeryError:
            continue
        everything = likeness.found(changed, bench.tensors, _LEAST_SCORE / 2)
        if all(map(_holds, everything, told)):
            bench.settings = bench.settings.model_copy(update=settings)
            step = Step(
                kind="suppression",
                told=f"left to the agent, with {spared} operations: answers {', '.join(names)}, family {head.family}",
                proof=f"all {boxes} boxes on {len(told)} pictures are among those that it answers now",
            )
            bench.take(graph, changed, step)
            return
    raise SurgeryError("no family reads what the suppression is given")


def _readable(bench: Workbench) -> Iterator[tuple[tuple[str, ...], Head]]:
    """Tensors that a suppression depends on and that a family can read, with as many labels; the last made first."""
    walk = bench.walk(bench.graph)
    names = [name for name in outputs.before_suppression(bench.graph) if len(walk.known(name) or ()) == _SIDES]
    graph = bench.graph.copy()
    outputs.answer_with(graph, walk, names)
    try:
        loaded = inference.load_model(bench.write(graph), bench.settings, None)
        answer = dict(zip(names, loaded.run(bench.vision.feed(bench.vision.blank())), strict=True))
    except Exception as error:  # onnxruntime raises a class of its own for each cause, all derived from Exception
        raise SurgeryError("what the suppression is given cannot be asked of it") from error
    for count in (1, 2):
        for chosen in itertools.permutations(names, count):  # in one order some families are like others
            yield from _read(bench, answer, chosen)


def _read(bench: Workbench, answer: Answers, names: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Head]]:
    try:
        head = _head(bench, answer, names)
    except (ValueError, IndexError):
        return
    if head.classes == len(bench.vision.label_names):
        yield names, head


def _as_before(bench: Workbench, head: Head) -> dict[str, Any]:
    """Settings by which another family sees pictures as the model did before."""
    before = bench.vision.head
    family = {"family": head.family} if bench.settings.family else {}
    look = {"colour": before.colour, "resize": before.resize}
    scale = {} if before.dtype == "uint8" else {"mean": before.mean, "std": before.std}
    return family | {name: value for name, value in (look | scale).items() if value != getattr(head, name)}


def _holds(everything: Candidates, found: Candidates) -> bool:
    """Whether each box that was found is among all that there are, with its label and its score."""
    for box, score, label in zip(found.boxes, found.scores, found.label_ids, strict=True):
        same = (everything.label_ids == label) & (np.abs(everything.scores - score) <= _SAME_SCORE)
        if not (geometry.iou(box[None], everything.boxes[same]) >= _SAME_BOX).any():
            return False
    return True
