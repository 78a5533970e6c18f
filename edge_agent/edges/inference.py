"""Models and the runtime that runs them: onnxruntime, and nothing else, lives here."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from edge_agent import runtimes
from edge_agent.errors import ModelError
from edge_agent.records import Infer, ModelSignature, Tensor
from edge_agent.settings import Ratio, Section

Spread = Annotated[float, Field(gt=0)]

Run = Callable[[Mapping[str, NDArray[Any]]], Sequence[NDArray[Any]]]
"""Input tensors by name in, all output tensors out, in the order of the `ModelSignature`; none of them float16."""


class ModelSettings(Section):
    """Which model looks, and on what hardware."""

    name: str | None = None
    """A built-in model, `default` or `ssdlite`; `default` when neither this nor `path` stands."""

    path: Path | None = None
    """A model of your own: an ONNX file of a known family, instead of `name`."""

    family: str | None = None
    """How the answer of a `path` is read, such as `yolox`, where its graph leaves that open."""

    labels: Path | None = None
    """A text file with the model's labels, one a line, for a `path` whose labels cannot be read from the file."""

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

    threshold: Annotated[Ratio, Field(gt=0)] = 0.4
    """Least score of a detection; larger means fewer false alarms and more missed objects."""

    threads: Annotated[int, Field(ge=1, le=64)] = 1
    """Threads in one run of the model; cameras run side by side anyway, so 1 costs least CPU."""

    provider: str = "auto"
    """onnxruntime execution provider such as `CPUExecutionProvider`; `auto` takes the first of CUDA and CPU here."""

    require_provider: str | None = None
    """Refuse to start unless this provider is the active one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedModel:
    """A model that is ready to run.

    Attributes:
        run: one run; safe to call from several threads at once.
        signature: what goes in and what comes out.
        provider: the execution provider that is active.
    """

    run: Run
    signature: ModelSignature
    provider: str


def load_model(path: Path, settings: ModelSettings) -> LoadedModel:
    """Load an ONNX file.

    Args:
        path: the file.
        settings: threads and providers.

    Raises:
        ModelError: the file is no model that this onnxruntime can load, or the required provider is not active.
        RuntimeMissingError: onnxruntime is not installed.
    """
    onnxruntime = runtimes.load("onnxruntime")
    onnxruntime.set_default_logger_severity(_SAY_NOTHING)
    providers = _providers(settings, onnxruntime.get_available_providers())
    try:
        session = onnxruntime.InferenceSession(str(path), _options(onnxruntime, settings), providers=providers)
    except Exception as error:  # onnxruntime raises a class of its own for each cause, all derived from Exception
        raise ModelError(f"model {path}: onnxruntime cannot load it: {_first_line(error)}") from error
    active = session.get_providers()[0]
    if settings.require_provider not in {None, active}:
        raise ModelError(
            f"model {path}: model.require_provider is {settings.require_provider}, active is {active}; "
            f"this onnxruntime offers {', '.join(onnxruntime.get_available_providers())}"
        )
    signature = _signature(session)
    return LoadedModel(run=_run(session, signature), signature=signature, provider=active)


_SAY_NOTHING = 4  # but what is fatal: what matters comes as an exception, and is said once
_PREFERRED = ("CUDAExecutionProvider", "CPUExecutionProvider")


def _providers(settings: ModelSettings, available: Sequence[str]) -> list[str]:
    wanted = settings.require_provider or settings.provider
    if wanted == "auto":
        return [name for name in _PREFERRED if name in available]
    if wanted not in available:
        raise ModelError(f"model.provider {wanted} is not in this onnxruntime; it offers {', '.join(available)}")
    return [wanted] if wanted == _PREFERRED[-1] else [wanted, _PREFERRED[-1]]


def _options(onnxruntime: ModuleType, settings: ModelSettings) -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = settings.threads
    options.inter_op_num_threads = 1
    # Waiting threads that spin double the CPU time for a few per cent of speed.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return options


def _signature(session: Any) -> ModelSignature:
    return ModelSignature(
        inputs=tuple(map(_tensor, session.get_inputs())),
        outputs=tuple(map(_tensor, session.get_outputs())),
        metadata=dict(session.get_modelmeta().custom_metadata_map),
    )


def _tensor(described: Any) -> Tensor:
    shape = tuple(dim if isinstance(dim, int) and dim > 0 else None for dim in described.shape)
    element = described.type.removeprefix("tensor(").removesuffix(")")
    return Tensor(
        name=described.name, shape=shape, dtype={"float": "float32", "double": "float64"}.get(element, element)
    )


def _run(session: Any, signature: ModelSignature) -> Run:
    output_names = [tensor.name for tensor in signature.outputs]
    is_half = any(tensor.dtype == "float16" for tensor in signature.outputs)

    def run(tensors: Mapping[str, NDArray[Any]]) -> Sequence[NDArray[Any]]:
        outputs: Sequence[NDArray[Any]] = session.run(output_names, dict(tensors))
        return [np.asarray(output, _FULL.get(output.dtype)) for output in outputs] if is_half else outputs

    return run


_FULL = {np.dtype(np.float16): np.float32}
"""What is easier to reckon with."""


def timed(infer: Infer, spent_s: list[float]) -> Infer:
    """The same model, which notes how many seconds each run takes."""

    def run(tensor: NDArray[Any]) -> Sequence[NDArray[Any]]:
        began_s = time.perf_counter()
        outputs = infer(tensor)
        spent_s.append(time.perf_counter() - began_s)
        return outputs

    return run


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
