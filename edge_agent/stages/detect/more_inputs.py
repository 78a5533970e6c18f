"""What some models want to know besides the picture, by the names of the inputs that ask for it.

Source: lyuwenyu/RT-DETR (Apache-2.0) for `orig_target_sizes`; PaddlePaddle/PaddleDetection (Apache-2.0),
`deploy/README`, for `im_shape` and `scale_factor`; onnx/models (Apache-2.0), YOLOv3, for `image_shape`;
huggingface/transformers (Apache-2.0), DETR, for `pixel_mask`. Each is told that the picture it gets is the whole truth,
so boxes come in pixels of that.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_agent.records import Tensor

TARGET_SIZES = "orig_target_sizes"
"""The size in which boxes are to be given, width before height."""

SCALES = "scale_factor"
"""How many times as large the picture is as the one in whose pixels boxes are to be given."""

_SHAPES = ("im_shape", "image_shape")  # height before width
_MASK = "pixel_mask"  # where the picture is and not padding

NAMES = (TARGET_SIZES, SCALES, *_SHAPES, _MASK)


def told(tensor: Tensor, size: tuple[int, int]) -> NDArray[Any]:
    """What an input is told when a picture of that width and height is shown.

    Args:
        tensor: one whose name is among `NAMES`.
        size: of the picture.
    """
    width, height = size
    if tensor.name == _MASK:
        dims = zip(tensor.shape, (1, height, width), strict=False)
        return np.ones([free if dim is None else dim for dim, free in dims], tensor.dtype)
    numbers = {TARGET_SIZES: (width, height), SCALES: (1, 1)}.get(tensor.name, (height, width))
    return np.array([numbers], tensor.dtype)
