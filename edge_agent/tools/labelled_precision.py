"""How well a model sees, by its average precision on labelled pictures that it was not calibrated with."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Callable, Iterable

from edge_agent.errors import ConfigError
from edge_agent.records import ByteArray, Frame
from edge_agent.tools import accuracy
from edge_agent.tools.labelled import LabelledFolder
from edge_agent.vision import Vision


class LabelledPrecision:
    """Labelled pictures, to measure one model after the other on: AP as `accuracy.judge` counts it.

    The pictures are read anew for each model, so that any number of them fits into memory.

    Args:
        labels: the pictures, and what is on them.
        label_names: what the models can tell apart.

    Raises:
        ConfigError: nothing on the pictures is called like one of those.
    """

    name = "AP"

    def __init__(self, labels: LabelledFolder, label_names: Iterable[str]) -> None:
        self._labels = labels
        self._category_ids = labels.labelled.shared_with(label_names)
        wanted = set(self._category_ids.values())
        self.pictures = len(labels.labelled.pictures)
        self.things = sum(one.category_id in wanted and not one.iscrowd for one in labels.labelled.annotations)
        """How many are annotated, without crowds."""

    def measure(self, vision: Vision) -> float:
        """AP of a model, 0 to 1.

        Raises:
            SourceError: a picture cannot be read any more.
        """
        labelled = self._labels.labelled
        rows = accuracy.look(vision, labelled, self._category_ids, self._labels.folder)
        found = itertools.chain.from_iterable(rows)
        return accuracy.judge(labelled, self._category_ids, found).overall.ap or 0.0


def held_out(
    labels: LabelledFolder, calibration: Iterable[ByteArray], picture: Callable[[Frame], ByteArray]
) -> LabelledFolder:
    """Those labelled pictures that no calibration has seen, wherever it had its pictures from.

    Args:
        labels: all of them.
        calibration: what was calibrated with.
        picture: makes a frame what the model sees of it, by which two pictures are known to be the same.

    Raises:
        ConfigError: none is left.
        SourceError: a picture cannot be read.
    """
    seen = {_digest(one) for one in calibration}
    left = [one for one, frame in labels.frames() if _digest(picture(frame)) not in seen]
    if not left:
        raise ConfigError(
            f"{labels.labelled.path}: each of its {len(labels.labelled.pictures)} pictures is calibrated with, so none "
            "is left to measure with; take fewer --pictures, or others to calibrate with"
        )
    return LabelledFolder(labelled=labels.labelled.only(left), folder=labels.folder)


def _digest(picture: ByteArray) -> tuple[tuple[int, ...], bytes]:
    return picture.shape, hashlib.sha256(picture.tobytes()).digest()
