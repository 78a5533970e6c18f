"""`probe`: what it says of real streams and clips, of hardware that is not there, and of what it must never say."""

from __future__ import annotations

import http.server
import itertools
import json
import re
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import av
import av.codec.hwaccel
import numpy as np
import pytest
from hardware import Hardware, early, failing, install, losing
from ports import free_port
from program import run_program
from rtsp import rtsp_camera
from videos import encode_picture

from edge_agent import config
from edge_agent.cli.main import main
from edge_agent.edges.clock import SystemClock
from edge_agent.edges.sources import open_source
from edge_agent.edges.sources.supervised import CaptureSettings
from edge_agent.tools.advice import advise, gate_in_words, look_again_s
from edge_agent.tools.camera_block import camera_block, camera_id
from edge_agent.tools.decoders import DecoderCost, cheapest
from edge_agent.tools.probe import Probed, probe

WIDTH_PX, HEIGHT_PX, RATE_HZ = 160, 96, 25
SECRET = "s3cret"  # noqa: S105 - of a camera of these tests
PLAIN = {"crf": "23", "g": "12", "keyint_min": "12", "sc_threshold": "0", "bf": "0"}
"""A key picture every 12 frames, 0.48 s, and no picture that refers forwards."""


@dataclass(frozen=True)
class Film:
    """How a clip of a scene in which nothing moves is made."""

    codec: str = "libx264"
    options: dict[str, str] = field(default_factory=lambda: PLAIN)
    pictures: int = 96
    bits_a_second: int = 0
    suffix: str = "mp4"


