"""What NVIDIA's providers of onnxruntime need beside it: libraries that pip or the system brings, or nobody."""

from __future__ import annotations

import contextlib
import ctypes
import io
import logging
import re
from pathlib import Path
from types import ModuleType

from edge_agent.edges.inference.providers import CUDA, TENSORRT

_log = logging.getLogger(__name__)

_SHARED = "libonnxruntime_providers_shared.so"
FILES = {CUDA: "libonnxruntime_providers_cuda.so", TENSORRT: "libonnxruntime_providers_tensorrt.so"}
"""Where onnxruntime keeps a provider, beside itself."""
_MISSING = re.compile(r"(lib[a-zA-Z0-9_+.-]{1,60}): cannot open shared object file")


def bring(onnxruntime: ModuleType, provider: str) -> None:
    """Load CUDA's libraries from the packages that pip brings them in; the system's own are found without."""
    preload = getattr(onnxruntime, "preload_dlls", None)  # since onnxruntime 1.21
    if provider not in FILES or preload is None:
        return
    said = io.StringIO()
    try:
        with contextlib.redirect_stdout(said):  # it prints what it does not find
            preload(directory="")
    except Exception as error:  # noqa: BLE001  (what is missing then, the session says next)
        _log.info("CUDA's libraries were not loaded ahead: %s", error)
    for line in said.getvalue().splitlines():
        _log.debug("onnxruntime: %s", line)


def missing(onnxruntime: ModuleType, provider: str) -> str | None:
    """The name of a library that a provider needs and that is not here; None where nothing is missing.

    The provider is loaded for that: ask only where it is not in use, and wanted.
    """
    folder = Path(str(onnxruntime.__file__)).parent / "capi"
    path = folder / FILES.get(provider, "")
    if provider not in FILES or not path.is_file():
        return None
    try:
        ctypes.CDLL(str(folder / _SHARED), ctypes.RTLD_GLOBAL)
        ctypes.CDLL(str(path))
    except OSError as error:
        found = _MISSING.search(str(error))
        return found[1] if found else None
    return None
