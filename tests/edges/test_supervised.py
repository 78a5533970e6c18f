"""A source is kept going: what is told to the pipeline, the log and the health report while cameras come and go."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Generator, Iterable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from fakes import FakeClock
from rtsp import rtsp_camera
from videos import HEIGHT_PX, WIDTH_PX, write_clip

from edge_agent.edges.clock import Backoff, SystemClock
from edge_agent.edges.latest import Latest
from edge_agent.edges.sources import open_source
from edge_agent.edges.sources.source import Source
from edge_agent.edges.sources.supervised import BEAT_S, Capture, CaptureSettings
from edge_agent.errors import SourceError
from edge_agent.records import Frame

DARK = SourceError("rtsp://camera: connection refused")
PATIENCE_S = 30.0  # of a test for something that takes a moment


class ScriptedSource:
    """Gives what its script says: a frame for a number (seconds since the frame before), or raises an error."""

    def __init__(self, script: Iterable[float | Exception], clock: FakeClock, *, live: bool, damaged: int) -> None:
        self.live = live
        self.damaged = damaged
        self._script = script
        self._clock = clock

    def frames(self) -> Generator[Frame, None, None]:
        for seq, step in enumerate(self._script):
            if isinstance(step, Exception):
                raise step
            self._clock.advance(step)
            yield _frame(self._clock.monotonic_s(), seq)


class Stage:
    """A capture with everything around it that a test looks at."""

    def __init__(self, settings: CaptureSettings | None = None) -> None:
        self.settings = settings or CaptureSettings(retry_first_s=1.0, retry_cap_s=30.0)
        self.clock = FakeClock()
        self.stop = threading.Event()
        self.latest: Latest[Frame] = Latest()
        self.beats_s: list[float] = []

    def capture(self, *scripts: Iterable[float | Exception], live: bool = True, damaged: int = 0) -> Capture:
        """Play one script for each opening; the last one is followed by `stop`."""
        left = list(scripts)

        def open_scripted() -> Source:
            script = left.pop(0) if left else []
            if not left:
                self.stop.set()
            return ScriptedSource(script, self.clock, live=live, damaged=damaged)

        return self.capture_of(open_scripted)

    def capture_of(self, open_scripted: Callable[[], Source]) -> Capture:
        settings = self.settings
        return Capture(
            name="front",
            open_source=open_scripted,
            slot=self.latest,
            settings=settings,
            clock=self.clock,
            stop=self.stop,
            backoff=Backoff(first_s=settings.retry_first_s, cap_s=settings.retry_cap_s, uniform=lambda _, high: high),
            beat=lambda: self.beats_s.append(self.clock.now_s),
        )


def _frame(at_s: float, seq: int) -> Frame:
    chroma = np.full((2, 3), 128, np.uint8)
    return Frame(
        luma=np.full((4, 6), 99, np.uint8),
        chroma_blue=chroma,
        chroma_red=chroma,
        at_s=at_s,
        utc_ns=0,
        utc_synced=True,
        seq=seq,
    )


def test_frames_are_handed_on_and_told_in_the_status() -> None:
    stage = Stage()
    capture = stage.capture([0.0, 0.1, 0.1])
    assert capture.status().state == "connecting"
    capture.run_once()
    status = capture.status()
    assert status.online
    assert (status.frames, status.drops, status.width, status.height) == (3, 2, 6, 4)
    assert status.fps == pytest.approx(10.0)
    taken = stage.latest.take(timeout_s=0.0)
    assert taken is not None
    assert taken.seq == 2


def test_frame_numbers_go_on_over_a_reconnect() -> None:
    stage = Stage()
    capture = stage.capture([0.0, 0.1, DARK], [0.0])
    capture.run()
    taken = stage.latest.take(timeout_s=0.0)
    assert taken is not None
    assert taken.seq == 2  # 0 and 1 before the break
    assert capture.status().reconnects == 1


def test_the_waits_for_a_dark_camera_double_up_to_their_cap() -> None:
    stage = Stage()
    capture = stage.capture(*[[DARK]] * 7, [])
    began_s = stage.clock.now_s
    capture.run()
    assert stage.clock.now_s - began_s == pytest.approx(1 + 2 + 4 + 8 + 16 + 30 + 30)
    assert capture.status().reconnects == 7


def test_the_beat_goes_on_while_waiting() -> None:
    stage = Stage()
    stage.capture(*[[DARK]] * 6, []).run()
    gaps_s = np.diff(stage.beats_s)
    assert gaps_s.max() <= BEAT_S + 1e-6


def test_a_camera_that_breaks_off_at_once_does_not_earn_short_waits() -> None:
    stage = Stage()
    began_s = stage.clock.now_s
    stage.capture(*[[0.0, DARK]] * 4, []).run()
    assert stage.clock.now_s - began_s == pytest.approx(1 + 2 + 4 + 8)


def test_a_camera_that_held_out_is_forgiven() -> None:
    stage = Stage()
    began_s = stage.clock.now_s
    stage.capture([DARK], [DARK], [0.0, *[1.0] * 30, DARK], []).run()
    assert stage.clock.now_s - began_s == pytest.approx(1 + 2 + 30 + 1)  # 30 s of frames, then the first wait again


def test_while_it_waits_the_status_says_why_and_since_when() -> None:
    stage = Stage()
    capture = stage.capture([0.0, 0.5, DARK], [])
    seen = []
    capture.beat = lambda: seen.append(capture.status())
    capture.run()
    waiting = next(status for status in seen if status.state == "backoff")
    assert (waiting.reason, waiting.online, waiting.fps) == (str(DARK), False, 0.0)
    assert waiting.since_utc_ns == 1_700_000_000_500_000_000  # the fake clock's start and 0.5 s
    assert [status.state for status in seen] == ["connecting", "streaming", "streaming", "backoff", "connecting"]


def test_stop_ends_a_wait_and_closes_the_slot() -> None:
    stage = Stage()
    capture = stage.capture([DARK], [0.0])
    capture.beat = lambda: stage.stop.set() if capture.status().state == "backoff" else None
    capture.run()
    assert capture.status().state == "stopped"
    assert capture.status().frames == 0
    assert stage.latest.closed


def test_a_recording_ends_for_good() -> None:
    stage = Stage()
    capture = stage.capture([0.0, 0.1], [0.0], live=False)
    capture.run()
    assert (capture.status().state, capture.status().frames, capture.status().reason) == ("ended", 2, "")
    assert not stage.stop.is_set()


def test_a_recording_begins_again_where_that_is_wanted() -> None:
    stage = Stage(CaptureSettings(loop=True))
    capture = stage.capture([0.0, 0.1], [0.0, 0.1], [0.0], live=False)
    capture.run()
    assert (capture.status().state, capture.status().frames, capture.status().reconnects) == ("stopped", 5, 0)


def test_a_recording_that_breaks_off_ends_with_the_reason() -> None:
    stage = Stage()
    capture = stage.capture([0.0, 0.1, SourceError("clip broke off after 2 frames")], [0.0], live=False)
    capture.run()
    assert (capture.status().state, capture.status().reason) == ("ended", "clip broke off after 2 frames")


def test_a_recording_that_is_not_there_yet_is_waited_for() -> None:
    stage = Stage()
    capture = stage.capture([SourceError("no such file")], [0.0], [], live=False)
    capture.run()
    assert (capture.status().state, capture.status().frames, capture.status().reconnects) == ("ended", 1, 1)


def test_damage_is_told_at_once_and_adds_up_over_reconnects() -> None:
    stage = Stage()
    capture = stage.capture([0.0, DARK], [0.0, DARK], [], damaged=3)
    seen = []
    capture.beat = lambda: seen.append(capture.status())
    capture.run()
    assert [status.damaged for status in seen if status.online] == [3, 6]
    assert capture.status().damaged == 9  # three openings


def test_the_same_complaint_stands_in_the_log_once_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    stage = Stage(CaptureSettings(retry_first_s=5.0, retry_cap_s=5.0))
    errors = [SourceError(f"rtsp://camera broke off after {count} frames") for count in range(20)]
    with caplog.at_level(logging.WARNING):
        stage.capture(*[[error] for error in errors], []).run()  # 20 failures in 100 s
    assert [record.getMessage() for record in caplog.records] == [
        'camera "front": rtsp://camera broke off after 0 frames; next try in 5 s',
        'camera "front": rtsp://camera broke off after 12 frames; next try in 5 s',
    ]


def test_an_error_that_time_does_not_heal_is_not_caught() -> None:
    stage = Stage()
    capture = stage.capture([ZeroDivisionError("a bug")], [])
    with pytest.raises(ZeroDivisionError):
        capture.run()
    assert stage.latest.closed


def test_a_camera_that_was_unplugged_or_hung_up_streams_again(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.mp4")
    settings = CaptureSettings(stall_s=1.0)
    stop, latest, clock = threading.Event(), Latest[Frame](), SystemClock()
    with rtsp_camera(clip) as camera:
        capture = Capture(
            name="front",
            open_source=partial(open_source, camera.url(), settings, clock, stop, pace="real_time"),
            slot=latest,
            settings=settings,
            clock=clock,
            stop=stop,
            backoff=Backoff(first_s=0.05, cap_s=0.05, uniform=lambda _, high: high),
            beat=lambda: None,
        )
        thread = threading.Thread(target=capture.run)
        thread.start()
        try:
            first = _next_frame(latest)
            assert (first.width, first.height) == (WIDTH_PX, HEIGHT_PX)
            camera.kill()
            _drain(capture, latest)
            camera.start()
            after_power_cut = _next_frame(latest)
            camera.freeze()
            _drain(capture, latest)
            camera.kill()
            camera.start()
            after_hang = _next_frame(latest)
        finally:
            stop.set()
            thread.join(PATIENCE_S)
    assert first.seq < after_power_cut.seq < after_hang.seq
    assert first.at_s < after_power_cut.at_s < after_hang.at_s
    assert capture.status().state == "stopped"
    assert capture.status().reconnects >= 2


def _next_frame(latest: Latest[Frame]) -> Frame:
    frame = latest.take(PATIENCE_S)
    assert frame is not None
    return frame


def _drain(capture: Capture, latest: Latest[Frame]) -> None:
    """Take frames until the capture has noticed that no more come."""
    clock = SystemClock()
    until_s = clock.monotonic_s() + PATIENCE_S
    while capture.status().online:
        latest.take(0.05)
        assert clock.monotonic_s() < until_s
    latest.take(0.0)
