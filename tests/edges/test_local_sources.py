"""Cameras of this machine, and what other programs hand over: what is asked of them, and what goes wrong.

USB and ribbon cameras are stand-ins at their library's own API; pipes and folders are real, and so is GStreamer where
it can be had.
"""

from __future__ import annotations

import errno
import itertools
import os
import sys
import threading
import traceback
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import cv2
import numpy as np
import pytest
from cameras import Controls, GStreamer, GStreamerOfOpenCv, RibbonCamera, UsbCamera, usb_camera
from fakes import FakeClock
from peers import Writer, ffmpeg_camera, raw_frame
from videos import HEIGHT_PX, WIDTH_PX, brightness, encode_picture, write_clip

from edge_agent.edges.clock import Clock, SystemClock
from edge_agent.edges.sources import open_source, v4l2, watch
from edge_agent.edges.sources.picture import PictureSettings
from edge_agent.edges.sources.source import Source
from edge_agent.edges.sources.supervised import CaptureSettings
from edge_agent.errors import RuntimeMissingError, SourceError
from edge_agent.records import Frame

SIZE = (WIDTH_PX, HEIGHT_PX)
FRAME_BYTES = WIDTH_PX * HEIGHT_PX * 3 // 2
USB = "v4l2:///dev/null"


def open_live(
    url: str,
    picture: PictureSettings | None = None,
    *,
    clock: Clock | None = None,
    stop: threading.Event | None = None,
    stall_s: float = 10.0,
) -> Source:
    return open_source(
        url,
        CaptureSettings(stall_s=stall_s),
        clock or FakeClock(),
        stop or threading.Event(),
        pace="real_time",
        picture=picture or PictureSettings(),
    )


def take(source: Source, count: int) -> list[Frame]:
    with closing(source.frames()) as frames:
        return list(itertools.islice((frame for frame in frames if frame is not None), count))


def failure(source: Source) -> str:
    """The line that tells what went wrong, however many frames came before."""
    with pytest.raises(SourceError) as caught:
        list(source.frames())
    return str(caught.value)


def shades(frames: list[Frame]) -> list[int]:
    return [round(float(frame.luma.mean())) for frame in frames]


# V4L2


@pytest.fixture
def usb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> UsbCamera:
    return usb_camera(tmp_path, monkeypatch)


def test_a_usb_camera_is_asked_for_what_the_settings_say(usb: UsbCamera) -> None:
    asked = PictureSettings(size=(1280, 720), rate_hz=7.5, format="mjpeg")
    take(open_live(USB, asked), 1)
    wanted = {"video_size": "1280x720", "framerate": "7.5", "input_format": "mjpeg"}
    assert {name: usb.options.get(name) for name in wanted} == wanted


def test_a_usb_camera_is_asked_for_nothing_by_default(usb: UsbCamera) -> None:
    take(open_live(USB), 1)
    assert usb.options.keys() == {"fflags", "fpsprobesize"}


def test_a_usb_camera_is_found_by_the_name_that_stays(usb: UsbCamera) -> None:
    usb.path = "/dev/v4l/by-id/usb-Maker_Camera_0001-video-index0"
    assert len(take(open_live(f"v4l2://{usb.path}"), 2)) == 2


def test_pictures_of_a_usb_camera_become_planes_in_order(usb: UsbCamera) -> None:
    frames = take(open_live(USB), 12)  # two more than the clip holds, which begins again
    assert shades(frames) == pytest.approx([(brightness(index % 10) - 16) * 255 / 219 for index in range(12)], abs=2)
    assert all(frame.full_range for frame in frames)
    assert not any(plane.flags.owndata for frame in frames for plane in (frame.luma, frame.chroma_blue))
    assert usb.open_now == 0


def test_a_usb_camera_goes_on_after_a_damaged_picture_and_counts_it(usb: UsbCamera) -> None:
    usb.damage_at = 2
    source = open_live(USB)
    assert [frame.seq for frame in take(source, 4)] == [0, 1, 2, 3]
    assert source.damaged == 1


