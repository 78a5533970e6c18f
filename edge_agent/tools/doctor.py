"""Gathers what this machine has for capturing; it only reads."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable
from pathlib import Path

import av

from edge_agent import runtimes
from edge_agent.edges import catalogue, host
from edge_agent.edges.clock import SystemClock
from edge_agent.edges.inference import ModelSettings
from edge_agent.edges.inference.onnx_runtime import Tried, survey
from edge_agent.edges.outbox import OutboxSettings
from edge_agent.edges.sources import gstreamer, v4l2_devices
from edge_agent.edges.sources.supervised import CaptureSettings
from edge_agent.errors import FatalError, RuntimeMissingError, SourceError
from edge_agent.tools.decoders import hardware_here
from edge_agent.tools.findings import Facts, Library
from edge_agent.tools.probe import Probed, probe

SECONDS = 3.0
"""How long to look at each camera that is named."""

_PATIENCE = CaptureSettings(stall_s=5.0)
_LIBRARIES = ("cv2", "onnxruntime", "ai_edge_litert", "picamera2", "gpiod")
_USUAL_CODEC = "h264"
_UNKNOWN_VERSION = "version not told"


def gather() -> Facts:
    """Look at everything once."""
    libraries = {name: _library(name) for name in _LIBRARIES}
    has_models = libraries["onnxruntime"][0]
    return Facts(
        python=platform.python_version(),
        is_64_bit=host.is_64_bit(),
        system=host.system(),
        board=host.board(),
        cpu_count=host.cpu_count(),
        memory_bytes=host.memory_bytes(),
        av=(av.__version__, ".".join(map(str, av.library_versions["libavcodec"]))),
        protocols={"rtsp": "rtsp" in av.formats_available, **{name: _has_protocol(name) for name in ("srt", "tls")}},
        libraries=libraries,
        providers=_providers() if has_models else (),
        gstreamer=_loaded(gstreamer.binding),
        devices=v4l2_devices.examine(),
        hardware=hardware_here(_USUAL_CODEC),
        time_synced=SystemClock().utc_synced(),
        temperature_celsius=host.temperature_celsius(),
        state=_state(OutboxSettings().path.parent),
    )


def look_at(url: str) -> Probed | SourceError:
    """Look at a camera for a moment; what is wrong with it is given, not raised."""
    try:
        return probe(url, SECONDS, _PATIENCE)
    except SourceError as error:
        return error


def _library(name: str) -> Library:
    return _loaded(lambda: str(getattr(runtimes.load(name), "__version__", _UNKNOWN_VERSION)), runtimes.INSTALL[name])


def _loaded(load: Callable[[], str], install: str = "") -> Library:
    try:
        return True, load()
    except RuntimeMissingError as error:
        return False, str(error)
    except Exception as error:  # noqa: BLE001  (a library that is half installed raises whatever it likes)
        return False, f"{type(error).__name__}: {error}; {install}".replace("\n", " ")


def _providers() -> tuple[Tried, ...]:
    try:
        return survey(catalogue.find(catalogue.DEFAULT).path, ModelSettings())
    except FatalError:  # the built-in model is damaged, which `models verify` tells
        return ()


def _has_protocol(name: str) -> bool:
    """Whether FFmpeg knows a protocol: it is asked for an address without a host, which nobody can be at."""
    try:
        av.open(f"{name}://", timeout=1.0).close()
    except av.error.ProtocolNotFoundError:
        return False
    except (av.FFmpegError, OSError):
        return True
    return True


def _state(folder: Path) -> tuple[Path, bool | None]:
    return folder, os.access(folder, os.W_OK | os.X_OK) if folder.is_dir() else None
