"""`doctor`: what it says of facts, what it finds on this machine, and that a camera that does not answer is exit 1."""

from __future__ import annotations

import errno
import fcntl
import json
import re
import struct
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cameras import GStreamer, GStreamerOfOpenCv, RibbonCamera
from ports import free_port
from videos import write_clip

from edge_agent import runtimes
from edge_agent.cli.main import main
from edge_agent.edges import host
from edge_agent.edges.inference.onnx_runtime import Tried
from edge_agent.edges.sources import v4l2_devices
from edge_agent.edges.sources.v4l2_devices import Device, examine
from edge_agent.tools.doctor import gather
from edge_agent.tools.findings import Facts, Finding, as_line, judge

WEBCAM = Device(
    path=Path("/dev/v4l/by-id/usb-Maker_Camera-video-index0"),
    title="HD Camera",
    kind="camera",
    formats=("MJPG", "YUYV"),
)
ON_A_GPU = Tried(name="CUDAExecutionProvider", offered=True, needs="a GPU", ms=3.1, nodes=355, fallback_nodes=0)
READY = Facts(
    python="3.11.2",
    is_64_bit=True,
    system="Debian GNU/Linux 12 (bookworm), kernel 6.6.31, aarch64",
    board="Raspberry Pi 5 Model B Rev 1.0",
    cpu_count=4,
    memory_bytes=(4 << 30, 3 << 30),
    av=("17.1.0", "62.28.101"),
    protocols={"rtsp": True, "srt": True, "tls": True},
    libraries=dict.fromkeys(("cv2", "onnxruntime", "ai_edge_litert", "picamera2", "gpiod"), (True, "1.0")),
    providers=(Tried(name="CPUExecutionProvider", offered=True, needs="x", ms=41.27),),
    gstreamer=(True, "python3-gi"),
    devices=(WEBCAM,),
    hardware={"drm": ""},
    time_synced=True,
    temperature_celsius=51.4,
    state=(Path("/var/lib/edge-agent"), True),
)


def test_of_a_machine_that_has_everything_every_line_is_ok_and_nothing_is_to_do() -> None:
    findings = judge(READY)
    assert {finding.verdict for finding in findings} == {"ok"}
    assert not any(finding.todo for finding in findings)
    assert as_line(findings[0]) == "ok       Python             3.11.2"


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (
            {"is_64_bit": False},
            "problem  Python             3.11.2, 32-bit; install a 64-bit system: the libraries have no wheels",
        ),
        ({"board": None}, "ok       board              no device tree: a PC or a virtual machine"),
        ({"memory_bytes": (1 << 30, 1 << 29)}, "ok       memory             1.0 GiB, 0.5 GiB free"),
        (
            {"protocols": {"rtsp": False}},
            "missing  rtsp               this FFmpeg was built without it; pip install --force-reinstall av",
        ),
        (
            {"protocols": {"srt": False}},
            "missing  srt                this FFmpeg was built without it; sudo apt install -y gst",
        ),
        (
            {"libraries": {"picamera2": (False, "it is not here; sudo apt install -y python3-picamera2")}},
            "missing  ribbon cameras     it is not here; sudo apt install -y python3-picamera2",
        ),
        ({"gstreamer": (False, "no gi; sudo apt install")}, "missing  GStreamer          no gi; sudo apt install"),
        ({}, "ok       model on           CPUExecutionProvider: 41.3 ms a run of the built-in model"),
        (
            {"providers": (replace(ON_A_GPU, fallback_nodes=12),)},
            "ok       model on           CUDAExecutionProvider: 3.1 ms a run of the built-in model, 12 of 355 op",
        ),
        (
            {"providers": (replace(ON_A_GPU, ms=None, problem="cannot load this model"),)},
            "problem  model on           CUDAExecutionProvider: cannot load this model; needs a GPU",
        ),
        (
            {"providers": (replace(ON_A_GPU, offered=False),)},
            "missing  model on           CUDAExecutionProvider: not in this onnxruntime; needs a GPU",
        ),
        ({}, f"ok       camera             {WEBCAM.path} (HD Camera): MJPG, YUYV"),
        ({"devices": ()}, "missing  USB cameras        none is there; plug one in"),
        (
            {"devices": (Device(path=Path("/dev/video0"), why=errno.EACCES),)},
            "problem  camera             /dev/video0: no permission; sudo usermod -aG video $USER, then log in again",
        ),
        (
            {"devices": (Device(path=Path("/dev/video0"), why=errno.EIO),)},
            "problem  camera             /dev/video0: cannot be asked (EIO); unplug it",
        ),
        (
            {"hardware": {"cuda": "no driver"}},
            "missing  hardware decoding  none by PyAV (cuda: no driver); software works",
        ),
        (
            {"hardware": {}, "devices": (Device(path=Path("/dev/video10"), kind="codec"),)},
            "missing  hardware decoding  none by PyAV (PyAV was built with none); V4L2 has /dev/video10; software",
        ),
        ({"time_synced": False}, "problem  clock              no time server vouches for it; sudo timedatectl set-ntp"),
        ({"temperature_celsius": 80.0}, "problem  temperature        80 °C; cool it"),
        ({"temperature_celsius": 79.0}, "ok       temperature        79 °C"),
        ({"state": (Path("/x"), None)}, "missing  state folder       /x is not there; the systemd unit makes it"),
        ({"state": (Path("/x"), False)}, "problem  state folder       /x cannot be written by this user; run as"),
    ],
)
def test_each_fact_has_its_line(change: dict[str, Any], line: str) -> None:
    lines = [as_line(finding) for finding in judge(replace(READY, **change))]
    assert any(said.startswith(line) for said in lines), lines


