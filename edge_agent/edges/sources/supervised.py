"""Keeping a source going: open it, hand its frames on, and when it fails, wait and open it again, for ever.

```
connecting ──── a frame ────▶ streaming ◀──▶ asleep, stalled
   ▲  │                           │
   │  └─────── an error ──────────┤
   │                              ▼
   └──── the wait is over ──── backoff ──── 10 caps in vain ────▶ failed ──── a frame ────▶ streaming
```

`ended`, `stopped` and `disabled` are for good. A thread that hangs inside a library is left behind: another one takes
over in `connecting`, and the lost one can touch nothing any more.
"""

from __future__ import annotations

import logging
import math
import re
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from typing import Annotated, Literal, Protocol

from pydantic import Field

from edge_agent.edges.clock import Backoff, Clock
from edge_agent.edges.sources.chosen import AUTO, DecoderStatus
from edge_agent.edges.sources.source import Source
from edge_agent.errors import PassingError
from edge_agent.records import Frame
from edge_agent.settings import Seconds, Section

_log = logging.getLogger(__name__)

State = Literal["connecting", "streaming", "asleep", "stalled", "backoff", "failed", "disabled", "ended", "stopped"]

BEAT_S = 1.0
"""Longest wait between two beats while nothing is to be done."""

SAY_AGAIN_S = 60.0
"""The same line stands in the log at most this often."""

MAX_HANGING = 3
"""So many threads of a camera may hang at once; a library that keeps more is not cured by yet another one."""

FAILED_CAPS = 10.0
"""A camera is `failed` after this many `retry_cap_s` without a frame."""

STALLED_S = 2.0
"""A stream is `stalled` when nothing came for this long..."""

STALLED_INTERVALS = 10.0
"""...and for this many times what usually lies between two of its frames."""

ANEW_S = 3.0
"""A thread that was told to begin anew and has not after this long is silent, and another one begins for it."""

PAST_S = 0.5
"""A frame that is handed on so long after its packet came is one of the past."""

CATCH_UP_S = 5.0
"""For so long at a stretch frames of the past wait for each other, so that the pipeline can catch up."""

_HUNG = "the thread that reads it hung in a library"
_RATE_WINDOW = 50  # frames over which their rate is measured


class _AnewError(PassingError):
    """Somebody wants the source to be opened again."""


class LeftBehindError(Exception):
    """This thread hung, and another does its work now; it is to end, and nobody waits for it."""


class CaptureSettings(Section):
    """How patiently to treat a camera, and what decodes it."""

    transport: Literal["tcp", "udp"] = "tcp"
    """How RTSP carries the pictures; `udp` has less delay and loses packets."""

    stall_s: Annotated[Seconds, Field(ge=1, le=3600)] = 10.0
    """No frame for this long means that the camera is gone; larger suits sleepy cameras."""

    retry_first_s: Annotated[Seconds, Field(gt=0, le=3600)] = 1.0
    """Longest wait before the second try to open it; it doubles with each further one."""

    retry_cap_s: Annotated[Seconds, Field(gt=0, le=3600)] = 30.0
    """Longest wait before any try; a camera that holds out this long is forgiven, and the waits begin anew. One that
    gave nothing for ten times this has `failed`, and is tried on."""

    decoder: Annotated[str, Field(pattern=r"^[a-z0-9_]{1,32}$")] = AUTO
    """What decodes a network stream: `auto` is the cheaper of software and hardware, measured on its own pictures;
    `software`; or one kind of hardware as FFmpeg calls it, such as `vaapi`, `cuda`, `qsv`, `drm` or `v4l2m2m`, without
    which the camera is not opened. `edge-agent doctor` lists what works."""

    loop: bool = False
    """Begin a clip or a folder of pictures again at its end; for trying things out."""