FILMS = {
    "H.264": Film(),
    "H.265": Film(codec="libx265", options={"x265-params": "keyint=12:min-keyint=12:scenecut=0:bframes=0:log-level=0"}),
    "B-frames": Film(options={**PLAIN, "bf": "2"}),
    "filled up": Film(
        options={
            **{name: value for name, value in PLAIN.items() if name != "crf"},  # or nothing is filled up
            "x264-params": "nal-hrd=cbr:force-cfr=1:vbv-maxrate=800:vbv-bufsize=400",
        },
        bits_a_second=800_000,
    ),
    "intra refresh": Film(options={**PLAIN, "g": "50", "x264-params": "intra-refresh=1"}, pictures=200),
    "one key picture": Film(options={**PLAIN, "g": "1000", "keyint_min": "1000"}, pictures=350),
    "key pictures only": Film(options={**PLAIN, "g": "1", "keyint_min": "1"}),
    "Motion JPEG": Film(codec="mjpeg", options={}, pictures=20, suffix="mkv"),
}


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for clips, made when they are asked for."""
    return tmp_path_factory.mktemp("films")


def film(folder: Path, name: str) -> Path:
    path = folder / f"{name.replace(' ', '-')}.{FILMS[name].suffix}"
    if not path.exists():
        _write(path, FILMS[name])
    return path


def _write(path: Path, made: Film) -> None:
    if made.codec not in av.codecs_available:
        pytest.skip(f"this PyAV was built without {made.codec}")
    random = np.random.default_rng(1)
    scene = np.kron(random.integers(60, 180, (HEIGHT_PX // 8, WIDTH_PX // 8), np.uint8), np.ones((8, 8), np.uint8))
    planes = np.full((HEIGHT_PX * 3 // 2, WIDTH_PX), 128, np.uint8)  # luma, then both of chroma
    planes[:HEIGHT_PX] = scene
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream(made.codec, rate=RATE_HZ)
        stream.width, stream.height, stream.options = WIDTH_PX, HEIGHT_PX, made.options
        stream.pix_fmt = "yuvj420p" if made.codec == "mjpeg" else "yuv420p"
        if made.bits_a_second:
            stream.bit_rate = made.bits_a_second
        for index in range(made.pictures):
            picture = av.VideoFrame.from_ndarray(planes, format="yuv420p").reformat(format=stream.pix_fmt)
            picture.pts = index
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))


def loaded_source(block: str, folder: Path, **variables: str) -> str:
    """What the configuration makes of a block that was printed."""
    path = folder / "printed.yaml"
    path.write_text(f"device: {{id: box}}\n{block}", encoding="utf-8")
    [camera] = config.load(path, variables).cameras
    return camera.source


def printed_block(text: str) -> str:
    return text[text.index("cameras:") :]


@contextmanager
def said(capsys: pytest.CaptureFixture[str]) -> Iterator[list[str]]:
    """What was printed inside, on standard output and on standard error."""
    capsys.readouterr()
    both: list[str] = []
    yield both
    both.extend(capsys.readouterr())


# Real streams


def test_a_camera_is_described_in_json_with_what_its_packets_tell(films: Path, tmp_path: Path) -> None:
    with rtsp_camera(film(films, "H.264"), f"edge:{SECRET}") as camera:
        url = camera.url(f"edge:{SECRET}")
        done = run_program("probe", url, "--seconds", "4", "--json", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert SECRET not in done.stdout
    found = json.loads(done.stdout)
    assert found["source"] == f"rtsp://127.0.0.1:{camera.port}/…"
    assert (found["codec"], found["profile"], found["width"], found["height"]) == ("h264", "High", WIDTH_PX, HEIGHT_PX)
    assert (found["transport"], found["live"], found["bidirectional"]) == ("RTSP over TCP", True, False)
    assert found["rate_hz"] == pytest.approx(RATE_HZ, rel=0.05)
    assert found["key_distance_s"] == pytest.approx([0.48, 0.48], abs=0.01)
    assert found["kbit_a_second"] > 1
    assert found["basis"] == "sizes and key pictures"
    assert found["packet_gate"] == "yes, by sizes and key pictures"
    assert found["decoders"][0]["name"] == "software"
    assert found["decoders"][0]["cpu_ms"] > 0
    assert found["variables"] == ["CAMERA_PASSWORD"]
    assert loaded_source(found["yaml"], tmp_path, CAMERA_PASSWORD=SECRET) == url


def test_a_camera_with_h265_is_described_for_people(
    films: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with rtsp_camera(film(films, "H.265"), f"edge:{SECRET}") as camera, said(capsys) as both:
        url = camera.url(f"edge:{SECRET}")
        assert main(["probe", url, "--seconds", "4"]) == 0
    out, err = both
    assert err == ""
    assert SECRET not in out
    rows = {line[:13].strip(): line[14:] for line in out.splitlines()}
    assert rows["source"].startswith(f"rtsp://127.0.0.1:{camera.port}/… by RTSP over TCP; ")
    assert rows["codec"] == "H.265, profile Main, yuv420p"
    assert rows["size"] == f"{WIDTH_PX}x{HEIGHT_PX}"
    assert float(rows["frame rate"].split()[0]) == pytest.approx(RATE_HZ, rel=0.05)
    assert re.fullmatch(r"0\.48 to 0\.48 s apart, \d+ came", rows["key pictures"])
    assert rows["packet gate"] == "yes, by sizes and key pictures"
    assert re.fullmatch(r"\d+\.\d\d ms of CPU a frame in software, \d+ % of a core", rows["decoding"])
    assert "# CAMERA_PASSWORD: to be set where the agent runs" in out
    assert loaded_source(printed_block(out), tmp_path, CAMERA_PASSWORD=SECRET) == url


def test_a_look_that_was_too_short_says_how_long_it_should_be_and_a_password_may_be_a_variable(
    films: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CAMERA_PASSWORD", SECRET)
    with rtsp_camera(film(films, "H.264"), f"edge:{SECRET}") as camera, said(capsys) as both:
        assert main(["probe", camera.url("edge:${CAMERA_PASSWORD}"), "--seconds", "1"]) == 0
    assert re.search(r"packet gate +not known: \d key pictures in 1 s are too few; try --seconds 15\n", both[0])


def test_a_camera_that_is_not_there_is_one_line_and_exit_69(capsys: pytest.CaptureFixture[str]) -> None:
    port = free_port()
    with said(capsys) as both:
        assert main(["probe", f"rtsp://edge:{SECRET}@127.0.0.1:{port}/stream"]) == 69
    why = "cannot be opened: connection refused; check that the camera is on, and the port"
    assert both == ["", f"edge-agent: rtsp://127.0.0.1:{port}/… {why}\n"]


def test_a_wrong_password_is_one_line_and_exit_69(films: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with rtsp_camera(film(films, "H.264"), "edge:another") as camera, said(capsys) as both:
        assert main(["probe", camera.url(f"edge:{SECRET}")]) == 69
    line = f"edge-agent: rtsp://127.0.0.1:{camera.port}/… cannot be opened: user name or password refused (401)\n"
    assert both == ["", line]


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["edge:s3cret@192.0.2.10/stream"],
        ["v4l2:///dev/video0"],
        ["gopher://edge:s3cret@192.0.2.10"],
        ["rtsp://edge:s3cret@192.0.2.10/stream", "--seconds", "0"],
        ["rtsp://edge:s3cret@192.0.2.10/stream", "--seconds", "long"],
    ],
)
def test_wrong_usage_is_exit_2_and_repeats_no_address(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with said(capsys) as both, pytest.raises(SystemExit) as caught:
        main(["probe", *arguments])
    assert caught.value.code == 2
    assert not any(SECRET in text for text in both)


class Jpegs(http.server.BaseHTTPRequestHandler):
    """A camera that sends JPEG pictures without any times, ten a second."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=next")
        self.end_headers()
        with suppress(ConnectionError):
            for index in itertools.count():
                jpeg = encode_picture(index)
                head = f"--next\r\nContent-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n"
                self.wfile.write(head.encode() + jpeg + b"\r\n")
                time.sleep(0.1)

    def log_message(self, *_: object) -> None:
        """Keep quiet."""


