"""A source is kept going: what is told to the pipeline, the log and the health report while cameras come and go."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Generator, Iterable, Iterator
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
from edge_agent.edges.sources.supervised import (
    ANEW_S,
    BEAT_S,
    MAX_HANGING,
    Capture,
    CaptureSettings,
    CaptureStatus,
    LeftBehindError,
)
from edge_agent.errors import SourceError
from edge_agent.records import Frame

DARK = SourceError("rtsp://camera: connection refused")
PATIENCE_S = 30.0  # of a test for something that takes a moment

Script = Iterable[float | Exception | None]


class ScriptedSource:
    """Gives what its script says: a frame for a number (seconds since the one before), a second's sleep for None."""

    def __init__(self, script: Script, clock: FakeClock, *, live: bool, damaged: int) -> None:
        self.live = live
        self.asleep = False
        self.basis = "all pictures"
        self.delay_s: float | None = None
        self.damaged = damaged
        self._script = script
        self._clock = clock

    def frames(self) -> Generator[Frame | None, None, None]:
        for seq, step in enumerate(self._script):
            if isinstance(step, Exception):
                raise step
            self.asleep = step is None
            self._clock.advance(1.0 if step is None else step)
            yield None if step is None else _frame(self._clock.monotonic_s(), seq)


class Stage:
    """A capture with everything around it that a test looks at."""

    def __init__(self, settings: CaptureSettings | None = None) -> None:
        self.settings = settings or CaptureSettings(retry_first_s=1.0, retry_cap_s=30.0)
        self.clock = FakeClock()
        self.stop = threading.Event()
        self.latest: Latest[Frame] = Latest()
        self.beats_s: list[float] = []

    def capture(self, *scripts: Script, live: bool = True, damaged: int = 0) -> Capture:
        """Play one script for each opening; the last one is followed by `stop`."""
        left = list(scripts)

        def open_scripted() -> Source:
            script = left.pop(0) if left else []
            if not left:
                self.stop.set()
            return ScriptedSource(script, self.clock, live=live, damaged=damaged)

        return self.capture_of(open_scripted)

    def capture_of(self, open_scripted: Callable[[], Source], *, enabled: bool = True) -> Capture:
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
            enabled=enabled,
        )

    def story(self, capture: Capture) -> list[CaptureStatus]:
        """Run it, and give its status at every beat where it came into another state."""
        told: list[CaptureStatus] = []

        def tell() -> None:
            status = capture.status()
            if not told or status.state != told[-1].state:
                told.append(status)

        capture.beat = tell
        capture.run()
        tell()
        return told


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


# Asleep


def test_a_camera_that_sleeps_is_online_gives_nothing_and_loses_nothing() -> None:
    stage = Stage()
    capture = stage.capture([0.0, 0.1, None, None, None, 0.5, 0.1], [])
    asleep: list[CaptureStatus] = []
    capture.beat = lambda: asleep.append(capture.status()) if capture.status().state == "asleep" else None
    capture.run_once()
    assert [(status.frames, status.fps, status.online, status.reason) for status in asleep] == [(2, 0.0, True, "")] * 3
    assert {status.since_utc_ns for status in asleep} == {1_700_000_001_100_000_000}  # 0.1 s and the first second of it
    awake = capture.status()
    assert (awake.state, awake.frames, awake.fps) == ("streaming", 4, pytest.approx(10.0))
    taken = stage.latest.take(timeout_s=0.0)
    assert taken is not None
    assert taken.seq == 3


def test_a_camera_may_sleep_before_its_first_frame() -> None:
    stage = Stage()
    capture = stage.capture([None, None], [])
    capture.run_once()
    assert (capture.status().state, capture.status().frames, capture.status().width) == ("asleep", 0, 0)


def test_a_frame_in_its_sleep_is_handed_on_and_wakes_nobody() -> None:
    class Dozing:
        live, asleep, basis, damaged, delay_s = True, True, "", 0, None

        def frames(self) -> Generator[Frame | None, None, None]:
            yield from (None, _frame(1000.0, 0), None)

    stage = Stage()
    capture = stage.capture_of(Dozing)
    capture.run_once()
    assert (capture.status().state, capture.status().frames, capture.status().fps) == ("asleep", 1, 0.0)


class Patient:
    """A slot that notes how long each frame would wait for the one before."""

    dropped = 0

    def __init__(self) -> None:
        self.patience_s: list[float] = []

    def put(self, _frame: Frame, patience_s: float) -> None:
        self.patience_s.append(patience_s)

    def close(self) -> None:
        pass


