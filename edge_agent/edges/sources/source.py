"""What every kind of source agrees on: how it is opened, what it gives, and how it is named without its password."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import dataclass, field, replace
from typing import Literal, NamedTuple, Protocol

from edge_agent.edges.clock import Clock
from edge_agent.edges.sources.chosen import DecoderNotes
from edge_agent.edges.sources.picture import PictureSettings
from edge_agent.records import ByteArray, Frame, Packet, Verdict


class Planes(NamedTuple):
    """One picture, as in `Frame`: its shapes, and what its values range over."""

    luma: ByteArray
    chroma_blue: ByteArray
    chroma_red: ByteArray
    full_range: bool = False

    def taken(self, *, at_s: float, utc_ns: int, utc_synced: bool, seq: int) -> Frame:
        """Make the frame of it."""
        return Frame(**self._asdict(), at_s=at_s, utc_ns=utc_ns, utc_synced=utc_synced, seq=seq)


_LOCAL = frozenset({"csi", "file", "images", "pipe", "v4l2", "watch"})
"""Kinds of address that are places on this machine, with nothing to hide."""

PIPELINE = "gstreamer:"
"""What the one kind of address begins with that is no place but a text, which may hold addresses in turn."""


ALL_PICTURES = "all pictures"
"""What a source decodes that has no way to tell beforehand whether something moves."""


class Source(Protocol):
    """One camera, clip or folder; each call of `frames` opens it anew."""

    @property
    def live(self) -> bool:
        """Whether frames that nobody reads are gone; a recording waits."""
        ...

    @property
    def damaged(self) -> int:
        """How many pictures or packets could not be decoded and were left out."""
        ...

    @property
    def asleep(self) -> bool:
        """Whether pictures come that are not decoded, because nothing moves."""
        ...

    @property
    def basis(self) -> str:
        """Which pictures are decoded, and why: by what it is told that nothing moves."""
        ...

    @property
    def delay_s(self) -> float | None:
        """How long after it was taken a picture usually comes; None where nobody knows, so that the arrival counts."""
        ...

    def frames(self) -> Generator[Frame | None, None, None]:
        """Open, give every frame in order, close; ends at the end of a recording, or soon after `stop` is set.

        `seq` counts from 0 and `at_s` never goes back. None stands for "alive, but no picture was made", and comes
        about once a second while there are no frames.

        Raises:
            SourceError: it cannot be opened, breaks off or stalls; one line without a password.
        """
        ...


class Recording(Source, Protocol):
    """A clip or a folder: there is always a picture, until the end."""

    def frames(self) -> Generator[Frame, None, None]:
        """Open, give every frame in order, close.

        Raises:
            SourceError: it cannot be opened, or breaks off; one line.
        """
        ...


class PacketGate(Protocol):
    """Decides which packets are decoded; see `stages/gate/packets.py` and `external.py`."""

    @property
    def asleep(self) -> bool:
        """Whether packets are kept undecoded."""
        ...

    @property
    def motion_since_s(self) -> float:
        """After it woke up: since when something may have been moving.

        While packets are to `hold`: what was taken before may be let go.
        """
        ...

    @property
    def basis(self) -> str:
        """What it goes by, or why it cannot leave anything undecoded."""
        ...

    @property
    def buffer_bytes(self) -> int:
        """How much may be kept."""
        ...

    def observe(self, packet: Packet, /) -> Verdict:
        """Say what to do with the next packet."""
        ...

    def compare(self, frame: Frame, /) -> bool:
        """Take in a decoded picture; false when it need not be shown to anybody."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """What a source is opened with.

    Attributes:
        url: its address, which may hold a password: messages use `name`.
        transport: how RTSP carries the pictures.
        stall_s: no frame for this long means that a camera is gone.
        clock: what frames of a camera are stamped with.
        stop: ends the frames soon after it is set.
        picture: what to ask of a camera that lets itself be asked.
        new_gate: makes what leaves a network stream undecoded while nothing moves; None decodes all.
        decoder: which decoder a network stream is to have, and what is known of that.
    """

    url: str
    transport: Literal["tcp", "udp"]
    stall_s: float
    clock: Clock
    stop: threading.Event
    picture: PictureSettings
    new_gate: Callable[[], PacketGate] | None = None
    decoder: DecoderNotes = field(default_factory=DecoderNotes)

    @property
    def name(self) -> str:
        """The address as it may be shown."""
        return redact(self.url)

    @property
    def path(self) -> str:
        """The address without its scheme: a file, folder or device."""
        return self.url.partition("://")[2]

    def arrived(self, planes: Planes, seq: int) -> Frame:
        """Make the frame of a picture that a camera gave just now."""
        clock = self.clock
        return planes.taken(at_s=clock.monotonic_s(), utc_ns=clock.utc_ns(), utc_synced=clock.utc_synced(), seq=seq)


_LONGEST_HOLE_S = 10.0
_LAST_FRAME_S = 0.2


class Paced:
    """A recording at its own pace, as if it were a camera: each frame is held until it is due and stamped so.

    Args:
        recording: gives frames whose `at_s` counts from its beginning.
        clock: tells when a frame is due.
        stop: ends the frames at once.
    """

    live = False
    asleep = False
    basis = ALL_PICTURES
    delay_s = None

    def __init__(self, recording: Recording, clock: Clock, stop: threading.Event) -> None:
        self._recording = recording
        self._clock = clock
        self._stop = stop

    @property
    def damaged(self) -> int:
        """How many pictures or packets could not be decoded and were left out."""
        return self._recording.damaged

    def frames(self) -> Generator[Frame, None, None]:
        """Give the recording's frames when they are due; `at_s` is that moment, however late the reader is."""
        start_s: float | None = None
        with closing(self._recording.frames()) as frames:
            for frame in frames:
                now_s = self._clock.monotonic_s()
                # A hole in the recording is not waited out: nobody would tell it from a camera that hangs.
                if start_s is None or start_s + frame.at_s - now_s > _LONGEST_HOLE_S:
                    start_s = now_s - frame.at_s
                due_s = start_s + frame.at_s
                if self._clock.wait(self._stop, max(0.0, due_s - now_s)):
                    return
                utc_ns, utc_synced = self._clock.utc_ns(), self._clock.utc_synced()
                yield replace(frame, at_s=due_s, utc_ns=utc_ns, utc_synced=utc_synced)
        self._clock.wait(self._stop, _LAST_FRAME_S)  # the last is shown, too, before it all may begin again


def redact(url: str) -> str:
    """Name a source without its secrets: of a network address only scheme, host and port are left.

    Cameras take passwords before the `@`, in the query, and some in the path; a pipeline anywhere, so that only its
    first element is named.
    """
    if url.startswith(PIPELINE):
        first = re.match(r'[/"\s]*([a-z]\w*)(?=[\s!]|$)', url[len(PIPELINE) :])
        return f"{PIPELINE}{first[1]} …" if first else f"{PIPELINE}…"
    scheme, _, rest = url.partition("://")
    if scheme in _LOCAL:
        return url
    authority = re.split(r"[/?#]", rest, maxsplit=1)[0]
    if "@" in rest and "@" not in authority:  # a password with a slash in it, or a path with an @: nobody can tell
        return f"{scheme}://…"
    return f"{scheme}://{authority.rpartition('@')[2]}/…"
