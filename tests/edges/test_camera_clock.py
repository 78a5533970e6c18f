"""A camera's own clock says when pictures were taken, for as long as it can be believed."""

from __future__ import annotations

import itertools
import math
import threading
from collections.abc import Callable, Generator, Iterable
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from peers import gstreamer_server
from rtsp import Manner, rtsp_camera
from videos import RATE_HZ, write_clip

from edge_agent.edges.clock import SystemClock
from edge_agent.edges.sources import camera_clock, open_source
from edge_agent.edges.sources.camera_clock import CameraTimeline
from edge_agent.edges.sources.source import Source
from edge_agent.edges.sources.supervised import CaptureSettings
from edge_agent.edges.sources.timeline import LiveTimeline
from edge_agent.errors import SourceError
from edge_agent.records import Frame

STEP_S = 0.1
DELAY_S = 0.4
"""From taking a picture to its packet's coming."""

Told = Callable[[float], float | None]
"""What a camera says of a picture that was taken at a moment: when that was."""


@dataclass
class Placed:
    """What a timeline makes of pictures: by whose clock each was placed, and how long after it was taken it seems."""

    at_s: list[float]
    late_s: list[float]
    by_camera: list[bool]
    delay_s: float | None

    def after(self, seconds: float) -> list[float]:
        return self.late_s[round(seconds / STEP_S) :]


def place(told: Told, seconds: float, *, delay_s: float = DELAY_S, held_up: Iterable[float] = ()) -> Placed:
    """Take one picture each 0.1 s from 500 on; their stamps count from 0, and some packets are held up longer."""
    timeline, placed, arrived_s = CameraTimeline(), Placed([], [], [], None), -math.inf
    extra = itertools.chain(held_up, itertools.repeat(0.0))
    for index in range(round(seconds / STEP_S)):
        taken_s = 500 + index * STEP_S
        arrived_s = max(arrived_s, taken_s + delay_s + next(extra))
        at_s = timeline.at_s(index * STEP_S, told(taken_s), arrived_s)
        placed.at_s.append(at_s)
        placed.late_s.append(at_s - taken_s)
        placed.by_camera.append(timeline.delay_s is not None)
    placed.delay_s = timeline.delay_s
    return placed


def steps(at_s: list[float]) -> list[float]:
    return [later - earlier for earlier, later in itertools.pairwise(at_s)]


def truth(taken_s: float) -> float | None:
    return taken_s


def test_a_clock_that_was_steady_for_a_while_says_when_pictures_were_taken() -> None:
    placed = place(truth, 30)
    assert placed.after(0)[:100] == pytest.approx([DELAY_S] * 100)  # ten seconds by arrival
    assert placed.after(20) == pytest.approx([0.0] * 100, abs=1e-6)  # 8 s to make up for 0.4 s
    assert placed.delay_s == pytest.approx(DELAY_S)
    assert not any(placed.by_camera[:100])
    assert all(placed.by_camera[101:])


def test_from_one_clock_to_the_other_time_goes_on_evenly() -> None:
    def lost_after_a_minute(taken_s: float) -> float | None:
        return taken_s if taken_s < 560 else None

    placed = place(lost_after_a_minute, 120, delay_s=2.5)
    assert placed.after(59)[0] == pytest.approx(0.05, abs=0.1)
    assert placed.after(119) == pytest.approx([2.5] * 10, abs=1e-6)
    assert all(0.0949 < step_s < 0.1051 for step_s in steps(placed.at_s))


def test_packets_that_are_held_up_are_placed_by_the_camera_s_clock() -> None:
    held_up = [0.0] * 150 + [0.8, 0.0, 2.0, 0.3] * 20
    assert place(truth, 30, held_up=held_up).after(20) == pytest.approx([0.0] * 100, abs=1e-6)


@pytest.mark.parametrize("wrong_s", [-3600.0, -2.7, 0.6, 3600.0, 1.7e9])
def test_a_clock_that_no_delay_explains_is_not_believed(wrong_s: float) -> None:
    placed = place(lambda taken_s: taken_s + wrong_s, 60)
    assert not any(placed.by_camera)
    assert placed.late_s == pytest.approx([DELAY_S] * 600)


