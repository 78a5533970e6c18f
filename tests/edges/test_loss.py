"""A camera over UDP goes on although packets are lost, and what a decoder had to guess is nobody's motion."""

from __future__ import annotations

import threading
from contextlib import closing
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from rtsp import Manner, rtsp_camera

from edge_agent.edges.clock import SystemClock
from edge_agent.edges.sources import open_source
from edge_agent.edges.sources.source import Source
from edge_agent.edges.sources.supervised import CaptureSettings
from edge_agent.records import ByteArray, Frame
from edge_agent.stages.gate.motion import Gate
from edge_agent.stages.gate.packets import PacketGate
from edge_agent.stages.gate.settings import GateSettings

WIDTH_PX, HEIGHT_PX, RATE_HZ = 320, 192, 25
GROUP = 25  # pictures from one key picture to the next
SECONDS = 6.0
NOISE = 3.0
WRONG = 4.0  # grey levels; the noise alone makes 2.4 (3 times the square root of 2 / pi)
LOOKS_HZ = 5.0

CODECS = {
    "H.264": ("libx264", {"g": str(GROUP), "bf": "0"}),
    "H.264 with B-frames": ("libx264", {"g": str(GROUP), "bf": "2"}),
    "H.265": ("libx265", {"x265-params": f"keyint={GROUP}:bframes=0:log-level=none"}),
    "H.265 with B-frames": ("libx265", {"x265-params": f"keyint={GROUP}:bframes=2:log-level=none"}),
}


def scene() -> ByteArray:
    """A still place with many edges, so that its key pictures are many packets."""
    coarse = np.random.default_rng(1).integers(40, 200, (HEIGHT_PX // 8, WIDTH_PX // 8), np.uint8)
    return np.kron(coarse, np.ones((8, 8), np.uint8))


@pytest.fixture(scope="module", params=CODECS)
def film(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """One for each codec."""
    return request.param, write(tmp_path_factory.mktemp("film") / "film.mp4", *CODECS[request.param])


def write(path: Path, codec: str, options: dict[str, str]) -> Path:
    """Four seconds in which nothing moves, with a sensor's noise."""
    random, place = np.random.default_rng(2), scene()
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream(codec, rate=RATE_HZ)
        stream.width, stream.height, stream.pix_fmt, stream.options = WIDTH_PX, HEIGHT_PX, "yuv420p", options
        for index in range(4 * RATE_HZ):
            planes = np.full((HEIGHT_PX * 3 // 2, WIDTH_PX), 128, np.uint8)
            planes[:HEIGHT_PX] = np.clip(place + random.normal(0, NOISE, place.shape), 0, 255)
            picture = av.VideoFrame.from_ndarray(planes, format="yuv420p")
            picture.pts, picture.time_base = index, Fraction(1, RATE_HZ)
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
    return path


def watch(clip: Path, lost_ratio: float, *, gated: bool) -> tuple[Source, list[Frame]]:
    """What comes of a stream in some seconds."""
    clock, frames = SystemClock(), []
    with rtsp_camera(clip, manner=Manner(lost_ratio=lost_ratio)) as camera:
        source = open_source(
            camera.url(),
            CaptureSettings(transport="udp"),
            clock,
            threading.Event(),
            pace="real_time",
            new_gate=(lambda: PacketGate(GateSettings(), LOOKS_HZ)) if gated else None,
        )
        until_s = clock.monotonic_s() + SECONDS
        with closing(source.frames()) as given:
            for frame in given:
                frames += [] if frame is None else [frame]
                if clock.monotonic_s() > until_s:
                    break
    return source, frames


def wrong(frame: Frame) -> float:
    """By how much it differs from the place, on average over its pixels."""
    return float(np.abs(frame.luma.astype(np.int16) - scene()).mean())


def longest_s(frames: list[Frame]) -> float:
    """For how long at a stretch frames show what is not there, until one shows what is."""
    longest_s, since_s = 0.0, None
    for frame in frames:
        if wrong(frame) > WRONG:
            since_s = frame.at_s if since_s is None else since_s
        elif since_s is not None:
            longest_s, since_s = max(longest_s, frame.at_s - since_s), None
    return longest_s if since_s is None else max(longest_s, frames[-1].at_s - since_s)


@pytest.mark.parametrize("lost_ratio", [0.01, 0.05])
def test_a_stream_of_which_packets_are_lost_goes_on(film: tuple[str, Path], lost_ratio: float) -> None:
    codec, clip = film
    source, frames = watch(clip, lost_ratio, gated=True)
    assert frames[-1].at_s - frames[0].at_s > SECONDS - 3 * GROUP / RATE_HZ
    # FFmpeg says of H.264 when it had to guess; of H.265 it leaves out in silence what refers to a lost picture.
    assert bool(source.damaged) is codec.startswith("H.264")


def test_where_no_picture_comes_whole_they_are_shown_as_they_are(tmp_path: Path) -> None:
    clip = write(tmp_path / "fat.mp4", "libx264", {"g": str(GROUP), "bf": "0", "crf": "10"})
    source, frames = watch(clip, 0.2, gated=False)
    assert source.damaged > 0.8 * SECONDS * RATE_HZ
    assert frames[-1].at_s - frames[0].at_s > 0.5 * SECONDS
    assert len(frames) > 0.5 * SECONDS * RATE_HZ


def test_what_a_lost_packet_spoils_is_over_with_the_next_key_picture_and_so_is_the_motion(
    film: tuple[str, Path],
) -> None:
    _codec, clip = film
    _source, frames = watch(clip, 0.01, gated=False)
    assert longest_s(frames) <= 2 * GROUP / RATE_HZ
    gate = Gate(GateSettings(), LOOKS_HZ)
    moving_s = [frame.at_s for frame in frames if gate.observe(frame).moving]
    assert not moving_s or moving_s[-1] - moving_s[0] < 2 * GROUP / RATE_HZ + GateSettings().hold_s
