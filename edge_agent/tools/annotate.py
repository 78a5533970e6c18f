"""Draws what the agent understood onto the clip it understood it from; only ever on a file that a person asked for."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from edge_agent import pixels, runtimes
from edge_agent.errors import SourceError
from edge_agent.records import ByteArray, Frame, Track
from edge_agent.settings import Polygon, UnitPoint

Ends = tuple[UnitPoint, UnitPoint]
"""Where a line begins and where it ends."""

_ENCODERS = ("libx264", "libopenh264", "mpeg4")
"""The first that this build of FFmpeg has; browsers play H.264."""

_TICKS_A_SECOND = 90_000  # the usual clock of video files
_ZONE_COLOUR = (0, 200, 255)
_LINE_COLOUR = (255, 0, 200)
_ARROW = 0.05  # of the picture's height
_TENTATIVE_COLOUR = (160, 160, 160)
_COLOURS = ((80, 220, 80), (255, 160, 60), (60, 120, 255), (220, 80, 220), (80, 220, 220), (200, 200, 80))
_FONT_SCALE_A_PIXEL = 0.5 / 480  # letters grow with the picture
_CAPTION_S = 3.0
_RIM = (0, 0, 0)
_AROUND = ((-1, 0), (1, 0), (0, -1), (0, 1))


class Annotator:
    """Writes frames with boxes, ids, zones, lines and the last events into a video file.

    Args:
        path: the file to write, `.mp4`.
        zones: by name.
        lines: where each begins and ends, by name.

    Raises:
        SourceError: the file cannot be written.
    """

    def __init__(self, path: Path, zones: dict[str, Polygon], lines: dict[str, Ends] | None = None) -> None:
        self._path = path
        self._zones = zones
        self._lines = lines or {}
        self._captions: list[tuple[float, str]] = []
        try:
            self._container = av.open(str(path), "w")
            path.open("ab").close()  # FFmpeg itself would only try at the first frame
        except (OSError, ValueError) as error:
            raise SourceError(
                f"cannot write {path}: {error}; is its folder there, does its name end in .mp4?"
            ) from error
        self._stream: Any = None

    def close(self) -> None:
        """Finish the file.

        Raises:
            SourceError: it cannot be written.
        """
        if self._stream is not None:
            self._write(None)
        self._container.close()

    def draw(self, frame: Frame, tracks: Sequence[Track], said: Sequence[str]) -> None:
        """Add one frame, what is tracked in it, and captions for what was said on it."""
        picture = self.picture(frame, tracks, said)
        if self._stream is None:
            self._stream = self._open(picture)
        video_frame = av.VideoFrame.from_ndarray(picture, format="bgr24")
        video_frame.pts = round(frame.at_s * _TICKS_A_SECOND)
        video_frame.time_base = Fraction(1, _TICKS_A_SECOND)
        self._write(video_frame)

    def picture(self, frame: Frame, tracks: Sequence[Track], said: Sequence[str]) -> ByteArray:
        """The annotated frame: (H, W, 3) uint8 BGR, even sides."""
        picture = pixels.to_bgr(frame, frame.width // 2 * 2, frame.height // 2 * 2)
        self._captions += [(frame.at_s + _CAPTION_S, text) for text in said]
        self._captions = [caption for caption in self._captions if caption[0] >= frame.at_s]
        for name, polygon in self._zones.items():
            self._draw_zone(picture, name, polygon)
        for name, ends in self._lines.items():
            _draw_line(picture, name, ends)
        for track in tracks:
            self._draw_track(picture, track, is_seen=track.seen_s == frame.at_s)
        for line, (_until_s, text) in enumerate(self._captions[-8:]):
            _write(picture, text, (6, 18 + line * 18), (255, 255, 255))
        return picture

    def _write(self, video_frame: av.VideoFrame | None) -> None:
        try:
            self._container.mux(self._stream.encode(video_frame))
        except av.FFmpegError as error:
            raise SourceError(f"cannot write {self._path}: {error.strerror}") from error

    def _open(self, picture: ByteArray) -> Any:
        encoder = next(name for name in _ENCODERS if name in av.codecs_available)
        stream: Any = self._container.add_stream(encoder, rate=Fraction(_TICKS_A_SECOND))
        stream.height, stream.width = picture.shape[:2]
        stream.pix_fmt = "yuv420p"
        stream.time_base = Fraction(1, _TICKS_A_SECOND)
        stream.bit_rate = 2_000_000
        return stream

    def _draw_zone(self, picture: ByteArray, name: str, polygon: Polygon) -> None:
        cv2 = runtimes.load("cv2")
        height, width = picture.shape[:2]
        corners = (np.array(polygon) * (width, height)).astype(np.int32)
        cv2.polylines(picture, [corners], isClosed=True, color=_ZONE_COLOUR, thickness=2)
        _write(picture, name, tuple(corners[0].tolist()), _ZONE_COLOUR)

    def _draw_track(self, picture: ByteArray, track: Track, *, is_seen: bool) -> None:
        cv2 = runtimes.load("cv2")
        left, top, right, bottom = (round(side) for side in track.box)
        colour = _COLOURS[track.id % len(_COLOURS)] if track.confirmed else _TENTATIVE_COLOUR
        cv2.rectangle(picture, (left, top), (right, bottom), colour, 2 if is_seen else 1)
        _write(picture, f"{track.label} {track.id}  {track.score:.2f}", (left, max(12, top - 4)), colour)


def _draw_line(picture: ByteArray, name: str, ends: Ends) -> None:
    """A line, and from its middle an arrow the way that counts as `in`: to the right hand."""
    cv2 = runtimes.load("cv2")
    height, width = picture.shape[:2]
    start, end = (np.array(point) * (width, height) for point in ends)
    along = end - start
    to_the_right = np.array([-along[1], along[0]]) / max(float(np.hypot(*along)), 1.0)
    middle = (start + end) / 2
    tip = middle + to_the_right * _ARROW * height
    word = middle + to_the_right * 1.5 * _ARROW * height - (8, -5)  # its lower left corner, so that its middle is there
    corners = [tuple(np.round(point).astype(int).tolist()) for point in (start, end, middle, tip, word)]
    cv2.line(picture, corners[0], corners[1], _LINE_COLOUR, 2, cv2.LINE_AA)
    cv2.arrowedLine(picture, corners[2], corners[3], _LINE_COLOUR, 2, cv2.LINE_AA, tipLength=0.4)
    _write(picture, "in", corners[4], _LINE_COLOUR)
    _write(picture, name, corners[0], _LINE_COLOUR)


def _write(picture: ByteArray, text: str, at: tuple[int, ...], colour: tuple[int, int, int]) -> None:
    cv2 = runtimes.load("cv2")
    scale = max(0.4, picture.shape[0] * _FONT_SCALE_A_PIXEL)
    x, y = at
    # A dark rim keeps letters readable on any ground. Drawn thicker it would be wider too, so it is drawn beside.
    for shift_x, shift_y, shade in (*((*beside, _RIM) for beside in _AROUND), (0, 0, colour)):
        place = (x + shift_x, y + shift_y)
        cv2.putText(picture, text, place, cv2.FONT_HERSHEY_SIMPLEX, scale, shade, 1, cv2.LINE_AA)
