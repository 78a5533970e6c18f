"""Models and the runtime that runs them: onnxruntime, and nothing else, lives here."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field

from edge_agent.settings import Ratio, Section


class ModelSettings(Section):
    """Which model looks, and on what hardware."""

    name: str | None = None
    """A built-in model, `default` or `ssdlite`; `default` when neither this nor `path` stands."""

    path: Path | None = None
    """A model of your own: an ONNX file of a known family, instead of `name`."""

    labels: Path | None = None
    """A text file with the model's labels, one a line, for a `path` whose labels cannot be read from the file."""

    input: tuple[Annotated[int, Field(ge=32, le=4096)], Annotated[int, Field(ge=32, le=4096)]] | None = None
    """Width and height that the model sees, for a model that takes any; larger finds smaller things and costs more."""

    threshold: Annotated[Ratio, Field(gt=0)] = 0.4
    """Least score of a detection; larger means fewer false alarms and more missed objects."""

    threads: Annotated[int, Field(ge=1, le=64)] = 1
    """Threads in one run of the model; cameras run side by side anyway, so 1 costs least CPU."""

    provider: str = "auto"
    """onnxruntime execution provider such as `CPUExecutionProvider`; `auto` takes the first of CUDA and CPU here."""

    require_provider: str | None = None
    """Refuse to start unless this provider is the active one."""