def test_what_nobody_tells_has_no_line() -> None:
    silent = judge(replace(READY, temperature_celsius=None, memory_bytes=None))
    assert {"temperature", "memory"}.isdisjoint(finding.what for finding in silent)


def test_everything_but_what_is_ok_has_something_to_do_on_this_very_machine() -> None:
    for finding in judge(gather()):
        assert finding.verdict == "ok" or "install" in finding.says or finding.todo, finding
        assert "\n" not in as_line(finding)


def test_a_machine_is_examined_and_a_camera_looked_at(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    clip = write_clip(tmp_path / "clip.mp4")
    assert main(["doctor", f"file://{clip}", "--json"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    said = json.loads(out)
    assert said["ok"] is True
    findings = [Finding(**finding) for finding in said["findings"]]
    by_what = {finding.what: finding for finding in findings}
    assert by_what["rtsp"].verdict == "ok"
    assert by_what["OpenCV"].verdict == "ok"
    models_on = [finding.says for finding in findings if finding.what == "model on"]
    assert re.fullmatch(r"CPUExecutionProvider: [0-9.]+ ms a run of the built-in model", models_on[0])
    assert by_what["stream"].says.startswith(f"file://{clip}: H.264 High 64x48, 25.0 frames a second, ")


def test_a_camera_that_does_not_answer_is_a_problem_and_exit_1(capsys: pytest.CaptureFixture[str]) -> None:
    port = free_port()
    assert main(["doctor", f"rtsp://edge:s3cret@127.0.0.1:{port}/stream"]) == 1
    out, err = capsys.readouterr()
    assert err == ""
    assert "s3cret" not in out
    assert out.splitlines()[-1].startswith(f"problem  stream             rtsp://127.0.0.1:{port}/… cannot be opened: ")


def test_without_a_camera_named_problems_of_the_machine_are_no_failure(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert all(line.split()[0] in {"ok", "missing", "problem"} for line in lines)
    assert main(["doctor", "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["findings"]) == len(lines)


def test_wrong_usage_is_exit_2_and_repeats_no_address(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["doctor", "edge:s3cret@192.0.2.10/stream"])
    assert caught.value.code == 2
    assert "s3cret" not in "".join(capsys.readouterr())


# What this machine does not have, at each library's own API


def test_ribbon_cameras_and_gstreamer_are_found_where_their_libraries_are(monkeypatch: pytest.MonkeyPatch) -> None:
    RibbonCamera(monkeypatch)
    GStreamer(monkeypatch)
    facts = gather()
    assert facts.libraries["picamera2"] == (True, "version not told")
    assert facts.gstreamer == (True, "python3-gi")


def test_an_opencv_with_gstreamer_plays_pipelines_too(monkeypatch: pytest.MonkeyPatch) -> None:
    GStreamerOfOpenCv(monkeypatch)
    assert gather().gstreamer == (True, "OpenCV")


def test_a_library_that_is_half_installed_is_missing_with_its_install_line(monkeypatch: pytest.MonkeyPatch) -> None:
    really = runtimes.load

    def load(name: str) -> Any:
        if name == "picamera2":
            raise ValueError("numpy.dtype size changed,\nmay indicate binary incompatibility")
        return really(name)

    monkeypatch.setattr(runtimes, "load", load)
    there, why = gather().libraries["picamera2"]
    assert not there
    assert why.startswith("ValueError: numpy.dtype size changed, may")
    assert why.endswith(runtimes.INSTALL["picamera2"])


def test_a_board_is_named_by_its_device_tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host, "_BOARD", tmp_path / "model")
    assert host.board() is None
    (tmp_path / "model").write_bytes(b"Raspberry Pi 5 Model B Rev 1.0\0")
    assert host.board() == "Raspberry Pi 5 Model B Rev 1.0"


def test_memory_is_told_by_the_kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host, "_MEMORY", tmp_path / "meminfo")
    assert host.memory_bytes() is None
    (tmp_path / "meminfo").write_text("MemTotal:  1024 kB\nMemFree: 1 kB\nMemAvailable:  512 kB\n")
    assert host.memory_bytes() == (1 << 20, 1 << 19)


CAPTURE, CODEC, META = 0x84200001, 0x84208000, 0x84A00000
"""What devices can do: take pictures, code them, and only tell about them."""


@pytest.mark.parametrize(
    ("own", "kind", "formats"),
    [(CAPTURE, "camera", ("MJPG", "YUYV")), (CODEC, "codec", ()), (META, "other", ())],
)
def test_a_v4l2_device_is_asked_what_it_is_and_nothing_is_set(
    own: int, kind: str, formats: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def ioctl(_: int, request: int, data: bytearray) -> int:
        if request == 0x80685600:  # VIDIOC_QUERYCAP
            data[:] = struct.pack("=16s32s32sIII12x", b"uvcvideo", b"HD Camera", b"usb-1", 0x060100, 0x84A00001, own)
            return 0
        assert request == 0xC0405602  # VIDIOC_ENUM_FMT
        index, buffer_kind = struct.unpack_from("=II", data)
        assert buffer_kind == 1
        if index >= 2:
            raise OSError(errno.EINVAL, "Invalid argument")
        data[:] = struct.pack("=III32s4s16x", index, 1, 0, b"", (b"MJPG", b"YUYV")[index])
        return 0

    (tmp_path / "video0").touch()
    monkeypatch.setattr(fcntl, "ioctl", ioctl)
    found = examine(tmp_path, tmp_path)
    assert found == (Device(path=tmp_path / "video0", title="HD Camera", kind=kind, formats=formats),)  # type: ignore[arg-type]


def test_a_v4l2_device_that_is_none_says_why(tmp_path: Path) -> None:
    (tmp_path / "video0").touch()
    (tmp_path / "video1").mkdir()
    (tmp_path / "video2").symlink_to(tmp_path / "gone")
    assert [device.why for device in examine(tmp_path, tmp_path)] == [errno.ENOTTY, errno.ENOTTY, errno.ENOENT]
    assert v4l2_devices.examine(tmp_path / "empty") == ()