@contextmanager
def jpeg_camera() -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Jpegs) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}/"
        finally:
            server.shutdown()
            thread.join()


def test_pictures_of_a_camera_that_tells_no_times_are_counted_and_stamped_as_they_arrive() -> None:
    with jpeg_camera() as url:
        found = probe(url, 2.0)
        source = open_source(url, CaptureSettings(), SystemClock(), threading.Event(), pace="real_time")
        with closing(source.frames()) as opened:
            frames = [frame for frame in itertools.islice(opened, 16) if frame is not None]
    assert found.codec == "mjpeg"
    assert found.rate_hz == pytest.approx(10, rel=0.2)  # FFmpeg would say 25
    # The first come at once, after opening. FFmpeg would say 0.4 s; on a busy machine they arrive later than a second.
    assert 0.8 < frames[15].at_s - frames[5].at_s < 3


def test_a_variable_that_is_not_set_is_a_wrong_configuration(capsys: pytest.CaptureFixture[str]) -> None:
    for command in ("probe", "doctor"):
        with said(capsys) as both:
            assert main([command, f"rtsp://edge:{SECRET}@192.0.2.10/${{NOT_SET}}"]) == 78
        assert both == ["", "edge-agent: URL: the variable NOT_SET is not set\n"]


# Real clips


def look(folder: Path, name: str, seconds: float = 15.0) -> Probed:
    return probe(f"file://{film(folder, name)}", seconds)


def test_a_clip_is_described_too_and_its_block_loads(
    films: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    url = f"file://{film(films, 'B-frames')}"
    with said(capsys) as both:
        assert main(["probe", url]) == 0
    assert f"source        {url} by a file; 96 pictures in 3.8 s\n" in both[0]
    assert "B-frames      yes\n" in both[0]
    assert "; of a clip every picture is decoded anyway\n" in both[0]
    assert loaded_source(printed_block(both[0]), tmp_path) == url


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("B-frames", "switch B-frames off"),
        ("filled up", "set the bit rate to variable (VBR)"),
        ("intra refresh", "switch intra refresh off"),
        ("one key picture", "set the key frame interval (I-frame interval, GOP) to 2 s, 20 frames: there was none for"),
        ("one key picture", "switch the smart codec off"),
        ("key pictures only", "set the key frame interval (I-frame interval, GOP) to 2 s, 20 frames: key pictures 0.0"),
        ("Motion JPEG", "set the codec to H.264 or H.265"),
    ],
)
def test_what_costs_or_hides_most_is_to_be_changed_at_the_camera(films: Path, name: str, hint: str) -> None:
    assert any(line.startswith(hint) for line in advise(look(films, name)))


def test_a_stream_without_key_pictures_cannot_be_left_undecoded_and_the_reason_is_said(films: Path) -> None:
    found = look(films, "one key picture")
    assert found.basis == "all pictures: no key picture for 12 s"
    assert gate_in_words(found) == f"no: {found.basis}"
    assert (found.key_pictures, found.key_distance_s, found.decoded) == (1, None, found.pictures)


def test_no_clip_no_picture_and_no_video_are_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "text.mp4").write_text("no video")
    for name, why in {"absent.mp4": "no such file", "text.mp4": "not a video, or cut off or damaged"}.items():
        with said(capsys) as both:
            assert main(["probe", f"file://{tmp_path / name}"]) == 69
        assert both == ["", f"edge-agent: file://{tmp_path / name} cannot be opened: {why}\n"]