def test_a_usb_camera_that_is_unplugged_is_told(usb: UsbCamera) -> None:
    usb.pictures = 3
    assert failure(open_live(USB)) == f"{USB} broke off after 3 frames: it is unplugged"
    assert usb.open_now == 0


def test_a_usb_camera_that_is_silent_is_given_up_after_the_stall_time(usb: UsbCamera) -> None:
    usb.silent = True
    clock = FakeClock()
    assert failure(open_live(USB, clock=clock)) == f"{USB}: no frame for 10 s"
    assert clock.now_s == pytest.approx(1010.0, abs=0.1)
    assert usb.open_now == 0


@pytest.mark.parametrize(
    ("number", "line"),
    [
        (errno.EACCES, "no permission (is the user in the group `video`?)"),
        (errno.EBUSY, "in use by another program"),
        (
            errno.EINVAL,
            ("`picture` asks for what it cannot do; `v4l2-ctl --list-formats-ext -d /dev/null` shows what it can"),
        ),
        (errno.EIO, "Input/output error"),
    ],
)
def test_a_usb_camera_that_cannot_be_opened_is_told(usb: UsbCamera, number: int, line: str) -> None:
    usb.errors_on_opening.append(number)
    assert failure(open_live(USB)) == f"{USB} cannot be opened: {line}"
    assert usb.open_now == 0


def test_what_is_no_camera_is_told_by_ffmpeg_itself() -> None:
    assert failure(open_live(USB)) == f"{USB} cannot be opened: it is no camera"


def test_a_usb_camera_that_is_not_there_is_told_with_those_that_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("video0", "video2"):
        (tmp_path / "dev" / "v4l" / "by-id").mkdir(parents=True, exist_ok=True)
        (tmp_path / "dev" / name).touch()
    link = tmp_path / "dev" / "v4l" / "by-id" / "usb-Maker_Camera-video-index0"
    link.symlink_to("../../video2")
    (tmp_path / "sys" / "video2").mkdir(parents=True)
    (tmp_path / "sys" / "video2" / "name").write_text("HD Camera\n")
    monkeypatch.setattr(v4l2, "_DEVICES", tmp_path / "dev")
    monkeypatch.setattr(v4l2, "_TITLES", tmp_path / "sys")
    there = f"there is {tmp_path}/dev/video0, {link} (HD Camera)"
    assert failure(open_live("v4l2:///dev/video9")) == f"v4l2:///dev/video9 cannot be opened: no such device; {there}"
    monkeypatch.setattr(v4l2, "_DEVICES", tmp_path / "empty")
    assert failure(open_live("v4l2:///dev/video9")).endswith("no such device; there is no camera at all")
    asked = PictureSettings(controls={"brightness": 1})
    assert failure(open_live("v4l2:///dev/video9", asked)).endswith("no such device; there is no camera at all")


def test_controls_of_a_usb_camera_are_set_in_their_order(usb: UsbCamera, monkeypatch: pytest.MonkeyPatch) -> None:
    controls = Controls(monkeypatch)
    asked = PictureSettings(controls={"brightness": -3, "auto_exposure": 1, "exposure_time_absolute": 250})
    take(open_live(USB, asked), 1)
    assert controls.values == {0x00980900: -3, 0x009A0901: 1, 0x009A0902: 250}
    assert usb.open_now == 0


