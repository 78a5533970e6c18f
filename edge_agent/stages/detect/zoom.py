"""Where to look closer: the part of a frame in which something moves, when the model sees things there much larger."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from edge_agent.records import BoolArray, FloatArray, Frame

LEAST_MAGNIFICATION = 1.5
"""What is shown less than this much larger than in the whole picture is not worth a second run of the model."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A part of a frame, in its pixels, all even; it has the aspect of the frame, but for rounding."""

    left: int
    top: int
    width: int
    height: int

    def of(self, frame: Frame) -> Frame:
        """The same frame, of which this alone is seen; nothing is copied."""
        rows, columns = slice(self.top, self.top + self.height), slice(self.left, self.left + self.width)
        chroma = (slice(rows.start // 2, rows.stop // 2), slice(columns.start // 2, columns.stop // 2))
        return replace(
            frame,
            luma=frame.luma[rows, columns],
            chroma_blue=frame.chroma_blue[chroma],
            chroma_red=frame.chroma_red[chroma],
        )

    def cuts(self, boxes: FloatArray, frame: Frame, border_px: float) -> BoolArray:
        """Which boxes, (N, 4) xyxy of the part, end where the part does and the frame goes on: things cut in two."""
        left, top, right, bottom = boxes.T
        cut: BoolArray = (left < border_px) & (self.left > 0)
        cut |= (top < border_px) & (self.top > 0)
        cut |= (right > self.width - border_px) & (self.left + self.width < frame.width)
        cut |= (bottom > self.height - border_px) & (self.top + self.height < frame.height)
        return cut


def part_around(regions: FloatArray, frame: Frame, shown: tuple[int, int]) -> Part | None:
    """The part of a frame around all regions; None when it shows things hardly larger than the whole does.

    Args:
        regions: (N, 4) xyxy, where something moves.
        frame: what they lie in.
        shown: width and height at which the model sees the whole frame; no part has fewer pixels than that.
    """
    if not len(regions):
        return None
    corner, far_corner = regions[:, :2].min(axis=0), regions[:, 2:].max(axis=0)
    size = np.array([frame.width, frame.height], np.float64)
    wanted = (far_corner - corner) * (1 + 2 * _MARGIN)
    scale = max(*(wanted / size).tolist(), *(np.array(shown) / size).tolist())
    if scale * LEAST_MAGNIFICATION > 1:
        return None
    width, height = (int(side) // 2 * 2 for side in (size * scale).tolist())
    middle = (corner + far_corner) / 2
    left, top = (
        int(min(max(centre - side / 2, 0), whole - side)) // 2 * 2
        for centre, side, whole in zip(middle.tolist(), (width, height), size.tolist(), strict=True)
    )
    return Part(left=left, top=top, width=max(2, width), height=max(2, height))


_MARGIN = 0.25  # of the size of what moves, on each side: often only a part of somebody moves