def test_frames_of_the_past_wait_for_each_other_for_five_seconds_but_not_those_of_a_sleeping_camera() -> None:
    stage, slot = Stage(), Patient()

    class Remembering:
        live, asleep, basis, damaged, delay_s = True, True, "", 0, None

        def frames(self) -> Generator[Frame | None, None, None]:
            for number in range(3):  # pictures shown in its sleep are old, and none follows that they could wait for
                yield _frame(stage.clock.now_s - 8, number)
                stage.clock.advance(10)
            self.asleep = False
            for number in range(4):  # what was kept
                yield _frame(stage.clock.now_s - 8, number)
                stage.clock.advance(2)
            yield _frame(stage.clock.now_s, 7)
            yield _frame(stage.clock.now_s - 8, 8)

    capture = stage.capture_of(Remembering)
    capture.slot = slot
    capture.run_once()
    assert slot.patience_s == pytest.approx([0, 0, 0, 5, 3, 1, 0, 0, 5])


def test_frames_that_are_stamped_by_a_camera_with_a_long_delay_are_none_of_the_past() -> None:
    stage, slot = Stage(), Patient()

    class Slow:
        live, asleep, basis, damaged, delay_s = True, False, "", 0, 2.0

        def frames(self) -> Generator[Frame, None, None]:
            for number, age_s in enumerate((2.0, 2.4, 2.6, 2.4)):  # more than half a second besides, or less
                yield _frame(stage.clock.now_s - age_s, number)

    capture = stage.capture_of(Slow)
    capture.slot = slot
    capture.run_once()
    assert slot.patience_s == [0, 0, 5, 0]
    assert capture.status().stamped_by == "camera"


def test_no_picture_yet_is_neither_a_frame_nor_sleep() -> None:
    class Waking:
        live, asleep, basis, damaged, delay_s = True, False, "", 2, None

        def frames(self) -> Generator[Frame | None, None, None]:
            yield from (None, None)

    stage = Stage()
    capture = stage.capture_of(Waking)
    capture.run_once()
    assert (capture.status().state, capture.status().damaged) == ("connecting", 2)
    assert len(stage.beats_s) == 3


def test_sleep_earns_short_waits_as_frames_do() -> None:
    stage = Stage()
    began_s = stage.clock.now_s
    stage.capture([DARK], [DARK], [0.0, *[None] * 30, DARK], []).run()
    assert stage.clock.now_s - began_s == pytest.approx(1 + 2 + 30 + 1)


# Stalled


@pytest.mark.parametrize(
    ("interval_s", "unusual_s"),
    [
        (0.04, 2.0),  # ten intervals would be 0.4 s
        (0.2, 2.0),
        (0.5, 5.0),
        (3.0, 30.0),
    ],
)
def test_a_stream_is_stalled_when_nothing_came_for_longer_than_usual(interval_s: float, unusual_s: float) -> None:
    stage = Stage()
    seen: list[CaptureStatus] = []

    def script() -> Iterator[float]:
        yield from (interval_s for _ in range(60))
        for wait_s in (unusual_s - 0.01, 0.02, 1.0):
            stage.clock.advance(wait_s)
            seen.append(capture.status())
        yield 0.0
        seen.append(capture.status())

    capture = stage.capture(script(), [])
    last_ns = stage.clock.now_utc_ns + round(60 * interval_s * 1e9)
    capture.run_once()
    assert [status.state for status in seen] == ["streaming", "stalled", "stalled", "streaming"]
    assert all(status.online for status in seen)
    stalled, still, back = seen[1:]
    assert stalled.since_utc_ns == pytest.approx(last_ns + unusual_s * 1e9, abs=1000)
    assert still.since_utc_ns == pytest.approx(stalled.since_utc_ns, abs=1000)
    assert (stalled.fps, stalled.reason) == (0.0, f"no frame for {unusual_s:.0f} s")
    assert (back.reason, back.since_utc_ns) == ("", stage.clock.now_utc_ns)


def test_a_stalled_stream_that_its_source_gives_up_backs_off() -> None:
    stage = Stage()
    seen: list[str] = []

    def script() -> Iterator[float | Exception]:
        yield from (0.1 for _ in range(10))
        stage.clock.advance(5.0)
        seen.append(capture.status().state)
        yield SourceError("no frame for 5 s")

    capture = stage.capture(script(), [])
    capture.beat = lambda: seen.append(capture.status().state)
    capture.run()
    assert list(dict.fromkeys(seen)) == ["connecting", "streaming", "stalled", "backoff"]


def test_one_frame_does_not_say_what_is_usual() -> None:
    stage = Stage()
    capture = stage.capture([0.0], [])
    capture.run_once()
    stage.clock.advance(60.0)
    assert capture.status().state == "streaming"