@pytest.mark.parametrize(
    ("controls", "line"),
    [
        (
            {"exposure": 1},
            f"{USB} has no control exposure; it has brightness, auto_exposure, exposure_time_absolute",
        ),
        ({"user_controls": 1}, f"{USB} has no control user_controls; "),  # a heading
        ({"brightness": 65}, f"{USB}: control brightness is 65, must be a whole number, -64 to 64"),
        ({"brightness": 0.5}, f"{USB}: control brightness is 0.5, must be a whole number, -64 to 64"),
        (
            {"exposure_time_absolute": 250},
            f"{USB}: control exposure_time_absolute cannot be set to 250: Permission denied; another control",
        ),
    ],
)
def test_a_control_that_cannot_be_set_is_told(
    monkeypatch: pytest.MonkeyPatch, controls: dict[str, float], line: str
) -> None:
    Controls(monkeypatch)
    assert failure(open_live(USB, PictureSettings(controls=controls))).startswith(line)


def test_a_device_without_controls_says_so() -> None:
    line = failure(open_live(USB, PictureSettings(controls={"brightness": 1})))
    assert line == f"{USB} has no control brightness; it has none at all"


# CSI


@pytest.fixture
def ribbon(monkeypatch: pytest.MonkeyPatch) -> RibbonCamera:
    return RibbonCamera(monkeypatch)


def test_a_ribbon_camera_gives_views_of_its_planes_without_what_pads_them(ribbon: RibbonCamera) -> None:
    frames = take(open_live("csi://0", PictureSettings(size=SIZE)), 3)
    assert [(frame.luma.min(), frame.luma.max()) for frame in frames] == [(40, 40), (45, 45), (50, 50)]
    assert {(frame.width, frame.height) for frame in frames} == {SIZE}
    for frame in frames:
        assert set(np.unique(frame.chroma_blue)) == {124}
        assert set(np.unique(frame.chroma_red)) == {132}
        for plane in (frame.luma, frame.chroma_blue, frame.chroma_red):
            assert np.shares_memory(plane, frame.luma.base)
            assert not plane.flags.writeable
    assert ribbon.open_now == 0


def test_a_ribbon_camera_is_asked_for_what_the_settings_say(ribbon: RibbonCamera) -> None:
    asked = PictureSettings(size=(640, 480), rate_hz=10, controls={"ExposureTime": 8000, "AnalogueGain": 1.5})
    take(open_live("csi://0", asked), 1)
    assert ribbon.configuration == {
        "main": {"format": "YUV420", "size": (640, 480)},
        "controls": {"ExposureTime": 8000, "AnalogueGain": 1.5, "FrameRate": 10},
    }
    assert isinstance(ribbon.configuration["controls"]["ExposureTime"], int)  # libcamera takes no other


def test_a_ribbon_camera_gives_a_size_of_its_own_where_it_cannot_do_another(ribbon: RibbonCamera) -> None:
    ribbon.size = (96, 64)
    assert [(frame.width, frame.height) for frame in take(open_live("csi://0"), 1)] == [(96, 64)]
    assert ribbon.configuration["main"]["size"] == (1280, 720)


def test_a_ribbon_camera_that_is_not_there_is_told_with_those_that_are(ribbon: RibbonCamera) -> None:
    assert failure(open_live("csi://1")) == "csi://1: no such camera; there is csi://0 (imx708)"
    ribbon.there = []
    line = "csi://0: no such camera; libcamera sees none: check the cable, then `rpicam-hello`"
    assert failure(open_live("csi://0")) == line


def test_a_ribbon_camera_that_cannot_be_started_is_told_and_closed(ribbon: RibbonCamera) -> None:
    ribbon.failure = RuntimeError("Failed to acquire camera")
    line = "csi://0 cannot be opened: Failed to acquire camera; in use by another program?"
    assert failure(open_live("csi://0")) == line
    assert ribbon.open_now == 0


def test_a_ribbon_camera_that_is_silent_is_given_up(ribbon: RibbonCamera) -> None:
    ribbon.silent = True
    line = "csi://0: no frame for 1 s; check the cable"
    assert failure(open_live("csi://0", clock=SystemClock(), stall_s=1.0)) == line
    assert (ribbon.open_now, ribbon.flushed) == (0, 1)


