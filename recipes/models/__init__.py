"""How the built-in detectors are rebuilt: an npm package in, a quantized ONNX file and its manifest entry out."""

import os

# onnxruntime >= 1.29 reports to its maker unless this stands in the environment before its import.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
