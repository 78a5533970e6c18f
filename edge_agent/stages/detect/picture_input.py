"""Which of a model's inputs takes the picture, and how it is laid out."""

from __future__ import annotations

from edge_agent.records import ModelSignature, Tensor
from edge_agent.stages.detect.families.detr import SIZE_INPUT
from edge_agent.stages.detect.head import Layout, PictureInput

_DIMENSIONS = 4
_CHANNELS = 3
_TYPES = ("float32", "float16", "uint8")


def picture_input(signature: ModelSignature) -> PictureInput:
    """Find the input that takes one picture of three channels: (1, 3, H, W) or (1, H, W, 3).

    Raises:
        ValueError: there is none, or another input that nothing is known of.
    """
    pictures = [tensor for tensor in signature.inputs if _layout(tensor) is not None]
    others = [tensor for tensor in signature.inputs if tensor not in pictures and tensor.name != SIZE_INPUT]
    if len(pictures) != 1 or others:
        wanted = f"one picture of three channels{f', and {SIZE_INPUT}' if others else ''}"
        raise ValueError(f"its inputs are {'; '.join(map(str, signature.inputs)) or 'none'}; it has to take {wanted}")
    (tensor,) = pictures
    layout = _layout(tensor) or "nchw"
    if tensor.dtype not in _TYPES:
        raise ValueError(f"its input {tensor} is of a type that no picture is made of here: {', '.join(_TYPES)}")
    if tensor.shape[0] not in {None, 1}:
        raise ValueError(f"its input {tensor} takes {tensor.shape[0]} pictures at once; export it for one")
    height, width = tensor.shape[2:] if layout == "nchw" else tensor.shape[1:3]
    size = None if height is None or width is None else (width, height)
    return PictureInput(name=tensor.name, layout=layout, dtype=tensor.dtype, size=size)


def _layout(tensor: Tensor) -> Layout | None:
    if len(tensor.shape) != _DIMENSIONS:
        return None
    if tensor.shape[1] == _CHANNELS:
        return "nchw"
    return "nhwc" if tensor.shape[3] == _CHANNELS else None