def test_a_ribbon_camera_that_is_silent_stops_when_told(ribbon: RibbonCamera) -> None:
    ribbon.silent = True
    stop = threading.Event()
    threading.Timer(0.05, stop.set).start()
    assert list(open_live("csi://0", clock=SystemClock(), stop=stop, stall_s=100).frames()) == []
    assert (ribbon.open_now, ribbon.flushed) == (0, 1)


def test_a_machine_without_picamera2_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "picamera2", None)
    with pytest.raises(RuntimeMissingError) as caught:
        list(open_live("csi://0").frames())
    assert "sudo apt install -y python3-picamera2" in str(caught.value)
    assert "--system-site-packages" in str(caught.value)


# GStreamer

SECRETIVE = "gstreamer:rtspsrc location=rtsp://eve:secret@192.0.2.1/s user-pw=hidden ! decodebin"


@pytest.fixture
def gstreamer(monkeypatch: pytest.MonkeyPatch) -> GStreamer:
    return GStreamer(monkeypatch)


@pytest.fixture
def gstreamer_of_opencv(monkeypatch: pytest.MonkeyPatch) -> GStreamerOfOpenCv:
    return GStreamerOfOpenCv(monkeypatch)


@pytest.mark.parametrize(
    "url", ["gstreamer:nvarguscamerasrc ! a", 'gstreamer:"nvarguscamerasrc ! a"', "gstreamer://nvarguscamerasrc ! a"]
)
def test_a_pipeline_may_stand_in_quotes_and_behind_slashes(gstreamer: GStreamer, url: str) -> None:
    frames = take(open_live(url), 3)
    assert gstreamer.launched.startswith("nvarguscamerasrc ! a ! videoconvert ! video/x-raw,format=I420 ! appsink ")
    assert shades(frames) == [40, 45, 50]
    assert {(int(frame.chroma_blue[0, 0]), int(frame.chroma_red[0, 0])) for frame in frames} == {(124, 132)}
    assert not any(plane.flags.writeable for frame in frames for plane in (frame.luma, frame.chroma_blue))


def test_a_pipeline_that_cannot_be_built_is_told_without_its_secrets(gstreamer: GStreamer) -> None:
    gstreamer.error_on_launch = 'could not set "user-pw" in "rtspsrc" to "hidden" at rtsp://eve:secret@192.0.2.1/s'
    source = open_live(SECRETIVE)
    with pytest.raises(SourceError) as caught:
        list(source.frames())
    assert str(caught.value) == (
        'gstreamer:rtspsrc … cannot be built: could not set "user-pw" in "rtspsrc" to "…" at …'
    )
    told = "".join(traceback.format_exception_only(type(caught.value), caught.value))
    assert "secret" not in told
    assert "hidden" not in told


def test_a_pipeline_that_fails_is_told_without_its_secrets(gstreamer: GStreamer) -> None:
    gstreamer.error_on_bus = "Unauthorized: hidden,\nrtsp://eve:other@192.0.2.1/s"
    assert failure(open_live(SECRETIVE)) == "gstreamer:rtspsrc … cannot be opened: rtspsrc: Unauthorized: …, …"
    assert gstreamer.open_now == 0


def test_a_pipeline_that_ends_or_falls_silent_has_failed(gstreamer: GStreamer) -> None:
    gstreamer.pictures = 3
    assert failure(open_live("gstreamer:camerasrc")) == "gstreamer:camerasrc … ended after 3 frames"

    class Passing(FakeClock):
        def monotonic_s(self) -> float:
            self.advance(1.0)
            return super().monotonic_s()

    gstreamer.silent, gstreamer.pictures = True, 10
    line = "gstreamer:camerasrc …: no frame for 10 s, after 0 frames"
    assert failure(open_live("gstreamer:camerasrc", clock=Passing())) == line
    assert gstreamer.open_now == 0


