"""Which of a model's inputs takes the picture, and how it is laid out."""

from __future__ import annotations

from edge_agent.records import ModelSignature, Tensor
from edge_agent.stages.detect import more_inputs
from edge_agent.stages.detect.head import Layout, PictureInput

_BATCHED = 4  # dimensions
_SINGLE = 3
_CHANNELS = 3
_TYPES = ("float32", "float16", "uint8")


def picture_input(signature: ModelSignature) -> PictureInput:
    """Find the input that takes one picture of three channels: (1, 3, H, W), (1, H, W, 3), or either without the 1.

    Raises:
        ValueError: there is none, or another input that nothing is known of.
    """
    pictures = [tensor for tensor in signature.inputs if _layout(tensor) is not None]
    others = [tensor for tensor in signature.inputs if tensor not in pictures and tensor.name not in more_inputs.NAMES]
    if len(pictures) != 1 or others:
        found = "; ".join(map(str, signature.inputs)) or "none"
        beside = f", and nothing besides but {', '.join(more_inputs.NAMES)}" if len(signature.inputs) > 1 else ""
        wanted = f"one picture of three channels, (1, 3, height, width) or (1, height, width, 3){beside}"
        raise ValueError(f"its inputs are {found}; it has to take {wanted}")
    (tensor,) = pictures
    layout = _layout(tensor) or "nchw"
    if tensor.dtype not in _TYPES:
        raise ValueError(f"its input {tensor} is of a type that no picture is made of here: {', '.join(_TYPES)}")
    has_batch = len(tensor.shape) == _BATCHED
    if has_batch and tensor.shape[0] not in {None, 1}:
        raise ValueError(f"its input {tensor} takes {tensor.shape[0]} pictures at once; export it for one")
    height, width = tensor.shape[-2:] if layout == "nchw" else tensor.shape[-3:-1]
    size = None if height is None or width is None else (width, height)
    return PictureInput(name=tensor.name, layout=layout, dtype=tensor.dtype, size=size, has_batch=has_batch)


def _layout(tensor: Tensor) -> Layout | None:
    if len(tensor.shape) not in {_SINGLE, _BATCHED} or tensor.name in more_inputs.NAMES:
        return None
    if tensor.shape[-3] == _CHANNELS:
        return "nchw"
    return "nhwc" if tensor.shape[-1] == _CHANNELS else None