# Advice, from values

STILL = Probed(
    source="rtsp://192.0.2.10/…",
    live=True,
    transport="RTSP over TCP",
    codec="h264",
    profile="Main",
    pixel_format="yuv420p",
    width=1280,
    height=720,
    seconds=20.0,
    pictures=200,
    decoded=90,
    damaged=0,
    rate_hz=10.0,
    said_rate_hz=10.0,
    kbit_a_second=700.0,
    filler=False,
    key_pictures=10,
    key_distance_s=(2.0, 2.0),
    refresh_points=0,
    bidirectional=False,
    decoders=(DecoderCost(name="software", cpu_ms=2.0),),
    basis="sizes and key pictures",
)


def test_of_a_camera_that_is_set_right_nothing_is_to_be_changed() -> None:
    assert advise(STILL) == ()


@pytest.mark.parametrize(
    ("change", "hints"),
    [
        ({"width": 1920, "height": 1080}, ["use its second stream"]),
        ({"rate_hz": 25.0}, ["set the frame rate to 10"]),
        ({"damaged": 3}, ["look after its connection: 3 of 200"]),
        ({"pixel_format": "yuv420p10le"}, ["set 8 bit and 4:2:0"]),
        ({"key_distance_s": (2.0, 8.0)}, ["switch the smart codec off"]),
        ({"key_distance_s": (13.0, 13.0)}, ["set the key frame interval"]),
        ({"basis": "key pictures and coarse sizes"}, ["set the bit rate to variable"]),
        (
            {
                "basis": "all pictures: packet sizes tell nothing, and key pictures are 8.0 s apart",
                "key_distance_s": (8.0, 8.0),
            },
            ["set the key frame interval", "set the bit rate to variable"],
        ),
    ],
)
def test_each_shortcoming_has_its_line(change: dict[str, Any], hints: list[str]) -> None:
    lines = advise(replace(STILL, **change))
    assert [line[: len(hint)] for line, hint in zip(lines, hints, strict=True)] == hints


@pytest.mark.parametrize(
    ("keys", "distance_s", "seconds", "again_s"),
    [
        (2, (2.0, 2.0), 4.0, 15),  # five groups of 2 s, and 5 s more
        (3, (4.0, 4.0), 10.0, 25),  # five of 4 s, and 5 s more
        (1, None, 10.0, 55),  # five of at least 10 s, and 5 s more
        (1, None, 60.0, 120),  # no longer than two minutes
        (5, (2.0, 2.0), 10.0, None),  # enough groups: it was something that moved
    ],
)
def test_how_long_to_look_again_follows_from_the_key_pictures(
    keys: int, distance_s: tuple[float, float] | None, seconds: float, again_s: int | None
) -> None:
    learning = replace(STILL, basis="learning", key_pictures=keys, key_distance_s=distance_s, seconds=seconds)
    assert look_again_s(learning) == again_s
    assert ("something moved" in gate_in_words(learning)) is (again_s is None)
    assert look_again_s(STILL) is None


# Hardware