def test_opencv_plays_a_pipeline_where_there_is_no_binding(gstreamer_of_opencv: GStreamerOfOpenCv) -> None:
    frames = take(open_live("gstreamer:nvarguscamerasrc"), 2)
    assert gstreamer_of_opencv.launched.startswith("nvarguscamerasrc ! videoconvert ! video/x-raw,format=I420 ! app")
    assert [(frame.width, frame.height) for frame in frames] == [SIZE, SIZE]
    assert shades(frames) == [40, 45]


def test_opencv_tells_what_it_can_of_a_pipeline_that_fails(gstreamer_of_opencv: GStreamerOfOpenCv) -> None:
    gstreamer_of_opencv.pictures = 3
    assert failure(open_live("gstreamer:a")) == "gstreamer:a … gave no picture any more after 3 frames"
    gstreamer_of_opencv.shape = (HEIGHT_PX, WIDTH_PX, 3)
    assert failure(open_live("gstreamer:a")).endswith("OpenCV takes pictures of even width and height only")
    gstreamer_of_opencv.opens = False
    assert failure(open_live("gstreamer:a")).startswith("gstreamer:a … cannot be opened; `gst-launch-1.0` with it")
    assert gstreamer_of_opencv.open_now == 0


@pytest.mark.parametrize("opencv", [True, False])
def test_a_machine_without_gstreamer_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch, *, opencv: bool) -> None:
    monkeypatch.setitem(sys.modules, "gi", None)
    if opencv:
        monkeypatch.setattr(cv2, "getBuildInformation", lambda: "  GStreamer:                   NO\n")
    else:
        monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(
        RuntimeMissingError, match=r"^gstreamer:a … needs .*sudo apt install -y python3-gi .*--system-s"
    ):
        list(open_live("gstreamer:a").frames())


@pytest.mark.usefixtures("real_gstreamer")
@pytest.mark.parametrize(("colorimetry", "full_range"), [("bt601", False), ("1:4:0:0", True)])
def test_a_real_pipeline_gives_planes_of_any_size_and_tells_their_range(colorimetry: str, *, full_range: bool) -> None:
    form = f"video/x-raw,format=I420,width=65,height=49,colorimetry={colorimetry}"
    [frame] = take(open_live(f"gstreamer:videotestsrc is-live=true pattern=white ! {form}", clock=SystemClock()), 1)
    assert (frame.width, frame.height, frame.chroma_red.shape) == (65, 49, (25, 33))
    assert {int(frame.luma.min()), int(frame.luma.max())} == {235}
    assert set(np.unique(frame.chroma_blue)) == {128}
    assert frame.full_range is full_range


@pytest.mark.usefixtures("real_gstreamer")
@pytest.mark.parametrize(
    ("pipeline", "line"),
    [
        ("nosuchsrc", 'gstreamer:nosuchsrc … cannot be built: no element "nosuchsrc"'),
        (
            "videotestsrc pattern=secret",
            (
                'gstreamer:videotestsrc … cannot be built: could not set property "pattern" '
                'in element "videotestsrc" to "…"'
            ),
        ),
        ("filesrc location=/nowhere/secret", "gstreamer:filesrc … cannot be opened: filesrc: Resource not found."),
        ("videotestsrc num-buffers=1", "gstreamer:videotestsrc … ended after 1 frames"),
    ],
)
def test_a_real_pipeline_tells_what_is_wrong(pipeline: str, line: str) -> None:
    assert failure(open_live(f"gstreamer:{pipeline}", clock=SystemClock())) == line