class Slot(Protocol):
    """Where frames go: a `Latest` that a pipeline takes them from."""

    @property
    def dropped(self) -> int:
        """How many frames nobody took in time."""
        ...

    def put(self, value: Frame, patience_s: float, /) -> None:
        """Leave a frame, waiting for the one before to be taken."""
        ...

    def close(self) -> None:
        """Nothing more will come."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class CaptureStatus:
    """How a source is doing.

    Attributes:
        state: `connecting` until its first frame, `streaming`, or `asleep` while it gives no frames because nothing
            moves; `stalled` when it has fallen silent and is not given up yet, in `backoff` between two tries, `failed`
            when many were in vain, though it is tried on; `disabled` is never opened; `ended` is a recording that is
            over, `stopped` one that was told to.
        reason: why it is not streaming, one line without secrets; empty when there is nothing to explain.
        since_utc_ns: when it came into this state.
        frames: how many it gave since start.
        drops: how many of them nobody took in time.
        damaged: how many pictures or packets could not be decoded since start.
        basis: which pictures are decoded, and why; empty before the first.
        stamped_by: whose clock says when pictures were taken: the `camera`'s, or ours at their `arrival`.
        decoder: what they are decoded with; None before the first connection, and for a source that has no choice.
        fps: frames a second lately; 0 when not streaming.
        reconnects: how often it was tried again after a failure.
        replaced: how often its thread hung and another took over.
        width: of the last frame, pixels; 0 before the first.
        height: the same.
    """

    state: State
    reason: str
    since_utc_ns: int
    frames: int = 0
    drops: int = 0
    damaged: int = 0
    basis: str = ""
    stamped_by: Literal["camera", "arrival"] = "arrival"
    decoder: DecoderStatus | None = None
    fps: float = 0.0
    reconnects: int = 0
    replaced: int = 0
    width: int = 0
    height: int = 0

    @property
    def online(self) -> bool:
        """Whether the camera is there: frames come, or would if something moved, or it is not given up yet."""
        return self.state in {"streaming", "asleep", "stalled"}

    @property
    def presence(self) -> Literal["online", "offline", "disabled"]:
        """The same in the word that is published."""
        if self.state == "disabled":
            return "disabled"
        return "online" if self.online else "offline"


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
        decoder: says which decoder the source has, if it has a choice.
        enabled: whether to open it at all.
    """

    name: str
    open_source: Callable[[], Source]
    slot: Slot
    settings: CaptureSettings
    clock: Clock
    stop: threading.Event
    backoff: Backoff
    beat: Callable[[], None]
    decoder: Callable[[], DecoderStatus | None] = lambda: None
    enabled: bool = True

    def __post_init__(self) -> None:
        """Begin as connecting."""
        # Only the thread in charge replaces the status; whoever reads it has one whole value.
        first: State = "connecting" if self.enabled else "disabled"
        self._status = CaptureStatus(state=first, reason="", since_utc_ns=self.clock.utc_ns())
        self._recording = False
        self._online_since_s = math.inf
        self._alive_s, self._alive_utc_ns = self.clock.monotonic_s(), self.clock.utc_ns()
        self._arrivals_s: deque[float] = deque(maxlen=_RATE_WINDOW)
        self._catch_up_until_s = math.inf
        self._said_s: dict[str, float] = {}
        self._charge = threading.Lock()
        self._thread = threading.current_thread()
        self._left_behind: list[threading.Thread] = []
        self._anew_s = math.inf  # since when somebody waits for it to begin anew

    def status(self) -> CaptureStatus:
        """Say how the source is doing; safe from any thread."""
        status = replace(self._status, drops=self.slot.dropped, decoder=self.decoder())
        unusual_s = self._unusual_s(status)
        silent_s = self.clock.monotonic_s() - self._alive_s  # read after the status, so never older than it
        if silent_s <= unusual_s:
            return status
        since_utc_ns = self._alive_utc_ns + round(unusual_s * 1e9)
        reason = f"no frame for {silent_s:.0f} s"
        return replace(status, state="stalled", reason=reason, since_utc_ns=since_utc_ns, fps=0.0)

    def run(self) -> None:
        """Keep the source going until `stop` is set or a recording is over.

        Raises:
            LeftBehindError: another thread does this now.
        """
        with self._charge:
            self._thread = threading.current_thread()
        over = not self.enabled
        try:
            while not (over or self.stop.is_set()):
                over = self._try()
        finally:
            with self._in_charge():
                if self.enabled:
                    self._enter("stopped" if self.stop.is_set() else "ended", self._status.reason)
                self.slot.close()

    def run_once(self) -> None:
        """Open the source and hand its frames on until it ends.

        Raises:
            SourceError: it cannot be opened, broke off or stalled.
            LeftBehindError: another thread does this now.
        """
        with self._in_charge():
            self._begin(self._status.reason)
        source = self.open_source()
        with self._in_charge():
            self._recording = not source.live
        damaged_before = self._status.damaged
        try:
            with closing(source.frames()) as frames:
                for frame in frames:
                    with self._in_charge():
                        self._take(frame, source, damaged_before + source.damaged)
        finally:
            with self._in_charge():
                self._status = replace(self._status, damaged=damaged_before + source.damaged)

    def begin_anew(self) -> None:
        """Open the source again, at once; safe from any thread."""
        self._anew_s = self.clock.monotonic_s()

    @property
    def is_late_to_begin(self) -> bool:
        """Whether it was told to begin anew and has not for `ANEW_S`: it waits for a camera that keeps silent."""
        return self.clock.monotonic_s() - self._anew_s > ANEW_S

    def leave_behind(self) -> bool:
        """Give up the thread that is in charge, because it hangs, so that another can `run`; called by who watches it.

        False when too many hang already: then nothing was changed.
        """
        with self._charge:
            self._left_behind = [thread for thread in self._left_behind if thread.is_alive()]
            if len(self._left_behind) >= MAX_HANGING:
                return False
            self._left_behind.append(self._thread)
            told = "the thread that reads it did not begin anew when it was told to"
            reason = f"{told if self.is_late_to_begin else _HUNG}; another one has begun"
            self._begin(reason)
            self._status = replace(self._status, replaced=self._status.replaced + 1)
        _log.error('camera "%s": %s (%d hang)', self.name, reason, len(self._left_behind))
        return True

    @contextmanager
    def _in_charge(self) -> Iterator[None]:
        """Hold the status and the slot.

        Raises:
            LeftBehindError: they are another thread's now.
        """
        with self._charge:
            if threading.current_thread() in self._left_behind:
                raise LeftBehindError(self.name)
            yield

    def _try(self) -> bool:
        """Run once; true when there is nothing to come back for."""
        try:
            self.run_once()
        except _AnewError as error:
            _log.info('camera "%s": %s', self.name, error)
            return False
        except PassingError as error:
            if self._recording and self._status.online and not self.settings.loop:
                with self._in_charge():
                    self._say(logging.WARNING, str(error))
                    self._enter("ended", str(error))
                return True
            self._back_off(str(error))
            return False
        return not self.settings.loop

    def _begin(self, reason: str) -> None:
        """Come to the next try; a camera that failed stays so until it gives a frame, for a try is no news."""
        self._anew_s = math.inf
        self._enter("failed" if self._status.state == "failed" else "connecting", reason)
        self.beat()

    def _take(self, frame: Frame | None, source: Source, damaged: int) -> None:
        """Note that the source is alive, and hand its frame on if it made one."""
        if self._anew_s < math.inf:
            raise _AnewError("told to begin anew")
        if frame is not None or source.asleep:
            self._come_alive("asleep" if source.asleep else "streaming", frame)
        if frame is not None:
            self._arrivals_s.append(frame.at_s)
            patience_s = self._patience_s(frame, source)
            self.slot.put(replace(frame, seq=self._status.frames), patience_s)
            self._status = replace(
                self._status,
                frames=self._status.frames + 1,
                fps=0.0 if source.asleep else self._fps(),
                width=frame.width,
                height=frame.height,
            )
        stamped_by: Literal["camera", "arrival"] = "arrival" if source.delay_s is None else "camera"
        self._status = replace(self._status, damaged=damaged, basis=source.basis, stamped_by=stamped_by)
        self.beat()

    def _patience_s(self, frame: Frame, source: Source) -> float:
        """How long a frame may wait for the one before to be taken.

        The newest frame wins, so that is not at all; but frames of the past, which were kept undecoded until something
        turned out to move, are all to be seen, for as long as that makes up for their being late.
        """
        now_s = self.clock.monotonic_s()
        if source.asleep or now_s - frame.at_s - (source.delay_s or 0.0) < PAST_S:
            self._catch_up_until_s = math.inf
            return 0.0
        self._catch_up_until_s = min(self._catch_up_until_s, now_s + CATCH_UP_S)
        return max(0.0, self._catch_up_until_s - now_s)

    def _come_alive(self, state: State, frame: Frame | None) -> None:
        if not self._status.online:
            self._say(logging.INFO, f"streaming {frame.width}x{frame.height}" if frame else "there, and nothing moves")
            self._online_since_s = self.clock.monotonic_s()
        stalled = self.clock.monotonic_s() - self._alive_s > self._unusual_s(self._status)
        self._alive_s, self._alive_utc_ns = self.clock.monotonic_s(), self.clock.utc_ns()
        if stalled or self._status.state != state:
            self._arrivals_s.clear()
            self._enter(state, "", anew=True)
        if self._alive_s - self._online_since_s >= self.settings.retry_cap_s:
            self.backoff.reset()

    def _unusual_s(self, status: CaptureStatus) -> float:
        """How long nothing may come before that is unusual; for ever where the usual is not known."""
        if status.state != "streaming" or status.fps == 0 or self._recording:
            return math.inf
        return max(STALLED_S, STALLED_INTERVALS / status.fps)

    def _fps(self) -> float:
        passed_s = self._arrivals_s[-1] - self._arrivals_s[0]
        return (len(self._arrivals_s) - 1) / passed_s if passed_s > 0 else 0.0

    def _back_off(self, reason: str) -> None:
        with self._in_charge():
            delay_s = self.backoff.next_s()
            in_vain_s = self.clock.monotonic_s() - self._alive_s
            self._enter("failed" if in_vain_s > FAILED_CAPS * self.settings.retry_cap_s else "backoff", reason)
        self._say(logging.WARNING, reason, f"; next try in {delay_s:.0f} s")
        self._wait(delay_s)
        with self._in_charge():
            self._status = replace(self._status, reconnects=self._status.reconnects + 1)

    def _wait(self, seconds: float) -> None:
        until_s = self.clock.monotonic_s() + seconds
        while (left_s := until_s - self.clock.monotonic_s()) > 0 and self._anew_s == math.inf:
            with self._in_charge():
                self.beat()
            if self.clock.wait(self.stop, min(left_s, BEAT_S)):
                return

    def _enter(self, state: State, reason: str, *, anew: bool = False) -> None:
        """Come into a state; it counts from now unless it is the one that holds already."""
        since_utc_ns = self._status.since_utc_ns
        if anew or state != self._status.state:
            since_utc_ns = self.clock.utc_ns()
        self._status = replace(self._status, state=state, reason=reason, since_utc_ns=since_utc_ns, fps=0.0)

    def _say(self, level: int, line: str, more: str = "") -> None:
        """Log a line, unless the same one, numbers aside, stood there less than `SAY_AGAIN_S` ago."""
        kind, now_s = re.sub(r"\d+", "", line), self.clock.monotonic_s()
        if now_s - self._said_s.get(kind, -math.inf) >= SAY_AGAIN_S:
            self._said_s[kind] = now_s
            _log.log(level, 'camera "%s": %s%s', self.name, line, more)
