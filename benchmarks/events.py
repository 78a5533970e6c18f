"""Zones and lines on PETS09-S2L1 with the default model, video to events: what is said right, twice, and how late."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from edge_agent.cli.main import main as edge_agent

SEQUENCE = Path(__file__).parents[2] / "shared" / "data" / "video" / "PETS09-S2L1"
CONFIG = """
device: {id: benchmark}
cameras:
  - id: yard
    source: "rtsp://192.0.2.1/"
    detect: {rate_hz: 10}
    zones:
      west: {polygon: [[0.02, 0.33], [0.40, 0.36], [0.40, 0.58], [0.02, 0.46]]}
      east: {polygon: [[0.60, 0.34], [0.88, 0.34], [0.88, 0.75], [0.60, 0.62]]}
    lines:
      gate: {from: [0.88, 0.90], to: [0.88, 0.30]}
      path: {from: [0.45, 0.70], to: [0.45, 0.30]}
"""
"""The far west and the near east of the crossing, split by a lamp post; the edge where most come and go, its middle.

The gate lies a little inside the edge, as anybody would draw it who has seen where a man stands and shifts his weight.
"""


def main() -> None:
    """Print a table a rate."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sequence", type=Path, default=SEQUENCE, help="a folder with video.mp4 and gt/gt.txt")
    parser.add_argument("-c", "--config", type=Path, help="another configuration than that of this script")
    parser.add_argument("--every", type=int, nargs="+", default=(1, 2, 3))
    args = parser.parse_args()
    clip, truth = args.sequence / "video.mp4", args.sequence / "gt" / "gt.txt"
    with tempfile.TemporaryDirectory() as folder:
        config = args.config or Path(folder) / "config.yaml"
        if args.config is None:
            config.write_text(CONFIG)
        for every in args.every:
            print(f"\n{'every frame' if every == 1 else f'1 frame of {every}'}: ", end="", flush=True)
            if code := edge_agent(
                ["eval", "events", str(clip), "--truth", str(truth), "-c", str(config), "--every", str(every)]
            ):
                sys.exit(code)


if __name__ == "__main__":
    main()