@pytest.mark.usefixtures("real_gstreamer")
def test_a_real_pipeline_reads_srt(tmp_path: Path) -> None:
    for element in ("srtsrc", "tsdemux", "openh264dec"):
        if sys.modules["gi.repository.Gst"].ElementFactory.find(element) is None:
            pytest.skip(f"GStreamer has no {element} here")
    with ffmpeg_camera(write_clip(tmp_path / "clip.mp4", frames=50), "srt") as camera:
        camera.start()
        pipeline = f"srtsrc uri={camera.url} ! tsdemux ! h264parse ! openh264dec"
        frames = take(open_live(f"gstreamer:{pipeline}", clock=SystemClock()), 5)
    assert {(frame.width, frame.height) for frame in frames} == {SIZE}


# Named pipes


@pytest.fixture
def fifo(tmp_path: Path) -> Path:
    os.mkfifo(tmp_path / "camera.fifo")
    return tmp_path / "camera.fifo"


@pytest.fixture
def writer(tmp_path: Path) -> Iterator[Writer]:
    with closing(Writer(tmp_path / "writer.fifo")) as writer:
        yield writer


def open_pipe(path: Path, name: str = "auto", size: tuple[int, int] = SIZE, **more: object) -> Source:
    asked = PictureSettings.model_validate({"size": size, "format": name})
    return open_live(f"pipe://{path}", asked, **{"clock": SystemClock(), "stall_s": 1.0, **more})  # type: ignore[arg-type]


def write_into(path: Path, data: bytes) -> threading.Thread:
    """Write and close, as soon as somebody reads."""
    thread = threading.Thread(target=path.write_bytes, args=(data,))
    thread.start()
    return thread


def read_all(source: Source) -> tuple[list[Frame], str]:
    frames: list[Frame] = []
    with pytest.raises(SourceError) as caught:
        frames.extend(frame for frame in source.frames() if frame is not None)
    return frames, str(caught.value)


def test_each_frame_of_a_pipe_lies_where_it_was_read(writer: Writer) -> None:
    writer.ready()
    frames = take(open_pipe(writer.path), 3)
    assert shades(frames) == [40, 45, 50]
    for frame in frames:
        assert set(np.unique(frame.chroma_blue)) == {124}
        assert set(np.unique(frame.chroma_red)) == {132}
        assert np.shares_memory(frame.luma.base, frame.chroma_red)
        assert frame.luma.base.size == FRAME_BYTES
        assert not frame.luma.flags.writeable


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("nv12", bytes([90]) * 3072 + bytes([124, 132]) * 768),
        ("yuyv422", bytes([90, 124, 90, 132]) * 1536),
        ("gray", bytes([86]) * 3072),  # 0..255, as in the next two: 16 + 86 * 219 / 255 = 90
        ("bgr24", bytes([86, 86, 86]) * 3072),
        ("rgb24", bytes([86, 86, 86]) * 3072),
    ],
)
def test_every_raw_format_becomes_three_planes(fifo: Path, name: str, data: bytes) -> None:
    thread = write_into(fifo, data)
    source = open_pipe(fifo, name).frames()
    frame = next(source)
    thread.join()
    assert frame is not None
    assert (frame.width, frame.height) == SIZE
    assert shades([frame]) == pytest.approx([90], abs=2)


def test_a_writer_that_closes_a_pipe_ends_it(fifo: Path) -> None:
    thread = write_into(fifo, raw_frame(0) + raw_frame(1))
    source = open_pipe(fifo)
    seen = []
    with pytest.raises(SourceError) as caught:
        seen.extend(frame.seq for frame in source.frames() if frame is not None)
    thread.join()
    assert str(caught.value) == f"pipe://{fifo}: the writer closed it after 2 frames"


def test_a_frame_that_is_cut_off_is_told_with_what_is_missing(fifo: Path) -> None:
    thread = write_into(fifo, (raw_frame(0) + raw_frame(1))[:-100])
    line = failure(open_pipe(fifo))
    thread.join()
    assert line == (
        f"pipe://{fifo}: the writer closed it after 1 frames and within one: 100 of {FRAME_BYTES} bytes are missing; "
        "is `picture.size` right?"
    )


