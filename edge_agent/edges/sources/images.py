"""A folder of pictures as a slow film, for trying things out and for measuring on labelled pictures."""

from __future__ import annotations

import logging
import math
import re
from collections.abc import Generator
from io import BytesIO
from pathlib import Path

import av

from edge_agent.edges.sources.planes import view_planes
from edge_agent.edges.sources.source import ALL_PICTURES, Opening
from edge_agent.errors import SourceError
from edge_agent.records import Frame

_log = logging.getLogger(__name__)

RATE_HZ = 5.0
"""Pictures a second: what a detector usually looks at."""

SUFFIXES = frozenset({".bmp", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"})
"""What counts as a picture, in small letters."""


class Folder:
    """Every picture of a folder in the natural order of names: `2.png` comes before `10.png`.

    A picture that cannot be read is left out, counted, and keeps its place in time.
    """

    live = False
    asleep = False
    basis = ALL_PICTURES
    delay_s = None

    def __init__(self, opening: Opening) -> None:
        self._opening = opening
        self._folder = Path(opening.path)
        self.damaged = 0

    def frames(self) -> Generator[Frame, None, None]:
        """Give every picture, `RATE_HZ` a second from 0 and from 1970."""
        paths = self._pictures()
        for seq, path in enumerate(paths):
            if self._opening.stop.is_set():
                return
            picture = read_picture(path)
            if picture is None:
                self.damaged += 1
                _log.warning("%s cannot be read as a picture; left out", path)
            else:
                at_s = seq / RATE_HZ
                yield view_planes(picture).taken(at_s=at_s, utc_ns=round(at_s * 1e9), utc_synced=False, seq=seq)
        if self.damaged == len(paths):
            raise SourceError(f"{self._opening.name}: not one of {len(paths)} pictures can be read")

    def _pictures(self) -> list[Path]:
        try:
            paths = [path for path in self._folder.iterdir() if path.suffix.lower() in SUFFIXES]
        except OSError as error:
            raise SourceError(f"{self._opening.name} cannot be listed: {error.strerror}") from error
        if not paths:
            raise SourceError(f"{self._opening.name} holds no picture ({' '.join(sorted(SUFFIXES))})")
        return sorted(paths, key=natural_order)


def natural_order(path: Path) -> tuple[list[tuple[float, str]], str]:
    """Compare numbers as numbers and before words; equal ones (`1.png`, `01.png`) by the name itself."""
    parts = re.findall(r"\d+|\D+", path.name)
    return [(int(part), "") if part.isdecimal() else (math.inf, part) for part in parts], path.name


def read_picture(path: Path) -> av.VideoFrame | None:
    """Decode a picture; None when it is none, or gone."""
    try:
        # The bytes, not the name: FFmpeg takes a "%" in a picture's name for a pattern.
        with av.open(BytesIO(path.read_bytes())) as container:
            for stream in container.streams.video:
                stream.codec_context.thread_count = 1
                return next(container.decode(stream), None)
    except (av.FFmpegError, OSError):
        return None
    return None
