"""How good a tracker is: sequences with detections and truth, and the metrics that are in use for them."""

from edge_agent.tools.tracking.benchmark import combined, measure, read

__all__ = ["combined", "measure", "read"]
