"""What to ask of a camera that lets itself be asked: one on this machine, or a program that writes raw frames."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from edge_agent.settings import Section

_Side = Annotated[int, Field(ge=16, le=8192)]


def _even(size: tuple[int, int]) -> tuple[int, int]:
    if any(side % 2 for side in size):
        raise ValueError("must be two even numbers, as every camera's are")
    return size


class PictureSettings(Section):
    """What to ask of a camera on `v4l2://`, `csi://` or `pipe://`; any other source decides by itself."""

    size: Annotated[tuple[_Side, _Side], AfterValidator(_even)] | None = None
    """Width and height, both even; the camera's own when left out, but a pipe must have it. Larger costs more."""

    rate_hz: Annotated[float, Field(gt=0, le=240)] | None = None
    """Pictures a second, for `v4l2` and `csi`; the camera's own when left out. Larger costs more decoding."""

    format: Literal["auto", "mjpeg", "yuv420p", "nv12", "yuyv422", "gray", "bgr24", "rgb24"] = "auto"
    """How the pictures come, for `v4l2` and `pipe`. `auto` is the first that a camera has, raw before `mjpeg`, and
    `yuv420p` in a pipe. `mjpeg` reaches larger sizes and rates over USB, and costs decoding."""

    controls: Annotated[dict[str, float], Field(max_length=64)] = Field(default_factory=dict)
    """Knobs of the camera, for `v4l2` and `csi`: `v4l2-ctl --list-ctrls` names those of a V4L2 camera, the manual of
    picamera2 those of a ribbon camera."""
