"""An INT8 model from a float one, with its loss and its speed measured on this machine before anybody relies on it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from edge_agent.errors import ConfigError
from edge_agent.records import ByteArray, Frame
from edge_agent.stages.detect.preparation import Preparation
from edge_agent.tools.agreement import Agreement
from edge_agent.tools.calibration_pictures import LEAST_PICTURES
from edge_agent.tools.int8 import Order, Quantized, Say, Workshop
from edge_agent.tools.labelled_precision import LabelledPrecision, held_out
from edge_agent.tools.trials import Accuracy
from edge_agent.vision import Vision, load_vision

Picture = Callable[[Frame], ByteArray]
Take = Callable[[Picture], Iterable[ByteArray]]
"""Takes pictures, when it is given what makes a frame as small as the model sees it."""


def quantize(order: Order, take: Take, say: Say) -> Quantized:
    """Calibrate, search for what is to stay float, and measure.

    Every second picture is held out from calibration, to measure with; of labelled pictures all that it has not seen.

    Args:
        order: what is to be made.
        take: takes the pictures.
        say: is told how it goes.

    Raises:
        ModelError: the model cannot be used, or not be quantized.
        RuntimeMissingError: onnx, onnxruntime or, with labels, pycocotools is not installed.
        ConfigError: the pictures are too few, or show nothing that the model finds.
        SourceError: the pictures cannot be read.
    """
    teacher = load_vision(order.model)
    if order.labels:
        order.labels.labelled.shared_with(teacher.label_names)  # before minutes go by for pictures of a camera
    picture = Preparation(teacher.head, teacher.input_size).picture
    with TemporaryDirectory(prefix="edge-agent-") as folder:
        workshop = Workshop(order, teacher, Path(folder))
        calibration, others = _taken(order, take, picture, say)
        accuracy = _accuracy(order, teacher, calibration, others, picture)
        return workshop.make(calibration, others, accuracy, say)


def _taken(order: Order, take: Take, picture: Picture, say: Say) -> tuple[list[ByteArray], list[ByteArray]]:
    """Pictures to calibrate with, and as many between them."""
    say(f"taking pictures of {order.pictures_of}")
    pictures = list(take(picture))
    if len(pictures) < LEAST_PICTURES:
        raise ConfigError(f"{order.pictures_of} gives {len(pictures)} pictures; {LEAST_PICTURES} are the least")
    return pictures[::2], pictures[1::2]


def _accuracy(
    order: Order, teacher: Vision, calibration: Sequence[ByteArray], others: Sequence[ByteArray], picture: Picture
) -> Accuracy:
    """What there is to be found, to hold models against: what is annotated, or what the float model finds."""
    if order.labels:
        return LabelledPrecision(held_out(order.labels, calibration, picture), teacher.label_names)
    agreement = Agreement(teacher, others)
    if not agreement.things:
        raise ConfigError(
            f"{teacher.name} finds nothing with a score of at least {teacher.threshold:g} in {len(others)} pictures "
            f"of {order.pictures_of}, so no loss can be measured; take pictures that show what it is to find"
        )
    return agreement
