"""What one built-in model is made of, as data: its package, its conversion, its input and its words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np
    from numpy.typing import NDArray
    from onnx import ModelProto

    from recipes.models.package import NpmPackage
    from recipes.models.tfjs_graph import TfjsGraph


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """One model, from package to file; `name` is what a configuration calls it."""

    name: str
    title: str
    stem: str  # of the file names: `{stem}_fp32.onnx`, `{stem}_int8.onnx`
    family: str  # which decoder reads its outputs
    labels_file: str
    labels: tuple[str, ...]
    input_width: int
    input_height: int
    licence: str
    package: NpmPackage
    members: tuple[str, ...]  # of the package: the graph first, then its weight shards
    licence_member: str
    licence_file: str
    fp32_sha256: str
    convert: Callable[[TfjsGraph], ModelProto]
    prepare: Callable[[NDArray[np.uint8]], NDArray[np.float32]]  # a BGR picture (H, W, 3) to the model's input
    float_operations: Sequence[str]  # that stay float in the INT8 file

    @property
    def fp32_file(self) -> str:
        """Return the name of the float file, which is not shipped."""
        return f"{self.stem}_fp32.onnx"

    @property
    def int8_file(self) -> str:
        """Return the name of the quantized file, which is shipped."""
        return f"{self.stem}_int8.onnx"

    @property
    def metadata(self) -> dict[str, str]:
        """Return what the ONNX file says about itself."""
        return {
            "family": self.family,
            "labels": ",".join(self.labels),
            "licence": self.licence,
            "source": self.package.source,
        }
