"""Recorded clips and network cameras, demuxed and decoded by FFmpeg through PyAV."""

from __future__ import annotations

import logging
import math
from collections.abc import Generator, Iterator
from datetime import datetime, timedelta, timezone
from itertools import chain
from typing import Any

import av

from edge_agent.edges.sources.camera_clock import CameraTimeline, taken_utc_ns
from edge_agent.edges.sources.choosing import Choosing
from edge_agent.edges.sources.decoding import Decoding, Stamp, Timed
from edge_agent.edges.sources.planes import view_planes
from edge_agent.edges.sources.source import ALL_PICTURES, Opening
from edge_agent.edges.sources.timeline import RecordingTimeline, UtcTimeline
from edge_agent.errors import SourceError
from edge_agent.records import Frame

_log = logging.getLogger(__name__)

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_Meanings = tuple[tuple[type[Exception], str], ...]
"""What FFmpeg's errors mean to whoever set up the camera; the first that fits is said."""

_OF_FILES: _Meanings = (
    (FileNotFoundError, "no such file"),
    (IsADirectoryError, "it is a folder; for a folder of pictures write images://"),
    (PermissionError, "no permission to read it"),
    (av.error.InvalidDataError, "not a video, or cut off or damaged"),
)
_OF_CAMERAS: _Meanings = (
    (av.error.HTTPUnauthorizedError, "user name or password refused (401)"),
    (av.error.HTTPForbiddenError, "access forbidden (403); check what this user may see"),
    (av.error.HTTPNotFoundError, "no such stream there (404); check the address after the host"),
    (ConnectionRefusedError, "connection refused; check that the camera is on, and the port"),
    (av.error.ExitError, "no answer for {stall_s:g} s; check that the camera is on and can be reached"),
    (av.error.InvalidDataError, "no answer for {stall_s:g} s, or one that is no video; check the address"),
    (av.error.ProtocolNotFoundError, "this PyAV was built without it; write gstreamer:srtsrc uri=…"),
    (OSError, "{error}; check the address, and that the camera is on"),
)


_FILE = "file://"
_OVER_TLS = ("https", "rtsps", "rtmps")
_WITHOUT_TIMES = {"mpjpeg"}  # JPEG pictures over HTTP: FFmpeg counts 25 a second, whatever comes

_LENIENT: dict[str, Any] = {"metadata_errors": "replace"} if int(av.__version__.split(".")[0]) < 19 else {}  # noqa: PLR2004
"""A title that is not UTF-8 is no reason to refuse a video; from PyAV 19 on it is none by itself."""


class Clip:
    """A video file: every frame, stamped with the times of the recording.

    `at_s` counts from its first frame and `utc_ns` from its creation time, or from 1970 where it does not tell one.

    A packet that cannot be decoded is left out and counted. A file that is cut off gives what can be read, then an
    error if its container knows that something is missing.
    """

    live = False
    asleep = False
    basis = ALL_PICTURES
    delay_s = None

    def __init__(self, opening: Opening) -> None:
        self._opening = opening
        self.damaged = 0

    def frames(self) -> Generator[Frame, None, None]:
        """Give every frame, ending with the file."""
        seq = 0
        try:
            with connect(self._opening) as container:
                start_utc_ns = _created_utc_ns(container.metadata)
                stream = video_stream(container, self._opening)
                timeline = RecordingTimeline(stream.average_rate)
                for picture in chain.from_iterable(self._decode(container, stream)):
                    _warn_if_rotated(picture, seq, self._opening)
                    at_s = timeline.position_s(picture)
                    utc_ns = start_utc_ns + round(at_s * 1e9)
                    yield view_planes(picture).taken(at_s=at_s, utc_ns=utc_ns, utc_synced=False, seq=seq)
                    seq += 1
        except av.FFmpegError as error:
            raise SourceError(complaint(error, self._opening, seq)) from None
        if self.damaged:
            _log.warning("%s: %d packets could not be decoded, %d frames could", self._opening.name, self.damaged, seq)
        if not seq and not self._opening.stop.is_set():
            raise SourceError(f"{self._opening.name}: not one frame of it can be decoded")

    def _decode(self, container: av.container.InputContainer, stream: av.VideoStream) -> Iterator[list[av.VideoFrame]]:
        for packet in container.demux(stream):
            if self._opening.stop.is_set():
                return
            pictures = _decoded(packet)
            self.damaged += pictures is None
            yield pictures or []


