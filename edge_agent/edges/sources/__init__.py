"""Where frames come from, one file a kind; the address of a camera chooses."""

from __future__ import annotations

import importlib
import threading
from collections.abc import Mapping
from typing import Literal

from edge_agent.edges.clock import Clock
from edge_agent.edges.sources.source import Opening, Paced, Source, redact
from edge_agent.edges.sources.supervised import CaptureSettings
from edge_agent.errors import ConfigError

SOURCES: Mapping[str, tuple[str, str]] = {
    "file": ("video", "Clip"),
    "http": ("video", "Stream"),
    "https": ("video", "Stream"),
    "images": ("images", "Folder"),
    "rtsp": ("video", "Stream"),
    "rtsps": ("video", "Stream"),
    "v4l2": ("v4l2", "Device"),
}
"""What an address begins with -> the module and class that read it.

They are imported when one is opened, so that checking a configuration needs neither PyAV nor OpenCV.
"""


def open_source(
    url: str, capture: CaptureSettings, clock: Clock, stop: threading.Event, *, pace: Literal["as_fast", "real_time"]
) -> Source:
    """Choose the source for an address; nothing is opened before its `frames` are asked for.

    Args:
        url: such as `rtsp://user:password@host/stream`, `file://clip.mp4`, `images://folder`, `v4l2:///dev/video0`.
        capture: how patiently to treat it.
        clock: what frames of a camera, and paced ones, are stamped with.
        stop: ends the frames soon after it is set.
        pace: a recording's frames come `as_fast` as they can be read, stamped with the recording's own times, or in
            `real_time`, stamped by the clock. A live camera always gives them as they arrive.

    Raises:
        ConfigError: no kind of source has such an address.
    """
    scheme = url.partition("://")[0]
    if scheme not in SOURCES:
        raise ConfigError(
            f"{redact(url)} is no source; one begins with {', '.join(f'{known}://' for known in SOURCES)}"
        )
    module, kind = SOURCES[scheme]
    opening = Opening(url=url, transport=capture.transport, stall_s=capture.stall_s, clock=clock, stop=stop)
    source: Source = getattr(importlib.import_module(f"{__name__}.{module}"), kind)(opening)
    return source if source.live or pace == "as_fast" else Paced(source, clock, stop)
