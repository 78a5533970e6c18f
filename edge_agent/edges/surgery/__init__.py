"""Changes to ONNX graphs that leave their answers what they are."""

from edge_agent.edges.surgery.graph import Graph, SurgeryError, read, version
from edge_agent.edges.surgery.labels import Columns
from edge_agent.edges.surgery.shapes import Walk

__all__ = ["Columns", "Graph", "SurgeryError", "Walk", "read", "version"]
