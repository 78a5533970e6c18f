"""What the conversion remembers of a tensor: where its values are stored, and how TensorFlow sees them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

NCHW = (0, 1, 2, 3)
NHWC_OVER_NCHW = (0, 2, 3, 1)  # how TensorFlow sees a tensor that is stored as NCHW


@dataclass(slots=True, kw_only=True)
class Convolution:
    """A convolution whose weights still may take in what follows; float64, so that folding rounds only once."""

    weights: NDArray[np.float64]  # (output channels, input channels / group, height, width)
    bias: NDArray[np.float64]  # (output channels,)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tensor:
    """A stored tensor as TensorFlow sees it: TensorFlow's axis i is the stored axis `order[i]`."""

    name: str
    order: tuple[int, ...]
    convolution: Convolution | None = None  # whose bias may take in a constant that is added to this
    is_scalable: bool = False  # whether it may take in a factor too: not behind an addition
    padding: tuple[tuple[int, int], ...] | None = None  # a stored axis: not yet executed, the next node does it
    padding_value: float = 0.0