def test_a_clock_that_is_ahead_by_less_than_the_delay_is_believed() -> None:
    # Nobody could tell it from one that is right, and a shorter delay.
    assert place(lambda taken_s: taken_s + 0.3, 40).after(30) == pytest.approx([0.3] * 100, abs=1e-6)


def test_without_reports_the_arrival_counts() -> None:
    late_s = [0.0, 0.3, 0.8, 0.1] * 50
    live, timeline = LiveTimeline(), CameraTimeline()
    arrivals = list(itertools.accumulate((500 + index * STEP_S + late_s[index] for index in range(200)), max))
    for index, arrived_s in enumerate(arrivals):
        assert timeline.at_s(index * STEP_S, None, arrived_s) == live.at_s(index * STEP_S, arrived_s)


def test_a_clock_that_wavers_is_not_believed() -> None:
    placed = place(lambda taken_s: taken_s + (0.15 if round(taken_s / 5) % 2 else 0.0), 120)
    assert not any(placed.by_camera)


@pytest.mark.parametrize("drift", [-0.0005, -0.00005, 0.00005, 0.0005])
def test_a_clock_that_runs_a_little_fast_or_slow_against_the_stamps_is_followed(drift: float) -> None:
    placed = place(lambda taken_s: taken_s + (taken_s - 500) * drift - 0.2, 300)
    assert all(placed.by_camera[101:])
    expected = [(index * STEP_S) * drift - 0.2 for index in range(3000)][250:]
    assert placed.after(25) == pytest.approx(expected, abs=0.002)


@pytest.mark.parametrize("step_s", [-3600.0, -1.0, 0.3, 3600.0])
def test_a_step_of_the_camera_s_clock_or_ours_is_not_followed_until_it_is_steady_and_plausible(step_s: float) -> None:
    placed = place(lambda taken_s: taken_s + (step_s if taken_s >= 540.05 else 0.0), 80)
    assert placed.by_camera[400]
    assert not any(placed.by_camera[401:500])
    is_plausible = abs(step_s) < 3600
    assert set(placed.by_camera[502:]) == {is_plausible}
    assert all(0.0949 < step < 0.1051 for step in steps(placed.at_s))
    assert placed.late_s[-1] == pytest.approx(step_s if is_plausible else DELAY_S)


@pytest.mark.parametrize("told", [truth, lambda _taken_s: None])
def test_where_a_stamp_is_missing_time_goes_on_evenly(told: Told) -> None:
    timeline, at_s = CameraTimeline(), list[float]()
    for index in range(600):
        stamp_s = None if index % 100 == 99 else index * STEP_S
        taken_s = 500 + index * STEP_S
        at_s.append(timeline.at_s(stamp_s, told(taken_s), taken_s + 1.0))
    assert all(0.0899 < step_s < 0.1101 for step_s in steps(at_s))


def test_a_camera_that_begins_anew_in_its_stamps_is_placed_by_arrival_at_once() -> None:
    timeline = CameraTimeline()
    for index in range(300):
        timeline.at_s(1000 + index * STEP_S, 500 + index * STEP_S, 500.4 + index * STEP_S)
    assert timeline.delay_s == pytest.approx(DELAY_S)
    assert timeline.at_s(0.0, -500.0, 530.4) == 530.4  # by the report that still counts, that was long ago
    assert timeline.delay_s is None


TOLD = st.one_of(st.none(), st.floats(-4, 4), st.just(0.3), st.just(0.3))


@given(st.lists(st.tuples(st.floats(0, 6), st.floats(0, 4), TOLD), min_size=1, max_size=60))
def test_nothing_was_taken_later_than_it_came(pictures: list[tuple[float, float, float | None]]) -> None:
    timeline = CameraTimeline()
    stamps = itertools.accumulate(stamp_s for stamp_s, _, _ in pictures)
    arrivals = itertools.accumulate(arrived_s for _, arrived_s, _ in pictures)
    for stamp_s, arrived_s, (_, _, late_s) in zip(stamps, arrivals, pictures, strict=True):
        at_s = timeline.at_s(stamp_s, None if late_s is None else arrived_s - late_s, arrived_s)
        assert at_s <= arrived_s
        assert timeline.delay_s is None or timeline.delay_s >= 0


