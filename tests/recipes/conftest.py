"""Makes the recipes importable, which stand in the repository's root, and keeps onnxruntime from phoning home."""

from __future__ import annotations

import os
import sys
from pathlib import Path

# Before any test file imports onnxruntime: it reports to its maker otherwise.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
sys.path.insert(0, str(Path(__file__).parents[2]))