@pytest.mark.parametrize(("script", "live"), [([0.1] * 9 + [None], True), ([0.1] * 9, False)])
def test_neither_sleep_nor_a_recording_stalls(script: Script, live: bool) -> None:  # noqa: FBT001 (a row)
    stage = Stage()
    capture = stage.capture(script, [], live=live)
    capture.run_once()
    before = capture.status()
    stage.clock.advance(60.0)
    assert capture.status() == before


# Failed


def test_a_camera_that_was_tried_many_times_in_vain_has_failed_and_is_tried_on() -> None:
    stage = Stage()
    began_s = stage.clock.now_s
    story = stage.story(stage.capture(*[[DARK]] * 40, [0.0, 0.1, DARK], []))
    # Waits of 1, 2, 4, 8 and 16 s, then 30 s each: the 15th failure comes 31 + 9 x 30 = 301 s after the start.
    assert [status.state for status in story] == [
        *["connecting", "backoff"] * 14,
        *["connecting", "failed", "streaming", "backoff", "connecting", "stopped"],
    ]
    failed = story[28 + 1]
    assert (failed.reason, failed.online) == (str(DARK), False)
    assert failed.since_utc_ns == 1_700_000_000_000_000_000 + 301_000_000_000
    assert story[28 + 2].reconnects == 40
    assert stage.clock.now_s - began_s == pytest.approx(31 + 35 * 30 + 0.1 + 30)  # never a longer wait than the cap


def test_a_failed_camera_stays_failed_while_it_is_tried() -> None:
    stage = Stage(CaptureSettings(retry_first_s=1.0, retry_cap_s=1.0))
    capture = stage.capture(*[[DARK]] * 15, [])
    opening: list[CaptureStatus] = []
    capture.open_source = _noting(capture.open_source, lambda: opening.append(capture.status()))
    capture.run()
    assert [status.state for status in opening] == ["connecting"] * 12 + ["failed"] * 4  # 11 s are more than 10
    assert len({status.since_utc_ns for status in opening[12:]}) == 1


def _noting(open_source: Callable[[], Source], note: Callable[[], None]) -> Callable[[], Source]:
    def noted() -> Source:
        note()
        return open_source()

    return noted


def test_a_camera_that_hiccups_never_fails() -> None:
    stage = Stage(CaptureSettings(retry_first_s=1.0, retry_cap_s=1.0))
    story = stage.story(stage.capture(*[[DARK], [DARK], [0.0, DARK]] * 20, []))
    assert "failed" not in {status.state for status in story}


# Disabled


def test_a_disabled_camera_is_never_opened_and_never_mentioned(caplog: pytest.LogCaptureFixture) -> None:
    stage = Stage()
    opened: list[str] = []
    capture = stage.capture_of(lambda: opened.append("source"), enabled=False)  # type: ignore[func-returns-value, arg-type]
    before = capture.status()
    with caplog.at_level(logging.DEBUG):
        capture.run()
    stage.stop.set()
    after = capture.status()
    assert (after.state, after.presence, after.online) == ("disabled", "disabled", False)
    assert after == before
    assert not opened
    assert not caplog.records
    assert stage.latest.closed


# A thread that hangs in a library


class Trap:
    """A library that hangs where it is told to, until it is let go."""

    live = True
    asleep = False
    basis = "all pictures"
    delay_s = None
    damaged = 7

    def __init__(self, where: str) -> None:
        self._where = where
        self.entered = threading.Event()
        self.let_go = threading.Event()
        self.closed = threading.Event()

    def open(self) -> Source:
        self._pass("opening")
        return self

    def frames(self) -> Generator[Frame | None, None, None]:
        try:
            for seq in range(1000):
                yield _frame(1000.0 + seq, seq)
                self._pass("reading")
                if self._where in {"closing", "failing"}:
                    self._pass("failing")
                    raise SourceError("broke off")
        finally:
            self._pass("closing")
            self.closed.set()

    def _pass(self, where: str) -> None:
        if where == self._where and not self.entered.is_set():
            self.entered.set()
            assert self.let_go.wait(PATIENCE_S)


def _run_in_thread(capture: Capture, ends: list[BaseException | None]) -> threading.Thread:
    def work() -> None:
        try:
            capture.run()
        except LeftBehindError as end:
            ends.append(end)
        else:
            ends.append(None)

    thread = threading.Thread(target=work)
    thread.start()
    return thread


