"""Where frames come from, one file a kind; the address of a camera chooses."""

from __future__ import annotations

import importlib
import threading
from collections.abc import Callable, Mapping
from typing import Literal

from edge_agent.edges.clock import Clock
from edge_agent.edges.sources.chosen import DecoderNotes
from edge_agent.edges.sources.picture import PictureSettings
from edge_agent.edges.sources.source import PIPELINE, Opening, Paced, PacketGate, Source, redact
from edge_agent.edges.sources.supervised import CaptureSettings
from edge_agent.errors import ConfigError

SOURCES: Mapping[str, tuple[str, str]] = {
    "csi": ("csi", "Camera"),
    "file": ("video", "Clip"),
    "gstreamer": ("gstreamer", "Pipeline"),
    "http": ("video", "Stream"),
    "https": ("video", "Stream"),
    "images": ("images", "Folder"),
    "pipe": ("pipe", "Pipe"),
    "rtmp": ("video", "Stream"),
    "rtmps": ("video", "Stream"),
    "rtsp": ("video", "Stream"),
    "rtsps": ("video", "Stream"),
    "srt": ("video", "Stream"),
    "v4l2": ("v4l2", "Device"),
    "watch": ("watch", "Watch"),
}
"""What an address begins with -> the module and class that read it.

They are imported when one is opened, so that checking a configuration needs neither PyAV nor OpenCV.
"""

_AS_IT_COMES = PictureSettings()


def open_source(  # noqa: PLR0913  (what a source is, and whom it works with)
    url: str,
    capture: CaptureSettings,
    clock: Clock,
    stop: threading.Event,
    *,
    pace: Literal["as_fast", "real_time"],
    picture: PictureSettings = _AS_IT_COMES,
    new_gate: Callable[[], PacketGate] | None = None,
    decoder: DecoderNotes | None = None,
) -> Source:
    """Choose the source for an address; nothing is opened before its `frames` are asked for.

    Args:
        url: such as `rtsp://user:password@host/stream`, `file://clip.mp4`, `images://folder`, `v4l2:///dev/video0`.
        capture: how patiently to treat it.
        clock: what frames of a camera, and paced ones, are stamped with.
        stop: ends the frames soon after it is set.
        pace: a recording's frames come `as_fast` as they can be read, stamped with the recording's own times, or in
            `real_time`, stamped by the clock. A live camera always gives them as they arrive.
        picture: what to ask of a camera that lets itself be asked.
        new_gate: makes what leaves a network stream undecoded while nothing moves; None decodes all.
        decoder: what earlier connections of this camera have learnt of its decoders.

    Raises:
        ConfigError: no kind of source has such an address.
    """
    scheme = url.partition(":" if url.startswith(PIPELINE) else "://")[0]
    if scheme not in SOURCES:
        known = ", ".join(PIPELINE if f"{known}:" == PIPELINE else f"{known}://" for known in SOURCES)
        raise ConfigError(f"{redact(url)} is no source; one begins with {known}")
    module, kind = SOURCES[scheme]
    opening = Opening(
        url=url,
        transport=capture.transport,
        stall_s=capture.stall_s,
        clock=clock,
        stop=stop,
        picture=picture,
        new_gate=new_gate,
        decoder=decoder or DecoderNotes(requested=capture.decoder),
    )
    source = getattr(importlib.import_module(f"{__name__}.{module}"), kind)(opening)
    return source if source.live or pace == "as_fast" else Paced(source, clock, stop)
