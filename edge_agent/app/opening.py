"""Opens what commands look at: recordings, cameras, brokers and outboxes, named without their secrets."""

from __future__ import annotations

import threading
from contextlib import AbstractContextManager
from pathlib import Path
from typing import cast

from edge_agent.config import CameraSettings
from edge_agent.edges.broker import embedded_broker
from edge_agent.edges.clock import SystemClock
from edge_agent.edges.mqtt import Listener, MqttSettings
from edge_agent.edges.outbox import OutboxEditor, OutboxReader
from edge_agent.edges.sources import open_source
from edge_agent.edges.sources.source import PIPELINE, Recording, Source, redact
from edge_agent.edges.sources.supervised import CaptureSettings


def recording_url(clip: Path) -> str:
    """The address of a clip or a folder of pictures."""
    return f"{'images' if clip.is_dir() else 'file'}://{clip}"


def open_recording(clip: Path) -> Recording:
    """Open a clip or a folder of pictures, to be read as fast as it goes."""
    source = open_source(recording_url(clip), CaptureSettings(), SystemClock(), threading.Event(), pace="as_fast")
    return cast("Recording", source)


def open_pictures(address: str, stop: threading.Event) -> tuple[str, Source]:
    """Open a clip, a folder of pictures or a camera, by its path or its address, and name it without its secrets.

    Raises:
        ConfigError: no kind of source has such an address.
    """
    is_url = "://" in address or address.startswith(PIPELINE)
    url = address if is_url else recording_url(Path(address))
    name = redact(url) if is_url else Path(address).name
    return name, open_source(url, CaptureSettings(), SystemClock(), stop, pace="as_fast")


def open_camera(camera: CameraSettings, stop: threading.Event) -> Source:
    """Open a camera as it is configured, to be read as fast as it goes."""
    return open_source(camera.source, camera.capture, SystemClock(), stop, pace="as_fast", picture=camera.picture)


def demo_broker(folder: Path) -> AbstractContextManager[tuple[str, str]]:
    """Run a broker of our own on loopback: its name and its address; `folder` is for its configuration."""
    return embedded_broker(folder)


def listen(settings: MqttSettings, topic_filter: str) -> Listener:
    """Hear what is published."""
    return Listener(settings, topic_filter)


def open_outbox(path: Path) -> OutboxReader:
    """Look into an outbox that may be in use."""
    return OutboxReader(path)


def edit_outbox(path: Path) -> OutboxEditor:
    """Open an outbox that may be in use, to change what waits in it."""
    return OutboxEditor(path)
