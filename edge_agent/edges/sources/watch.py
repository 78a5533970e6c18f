"""A folder that new pictures fall into, as cameras that upload on motion make one."""

from __future__ import annotations

import logging
import math
import os
from collections.abc import Generator
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from edge_agent.edges.sources.images import SUFFIXES, natural_order, read_picture
from edge_agent.edges.sources.planes import view_planes
from edge_agent.edges.sources.source import ALL_PICTURES, Opening, Planes
from edge_agent.errors import SourceError
from edge_agent.records import Frame

_log = logging.getLogger(__name__)

LOOK_S = 0.5
"""How often to look; less often where a look itself takes more than a twentieth of this."""

SETTLED_S = 1.0
"""So long a picture must not have changed to be whole: more than an upload over a slow line pauses."""

MOST_PICTURES = 50_000
"""More in the folder are refused: each is remembered, and looked at every time."""

_ASLEEP_S = 1.5  # no picture for this long; less than what counts as stalled

_SPARE = 20  # looking takes at most one part in so many of the time
_OLDEST_S = 3600.0  # a picture's own time is believed when it is not older than this, and not to come
_ENDINGS = tuple(SUFFIXES)


class _Written(NamedTuple):
    """What changes when a picture is written anew."""

    mtime_ns: int
    size_bytes: int
    inode: int


class Watch:
    """Every picture that comes into a folder, or is written anew in it, once and when it is whole.

    What is there already when it is opened is not given, and a picture that is gone is forgotten. `utc_ns` is the
    picture's own time of writing where that is believable; `at_s` is when it was found.
    """

    live = True
    basis = ALL_PICTURES
    delay_s = None

    def __init__(self, opening: Opening) -> None:
        self._opening = opening
        self._folder = Path(opening.path)
        self.asleep = True
        self.damaged = 0

    def frames(self) -> Generator[Frame | None, None, None]:
        """Give new pictures; None at each look that finds none, for where nothing moves no picture comes."""
        clock, stop = self._opening.clock, self._opening.stop
        seq = 0
        known = self._look()  # as it was when it was given, or when we came
        changing: dict[str, tuple[_Written, float]] = {}  # and since when it is as it is
        pause_s, last_s = LOOK_S, -math.inf
        while not clock.wait(stop, pause_s):
            began_s = clock.monotonic_s()
            there = self._look()
            known = {name: known[name] for name in known.keys() & there.keys()}
            changing = {
                name: changing[name] if name in changing and changing[name][0] == written else (written, began_s)
                for name, written in there.items()
                if known.get(name) != written
            }
            whole = [name for name, (_, since_s) in changing.items() if began_s - since_s >= SETTLED_S]
            pause_s = max(LOOK_S, _SPARE * (clock.monotonic_s() - began_s))
            for name in sorted(whole, key=lambda name: (there[name].mtime_ns, natural_order(Path(name)))):
                known[name] = there[name]
                frame = self._frame(name, there[name], seq)
                if frame is not None:
                    self.asleep, last_s = False, frame.at_s
                    yield frame
                    seq += 1
                if stop.is_set():
                    return
            if not whole:
                self.asleep = began_s - last_s > _ASLEEP_S
                yield None

    def _look(self) -> dict[str, _Written]:
        """Every picture in the folder that holds something, by its name."""
        there: dict[str, _Written] = {}
        try:
            with os.scandir(self._folder) as entries:
                for entry in entries:
                    written = _written(entry) if entry.name.lower().endswith(_ENDINGS) else None
                    if written is not None and written.size_bytes:
                        there[entry.name] = written
        except OSError as error:
            raise SourceError(f"{self._opening.name} cannot be listed: {error.strerror}") from error
        if len(there) > MOST_PICTURES:
            raise SourceError(f"{self._opening.name} holds more than {MOST_PICTURES} pictures; delete old ones")
        return there

    def _frame(self, name: str, written: _Written, seq: int) -> Frame | None:
        path = self._folder / name
        picture = read_picture(path)
        if picture is not None:
            return self._stamped(view_planes(picture), written, seq)
        if path.exists():  # else somebody tidied it away
            self.damaged += 1
            _log.warning("%s cannot be read as a picture; left out", path)
        return None

    def _stamped(self, planes: Planes, written: _Written, seq: int) -> Frame:
        frame = self._opening.arrived(planes, seq)
        age_s = (frame.utc_ns - written.mtime_ns) / 1e9
        return replace(frame, utc_ns=written.mtime_ns) if 0 <= age_s <= _OLDEST_S else frame


def _written(entry: os.DirEntry[str]) -> _Written | None:
    """Say when and how large a picture was written; None when it is none, or gone meanwhile."""
    try:
        if not entry.is_file():
            return None
        found = entry.stat()
    except OSError:
        return None
    return _Written(found.st_mtime_ns, found.st_size, found.st_ino)
