"""The real GStreamer, where Python can have it: Debian's binding is built for the system's version of Python only."""

from __future__ import annotations

import importlib
import sys
import sysconfig
import warnings
from pathlib import Path

import pytest

_OF_DEBIAN = Path("/usr/lib/python3/dist-packages")


def require() -> None:
    """Import what an environment made with --system-site-packages would see; skip the test where that is not there."""
    suffix = sysconfig.get_config_var("EXT_SUFFIX")
    if not (_OF_DEBIAN / "gi" / f"_gi{suffix}").exists():
        pytest.skip(f"python3-gi is not installed for Python {sys.version_info[0]}.{sys.version_info[1]}")
    sys.path.append(str(_OF_DEBIAN))
    try:
        gi = importlib.import_module("gi")
    finally:
        sys.path.remove(str(_OF_DEBIAN))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ImportWarning)  # Debian 12's gi imports in a way that Python 3.11 calls old
        for name in ("Gst", "GstApp", "GstVideo"):
            try:
                gi.require_version(name, "1.0")
            except ValueError as error:
                pytest.skip(f"GStreamer is not installed: {error}")
            importlib.import_module(f"gi.repository.{name}")
