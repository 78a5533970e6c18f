"""Every kind of source keeps one contract: against real files, real servers, and stand-ins for what no machine has."""

from __future__ import annotations

import hashlib
import http.server
import itertools
import logging
import ssl
import threading
import traceback
import wave
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import av
import numpy as np
import pytest
from builders import frame_of
from cameras import GStreamer, GStreamerOfOpenCv, RibbonCamera, UsbCamera, usb_camera
from data import shared_data
from fakes import FakeClock
from peers import Ffmpeg, Writer, ffmpeg_camera, gstreamer_server, server_context, uploading_camera
from rtsp import rtsp_camera
from videos import HEIGHT_PX, RATE_HZ, SHADES, WIDTH_PX, brightness, encode_picture, write_clip

from edge_agent.edges.clock import Clock, SystemClock
from edge_agent.edges.sources import SOURCES, open_source, watch
from edge_agent.edges.sources.images import RATE_HZ as PICTURES_HZ
from edge_agent.edges.sources.picture import PictureSettings
from edge_agent.edges.sources.planes import view_planes
from edge_agent.edges.sources.source import Paced, Source, redact
from edge_agent.edges.sources.supervised import CaptureSettings
from edge_agent.errors import ConfigError, SourceError
from edge_agent.records import Frame

CLIP_FRAMES = 10
IMPATIENT = CaptureSettings(stall_s=1.0)

Open = Callable[..., Source]


@dataclass(frozen=True)
class Subject:
    """One kind of source under the contract.

    Attributes:
        url: its address.
        live: whether it says to be a camera.
        transport: for RTSP.
        pace: for recordings.
        picture: what to ask of it.
        prepare: called before each opening, for a peer that serves one reader at a time.
        open_now: how many of a stand-in are open.
        looks: how often to open it when looking for what stays open.
    """

    url: str
    live: bool
    transport: Literal["tcp", "udp"] = "tcp"
    pace: Literal["as_fast", "real_time"] = "real_time"
    picture: PictureSettings = PictureSettings()  # noqa: RUF009 - it is frozen
    prepare: Callable[[], object] = lambda: None
    open_now: Callable[[], int] = lambda: 0
    looks: int = 20

    def open(self, stop: threading.Event | None = None) -> Source:
        clock: Clock = SystemClock() if self.live else FakeClock()
        settings = CaptureSettings(transport=self.transport)
        self.prepare()
        return open_source(self.url, settings, clock, stop or threading.Event(), pace=self.pace, picture=self.picture)


class Camera(http.server.BaseHTTPRequestHandler):
    """A camera that speaks HTTP: /mjpeg without end, /short with an end, /locked, and nothing else."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        if self.path == "/locked":
            return self.send_error(401)
        if self.path not in {"/mjpeg", "/short"}:
            return self.send_error(404)
        self.send_response(200)
        self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=next")
        self.send_header("Connection", "close")
        self.end_headers()
        pictures = itertools.count() if self.path == "/mjpeg" else range(CLIP_FRAMES)
        try:
            for index in pictures:
                self._send(encode_picture(index))
            self.wfile.write(b"--next--\r\n")
        except ConnectionError:
            self.close_connection = True
        return None

    def _send(self, jpeg: bytes) -> None:
        head = f"--next\r\nContent-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n"
        self.wfile.write(head.encode() + jpeg + b"\r\n")
        self.wfile.flush()
        self.server.pause.wait(1 / RATE_HZ)  # type: ignore[attr-defined]

    def log_message(self, *_: object) -> None:
        """Keep quiet."""


@contextmanager
def http_camera(tls: ssl.SSLContext | None = None) -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Camera) as server:
        server.daemon_threads = True
        server.pause = threading.Event()  # type: ignore[attr-defined]
        if tls is not None:
            server.socket = tls.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http{'s' if tls else ''}://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_clip(tmp_path_factory.mktemp("clip") / "clip.mp4", frames=CLIP_FRAMES)


@pytest.fixture(scope="module")
def album(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("album")
    for index in range(CLIP_FRAMES):
        (folder / f"{index}.jpg").write_bytes(encode_picture(index))
    return folder


@pytest.fixture(scope="module")
def rtsp_url(clip: Path) -> Iterator[str]:
    with rtsp_camera(clip) as camera:
        yield camera.url()


RTSP_CLIPS: dict[str, dict[str, Any]] = {
    "B-frames": {"options": {"bf": "2", "g": "25"}},
    "H.265": {"codec": "libx265", "options": {"x265-params": "keyint=25:bframes=2:log-level=none"}},
    "Motion JPEG": {"codec": "mjpeg", "pixel_format": "yuvj420p", "options": {"huffman": "default"}},
}
"""RFC 2435 leaves the Huffman tables to the receiver: they have to be the usual ones."""


@pytest.fixture(scope="module")
def rtsp_urls(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """A camera for each kind of stream."""
    folder = tmp_path_factory.mktemp("clips")
    with ExitStack() as stack:
        yield {
            name: stack.enter_context(rtsp_camera(write_clip(folder / f"{name}.mp4", frames=50, **how))).url()
            for name, how in RTSP_CLIPS.items()
        }


@pytest.fixture(scope="module")
def gstreamer_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """GStreamer's server with a minute of H.264 and live Motion JPEG."""
    clip = write_clip(tmp_path_factory.mktemp("clip") / "clip.mp4", frames=60 * RATE_HZ, options={"g": "25"})
    picture = f"video/x-raw,format=I420,width={WIDTH_PX},height={HEIGHT_PX},framerate={RATE_HZ}/1"
    with gstreamer_server(
        h264=f"filesrc location={clip} ! qtdemux ! rtph264pay name=pay0",
        jpeg=f"videotestsrc is-live=true ! {picture} ! jpegenc ! rtpjpegpay name=pay0",
    ) as url:
        yield url


