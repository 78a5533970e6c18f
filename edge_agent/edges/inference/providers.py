"""onnxruntime's execution providers that can be set up here: what each needs, and the options that it is given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CPU = "CPUExecutionProvider"
XNNPACK = "XnnpackExecutionProvider"
CUDA = "CUDAExecutionProvider"
TENSORRT = "TensorrtExecutionProvider"
OPENVINO = "OpenVINOExecutionProvider"
COREML = "CoreMLExecutionProvider"

NEEDS = {
    CPU: "any onnxruntime",
    XNNPACK: "an onnxruntime that was built with --use_xnnpack; the index has none",
    CUDA: "an NVIDIA GPU with its driver, and onnxruntime-gpu instead of onnxruntime; on a Jetson NVIDIA's wheel",
    TENSORRT: "what CUDA needs and TensorRT; then name it in model.provider once, so that its engine is built",
    OPENVINO: "a processor of x86-64, and onnxruntime-openvino instead of onnxruntime",
    COREML: "a Mac",
}
"""How a person gets each; the order is that in which they are named."""

ON_THE_CPU = {CPU, XNNPACK, OPENVINO}
"""Those that compute on the CPU, each on as many threads as it is told."""

DEVICE = ":"
"""Stands before the device in the name of a provider that has several, as in `OpenVINOExecutionProvider:GPU`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """What a provider is set up with.

    Attributes:
        threads: in one run, where it runs on the CPU.
        engines: a folder for what TensorRT compiles for this model; None where none may be kept.
    """

    threads: int
    engines: Path | None


def offered(available: Sequence[str], openvino_devices: Sequence[str]) -> tuple[str, ...]:
    """What a person may name, of what onnxruntime says it has, the CPU last."""
    known = [name for name in NEEDS if name in available and name != CPU]
    devices = [f"{OPENVINO}{DEVICE}{device}" for device in openvino_devices if device != _OPENVINO_USUAL]
    return (*known, *(devices if OPENVINO in known else ()), CPU)


def chain(name: str, available: Sequence[str], setup: Setup) -> list[tuple[str, Mapping[str, Any]]]:
    """The providers of a session with their options, so that what the first does not take has somewhere to go."""
    behind = [CUDA] if name == TENSORRT and CUDA in available else []
    names = [name, *behind, *([] if name == CPU else [CPU])]
    return [(bare(one), _options(one, setup)) for one in names]


def bare(name: str) -> str:
    """What onnxruntime calls it."""
    return name.partition(DEVICE)[0]


def has_engine(setup: Setup) -> bool:
    """Whether TensorRT has compiled this model already, so that it starts at once."""
    return setup.engines is not None and any(setup.engines.glob("*.engine"))


_OPENVINO_USUAL = "CPU"


def _options(name: str, setup: Setup) -> Mapping[str, str]:
    provider, _, device = name.partition(DEVICE)
    if provider == XNNPACK:  # it has threads of its own
        return {"intra_op_num_threads": str(setup.threads)}
    if provider == CUDA:
        return {
            "arena_extend_strategy": "kSameAsRequested",  # the other way doubles what it takes of the GPU each time
            "use_tf32": "0",  # no quicker with models as small as ours, and answers a thousand times farther off
        }
    if provider == TENSORRT and setup.engines is not None:
        folder = str(setup.engines)
        return {
            "trt_engine_cache_enable": "1",
            "trt_engine_cache_path": folder,
            "trt_timing_cache_enable": "1",
            "trt_timing_cache_path": folder,
        }
    if provider == OPENVINO:  # without a number it takes all cores, which costs twice the CPU time
        return {"device_type": device or _OPENVINO_USUAL, "num_of_threads": str(setup.threads)}
    return {}