def test_a_pipe_that_nobody_writes_into_is_given_up(fifo: Path) -> None:
    assert failure(open_pipe(fifo)) == f"pipe://{fifo}: nobody wrote into it for 1 s, after 0 frames"


def test_a_pipe_that_nobody_writes_into_stops_when_told(fifo: Path) -> None:
    stop = threading.Event()
    threading.Timer(0.05, stop.set).start()
    assert list(open_pipe(fifo, stop=stop, stall_s=100.0).frames()) == []


def test_what_is_no_pipe_is_told(tmp_path: Path) -> None:
    path = tmp_path / "camera"
    assert failure(open_pipe(path)) == (
        f"pipe://{path} cannot be opened: No such file or directory; make one with `mkfifo {path}`"
    )
    path.touch()
    assert failure(open_pipe(path)) == f"pipe://{path} is no named pipe; make one with `mkfifo`"


def test_a_pipe_needs_to_know_what_comes(fifo: Path) -> None:
    assert failure(open_live(f"pipe://{fifo}")) == f"pipe://{fifo} needs `picture.size`"
    assert failure(open_pipe(fifo, "mjpeg")).endswith(
        "needs `picture.format` to be one of yuv420p, nv12, yuyv422, gray, bgr24, rgb24"
    )


# A folder that pictures come into


