"""The built-in clip, for the demo, the benchmark and trying things out."""

from importlib import resources
from pathlib import Path

PEDESTRIANS = Path(str(resources.files("edge_agent") / "clips" / "pedestrians.mp4"))
"""25 s of people crossing a place: 768x576, 10 frames a second; its card is `pedestrians.md`."""
