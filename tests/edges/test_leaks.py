"""A camera that comes and goes for a year costs no more at its end than at its beginning."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

import pytest
from ports import free_port
from rtsp import Manner, rtsp_camera
from videos import encode_picture, write_clip

from edge_agent.edges import host
from edge_agent.edges.clock import Backoff, SystemClock
from edge_agent.edges.latest import Latest
from edge_agent.edges.sources import open_source
from edge_agent.edges.sources.source import Source
from edge_agent.edges.sources.supervised import Capture, CaptureSettings
from edge_agent.records import Frame

RECONNECTS = 500
HALF = RECONNECTS // 2

MORE_BYTES = 4 * 2**20
"""What the allocator may have kept more of in the second half; 16 KiB for each reconnect would be caught."""

Sample = tuple[int, int, int]
"""Resident memory in bytes, threads, open files."""


@contextmanager
def http_camera() -> Iterator[str]:
    """A camera that hangs up in the middle of a picture."""
    head = b"HTTP/1.1 200 OK\r\nContent-Type: multipart/x-mixed-replace; boundary=next\r\n\r\n"
    picture = encode_picture(0)
    part = b"--next\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n" % len(picture) + picture + b"\r\n"
    answer = head + 10 * part + part[: len(part) // 2]
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            with suppress(OSError):
                while True:
                    client, _ = server.accept()
                    with client, suppress(ConnectionError):
                        client.recv(65536)
                        client.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.getsockname()[1]}/mjpeg"
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join()


@contextmanager
def rtsp_camera_that_hangs_up(folder: Path) -> Iterator[str]:
    with rtsp_camera(write_clip(folder / "clip.mp4"), manner=Manner(pictures=2)) as camera:
        yield camera.url()


@contextmanager
def nobody() -> Iterator[str]:
    """The address of a camera that is switched off."""
    yield f"rtsp://127.0.0.1:{free_port()}/stream"


@pytest.mark.parametrize("kind", ["RTSP", "HTTP", "refused"])
def test_five_hundred_reconnects_leave_nothing_behind(kind: str, tmp_path: Path) -> None:
    settings = CaptureSettings(stall_s=5.0, retry_first_s=0.001, retry_cap_s=0.001)
    stop, clock, samples = threading.Event(), SystemClock(), list[Sample]()
    cameras = {"RTSP": partial(rtsp_camera_that_hangs_up, tmp_path), "HTTP": http_camera, "refused": nobody}

    with cameras[kind]() as url:

        def open_sampled() -> Source:
            samples.append((host.memory_rss_bytes() or 0, threading.active_count(), open_files()))
            if len(samples) >= RECONNECTS:
                stop.set()
            return open_source(url, settings, clock, stop, pace="real_time")

        capture = Capture(
            name="front",
            open_source=open_sampled,
            slot=Latest[Frame](),
            settings=settings,
            clock=clock,
            stop=stop,
            backoff=Backoff(first_s=0.001, cap_s=0.001, uniform=lambda _, high: high),
            beat=lambda: None,
        )
        capture.run()

    first, second = (tuple(map(max, zip(*half, strict=True))) for half in (samples[:HALF], samples[HALF:]))
    frames = capture.status().frames
    print(f"{kind}: {len(samples)} connections, {frames} frames")  # noqa: T201 - the figures are worth having
    for name, before, after in zip(("RSS bytes", "threads", "open files"), first, second, strict=True):
        print(f"  {name:10} at most {before} in the first half, {after} in the second")  # noqa: T201
    assert frames >= (0 if kind == "refused" else RECONNECTS - 2)
    assert second[0] <= first[0] + MORE_BYTES
    assert second[1:] <= first[1:]


def open_files() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())