class Folder:
    """A watched folder in hand-made time: each look takes place when it is asked for."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.clock = FakeClock(utc_ns=2_000_000_000_000_000_000)
        self.source = open_live(f"watch://{path}", clock=self.clock)
        self.frames = self.source.frames()
        self.sight()

    def sight(self) -> int | None:
        """Look once: the shade of the next picture, or None."""
        frame = next(self.frames)
        self.newest = frame
        return shades([frame])[0] if frame else None

    def sights(self, count: int) -> list[int | None]:
        return [self.sight() for _ in range(count)]

    def put(self, name: str, index: int, to_bytes: int | None = None) -> None:
        data = encode_picture(index, codec="png", pixel_format="rgb24")
        (self.path / name).write_bytes(data[:to_bytes])
        age = self.clock.now_utc_ns - 1_000_000_000 * (index + 1)
        os.utime(self.path / name, ns=(age, age))


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    (tmp_path / "old.png").write_bytes(encode_picture(0, codec="png", pixel_format="rgb24"))
    return Folder(tmp_path)


def test_a_new_picture_is_given_once_and_those_before_it_never(folder: Folder) -> None:
    folder.put("a.png", 3)
    assert folder.sights(6) == [None, None, pytest.approx(brightness(3), abs=2), None, None, None]


def test_a_picture_is_given_when_it_is_whole(folder: Folder) -> None:
    folder.put("a.png", 3, to_bytes=0)
    assert folder.sights(3) == [None] * 3
    folder.put("a.png", 3, to_bytes=40)
    assert folder.sights(2) == [None] * 2
    folder.put("a.png", 3)
    assert folder.sights(3) == [None, None, pytest.approx(brightness(3), abs=2)]
    assert folder.source.damaged == 0


def test_a_picture_that_is_written_anew_is_given_anew(folder: Folder) -> None:
    folder.put("old.png", 5)
    assert folder.sights(3) == [None, None, pytest.approx(brightness(5), abs=2)]
    folder.put("old.png", 7)
    assert folder.sights(4) == [None, None, pytest.approx(brightness(7), abs=2), None]


def test_pictures_that_come_together_are_given_by_their_age(folder: Folder) -> None:
    for name, index in (("a.png", 1), ("b.png", 4), ("c.png", 2)):  # the larger the older
        folder.put(name, index)
    shown = folder.sights(6)
    assert shown == [None, None, *(pytest.approx(brightness(index), abs=2) for index in (4, 2, 1)), None]


def test_a_picture_that_somebody_takes_away_is_no_failure(folder: Folder) -> None:
    folder.put("a.png", 1)
    folder.sights(2)
    (folder.path / "a.png").unlink()
    (folder.path / "old.png").unlink()
    assert folder.sights(3) == [None] * 3
    folder.put("a.png", 2)
    assert folder.sights(3) == [None, None, pytest.approx(brightness(2), abs=2)]
    assert folder.source.damaged == 0


def test_a_picture_that_cannot_be_read_is_left_out_and_counted(
    folder: Folder, caplog: pytest.LogCaptureFixture
) -> None:
    (folder.path / "a.jpg").write_text("no picture")
    (folder.path / "notes.txt").write_text("no picture either")
    folder.put("b.png", 1)
    assert [shade for shade in folder.sights(5) if shade] == pytest.approx([brightness(1)], abs=2)
    assert folder.source.damaged == 1
    lines = [record.getMessage() for record in caplog.records]
    assert lines == [f"{folder.path}/a.jpg cannot be read as a picture; left out"]


def test_a_picture_carries_its_own_time_where_that_can_be(folder: Folder) -> None:
    folder.put("a.png", 3)  # 4 s old
    began_ns = folder.clock.now_utc_ns
    folder.sights(3)
    assert folder.newest is not None
    assert folder.newest.utc_ns == began_ns - 4_000_000_000
    assert folder.newest.at_s == folder.clock.now_s
    folder.put("b.png", 3)
    for strange_s in (-86_400, 86_400):  # a camera whose clock is a day late, or early
        os.utime(folder.path / "b.png", ns=(0, folder.clock.now_utc_ns + strange_s * 10**9))
        folder.sights(3)
        assert folder.newest.utc_ns == folder.clock.now_utc_ns


def test_a_folder_where_nothing_comes_is_asleep(folder: Folder) -> None:
    assert folder.source.asleep
    folder.put("a.png", 1)
    folder.sights(3)
    assert not folder.source.asleep
    folder.sights(3)
    assert not folder.source.asleep
    folder.sights(1)
    assert folder.source.asleep


def test_a_folder_that_is_gone_is_told(folder: Folder, tmp_path: Path) -> None:
    (tmp_path / "old.png").unlink()
    tmp_path.rmdir()
    with pytest.raises(SourceError, match=rf"^watch://{tmp_path} cannot be listed: No such file or directory$"):
        folder.sights(1)
    tmp_path.mkdir()


def test_a_folder_with_too_many_pictures_is_refused(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "MOST_PICTURES", 2)
    for index in range(2):
        folder.put(f"{index}.png", index)
    with pytest.raises(SourceError, match=r"holds more than 2 pictures; delete old ones$"):
        folder.sights(1)


# Streams that another program pushes


def test_an_rtmp_camera_that_ends_its_stream_has_failed(tmp_path: Path) -> None:
    with ffmpeg_camera(write_clip(tmp_path / "clip.mp4", frames=25), "rtmp") as camera:
        camera.start(loops=0)
        frames, line = read_all(open_live(camera.url, clock=SystemClock()))
    assert 20 <= len(frames) <= 25
    assert line.startswith(f"rtmp://127.0.0.1:{camera.port}/… broke off after {len(frames)} frames: ")


def test_an_rtmp_camera_that_is_off_is_told_without_its_key(tmp_path: Path) -> None:
    with ffmpeg_camera(write_clip(tmp_path / "clip.mp4"), "rtmp") as camera:
        line = failure(open_live(camera.url, clock=SystemClock()))
    assert line.startswith(f"rtmp://127.0.0.1:{camera.port}/… cannot be opened: connection refused;")


def test_srt_is_refused_without_its_passphrase_where_ffmpeg_was_built_without_it() -> None:
    line = failure(open_live("srt://127.0.0.1:1?passphrase=0123456789", clock=SystemClock(), stall_s=1.0))
    assert line.startswith("srt://127.0.0.1:1/… cannot be opened: ")
    assert "0123456789" not in line
