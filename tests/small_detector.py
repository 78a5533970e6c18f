"""A convolutional detector small enough to see through: it finds red and blue squares of 8 pixels on black."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

SIDE = 64
LABELS = ("red", "blue")


def square_pictures(count: int) -> list[NDArray[np.uint8]]:
    """Pictures (64, 64, 3), blue, green, red, with four squares each, in cells of their own, none beside another."""
    draw = np.random.default_rng(7)
    pictures = []
    for _ in range(count):
        picture = np.zeros((SIDE, SIDE, 3), np.uint8)
        for place in draw.choice(16, 4, replace=False):
            row, column = place // 4 * 16, place % 4 * 16
            picture[row : row + 8, column : column + 8, draw.choice([0, 2])] = draw.integers(200, 256)
        pictures.append(picture)
    return pictures


def annotations_of(pictures: Iterable[tuple[int, NDArray[np.uint8]]]) -> dict[str, Any]:
    """What is on such pictures, which are called `NUMBER.png`, as COCO's files have it; red is category 2, blue 1."""
    rows = [
        {"image_id": number, "category_id": 1 if picture[y, x, 0] else 2, "bbox": [x, y, 8, 8]}
        for number, picture in pictures
        for y in range(0, SIDE, 16)
        for x in range(0, SIDE, 16)
        if picture[y, x].any()
    ]
    return {
        "images": [
            {"id": number, "file_name": f"{number}.png"} for number in sorted({row["image_id"] for row in rows})
        ],
        "annotations": rows,
        "categories": [{"id": 1, "name": "blue"}, {"id": 2, "name": "red"}],
    }


def write_small_detector(
    path: Path,
    *,
    wide: bool = False,
    metadata: Mapping[str, str] | None = None,
    opset: int = 13,
    weights: Any = np.float32,
) -> Path:
    """Write a detector of YOLOX's form: cells of strides 8, 16 and 32, of which only the first find anything.

    Args:
        path: where to.
        wide: one channel between `wide` and `narrow` is ten thousand times as large as the others, which one scale for
            all channels cannot take.
        metadata: beside its labels.
        opset: of the graph; in 11 there is a Resize as that had it, and weights are listed as inputs.
        weights: their type.
    """
    graph = _Graph(weights)
    # Channels: blue, green, red of each cell, 0 to 1, and one of which nothing is made.
    stem = np.zeros((4, 3, 8, 8))
    for channel, colour in enumerate((0, 1, 2, 0)):
        stem[channel, colour] = 1 / 64 / 255
    cells = graph.conv("stem", "images", stem, np.full(4, 0.01), stride=8)
    more = np.eye(4) * [1, 1, 1, 1e4 if wide else 1]
    cells = graph.conv("wide", cells, more[..., None, None], np.full(4, 0.01))
    less = np.eye(4) * [1, 1, 1, 0 if wide else 1]
    cells = graph.conv("narrow", cells, less[..., None, None], np.full(4, 0.01))
    for number in range(4):
        cells = graph.conv(f"deep_{number}", cells, np.eye(4)[..., None, None], np.full(4, 0.01))
    if opset == 11:
        cells = graph.old_resize(cells)
    halves = np.zeros((4, 4, 2, 2))
    halves[range(4), range(4)] = 0.25
    rows = []
    for stride, objectness in ((8, -10), (16, -40), (32, -40)):
        # A square has a blue or red of about 0.9: objectness sigmoid(24 * 0.9 - 10), the class likewise.
        scores = np.zeros((3, 4))
        scores[0, [0, 2]] = 24
        scores[1, [2, 0]] = 24, -24
        scores[2, [0, 2]] = 24, -24
        boxes = np.full((4, 4), 0.01)  # the middle of the cell, as large as the stride
        boxed = graph.conv(f"boxes_{stride}", cells, boxes[..., None, None], np.array([0.5, 0.5, 0, 0]), relu=False)
        scored = graph.conv(
            f"scores_{stride}", cells, scores[..., None, None], np.array([objectness, 0, 0]), relu=False
        )
        rows.append(graph.rows(stride, boxed, scored))
        if stride < 32:
            cells = graph.conv(f"shrink_{stride}", cells, halves, np.full(4, 0.01), stride=2)
    graph.nodes.append(helper.make_node("Concat", rows, ["all"], "all", axis=2))
    graph.nodes.append(helper.make_node("Transpose", ["all"], ["output"], "output", perm=[0, 2, 1]))
    kind = helper.np_dtype_to_tensor_dtype(np.dtype(weights))
    made = helper.make_graph(
        graph.nodes,
        "squares",
        [
            helper.make_tensor_value_info("images", kind, (1, 3, SIDE, SIDE)),
            *(graph.as_inputs() if opset == 11 else []),
        ],
        [helper.make_tensor_value_info("output", kind, (1, 84, 7))],
        graph.weights,
    )
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    helper.set_model_props(model, {"names": str(dict(enumerate(LABELS))), **(metadata or {})})
    onnx.checker.check_model(model)
    onnx.save(model, path)
    return path


class _Graph:
    """Nodes and weights so far."""

    def __init__(self, dtype: Any) -> None:
        self.dtype = dtype
        self.nodes: list[Any] = []
        self.weights: list[Any] = [numpy_helper.from_array(np.array([1, 7, -1]), "rows")]

    def conv(
        self, name: str, of: str, weight: NDArray[Any], bias: NDArray[Any], *, stride: int = 1, relu: bool = True
    ) -> str:
        self.weights += [
            numpy_helper.from_array(np.asarray(array, self.dtype), f"{name}_{kind}")
            for kind, array in (("weight", weight), ("bias", bias))
        ]
        inputs = [of, f"{name}_weight", f"{name}_bias"]
        self.nodes.append(helper.make_node("Conv", inputs, [f"{name}_out"], name, strides=[stride, stride]))
        if not relu:
            return f"{name}_out"
        self.nodes.append(helper.make_node("Relu", [f"{name}_out"], [f"{name}_relu"], f"{name}_relu"))
        return f"{name}_relu"

    def as_inputs(self) -> list[Any]:
        """The weights, as what can be given anew."""
        return [helper.make_tensor_value_info(one.name, one.data_type, one.dims) for one in self.weights]

    def old_resize(self, of: str) -> str:
        """To the size that it has, with the empty scales that only this form of the operation takes."""
        self.weights += [
            numpy_helper.from_array(np.zeros(0, np.float32), "no_scales"),
            numpy_helper.from_array(np.array([1, 4, SIDE // 8, SIDE // 8]), "same_size"),
        ]
        self.nodes.append(helper.make_node("Resize", [of, "no_scales", "no_scales", "same_size"], ["same"], "same"))
        return "same"

    def rows(self, stride: int, boxes: str, scores: str) -> str:
        """(1, 7, cells) of one stride."""
        names = [f"{kind}_{stride}" for kind in ("likely", "joined", "flat")]
        likely, joined, flat = names
        self.nodes += [
            helper.make_node("Sigmoid", [scores], [likely], likely),
            helper.make_node("Concat", [boxes, likely], [joined], joined, axis=1),
            helper.make_node("Reshape", [joined, "rows"], [flat], flat),
        ]
        return flat
