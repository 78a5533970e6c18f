"""Keeping a source going: open it, hand its frames on, and when it fails, wait and open it again."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from edge_agent.settings import Seconds, Section


class CaptureSettings(Section):
    """How patiently to treat a camera."""

    transport: Literal["tcp", "udp"] = "tcp"
    """How RTSP carries the pictures; `udp` has less delay and loses packets."""

    stall_s: Annotated[Seconds, Field(ge=1)] = 10.0
    """No frame for this long means that the camera is gone; larger suits sleepy cameras."""

    retry_first_s: Annotated[Seconds, Field(gt=0)] = 1.0
    """Longest wait before the second try to open it; it doubles with each further one."""

    retry_cap_s: Annotated[Seconds, Field(gt=0)] = 30.0
    """Longest wait before any try."""

    loop: bool = False
    """Begin a clip or a folder of pictures again at its end; for trying things out."""