@pytest.fixture(scope="module")
def http_url() -> Iterator[str]:
    with http_camera() as url:
        yield url


@pytest.fixture(scope="module")
def https_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with http_camera(server_context(tmp_path_factory.mktemp("tls"))) as url:
        yield url


@pytest.fixture
def rtmp_camera(clip: Path) -> Iterator[Ffmpeg]:
    with ffmpeg_camera(clip, "rtmp") as camera:
        yield camera


@pytest.fixture
def usb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> UsbCamera:
    return usb_camera(tmp_path, monkeypatch)


@pytest.fixture
def ribbon(monkeypatch: pytest.MonkeyPatch) -> RibbonCamera:
    return RibbonCamera(monkeypatch)


@pytest.fixture
def gstreamer(monkeypatch: pytest.MonkeyPatch) -> GStreamer:
    return GStreamer(monkeypatch)


@pytest.fixture
def gstreamer_of_opencv(monkeypatch: pytest.MonkeyPatch) -> GStreamerOfOpenCv:
    return GStreamerOfOpenCv(monkeypatch)


@pytest.fixture
def writer(tmp_path: Path) -> Iterator[Writer]:
    with closing(Writer(tmp_path / "camera.fifo")) as writer:
        yield writer


@pytest.fixture
def uploads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder that a camera uploads into, watched without patience."""
    monkeypatch.setattr(watch, "LOOK_S", 0.005)
    monkeypatch.setattr(watch, "SETTLED_S", 0.01)
    with uploading_camera(tmp_path) as folder:
        yield folder


def _rtmp(camera: Ffmpeg) -> Subject:
    return Subject(camera.url, live=True, prepare=camera.start, looks=2)


def _pipe(writer: Writer) -> Subject:
    asked = PictureSettings(size=(WIDTH_PX, HEIGHT_PX))
    return Subject(f"pipe://{writer.path}", live=True, picture=asked, prepare=writer.ready)


def _usb(camera: UsbCamera) -> Subject:
    return Subject("v4l2:///dev/null", live=True, open_now=lambda: camera.open_now)


def _ribbon(camera: RibbonCamera) -> Subject:
    asked = PictureSettings(size=(WIDTH_PX, HEIGHT_PX))
    return Subject("csi://0", live=True, picture=asked, open_now=lambda: camera.open_now)


def _gstreamer(stand_in: GStreamer | GStreamerOfOpenCv) -> Subject:
    return Subject("gstreamer:camerasrc", live=True, open_now=lambda: stand_in.open_now)


def _real_gstreamer(_: None) -> Subject:
    picture = f"video/x-raw,width={WIDTH_PX},height={HEIGHT_PX},framerate={RATE_HZ}/1"
    return Subject(f"gstreamer:videotestsrc is-live=true ! {picture}", live=True)


def _rtsp(get: pytest.FixtureRequest, name: str, transport: Literal["tcp", "udp"]) -> Subject:
    return Subject(get.getfixturevalue("rtsp_urls")[name], live=True, transport=transport, looks=5)


def _gstreamer_server(get: pytest.FixtureRequest, name: str, transport: Literal["tcp", "udp"]) -> Subject:
    return Subject(f"{get.getfixturevalue('gstreamer_url')}/{name}", live=True, transport=transport, looks=2)


KINDS: dict[str, Callable[[pytest.FixtureRequest], Subject]] = {
    "clip": lambda get: Subject(f"file://{get.getfixturevalue('clip')}", live=False, pace="as_fast"),
    "clip at its pace": lambda get: Subject(f"file://{get.getfixturevalue('clip')}", live=False),
    "pictures": lambda get: Subject(f"images://{get.getfixturevalue('album')}", live=False, pace="as_fast"),
    "pictures at their pace": lambda get: Subject(f"images://{get.getfixturevalue('album')}", live=False),
    "RTSP over TCP": lambda get: Subject(get.getfixturevalue("rtsp_url"), live=True),
    "RTSP over UDP": lambda get: Subject(get.getfixturevalue("rtsp_url"), live=True, transport="udp"),
    "B-frames over TCP": lambda get: _rtsp(get, "B-frames", "tcp"),
    "B-frames over UDP": lambda get: _rtsp(get, "B-frames", "udp"),
    "H.265 over TCP": lambda get: _rtsp(get, "H.265", "tcp"),
    "H.265 over UDP": lambda get: _rtsp(get, "H.265", "udp"),
    "Motion JPEG over TCP": lambda get: _rtsp(get, "Motion JPEG", "tcp"),
    "Motion JPEG over UDP": lambda get: _rtsp(get, "Motion JPEG", "udp"),
    "GStreamer's server over TCP": lambda get: _gstreamer_server(get, "h264", "tcp"),
    "GStreamer's server over UDP": lambda get: _gstreamer_server(get, "jpeg", "udp"),
    "HTTP": lambda get: Subject(f"{get.getfixturevalue('http_url')}/mjpeg", live=True),
    "HTTPS": lambda get: Subject(f"{get.getfixturevalue('https_url')}/mjpeg", live=True),
    "RTMP": lambda get: _rtmp(get.getfixturevalue("rtmp_camera")),
    "a stand-in for USB": lambda get: _usb(get.getfixturevalue("usb")),
    "a stand-in for CSI": lambda get: _ribbon(get.getfixturevalue("ribbon")),
    "a stand-in for GStreamer": lambda get: _gstreamer(get.getfixturevalue("gstreamer")),
    "a stand-in for OpenCV's GStreamer": lambda get: _gstreamer(get.getfixturevalue("gstreamer_of_opencv")),
    "GStreamer": lambda get: _real_gstreamer(get.getfixturevalue("real_gstreamer")),
    "a named pipe": lambda get: _pipe(get.getfixturevalue("writer")),
    "a watched folder": lambda get: Subject(f"watch://{get.getfixturevalue('uploads')}", live=True),
}


@pytest.fixture(params=KINDS)
def subject(request: pytest.FixtureRequest) -> Subject:
    return KINDS[request.param](request)


def _frames(source: Generator[Frame | None, None, None]) -> Iterator[Frame]:
    """The frames alone: a source may say in between that it is alive."""
    return (frame for frame in source if frame is not None)


def _planes_hash(frame: Frame) -> str:
    planes = (frame.luma, frame.chroma_blue, frame.chroma_red)
    return hashlib.sha256(b"".join(plane.tobytes() for plane in planes)).hexdigest()


def _shades(frames: list[Frame]) -> list[int]:
    return [round(float(frame.luma.mean())) for frame in frames]


def _open_files() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


# The contract


def test_each_kind_gives_whole_frames_in_order(subject: Subject) -> None:
    with closing(subject.open().frames()) as source:
        frames = list(itertools.islice(_frames(source), CLIP_FRAMES))
    assert [frame.seq for frame in frames] == list(range(CLIP_FRAMES))
    assert all((frame.width, frame.height) == (WIDTH_PX, HEIGHT_PX) for frame in frames)
    assert all(earlier.at_s < later.at_s for earlier, later in itertools.pairwise(frames))
    assert all(earlier.utc_ns < later.utc_ns for earlier, later in itertools.pairwise(frames))


def test_each_kind_ends_or_goes_on_as_it_says(subject: Subject) -> None:
    source = subject.open()
    assert source.live is subject.live
    with closing(source.frames()) as frames:
        count = sum(1 for _ in itertools.islice(_frames(frames), 2 * CLIP_FRAMES))
    assert count == (2 * CLIP_FRAMES if subject.live else CLIP_FRAMES)
    assert source.damaged == 0


def test_each_kind_stops_soon_when_told(subject: Subject) -> None:
    stop = threading.Event()
    frames = subject.open(stop).frames()
    next(_frames(frames))
    stop.set()
    assert list(_frames(frames)) == []


def test_each_kind_gives_nothing_when_stopped_before(subject: Subject) -> None:
    stop = threading.Event()
    stop.set()
    assert list(subject.open(stop).frames()) == []


def test_each_kind_closes_what_it_opens(subject: Subject) -> None:
    def look() -> None:
        with closing(subject.open().frames()) as frames:
            next(_frames(frames))

    look()
    before = _open_files()
    for _ in range(subject.looks):
        look()
    clock = SystemClock()
    until_s = clock.monotonic_s() + 10.0  # the HTTP server shares this process and takes a moment to see us gone
    while _open_files() > before and clock.monotonic_s() < until_s:
        pass
    assert _open_files() <= before
    assert subject.open_now() == 0


def test_an_address_of_no_known_kind_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ConfigError) as caught:
        open_source("ftp://eve:secret@host/a", CaptureSettings(), FakeClock(), threading.Event(), pace="as_fast")
    assert str(caught.value).startswith("ftp://host/… is no source; one begins with csi://, file://, gstreamer:, http")
    assert all(f" {scheme}:" in str(caught.value) for scheme in SOURCES)


# Times


def test_a_replayed_clip_carries_the_times_of_the_recording(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.mp4", created="2026-01-02T03:04:05Z")
    frames = _replay(f"file://{clip}")
    created_ns = 1_767_323_045_000_000_000  # `date -d 2026-01-02T03:04:05Z +%s%N`
    assert [frame.at_s for frame in frames] == [index / RATE_HZ for index in range(CLIP_FRAMES)]
    assert [frame.utc_ns - created_ns for frame in frames] == [index * 40_000_000 for index in range(CLIP_FRAMES)]
    assert not any(frame.utc_synced for frame in frames)


@pytest.mark.parametrize("created", ["", "yesterday", "1904-01-01T00:00:00Z"])
def test_a_clip_that_does_not_tell_its_time_counts_from_1970(tmp_path: Path, created: str) -> None:
    frames = _replay(f"file://{write_clip(tmp_path / 'clip.mkv', created=created)}")
    assert frames[1].utc_ns == 40_000_000


def test_a_clip_without_time_stamps_counts_by_its_rate(tmp_path: Path) -> None:
    frames = _replay(f"file://{write_clip(tmp_path / 'clip.h264')}")
    assert [frame.at_s for frame in frames] == [index / RATE_HZ for index in range(CLIP_FRAMES)]


def test_a_clip_whose_time_stamps_jump_back_still_goes_forward(tmp_path: Path) -> None:
    once = write_clip(tmp_path / "once.ts", codec="mpeg2video").read_bytes()
    (tmp_path / "twice.ts").write_bytes(once + once)
    frames = _replay(f"file://{tmp_path / 'twice.ts'}")
    assert [frame.at_s for frame in frames] == pytest.approx([index / RATE_HZ for index in range(2 * CLIP_FRAMES)])


def test_a_clip_with_a_title_in_an_unknown_alphabet_is_read(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "clip.mkv")
    path.write_bytes(path.read_bytes().replace(b"Lavf", b"La\xff\xff"))
    assert len(_replay(f"file://{path}")) == CLIP_FRAMES


def test_a_clip_at_its_pace_gives_each_frame_when_it_is_due(clip: Path) -> None:
    clock = FakeClock()
    source = open_source(f"file://{clip}", CaptureSettings(), clock, threading.Event(), pace="real_time")
    frames = []
    for frame in source.frames():
        frames.append(frame)
        clock.advance(0.010)  # the reader takes 10 of the 40 ms
    assert clock.waits == pytest.approx([0.0, *[0.030] * 9, 0.2])  # the last is shown for a while
    assert [frame.at_s for frame in frames] == pytest.approx([1000 + index / RATE_HZ for index in range(CLIP_FRAMES)])
    assert frames[1].utc_ns == pytest.approx(1_700_000_000_040_000_000, abs=1000)
    assert frames[1].utc_synced


def test_a_hole_in_a_recording_is_not_waited_out() -> None:
    class Holed:
        live = False
        damaged = 0

        def frames(self) -> Generator[Frame, None, None]:
            for seq, at_s in enumerate((0.0, 1.0, 121.0, 122.0)):
                yield frame_of(at_s, seq=seq)

    clock = FakeClock()
    at_s = [frame.at_s for frame in Paced(Holed(), clock, threading.Event()).frames()]
    assert at_s == pytest.approx([1000.0, 1001.0, 1001.0, 1002.0])


def test_a_late_reader_does_not_shift_the_times_of_a_paced_clip(clip: Path) -> None:
    clock = FakeClock()
    source = open_source(f"file://{clip}", CaptureSettings(), clock, threading.Event(), pace="real_time")
    frames = []
    for frame in source.frames():
        frames.append(frame)
        clock.advance(0.100)
    assert set(clock.waits[:-1]) == {0.0}  # the last wait shows the last frame
    assert [frame.at_s for frame in frames] == pytest.approx([1000 + index / RATE_HZ for index in range(CLIP_FRAMES)])


def test_a_replay_is_the_same_twice(clip: Path) -> None:
    first, second = (
        [(frame.at_s, frame.utc_ns, _planes_hash(frame)) for frame in _replay(f"file://{clip}")] for _ in range(2)
    )
    assert first == second


def test_a_replay_of_a_real_clip_is_whole_and_the_same_twice() -> None:
    url = f"file://{shared_data('video/car-detection.mp4')}"
    first, second = (hashlib.sha256(repr(_numbers(url)).encode()).hexdigest() for _ in range(2))
    assert first == second
    assert len(_numbers(url)) == 377  # the README beside it says so


def _numbers(url: str) -> list[tuple[float, int, int]]:
    source = open_source(url, CaptureSettings(), FakeClock(), threading.Event(), pace="as_fast")
    return [(frame.at_s, frame.utc_ns, int(frame.luma.sum())) for frame in source.frames()]


def _replay(url: str) -> list[Frame]:
    return list(open_source(url, CaptureSettings(), FakeClock(), threading.Event(), pace="as_fast").frames())


# Pictures


def test_every_frame_comes_in_the_order_of_showing_down_to_the_last(clip: Path) -> None:
    # The clip has B-frames: the decoder holds some back, and gives them only when it is flushed at the end.
    assert _shades(_replay(f"file://{clip}")) == pytest.approx(
        [brightness(index) for index in range(CLIP_FRAMES)], abs=2
    )


def test_planes_are_the_decoders_memory_and_can_only_be_read(clip: Path) -> None:
    frame = _replay(f"file://{clip}")[0]
    for plane in (frame.luma, frame.chroma_blue, frame.chroma_red):
        assert not plane.flags.owndata
        assert not plane.flags.writeable


def test_a_held_frame_is_not_overwritten_by_later_ones(tmp_path: Path) -> None:
    url = f"file://{write_clip(tmp_path / 'clip.mp4', frames=100)}"
    source = open_source(url, CaptureSettings(), FakeClock(), threading.Event(), pace="as_fast")
    held = [(frame, _planes_hash(frame)) for frame in source.frames()]
    assert len(held) == 100
    assert all(_planes_hash(frame) == then for frame, then in held)
    assert len({then for _, then in held}) >= SHADES  # not one picture all the time


@pytest.mark.parametrize(
    ("name", "codec", "pixel_format", "size"),
    [
        ("limited range", "libx264", "yuv420p", (64, 48)),
        ("4:4:4", "libx264", "yuv444p", (64, 48)),
        ("4:2:2", "libx264", "yuv422p", (64, 48)),
        ("ten bit", "libx264", "yuv420p10le", (64, 48)),
        ("odd width and height", "mpeg4", "yuv420p", (65, 49)),
        ("chroma in pairs", "rawvideo", "nv12", (64, 48)),
        ("RGB", "png", "rgb24", (65, 49)),
        ("grey", "ffv1", "gray", (64, 48)),
    ],
)
def test_every_pixel_format_becomes_three_planes(
    tmp_path: Path, name: str, codec: str, pixel_format: str, size: tuple[int, int]
) -> None:
    clip = write_clip(tmp_path / f"{name}.nut", codec=codec, pixel_format=pixel_format, size=size, frames=3)
    frames = _replay(f"file://{clip}")
    assert [(frame.width, frame.height) for frame in frames] == [size] * 3
    assert _shades(frames) == pytest.approx([40, 45, 50], abs=2)


@pytest.mark.parametrize(("width", "height"), [(64, 48), (65, 49), (1922, 1082)])
@pytest.mark.parametrize("full_range", [False, True])
def test_chroma_in_pairs_is_taken_apart_exactly(width: int, height: int, *, full_range: bool) -> None:
    apart = av.VideoFrame(width, height, "yuv420p")
    random = np.random.default_rng(1)
    for plane in apart.planes:
        plane.update(random.integers(0, 256, plane.buffer_size, np.uint8).tobytes())
    in_pairs = apart.reformat(format="nv12")
    apart.color_range = in_pairs.color_range = 2 if full_range else 1
    expected, found = view_planes(apart), view_planes(in_pairs)
    for plane, wanted in zip(found[:3], expected[:3], strict=True):
        assert np.array_equal(plane, wanted)
        assert not plane.flags.writeable
    assert not found.luma.flags.owndata  # luma is the decoder's memory
    assert found.full_range is expected.full_range is full_range


def test_full_range_video_is_shown_as_it_is_and_marked(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.mkv", codec="mjpeg", pixel_format="yuvj420p", frames=3)
    assert all(frame.full_range for frame in _replay(f"file://{clip}"))
    assert _shades(_replay(f"file://{clip}")) == pytest.approx([28, 34, 40], abs=2)  # (40, 45, 50 - 16) * 255 / 219


@pytest.mark.parametrize(
    ("name", "codec", "pixel_format", "size"),
    [
        ("a.jpg", "mjpeg", "yuvj420p", (64, 48)),
        ("a.JPEG", "mjpeg", "yuvj444p", (65, 49)),
        ("a.png", "png", "rgb24", (65, 49)),
        ("a.bmp", "bmp", "bgr24", (65, 49)),
        ("a.tif", "tiff", "rgb24", (65, 49)),
        ("a.ppm", "ppm", "rgb24", (65, 49)),
        ("a.pgm", "pgm", "gray", (65, 49)),
        ("100%d.png", "png", "rgb24", (64, 48)),
    ],
)
def test_every_kind_of_picture_is_read_and_its_range_told(
    tmp_path: Path, name: str, codec: str, pixel_format: str, size: tuple[int, int]
) -> None:
    (tmp_path / name).write_bytes(encode_picture(3, codec=codec, pixel_format=pixel_format, size=size))
    (frame,) = _replay(f"images://{tmp_path}")
    assert (frame.width, frame.height) == size
    assert frame.full_range is (pixel_format == "yuvj420p")  # the others are converted on the way
    shade = (brightness(3) - 16) * 255 / 219 if frame.full_range else brightness(3)
    assert _shades([frame]) == pytest.approx([shade], abs=2)


def test_pictures_come_in_the_order_a_person_counts(tmp_path: Path) -> None:
    for index, name in enumerate(["1.png", "2.png", "10.png", "a1.png", "a02.png", "b.png"]):
        (tmp_path / name).write_bytes(encode_picture(index, codec="png", pixel_format="rgb24"))
    (tmp_path / "notes.txt").write_text("no picture")
    frames = _replay(f"images://{tmp_path}")
    assert _shades(frames) == pytest.approx([40, 45, 50, 55, 60, 65], abs=2)
    assert [frame.at_s for frame in frames] == [index / PICTURES_HZ for index in range(6)]


def test_an_unreadable_picture_is_left_out_and_counted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for name in ("1.png", "3.png"):
        (tmp_path / name).write_bytes(encode_picture(0, codec="png", pixel_format="rgb24"))
    (tmp_path / "2.png").write_text("no picture")
    source = open_source(f"images://{tmp_path}", CaptureSettings(), FakeClock(), threading.Event(), pace="as_fast")
    assert [frame.at_s for frame in source.frames()] == [0.0, 0.4]
    assert source.damaged == 1
    assert [record.getMessage() for record in caplog.records] == [
        f"{tmp_path}/2.png cannot be read as a picture; left out"
    ]


# What goes wrong, and the line that tells it


def _cut(path: Path, to_bytes: int) -> None:
    path.write_bytes(path.read_bytes()[:to_bytes])


def _write_sound(path: Path) -> None:
    with wave.open(str(path), "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(8000)
        sound.writeframes(bytes(16_000))


FILES: dict[str, tuple[Callable[[Path], Any], str]] = {
    "missing": (lambda _: None, "cannot be opened: no such file"),
    "empty": (lambda path: path.touch(), "cannot be opened: not a video, or cut off or damaged"),
    "a text": (lambda path: path.write_text("hello"), "cannot be opened: not a video, or cut off or damaged"),
    "cut off before its index": (
        lambda path: _cut(write_clip(path), 200),
        "cannot be opened: not a video, or cut off or damaged",
    ),
    "cut off within its index": (
        lambda path: _cut(write_clip(path), 1000),
        "has no video stream: only sound, or cut off",
    ),
    "a folder": (
        lambda path: path.mkdir(),
        "cannot be opened: it is a folder; for a folder of pictures write images://",
    ),
    "only sound": (_write_sound, "has no video stream: only sound, or cut off"),
}


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_gives_no_video_is_told_in_one_line(tmp_path: Path, name: str) -> None:
    make, line = FILES[name]
    path = tmp_path / "clip.mp4"
    make(path)
    with pytest.raises(SourceError) as caught:
        _replay(f"file://{path}")
    assert str(caught.value) == f"file://{path} {line}"


def test_a_clip_that_is_cut_off_gives_what_can_be_read(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = write_clip(tmp_path / "clip.ts", codec="mpeg2video", frames=30)
    _cut(path, path.stat().st_size // 2)
    with caplog.at_level(logging.WARNING):
        frames = _replay(f"file://{path}")
    assert 10 < len(frames) < 20
    assert _shades(frames)[:10] == pytest.approx([brightness(index) for index in range(10)], abs=2)


def test_a_damaged_clip_gives_the_frames_around_the_damage(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = write_clip(tmp_path / "clip.nut", codec="png", pixel_format="rgb24", frames=5)
    whole = path.read_bytes()
    third = [at for at in range(len(whole)) if whole.startswith(b"\x89PNG", at)][2]
    path.write_bytes(whole[:third] + b"\0\0\0\0" + whole[third + 4 :])
    source = open_source(f"file://{path}", CaptureSettings(), FakeClock(), threading.Event(), pace="as_fast")
    assert _shades(list(source.frames())) == pytest.approx([40, 45, 55, 60], abs=2)
    assert source.damaged == 1
    assert [record.getMessage() for record in caplog.records] == [
        f"file://{path}: 1 packets could not be decoded, 4 frames could"
    ]


FOLDERS: dict[str, tuple[Callable[[Path], Any], str]] = {
    "missing": (lambda _: None, " cannot be listed: No such file or directory"),
    "a file": (lambda path: path.touch(), " cannot be listed: Not a directory"),
    "empty": (
        lambda path: path.mkdir(),
        " holds no picture (.bmp .jpeg .jpg .pgm .png .ppm .tif .tiff .webp)",
    ),
    "only nonsense": (
        lambda path: (path.mkdir(), (path / "a.png").touch(), (path / "b.jpg").write_text("hello")),
        ": not one of 2 pictures can be read",
    ),
}


@pytest.mark.parametrize("name", FOLDERS)
def test_a_folder_that_gives_no_pictures_is_told_in_one_line(tmp_path: Path, name: str) -> None:
    make, line = FOLDERS[name]
    path = tmp_path / "album"
    make(path)
    with pytest.raises(SourceError) as caught:
        _replay(f"images://{path}")
    assert str(caught.value) == f"images://{path}{line}"


@pytest.fixture(scope="module")
def locked_url(clip: Path) -> Iterator[Callable[[str], str]]:
    with rtsp_camera(clip, credentials="eve:secret") as camera:
        yield camera.url


def test_the_right_password_opens_a_locked_camera(locked_url: Callable[[str], str]) -> None:
    assert _first_shade(locked_url("eve:secret")) == brightness(0)


@pytest.mark.parametrize("credentials", ["", "eve:wrong-secret"])
def test_a_refused_password_is_told_without_it(
    locked_url: Callable[[str], str], credentials: str, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SourceError, match=r"cannot be opened: user name or password refused \(401\)$") as caught:
        _first_shade(locked_url(credentials))
    assert "secret" not in "".join(traceback.format_exception(caught.value))
    assert capfd.readouterr().err == ""  # FFmpeg would write the address there


def test_cameras_over_http_tell_what_is_wrong(http_url: str) -> None:
    with pytest.raises(SourceError, match=r"/… cannot be opened: user name or password refused \(401\)$"):
        _first_shade(f"{http_url}/locked")
    with pytest.raises(SourceError, match=r"/… cannot be opened: no such stream there \(404\); check the address"):
        _first_shade(f"{http_url}/else")


def test_a_camera_that_ends_its_stream_has_failed(http_url: str) -> None:
    with pytest.raises(SourceError, match=r"/… broke off after 10 frames: Input/output error; check the address"):
        _live(f"{http_url}/short")


def test_a_camera_that_is_unplugged_is_told(clip: Path) -> None:
    with rtsp_camera(clip) as camera:
        source = open_source(camera.url(), IMPATIENT, SystemClock(), threading.Event(), pace="real_time")
        frames = source.frames()
        next(frames)
        camera.kill()
        with pytest.raises(SourceError, match=r"/…: the camera ended the stream after \d+ frames$"):
            list(frames)


def test_a_camera_that_is_off_is_told(clip: Path) -> None:
    with rtsp_camera(clip) as camera:
        url = camera.url("eve:secret")
    with pytest.raises(SourceError) as caught:
        _live(url)
    line = "cannot be opened: connection refused; check that the camera is on, and the port"
    assert str(caught.value) == f"{redact(url)} {line}"


def test_a_camera_that_falls_silent_is_noticed_after_the_stall_time(clip: Path) -> None:
    clock = SystemClock()
    with rtsp_camera(clip) as camera:
        source = open_source(camera.url(), IMPATIENT, clock, threading.Event(), pace="real_time")
        frames = source.frames()
        next(frames)
        camera.freeze()
        began_s = clock.monotonic_s()
        with pytest.raises(SourceError, match=r": no frame for 1 s; is the camera hung up\?$"):
            list(frames)
        assert 1.0 <= clock.monotonic_s() - began_s < 2.0
        with pytest.raises(SourceError, match=r" cannot be opened: no answer for 1 s, or one that is no video"):
            list(source.frames())


def test_a_camera_whose_pictures_end_is_noticed_although_its_sound_goes_on(tmp_path: Path) -> None:
    clock = SystemClock()
    with ffmpeg_camera(write_clip(tmp_path / "clip.mp4", frames=3 * RATE_HZ), "rtmp") as camera:
        camera.start(loops=0, sound=True)
        source = open_source(camera.url, IMPATIENT, clock, threading.Event(), pace="real_time")
        arrivals_s: list[float] = []
        with pytest.raises(SourceError, match=r": no frame for 1 s; is the camera hung up\?$"):
            arrivals_s.extend(clock.monotonic_s() for _ in source.frames())
        assert camera.sends
        assert 1.0 <= clock.monotonic_s() - arrivals_s[-1] < 3.0


def _live(url: str) -> list[Frame]:
    return list(open_source(url, IMPATIENT, SystemClock(), threading.Event(), pace="real_time").frames())


def _first_shade(url: str) -> int:
    source = open_source(url, CaptureSettings(), SystemClock(), threading.Event(), pace="real_time")
    with closing(source.frames()) as frames:
        return _shades([next(frames)])[0]


# Passwords


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("rtsp://host/stream", "rtsp://host/…"),
        ("rtsp://host:554/stream", "rtsp://host:554/…"),
        ("rtsp://[::1]:554/stream", "rtsp://[::1]:554/…"),
        ("rtsp://eve@host/stream", "rtsp://host/…"),
        ("rtsp://eve:secret@host:554/stream", "rtsp://host:554/…"),
        ("rtsp://:secret@host/stream", "rtsp://host/…"),
        ("rtsp://eve:se@cr:et@host/stream", "rtsp://host/…"),
        ("rtsp://eve:se/cr?e#t@host/stream", "rtsp://…"),
        ("rtsp://host/user=eve_password=secret", "rtsp://host/…"),
        ("http://host/s?user=eve&password=secret&size=1", "http://host/…"),
        ("http://host?access_token=secret", "http://host/…"),
        ("rtmp://eve:secret@host/live/stream-key", "rtmp://host/…"),
        ("srt://host:9000?passphrase=secret", "srt://host:9000/…"),
        ("gstreamer:rtspsrc location=rtsp://eve:secret@host/s ! decodebin", "gstreamer:rtspsrc …"),
        ('gstreamer:"rtspsrc user-id=eve user-pw=secret ! decodebin"', "gstreamer:rtspsrc …"),
        ("gstreamer://videotestsrc", "gstreamer:videotestsrc …"),
        ("gstreamer:user-pw=secret", "gstreamer:…"),
        ("gstreamer:( secret )", "gstreamer:…"),
        ("v4l2:///dev/video0", "v4l2:///dev/video0"),
        ("v4l2:///dev/v4l/by-id/usb-a-video-index0", "v4l2:///dev/v4l/by-id/usb-a-video-index0"),
        ("csi://0", "csi://0"),
        ("pipe:///run/camera.fifo", "pipe:///run/camera.fifo"),
        ("watch:///srv/uploads", "watch:///srv/uploads"),
        ("file:///clips/a@b.mp4", "file:///clips/a@b.mp4"),
    ],
)
def test_an_address_is_shown_without_its_secrets(url: str, shown: str) -> None:
    assert redact(url) == shown