RUNS = st.lists(st.tuples(st.integers(1, 300), st.one_of(st.none(), st.floats(-0.5, 3.5))), min_size=1, max_size=6)


@given(RUNS, st.lists(st.floats(0, 0.4), min_size=7, max_size=7))
def test_time_never_goes_back_whatever_the_clocks_do(
    runs: list[tuple[int, float | None]], jitter_s: list[float]
) -> None:
    timeline, index, arrived_s, last_s = CameraTimeline(), 0, -math.inf, -math.inf
    for count, behind_s in runs:  # for so many pictures the camera says so much less than the least delay explains
        for _ in range(count):
            taken_s = 500 + index * STEP_S
            arrived_s = max(arrived_s, taken_s + DELAY_S + jitter_s[index % len(jitter_s)])
            told_s = None if behind_s is None else taken_s + DELAY_S - behind_s
            at_s = timeline.at_s(index * STEP_S, told_s, arrived_s)
            assert at_s >= last_s
            last_s, index = at_s, index + 1


# With FFmpeg

CLIPS = {
    "H.264 with B-frames": ("libx264", {"bf": "2", "g": "25"}, "yuv420p", "mp4"),
    "H.265 with B-frames": ("libx265", {"x265-params": "keyint=25:bframes=2:log-level=none"}, "yuv420p", "mp4"),
    "Motion JPEG": ("mjpeg", {"huffman": "default"}, "yuvj420p", "mkv"),
}
needs_reports = pytest.mark.skipif(
    not camera_clock.REPORTS_ARE_TOLD, reason="this PyAV's FFmpeg does not tell of reports"
)


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock is believed after half a second, and counts about a second later."""
    monkeypatch.setattr(camera_clock, "_WINDOW_S", 0.5)
    monkeypatch.setattr(camera_clock, "_CHANGE", 0.9)


@pytest.fixture(scope="module", params=CLIPS)
def clip(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    codec, options, pixel_format, suffix = CLIPS[request.param]
    path = tmp_path_factory.mktemp("clip") / f"clip.{suffix}"
    return write_clip(path, frames=50, codec=codec, options=options, pixel_format=pixel_format)


class Synced(SystemClock):
    """A machine that a time server was asked on."""

    def utc_synced(self) -> bool:
        return True


@dataclass
class Seen:
    """A frame, how long after it was taken it came, and whether the camera said so."""

    frame: Frame
    late_s: float
    by_camera: bool


def watch(source: Source, seconds: float, clock: SystemClock) -> Generator[Seen, None, None]:
    with closing(source.frames()) as frames:
        for frame in itertools.islice(frames, round(seconds * RATE_HZ)):
            if frame is not None:
                yield Seen(frame, clock.monotonic_s() - frame.at_s, source.delay_s is not None)


Enough = Callable[[list[Seen]], bool]
"""Whether what was seen so far will do."""


def watch_until(enough: Enough, source: Source, seconds: float, clock: SystemClock) -> list[Seen]:
    seen = list[Seen]()
    with closing(watch(source, seconds, clock)) as coming:
        for one in coming:
            seen.append(one)
            if enough(seen):
                break
    return seen


def has_settled(seen: list[Seen]) -> bool:
    """Whether the camera's clock counts, and the change to it, 0.9 s a second, is over: ten frames would show it."""
    last = seen[-10:]
    late_s = [one.late_s for one in last]
    return len(last) == 10 and all(one.by_camera for one in last) and max(late_s) - min(late_s) < 0.15


def look(
    clip: Path,
    manner: Manner,
    *,
    seconds: float,
    transport: Literal["tcp", "udp"] = "tcp",
    enough: Enough = lambda _: False,
) -> list[Seen]:
    clock = Synced()
    with rtsp_camera(clip, manner=manner) as camera:
        settings = CaptureSettings(transport=transport)
        open_it = partial(open_source, camera.url(), settings, clock, threading.Event(), pace="real_time")
        try:
            seen = watch_until(enough, open_it(), seconds, clock)
        except SourceError:
            if transport == "tcp":
                raise
            # A stream over UDP may break off on a busy machine; the agent opens it again, too.
            seen = watch_until(enough, open_it(), seconds, clock)
    assert all(earlier.frame.at_s < later.frame.at_s for earlier, later in itertools.pairwise(seen))
    assert all(earlier.frame.utc_ns < later.frame.utc_ns for earlier, later in itertools.pairwise(seen))
    return seen


