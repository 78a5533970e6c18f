"""INT8 forms of one model, made, loaded and held against it one after the other."""

from __future__ import annotations

import statistics
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Protocol

from edge_agent.edges.inference import ModelSettings
from edge_agent.edges.quantizer import Quantizer
from edge_agent.errors import ModelError
from edge_agent.records import ByteArray
from edge_agent.stages.detect.preparation import Preparation
from edge_agent.tools.sensitivity import answer_error
from edge_agent.vision import Vision, load_vision


class Accuracy(Protocol):
    """A way to tell how well a model sees."""

    @property
    def name(self) -> str:
        """What its numbers are called."""
        ...

    @property
    def pictures(self) -> int:
        """How many it looks at."""
        ...

    @property
    def things(self) -> int:
        """How many there are to be found."""
        ...

    def measure(self, vision: Vision) -> float:
        """Of a model, 0 to 1."""
        ...


class Trials:
    """INT8 forms of one model.

    Args:
        quantizer: makes them.
        teacher: the float model.
        settings: how it is used.
        accuracy: tells how well each sees.
        path: where each is written, in place of the one before.
    """

    def __init__(
        self, quantizer: Quantizer, teacher: Vision, settings: ModelSettings, accuracy: Accuracy, path: Path
    ) -> None:
        self._quantizer = quantizer
        self._teacher = teacher
        self._accuracy = accuracy
        self.before = accuracy.measure(teacher)
        """Of the float model."""
        self._settings = settings.model_copy(update={"path": path, "name": None, "family": teacher.head.family})
        self._path = path

    def load(self, names: Collection[str]) -> Vision:
        """The model with these of its nodes INT8."""
        self._quantizer.write(self._path, names)
        return load_vision(self._settings, is_trial=True)

    def written(self) -> bytes:
        """The file of the one that was loaded last."""
        return self._path.read_bytes()

    def loss(self, names: Collection[str]) -> float:
        """Of accuracy with these nodes INT8; all of it where the model cannot even be read any more."""
        try:
            return self.before - self._accuracy.measure(self.load(names))
        except ModelError:
            return self.before

    def damage(self, pictures: Sequence[ByteArray], names: Collection[str]) -> float:
        """How far the answers go astray with these nodes INT8."""
        student = self.load(names)
        preparation = Preparation(student.head, student.input_size)
        tensors = (preparation.tensor(picture) for picture in pictures)
        return statistics.fmean(answer_error(student.infer(one), self._teacher.infer(one)) for one in tensors)
