"""Which model a person asks for, and what a loaded one is, whatever runtime it runs on."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from numpy.typing import NDArray
from pydantic import Field

from edge_agent.records import Infer, ModelSignature
from edge_agent.settings import Ratio, Section, Threshold

Spread = Annotated[float, Field(gt=0)]
Scale = Annotated[float, Field(ge=1)]

Run = Callable[[Mapping[str, NDArray[Any]]], Sequence[NDArray[Any]]]
"""Input tensors by name in, all output tensors out, in the order of the `ModelSignature`; none of them float16."""

AUTO = "auto"
"""Whatever answers soonest on this machine."""


class ModelSettings(Section):
    """Which model looks, and on what hardware."""

    name: str | None = None
    """A built-in model, `default` or `ssdlite`; `default` when neither this nor `path` stands."""

    path: Path | None = None
    """A model of your own: an ONNX or `.tflite` file of a known family, instead of `name`."""

    family: str | None = None
    """How the answer of a `path` is read, such as `yolox`, where its graph leaves that open."""

    labels: Path | None = None
    """A text file with the model's labels, one a line, for a `path` whose labels cannot be read from the file."""

    anchors: Path | None = None
    """A file with the anchors of a `path` that ends in raw offsets: `.npy`, or `.txt` or `.csv` with one a line."""

    anchor_form: Literal["yxyx", "xyxy", "yxhw", "xywh"] | None = None
    """What the four numbers of an anchor are, corners or centre and size, where they leave that open."""

    box_scales: tuple[Scale, Scale, Scale, Scale] | None = None
    """How many times as large as they are an SSD's offsets were learnt, one over its variances; else 10, 10, 5, 5."""

    activation: Literal["sigmoid", "softmax"] | None = None
    """What makes scores of an SSD's class logits, where these leave that open."""

    input: tuple[Annotated[int, Field(ge=32, le=4096)], Annotated[int, Field(ge=32, le=4096)]] | None = None
    """Width and height that the model sees, for a model that takes any; larger finds smaller things and costs more."""

    colour: Literal["bgr", "rgb"] | None = None
    """Order of the channels that a `path` was trained with, where its family's is another."""

    resize: Literal["letterbox", "stretch"] | None = None
    """How a picture is made to fit a `path`'s input, where its family does it otherwise: padded, or stretched."""

    mean: tuple[float, float, float] | None = None
    """Subtracted from each channel's 0..255, in the model's order, where its family subtracts something else."""

    std: tuple[Spread, Spread, Spread] | None = None
    """Divides what is left."""

    threshold: Threshold = 0.4
    """Least score of a detection; larger means fewer false alarms and more missed objects."""

    threads: Annotated[int, Field(ge=1, le=64)] = 1
    """Threads in one run of the model; cameras run side by side anyway, so 1 costs least CPU."""

    provider: str = AUTO
    """What runs the model, such as `CPUExecutionProvider`; `auto` measures what there is and keeps the fastest."""

    require_provider: str | None = None
    """Refuse to start unless this provider is the active one, and runs a part of the model at least."""

    max_loss: Ratio | None = None
    """How much of its agreement with itself the model may lose to cost less on this machine; then `input`, `provider`
    and `threads` are measured at the first start and remembered, where they are left out here. Larger allows more."""


def timed(infer: Infer, spent_s: list[float]) -> Infer:
    """The same model, which notes how many seconds each run takes."""

    def run(tensor: NDArray[Any]) -> Sequence[NDArray[Any]]:
        began_s = time.perf_counter()
        outputs = infer(tensor)
        spent_s.append(time.perf_counter() - began_s)
        return outputs

    return run


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedModel:
    """A model that is ready to run.

    Attributes:
        run: one run; safe to call from several threads at once.
        signature: what goes in and what comes out.
        provider: what it runs on.
        why: it runs there, in words and numbers of our own, so that it may be published.
        nodes: operations in its graph; None where the runtime does not tell.
        fallback_nodes: those of them that run elsewhere than on what was asked for; None where nobody tells.
        engines: the folder for what the runtime compiles of it; None where none is kept.
    """

    run: Run
    signature: ModelSignature
    provider: str
    why: str
    nodes: int | None = None
    fallback_nodes: int | None = None
    engines: Path | None = None