@pytest.mark.parametrize("where", ["opening", "reading", "failing", "closing"])
def test_a_thread_that_hangs_is_left_behind_and_touches_nothing_when_it_comes_back(
    where: str, caplog: pytest.LogCaptureFixture
) -> None:
    stage = Stage()
    trap = Trap(where)
    kinds = iter([trap.open, partial(ScriptedSource, [0.0, 0.1, 0.1], stage.clock, live=False, damaged=0)])
    capture = stage.capture_of(lambda: next(kinds)())  # noqa: PLW0108 - a new one each time
    ends: list[BaseException | None] = []
    hanging = _run_in_thread(capture, ends)
    assert trap.entered.wait(PATIENCE_S)
    before = capture.status().frames
    with caplog.at_level(logging.ERROR):
        assert capture.leave_behind()
    assert (capture.status().state, capture.status().replaced) == ("connecting", 1)
    assert "hung in a library" in capture.status().reason
    assert [record.getMessage() for record in caplog.records] == [
        'camera "front": the thread that reads it hung in a library; another one has begun (1 hang)'
    ]
    _run_in_thread(capture, ends).join(PATIENCE_S)
    after, beats = capture.status(), len(stage.beats_s)
    assert (after.state, after.frames, after.replaced) == ("ended", before + 3, 1)
    taken = stage.latest.take(timeout_s=0.0)
    trap.let_go.set()
    hanging.join(PATIENCE_S)
    assert not hanging.is_alive()
    assert [type(end) for end in ends] == [type(None), LeftBehindError]
    assert trap.closed.is_set() or where == "opening"
    assert capture.status() == after
    assert len(stage.beats_s) == beats
    assert taken is not None
    assert taken.seq == before + 2


def test_after_three_that_hang_no_further_thread_is_begun_until_one_comes_back() -> None:
    stage = Stage()
    traps = [Trap("reading") for _ in range(MAX_HANGING + 1)]
    left = iter(traps)
    capture = stage.capture_of(lambda: next(left).open())
    threads = []
    for count, trap in enumerate(traps, start=1):
        threads.append(_run_in_thread(capture, []))
        assert trap.entered.wait(PATIENCE_S)
        assert capture.leave_behind() is (count <= MAX_HANGING)
    assert capture.status().replaced == MAX_HANGING
    traps[0].let_go.set()
    threads[0].join(PATIENCE_S)
    assert capture.leave_behind()
    for trap in traps:
        trap.let_go.set()
    for thread in threads:
        thread.join(PATIENCE_S)
    assert all(trap.closed.is_set() for trap in traps)
    assert not stage.latest.closed  # it is for the thread in charge to say that no more will come


def test_a_camera_that_is_told_to_begins_anew_with_its_next_frame_and_without_a_wait() -> None:
    stage = Stage()

    def script() -> Iterator[float]:
        yield 0.0
        capture.begin_anew()
        yield 0.1
        raise AssertionError("it goes on")

    capture = stage.capture(script(), [0.1, 0.1])
    began_s = stage.clock.now_s
    story = stage.story(capture)
    assert [status.state for status in story] == ["connecting", "streaming", "connecting", "streaming", "stopped"]
    assert stage.clock.now_s - began_s == pytest.approx(0.3)
    assert (capture.status().frames, capture.status().reconnects) == (3, 0)
    assert not capture.is_late_to_begin


def test_a_camera_that_waits_for_its_next_try_is_tried_at_once_when_it_is_told_to() -> None:
    stage = Stage()
    capture = stage.capture(*[[DARK]] * 6, [0.0])  # waits of 1, 2, 4, 8, 16 and 30 s
    stage.beats_s.clear()

    def beat() -> None:
        stage.beats_s.append(stage.clock.now_s)
        if stage.clock.now_s == 1000.0 + 1 + 2 + 4 + 8 + 2:  # two seconds into the wait of 16
            capture.begin_anew()

    capture.beat = beat
    capture.run()
    assert stage.clock.now_s == 1000.0 + 1 + 2 + 4 + 8 + 2 + 1 + 30


def test_a_thread_that_was_told_to_begin_anew_and_hears_nothing_is_late(caplog: pytest.LogCaptureFixture) -> None:
    stage, trap = Stage(), Trap("reading")
    capture = stage.capture_of(trap.open)
    hanging = _run_in_thread(capture, [])
    assert trap.entered.wait(PATIENCE_S)
    capture.begin_anew()
    stage.clock.advance(ANEW_S)
    assert not capture.is_late_to_begin
    stage.clock.advance(0.1)
    assert capture.is_late_to_begin
    assert capture.leave_behind()
    assert not capture.is_late_to_begin
    assert "did not begin anew when it was told to; another one has begun" in caplog.text
    trap.let_go.set()
    hanging.join(PATIENCE_S)


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
