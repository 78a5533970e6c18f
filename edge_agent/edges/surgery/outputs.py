"""What a graph answers with: other tensors of it, and no more than these need."""

from __future__ import annotations

from collections.abc import Sequence

from edge_agent import runtimes
from edge_agent.edges.surgery.graph import Graph, reads
from edge_agent.edges.surgery.shapes import Walk

_SUPPRESSION = "NonMaxSuppression"


def answer_with(graph: Graph, walk: Walk, names: Sequence[str]) -> int:
    """Let a graph answer with just these tensors, and take away what they do not need.

    Returns:
        How many operations were taken away.
    """
    onnx = runtimes.load("onnx")
    said = {tensor.name: tensor for tensor in graph.model.graph.output}
    made = [said.get(name) or onnx.helper.make_value_info(name, walk.type(name)) for name in names]
    kept = [onnx.ValueInfoProto.FromString(one.SerializeToString()) for one in made]
    del graph.model.graph.output[:]
    graph.model.graph.output.extend(kept)
    return graph.remove_unused()


def before_suppression(graph: Graph) -> list[str]:
    """Tensors that a suppression of boxes depends on, those that are made last first; none where there is none."""
    needed: set[str] = set()
    found: list[str] = []
    for node in reversed(graph.nodes):
        if needed & set(node.output):
            found += [name for name in node.output if name in needed]
        elif node.op_type != _SUPPRESSION:
            continue
        needed |= reads(node)
    return found