def test_each_hardware_decoder_is_measured_on_the_stream_and_the_cheapest_is_named(
    films: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clip = film(films, "H.264")
    kinds = Hardware("absent", opens=False), Hardware("lossy", failing(0)), Hardware("half", losing(range(0, 96, 2)))
    working = Hardware("costly", is_costly=True), Hardware("swift", early(clip), is_ready=True)
    install(monkeypatch, *kinds, *working)
    with said(capsys) as both:
        assert main(["probe", f"file://{clip}"]) == 0
    rows = {line[:13].strip(): line[14:] for line in both[0].splitlines()}
    assert rows["absent"] == "none: Operation not permitted"
    assert rows["lossy"] == "none: gave no picture"
    assert rows["half"] == "none: gave 48 of 96 pictures"
    assert rows["costly"].endswith(" ms of CPU a frame")
    assert rows["swift"].endswith(" ms of CPU a frame")
    assert rows["cheapest"] == "swift"


def test_without_any_hardware_software_is_the_cheapest(films: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    url = f"file://{film(films, 'H.264')}"
    monkeypatch.delattr(av.codec.hwaccel, "hwdevices_available")  # as in a PyAV that was built without
    monkeypatch.setattr(av, "codecs_available", {"h264"})
    found = probe(url, 1.0)
    assert [cost.name for cost in found.decoders] == ["software"]
    assert found.cheapest == found.decoders[0]
    assert cheapest([DecoderCost(name="software", cpu_ms=None, why="broken")]) is None


# The camera block


@pytest.mark.parametrize(
    ("url", "source"),
    [
        ("rtsp://192.0.2.10/stream2", "rtsp://192.0.2.10/stream2"),
        ("rtsp://edge:s3cret@192.0.2.10:8554/a?b=1", "rtsp://edge:${CAMERA_PASSWORD}@192.0.2.10:8554/a?b=1"),
        ("rtsp://edge:s3@cret@192.0.2.10/a", "rtsp://edge:${CAMERA_PASSWORD}@192.0.2.10/a"),
        ("rtsp://edge:@192.0.2.10/a", "rtsp://edge:@192.0.2.10/a"),
        ("rtsp://s3cret@192.0.2.10/a", "rtsp://${CAMERA_PASSWORD}@192.0.2.10/a"),
        ("http://192.0.2.10/v.cgi?usr=a&Pwd=s3cret&x=1", "http://192.0.2.10/v.cgi?usr=a&Pwd=${CAMERA_PASSWORD}&x=1"),
        (
            "http://192.0.2.10/?loginuse=a&loginpas=s3/?cret",
            "http://192.0.2.10/?loginuse=a&loginpas=${CAMERA_PASSWORD}",
        ),
        ("http://192.0.2.10/?PASSWORD=s3cret#x", "http://192.0.2.10/?PASSWORD=${CAMERA_PASSWORD}#x"),
        (
            "rtsp://192.0.2.10/user=a_password=s3cret_channel=1_stream=0.sdp",
            "rtsp://192.0.2.10/user=a_password=${CAMERA_PASSWORD}_channel=1_stream=0.sdp",
        ),
        (
            "rtsps://192.0.2.10:7441/AbCd1234EfGh5678?enableSrtp",
            "rtsps://192.0.2.10:7441/${CAMERA_PASSWORD}?enableSrtp",
        ),
        ("rtmp://192.0.2.10/live/s3cret", "rtmp://192.0.2.10/live/${CAMERA_PASSWORD}"),
        ("srt://192.0.2.10:9?passphrase=s3cret", "srt://192.0.2.10:9?passphrase=${CAMERA_PASSWORD}"),
        (
            "http://edge:s3cret@192.0.2.10/?token=s3cret&key=other",
            "http://edge:${CAMERA_PASSWORD}@192.0.2.10/?token=${CAMERA_PASSWORD}&key=${CAMERA_PASSWORD_2}",
        ),
        ("rtsp://192.0.2.10/a/s3@cret", "rtsp://192.0.2.10/${CAMERA_PASSWORD}"),
        ("rtsp://192.0.2.10/h264Preview_01_main", "rtsp://192.0.2.10/h264Preview_01_main"),
        ("rtsp://192.0.2.10/Streaming/Channels/102", "rtsp://192.0.2.10/Streaming/Channels/102"),
        ('rtsp://192.0.2.10/"a b": #{}', 'rtsp://192.0.2.10/"a b": #{}'),
        ("rtsp://192.0.2.10/${x}", "rtsp://192.0.2.10/$${x}"),
    ],
)
def test_a_block_holds_variables_for_secrets_and_gives_the_address_back(url: str, source: str, tmp_path: Path) -> None:
    block = camera_block(url)
    assert f"source: {json.dumps(source)}" in block.text
    assert "s3" not in block.text
    assert loaded_source(block.text, tmp_path, **block.secrets) == url


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("rtsp://edge:@192.0.2.10:554/a", "192-0-2-10"),
        ("rtsp://gate.local/a", "gate-local"),
        ("rtsp://[fe80::1%25eth0]:554/a", "fe80-1-25eth0"),
        ("rtsp://TOR/a", "TOR"),
        ("rtsp:///a", "camera"),
        (f"rtsp://{'a' * 70}/a", "a" * 64),
        ("file:///clips/Hof Süd.mp4", "Hof-S-d"),
    ],
)
def test_a_camera_is_named_after_its_host(url: str, name: str, tmp_path: Path) -> None:
    assert camera_id(url) == name
    assert loaded_source(camera_block(url).text, tmp_path) == url
