"""Camera frames in, detection events out over MQTT; images never leave the device."""

import os

__version__ = "0.1.0"

# onnxruntime >= 1.29 reports to its maker unless this stands in the environment before its import.
# Nothing here phones home, so it stands before any module of ours can import it (docs/adr/0004).
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
