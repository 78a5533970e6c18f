"""Keeping a source going: open it, hand its frames on, and when it fails, wait and open it again."""

from __future__ import annotations

import logging
import math
import re
import threading
from collections import deque
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Annotated, Literal, Protocol

from pydantic import Field

from edge_agent.edges.clock import Backoff, Clock
from edge_agent.edges.sources.source import Source
from edge_agent.errors import PassingError
from edge_agent.records import Frame
from edge_agent.settings import Seconds, Section

_log = logging.getLogger(__name__)

State = Literal["connecting", "streaming", "backoff", "ended", "stopped"]

BEAT_S = 1.0
"""Longest wait between two beats while nothing is to be done."""

SAY_AGAIN_S = 60.0
"""The same line stands in the log at most this often."""

_RATE_WINDOW = 50  # frames over which their rate is measured


class CaptureSettings(Section):
    """How patiently to treat a camera."""

    transport: Literal["tcp", "udp"] = "tcp"
    """How RTSP carries the pictures; `udp` has less delay and loses packets."""

    stall_s: Annotated[Seconds, Field(ge=1, le=3600)] = 10.0
    """No frame for this long means that the camera is gone; larger suits sleepy cameras."""

    retry_first_s: Annotated[Seconds, Field(gt=0, le=3600)] = 1.0
    """Longest wait before the second try to open it; it doubles with each further one."""

    retry_cap_s: Annotated[Seconds, Field(gt=0, le=3600)] = 30.0
    """Longest wait before any try; a camera that holds out this long is forgiven, and the waits begin anew."""

    loop: bool = False
    """Begin a clip or a folder of pictures again at its end; for trying things out."""


class Slot(Protocol):
    """Where frames go: a `Latest` that a pipeline takes them from."""

    @property
    def dropped(self) -> int:
        """How many frames nobody took in time."""
        ...

    def put(self, value: Frame, /) -> None:
        """Leave a frame."""
        ...

    def close(self) -> None:
        """Nothing more will come."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class CaptureStatus:
    """How a source is doing.

    Attributes:
        state: `connecting` until its first frame, `streaming`, in `backoff` between two tries; `ended` is a recording
            that is over, `stopped` one that was told to.
        reason: why it is not streaming, one line without secrets; empty when there is nothing to explain.
        since_utc_ns: when it came into this state.
        frames: how many it gave since start.
        drops: how many of them nobody took in time.
        damaged: how many pictures or packets could not be decoded since start.
        fps: frames a second lately; 0 when not streaming.
        reconnects: how often it was tried again after a failure.
        width: of the last frame, pixels; 0 before the first.
        height: the same.
    """

    state: State
    reason: str
    since_utc_ns: int
    frames: int = 0
    drops: int = 0
    damaged: int = 0
    fps: float = 0.0
    reconnects: int = 0
    width: int = 0
    height: int = 0

    @property
    def online(self) -> bool:
        """Whether frames are coming."""
        return self.state == "streaming"


@dataclass(kw_only=True, eq=False)
class Capture:
    """One camera's capture: `run` it in a thread of its own, read `status` from any.

    Attributes:
        name: what the camera is called in the log.
        open_source: gives a new source for each try.
        slot: where the frames go; closed when no more will come.
        settings: how patient to be.
        clock: what waits and ages are measured with.
        stop: ends it soon after it is set.
        backoff: how long to wait before each further try.
        beat: called at every frame and at least every `BEAT_S` of waiting, but not while a camera keeps silent, which
            lasts `stall_s` at most for data and as long again for opening.
    """

    name: str
    open_source: Callable[[], Source]
    slot: Slot
    settings: CaptureSettings
    clock: Clock
    stop: threading.Event
    backoff: Backoff
    beat: Callable[[], None]

    def __post_init__(self) -> None:
        """Begin as connecting."""
        # Only the capture thread replaces the status; whoever reads it has one whole value.
        self._status = CaptureStatus(state="connecting", reason="", since_utc_ns=self.clock.utc_ns())
        self._recording = False
        self._streaming_since_s = math.inf
        self._arrivals_s: deque[float] = deque(maxlen=_RATE_WINDOW)
        self._said_s: dict[str, float] = {}

    def status(self) -> CaptureStatus:
        """Say how the source is doing; safe from any thread."""
        return replace(self._status, drops=self.slot.dropped)

    def run(self) -> None:
        """Keep the source going until `stop` is set or a recording is over."""
        over = False
        try:
            while not (over or self.stop.is_set()):
                over = self._try()
        finally:
            self._enter("stopped" if self.stop.is_set() else "ended", self._status.reason)
            self.slot.close()

    def run_once(self) -> None:
        """Open the source and hand its frames on until it ends.

        Raises:
            SourceError: it cannot be opened, broke off or stalled.
        """
        self._enter("connecting", self._status.reason)
        self.beat()
        source = self.open_source()
        self._recording = not source.live
        damaged_before = self._status.damaged
        try:
            with closing(source.frames()) as frames:
                for frame in frames:
                    self._hand_on(frame, damaged_before + source.damaged)
        finally:
            self._status = replace(self._status, damaged=damaged_before + source.damaged)

    def _try(self) -> bool:
        """Run once; true when there is nothing to come back for."""
        try:
            self.run_once()
        except PassingError as error:
            if self._recording and self._status.online and not self.settings.loop:
                self._say(logging.WARNING, str(error))
                self._enter("ended", str(error))
                return True
            self._back_off(str(error))
            return False
        return not self.settings.loop

    def _hand_on(self, frame: Frame, damaged: int) -> None:
        if not self._status.online:
            self._say(logging.INFO, f"streaming {frame.width}x{frame.height}")
            self._arrivals_s.clear()
            self._streaming_since_s = self.clock.monotonic_s()
            self._enter("streaming", "")
        self._arrivals_s.append(frame.at_s)
        self.slot.put(replace(frame, seq=self._status.frames))
        self._status = replace(
            self._status,
            frames=self._status.frames + 1,
            damaged=damaged,
            fps=self._fps(),
            width=frame.width,
            height=frame.height,
        )
        if self.clock.monotonic_s() - self._streaming_since_s >= self.settings.retry_cap_s:
            self.backoff.reset()
        self.beat()

    def _fps(self) -> float:
        passed_s = self._arrivals_s[-1] - self._arrivals_s[0]
        return (len(self._arrivals_s) - 1) / passed_s if passed_s > 0 else 0.0

    def _back_off(self, reason: str) -> None:
        delay_s = self.backoff.next_s()
        self._say(logging.WARNING, reason, f"; next try in {delay_s:.0f} s")
        self._enter("backoff", reason)
        self._wait(delay_s)
        self._status = replace(self._status, reconnects=self._status.reconnects + 1)

    def _wait(self, seconds: float) -> None:
        until_s = self.clock.monotonic_s() + seconds
        while (left_s := until_s - self.clock.monotonic_s()) > 0:
            self.beat()
            if self.clock.wait(self.stop, min(left_s, BEAT_S)):
                return

    def _enter(self, state: State, reason: str) -> None:
        self._status = replace(self._status, state=state, reason=reason, since_utc_ns=self.clock.utc_ns(), fps=0.0)

    def _say(self, level: int, line: str, more: str = "") -> None:
        """Log a line, unless the same one, numbers aside, stood there less than `SAY_AGAIN_S` ago."""
        kind, now_s = re.sub(r"\d+", "", line), self.clock.monotonic_s()
        if now_s - self._said_s.get(kind, -math.inf) >= SAY_AGAIN_S:
            self._said_s[kind] = now_s
            _log.log(level, 'camera "%s": %s%s', self.name, line, more)
