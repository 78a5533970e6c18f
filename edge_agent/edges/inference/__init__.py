"""Models and the runtimes that run them, one file a runtime; the file's suffix says which."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from edge_agent.edges.inference import litert, onnx_runtime
from edge_agent.edges.inference.kinds import refuse_others
from edge_agent.edges.inference.model import AUTO, LoadedModel, ModelSettings, timed
from edge_agent.edges.inference.providers import ON_THE_CPU

__all__ = ["AUTO", "LoadedModel", "ModelSettings", "is_on_the_cpu", "load_model", "refuse_others", "timed"]

BACKENDS: dict[str, Callable[[Path, ModelSettings, Path | None], LoadedModel]] = {".tflite": litert.load}
"""By the suffix of the files that they run; onnxruntime takes all others."""


def load_model(path: Path, settings: ModelSettings, engines: Path | None = None) -> LoadedModel:
    """Load a model file.

    Args:
        path: the file.
        settings: threads and providers.
        engines: a folder, of this model alone, for what a runtime compiles at length; None where none may be kept.

    Raises:
        ModelError: the file is no model that its runtime can load, or the required provider is not active.
        RuntimeMissingError: the runtime is not installed.
    """
    return BACKENDS.get(path.suffix.lower(), onnx_runtime.load)(path, settings, engines)


def is_on_the_cpu(provider: str) -> bool:
    """Whether what runs there takes the processor's own time."""
    return provider in {*ON_THE_CPU, litert.PROVIDER}
