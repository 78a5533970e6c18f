"""Libraries that are installed apart from this package: loaded on first use, with the install line when missing."""

from __future__ import annotations

import importlib
from types import ModuleType

from edge_agent.errors import RuntimeMissingError

INSTALL = {
    "cv2": "pip install 'edge-agent[cpu]'; on a Jetson or with Debian's build: apt install python3-opencv and a "
    "virtual environment made with --system-site-packages",
    "onnxruntime": "pip install 'edge-agent[cpu]'; on a Jetson: NVIDIA's onnxruntime-gpu wheel for its JetPack",
    "onnx": "pip install 'edge-agent[quantize]'",
    "onnxruntime.quantization": "pip install 'edge-agent[quantize]'",
    "ai_edge_litert": "pip install 'edge-agent[litert]'",
    "picamera2": "sudo apt install -y python3-picamera2 (Raspberry Pi OS only), and a virtual environment made with "
    "--system-site-packages, which sees it",
    "gi": "sudo apt install -y python3-gi gir1.2-gstreamer-1.0 gir1.2-gst-plugins-base-1.0 gstreamer1.0-plugins-base "
    "gstreamer1.0-plugins-good, and a virtual environment of the system's Python made with --system-site-packages, "
    "which sees them",
    "gpiod": "pip install 'gpiod>=2', or on Debian 13: sudo apt install -y python3-libgpiod, and a virtual environment "
    "made with --system-site-packages, which sees it",
    "iotcore": "pip install 'edge-agent[demo]', or install mosquitto",
    "astral": "pip install astral",
    "pycocotools": "pip install 'edge-agent[eval]'",
    "scipy": "pip install 'edge-agent[eval]'",
    "jsonschema": "pip install 'edge-agent[schema]'",
}
"""How a person gets each of them."""


def load(name: str) -> ModuleType:
    """Import a library that may be absent, or a module of it.

    Raises:
        RuntimeMissingError: it is not installed or does not load here; the message holds the install line.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise RuntimeMissingError(f"{name} cannot be loaded ({error}); {INSTALL[name.partition('.')[0]]}") from error