class Stream:
    """A network camera: every frame while something moves, stamped with when it was taken.

    Packets that cannot be decoded are left out and counted. What counts as life is a decoded frame, not a packet,
    unless the packet gate leaves packets undecoded. `stop` is noticed at the next packet, so at the latest after
    `stall_s` when the camera is silent.
    """

    live = True

    def __init__(self, opening: Opening) -> None:
        self._opening = opening
        self._decoding: Decoding | None = None
        self._timeline = CameraTimeline()
        self._alive_s = math.inf

    @property
    def damaged(self) -> int:
        """How many packets could not be decoded and were left out."""
        return self._decoding.damaged if self._decoding else 0

    @property
    def asleep(self) -> bool:
        """Whether pictures come that are not decoded, because nothing moves."""
        return self._decoding is not None and self._decoding.asleep

    @property
    def basis(self) -> str:
        """Which pictures are decoded, and why."""
        return self._decoding.basis if self._decoding else ""

    @property
    def delay_s(self) -> float | None:
        """How long after it was taken a picture usually comes, by the camera's clock; None while that is not known."""
        return self._timeline.delay_s

    def frames(self) -> Generator[Frame | None, None, None]:
        """Give frames until the stream fails: a camera that ends its stream has failed too."""
        seq, said_s = 0, -math.inf
        clock = self._opening.clock
        try:
            with connect(self._opening) as container:
                stream = video_stream(container, self._opening)
                gate = self._opening.new_gate() if self._opening.new_gate else None
                self._decoding = Decoding(stream, gate, Choosing(stream, self._opening.decoder, self._opening.name))
                self._alive_s = clock.monotonic_s()
                for frame in self._decoding.frames(self._packets(container, stream)):
                    if frame is not None or (self.asleep and self._decoding.is_decodable):
                        self._alive_s = clock.monotonic_s()
                    seq += frame is not None
                    if frame is not None or (self.asleep and self._alive_s - said_s >= _SIGN_OF_LIFE_S):
                        said_s = clock.monotonic_s()
                        yield frame
        except av.FFmpegError as error:  # its own text holds the password
            raise SourceError(complaint(error, self._opening, seq)) from None
        if not self._opening.stop.is_set():
            raise SourceError(f"{self._opening.name}: the camera ended the stream after {seq} frames")

    def _packets(self, container: av.container.InputContainer, stream: av.VideoStream) -> Iterator[Timed]:
        """Every packet, with when its picture was taken."""
        clock, stall_s, utc = self._opening.clock, self._opening.stall_s, UtcTimeline()
        self._timeline = CameraTimeline()
        for packet in container.demux():  # sound too, lest it keep the demuxer from coming back when the video stops
            if self._opening.stop.is_set():
                return
            arrived_s, arrived_utc_ns = clock.monotonic_s(), clock.utc_ns()
            if arrived_s - self._alive_s > stall_s:
                damage = f", {self.damaged} packets could not be decoded" if self.damaged else ""
                raise SourceError(f"{self._opening.name}: no frame for {stall_s:g} s{damage}; is the camera hung up?")
            if packet.stream_index != stream.index:
                continue
            synced, told_utc_ns = clock.utc_synced(), taken_utc_ns(packet)
            taken_s = arrived_s + (told_utc_ns - arrived_utc_ns) / 1e9 if synced and told_utc_ns is not None else None
            at_s = self._timeline.at_s(camera_stamp_s(container, packet), taken_s, arrived_s)
            yield packet, Stamp(at_s, utc.at_ns(at_s, arrived_s, arrived_utc_ns), synced)


def connect(opening: Opening) -> av.container.InputContainer:
    """Open a clip, or a stream with as little delay as it allows."""
    if opening.url.startswith(_FILE):
        return av.open(f"file:{opening.path}", **_LENIENT)
    options = {"fpsprobesize": "0"}  # else the first frame waits for 20 more, to learn a rate that nobody asks for
    if opening.url.startswith("rtsp"):
        options |= {"rtsp_transport": opening.transport, "allowed_media_types": "video"}
    if opening.url.startswith("rtmp"):
        options |= {"analyzeduration": "500000"}  # microseconds; else it listens for sound for five seconds
    if opening.url.startswith(_OVER_TLS):
        options |= {"tls_verify": "0"}  # cameras have certificates of their own making, and FFmpeg knows no others
    return av.open(opening.url, options=options, timeout=(opening.stall_s, opening.stall_s), **_LENIENT)


def camera_stamp_s(container: av.container.InputContainer, packet: av.Packet[av.VideoStream]) -> float | None:
    """When a picture is to be shown, by the camera's clock; None where the camera does not say."""
    if packet.pts is None or container.format.name in _WITHOUT_TIMES:
        return None
    return float(packet.pts * packet.time_base)


def video_stream(container: av.container.InputContainer, opening: Opening) -> av.VideoStream:
    """Choose the first video stream, decoded by one thread: cameras run side by side, and threads add delay."""
    if not container.streams.video:
        raise SourceError(f"{opening.name} has no video stream: only sound, or cut off")
    stream = container.streams.video[0]
    stream.codec_context.thread_count = 1
    return stream


def _decoded(packet: av.Packet[av.VideoStream]) -> list[av.VideoFrame] | None:
    """Decode one packet, the empty last one giving what the decoder holds back; None when it is damaged."""
    try:
        return packet.decode()
    except av.FFmpegError:
        return None


def _created_utc_ns(metadata: dict[str, str]) -> int:
    """Read when a container says it was recorded; 1970 when it does not, or says something earlier."""
    try:
        created = datetime.fromisoformat(metadata.get("creation_time", "").replace("Z", "+00:00"))
    except ValueError:
        return 0
    if created.tzinfo is None:
        created = created.replace(tzinfo=timezone.utc)
    return max(0, (created - _EPOCH) // timedelta(microseconds=1) * 1000)


_SIGN_OF_LIFE_S = 1.0
"""While nothing is decoded, it says this often that it is alive."""


def _warn_if_rotated(picture: av.VideoFrame, seq: int, opening: Opening) -> None:
    if seq == 0 and picture.rotation:
        _log.warning("%s asks to be turned by %d degrees; it is used as it lies", opening.name, picture.rotation)


def complaint(error: av.FFmpegError, opening: Opening, frames: int) -> str:
    """What went wrong, after how many frames, in words without the password that FFmpeg's own hold."""
    said = error.strerror or type(error).__name__
    meanings = _OF_FILES if opening.url.startswith(_FILE) else _OF_CAMERAS
    meaning = next((text for kind, text in meanings if isinstance(error, kind)), "{error}")
    failed = f"broke off after {frames} frames" if frames else "cannot be opened"
    return f"{opening.name} {failed}: {meaning.format(stall_s=opening.stall_s, error=said)}"
