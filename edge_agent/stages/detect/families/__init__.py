"""The families of models that are understood, one file each; add a file and a line here to teach another."""

from edge_agent.records import ModelSignature
from edge_agent.stages.detect.families import nanodet, ssd, yolox
from edge_agent.stages.detect.head import Head, Recognise

FAMILIES: dict[str, Recognise] = {
    "nanodet": nanodet.recognise,
    "ssd": ssd.recognise,
    "yolox": yolox.recognise,
}


def recognise(signature: ModelSignature) -> Head:
    """Find the family that a model belongs to.

    Raises:
        ValueError: none knows it; the message says what was found in the graph.
    """
    for family in FAMILIES.values():
        head = family(signature)
        if head is not None:
            return head
    raise ValueError(f"the head of this model is none of {', '.join(FAMILIES)}; found in the graph: {signature}")