def offset_s(one: Seen) -> float:
    """From our time for people to the frame's own."""
    return one.frame.utc_ns / 1e9 - one.frame.at_s


@needs_reports
@pytest.mark.usefixtures("hasty")
@pytest.mark.parametrize("transport", ["tcp", "udp"])
def test_frames_are_stamped_with_when_a_real_stream_s_reports_say_that_they_were_taken(
    clip: Path, transport: Literal["tcp", "udp"]
) -> None:
    # On a busy machine the clock may seem to waver at first, and is believed a little later.
    manner = Manner(report_every=10, delay_s=1.0)
    seen = look(clip, manner, seconds=10, transport=transport, enough=has_settled)
    assert not seen[0].by_camera
    assert seen[-1].by_camera
    # FFmpeg and the decoder hold pictures back besides, until they know what follows: the camera's 1 s and a little.
    assert 0.95 < sorted(one.late_s for one in seen[-10:])[5] < 1.4
    assert sorted(one.late_s for one in seen[:10])[5] < 0.4
    clock = SystemClock()
    assert offset_s(seen[-1]) == pytest.approx(clock.utc_ns() / 1e9 - clock.monotonic_s(), abs=0.02)


@needs_reports
@pytest.mark.usefixtures("hasty")
def test_the_reports_of_gstreamer_s_rtsp_server_are_believed() -> None:
    picture = f"video/x-raw,format=I420,width=64,height=48,framerate={RATE_HZ}/1"
    clock = Synced()
    with gstreamer_server(jpeg=f"videotestsrc is-live=true ! {picture} ! jpegenc ! rtpjpegpay name=pay0") as url:
        source = open_source(f"{url}/jpeg", CaptureSettings(), clock, threading.Event(), pace="real_time")
        seen = list(watch(source, 8, clock))  # its first report comes after some seconds
    assert seen[-1].by_camera
    assert -0.01 < seen[-1].late_s < 0.3


@needs_reports
@pytest.mark.usefixtures("hasty")
@pytest.mark.parametrize(
    "manner",
    [Manner(), Manner(report_every=10, ahead_s=60.0), Manner(report_every=10, ahead_s=-3600.0)],
    ids=["no reports", "a minute ahead", "an hour behind"],
)
def test_a_real_stream_s_frames_are_stamped_by_arrival_where_its_clock_is_silent_or_wrong(
    tmp_path: Path, manner: Manner
) -> None:
    seen = look(write_clip(tmp_path / "clip.mp4", frames=50, options={"bf": "0"}), manner, seconds=2)
    assert not any(one.by_camera for one in seen)
    assert sorted(one.late_s for one in seen)[len(seen) // 2] < 0.3


@needs_reports
@pytest.mark.usefixtures("hasty")
def test_a_real_camera_whose_clock_is_set_is_believed_again_after_a_while(tmp_path: Path) -> None:
    manner = Manner(report_every=5, delay_s=1.0, step_at=50, step_s=0.5)
    seen = look(write_clip(tmp_path / "clip.mp4", frames=50, options={"bf": "0"}), manner, seconds=4.4)
    turns = [by_camera for by_camera, _ in itertools.groupby(one.by_camera for one in seen)]
    assert turns == [False, True, False, True]
    assert 0.45 < sorted(one.late_s for one in seen[-10:])[5] < 0.8


@needs_reports
@pytest.mark.usefixtures("hasty")
def test_a_camera_is_not_believed_while_our_own_clock_is_not_synchronised(tmp_path: Path) -> None:
    class Unsynced(SystemClock):
        def utc_synced(self) -> bool:
            return False

    clock = Unsynced()
    clip = write_clip(tmp_path / "clip.mp4", frames=50, options={"bf": "0"})
    with rtsp_camera(clip, manner=Manner(report_every=10, delay_s=1.0)) as camera:
        source = open_source(camera.url(), CaptureSettings(), clock, threading.Event(), pace="real_time")
        assert not any(one.by_camera for one in watch(source, 2, clock))
