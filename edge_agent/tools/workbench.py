"""A model on the table: its graph as it is by now, loaded as the agent loads it, and what it answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge_agent.edges.inference import ModelSettings
from edge_agent.edges.surgery import Graph, SurgeryError, Walk
from edge_agent.errors import ModelError
from edge_agent.records import Frame
from edge_agent.stages.detect.head import shape_of
from edge_agent.stages.detect.picture_input import picture_input
from edge_agent.tools import likeness
from edge_agent.tools.likeness import Answers, Difference
from edge_agent.vision import Vision, load_vision


class ProofError(SurgeryError):
    """A changed model does not answer as the one before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A change that was made and proved.

    Attributes:
        kind: what kind of change.
        told: what was done, for people.
        proof: how near the answers are to those of before, for people.
    """

    kind: str
    told: str
    proof: str


class Workbench:
    """Where a model is changed step by step.

    Args:
        graph: of the model.
        vision: the model, loaded.
        settings: to load what becomes of it.
        frames: what it is shown.
        folder: for what is only needed meanwhile.
    """

    def __init__(
        self, graph: Graph, vision: Vision, settings: ModelSettings, frames: Sequence[Frame], folder: Path
    ) -> None:
        self.settings = settings
        self.frames = tuple(frames)
        self.steps: list[Step] = []
        self._path = folder / "trial.onnx"
        self.graph = graph
        self._look(vision)

    def _look(self, vision: Vision) -> None:
        self.vision = vision
        self.tensors = likeness.tensors(vision, self.frames, vision.input_size)
        """The frames, as the model takes them."""
        self.answers = likeness.answers(vision, self.tensors)
        """What it answers to them."""

    @property
    def picture(self) -> str:
        """Name of the input that takes the picture."""
        return picture_input(self.vision.signature).name

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the picture that the model takes."""
        return shape_of(self.vision.head.layout, self.vision.input_size)

    def walk(self, graph: Graph) -> Walk:
        """Through a graph, with pictures of the model's size."""
        return Walk(graph, {self.picture: self.shape}).through()

    def write(self, graph: Graph) -> Path:
        """A file of a graph, in place of the one before."""
        self._path.write_bytes(graph.written())
        return self._path

    def load(self, graph: Graph, *, is_trial: bool = True, **settings: Any) -> Vision:
        """A graph as the agent sees it, with other settings than before; proved as at a start, where it is no trial.

        Raises:
            SurgeryError: it is no model any more that the agent understands.
        """
        path = self.write(graph)
        try:
            return load_vision(self.settings.model_copy(update={"path": path, **settings}), is_trial=is_trial)
        except ModelError as error:
            raise SurgeryError(str(error).removeprefix(f"model {path}: ")) from error

    def load_alike(self, graph: Graph) -> Vision:
        """The same, of the family and with the activation that it had, which are told where the graph leaves them open.

        Raises:
            SurgeryError: it cannot be read so any more.
        """
        head = self.vision.head
        told: dict[str, Any] = {"family": head.family} | ({"activation": head.activation} if head.activation else {})
        try:
            vision = self.load(graph)
            if vision.head.family == head.family:
                return vision
        except SurgeryError:
            if all(getattr(self.settings, name) is not None for name in told):
                raise
        vision = self.load(graph, **told)
        self.settings = self.settings.model_copy(update=told)
        return vision

    def difference(self, vision: Vision, expected: Sequence[Answers], small: float = likeness.SMALL) -> Difference:
        """How far what a changed model answers lies from what is expected.

        Args:
            vision: the changed model.
            expected: a mapping a frame.
            small: as `likeness.difference` has it.
        """
        names = self.graph.outputs
        axes = {names[one.output]: one.axis for one in self.vision.head.class_columns}
        return likeness.difference(likeness.answers(vision, self.tensors), expected, axes, small)

    def prove(self, vision: Vision, expected: Sequence[Answers], small: float = likeness.SMALL) -> str:
        """Show that a changed model answers what is expected, and say how nearly.

        Raises:
            ProofError: it does not.
        """
        apart = self.difference(vision, expected, small)
        if not apart.is_rounding:
            raise ProofError(f"the changed model answers otherwise: {apart}")
        return f"{apart}, on {len(self.tensors)} pictures"

    def take(self, graph: Graph, vision: Vision, step: Step) -> None:
        """Go on with what was proved."""
        self.graph = graph
        self.steps.append(step)
        self._look(vision)
