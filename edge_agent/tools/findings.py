"""What a machine has for capturing, as lines that a person acts on; facts in, lines out."""

from __future__ import annotations

import errno
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from edge_agent.edges.inference.onnx_runtime import Tried
from edge_agent.edges.sources.v4l2_devices import Device

Verdict = Literal["ok", "missing", "problem"]

Library = tuple[bool, str]
"""Whether a library loads, and its version, or why not with the line that installs it."""

HOT_CELSIUS = 80.0
"""From here on a Raspberry Pi slows down.

Source: Raspberry Pi documentation, "Frequency management and thermal control".
"""

_GIB = 1 << 30
_RTSP_LINE = "pip install --force-reinstall av: its wheel brings an FFmpeg that has it"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One line of what was found.

    Attributes:
        verdict: `missing` can be installed or plugged in, `problem` is there and not as it should be.
        what: it is about.
        says: what was found.
        todo: what to do, where there is something.
    """

    verdict: Verdict
    what: str
    says: str
    todo: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What a machine is, as far as capturing goes.

    Attributes:
        python: its version.
        is_64_bit: whether this Python is.
        system: distribution, kernel and processor.
        board: of the device tree; None on a PC.
        cpu_count: processors that may be used.
        memory_bytes: all, and what is free; None when nobody says.
        av: the versions of PyAV and of FFmpeg's libavcodec.
        protocols: by name, whether FFmpeg has it.
        libraries: by the name it is imported by.
        providers: of onnxruntime, and how each did with the built-in model.
        gstreamer: by what pipelines are played.
        devices: that V4L2 shows.
        hardware: what FFmpeg could decode with, and why it does not open; "" where it does.
        time_synced: whether a time server vouches for the clock.
        temperature_celsius: of the processor; None where there is no sensor.
        state: the folder of the outbox, and whether it can be written; None when it is not there.
    """

    python: str
    is_64_bit: bool
    system: str
    board: str | None
    cpu_count: int
    memory_bytes: tuple[int, int] | None
    av: tuple[str, str]
    protocols: Mapping[str, bool]
    libraries: Mapping[str, Library]
    providers: tuple[Tried, ...]
    gstreamer: Library
    devices: tuple[Device, ...]
    hardware: Mapping[str, str]
    time_synced: bool
    temperature_celsius: float | None
    state: tuple[Path, bool | None]


def judge(facts: Facts) -> tuple[Finding, ...]:
    """Say of each fact whether all is well, and if not, what to do."""
    return (
        *_machine(facts),
        *_ffmpeg(facts),
        *_models(facts),
        *_cameras(facts),
        _hardware(facts),
        _clock(facts),
        *_temperature(facts),
        _state(facts),
    )


def as_line(finding: Finding) -> str:
    """Write it in one line."""
    todo = f"; {finding.todo}" if finding.todo else ""
    return f"{finding.verdict:8} {finding.what:18} {finding.says}{todo}"


def _machine(facts: Facts) -> Iterator[Finding]:
    if facts.is_64_bit:
        yield Finding(verdict="ok", what="Python", says=facts.python)
    else:
        todo = "install a 64-bit system: the libraries have no wheels for this one"
        yield Finding(verdict="problem", what="Python", says=f"{facts.python}, 32-bit", todo=todo)
    yield Finding(verdict="ok", what="system", says=facts.system)
    yield Finding(verdict="ok", what="board", says=facts.board or "no device tree: a PC or a virtual machine")
    yield Finding(verdict="ok", what="processors", says=str(facts.cpu_count))
    if facts.memory_bytes is not None:
        total, free = (size / _GIB for size in facts.memory_bytes)
        yield Finding(verdict="ok", what="memory", says=f"{total:.1f} GiB, {free:.1f} GiB free")


def _ffmpeg(facts: Facts) -> Iterator[Finding]:
    yield Finding(verdict="ok", what="PyAV", says="{}, FFmpeg's libavcodec {}".format(*facts.av))
    for name, there in facts.protocols.items():
        todo = _WITHOUT.get(name, _RTSP_LINE)
        yield (
            Finding(verdict="ok", what=name, says="FFmpeg has it")
            if there
            else Finding(verdict="missing", what=name, says="this FFmpeg was built without it", todo=todo)
        )


_WITHOUT = {
    "srt": "sudo apt install -y gstreamer1.0-plugins-bad, and write gstreamer:srtsrc uri=… with what GStreamer needs",
}
"""What to do without a protocol, where another PyAV would not bring it."""


def _models(facts: Facts) -> Iterator[Finding]:
    for name, (there, said) in facts.libraries.items():
        what = _LIBRARIES.get(name, name)
        yield Finding(verdict="ok" if there else "missing", what=what, says=said)
        if name == "onnxruntime" and there:
            yield from map(_provider, facts.providers)
    there, said = facts.gstreamer
    yield Finding(verdict="ok" if there else "missing", what="GStreamer", says=f"by {said}" if there else said)


_LIBRARIES = {
    "cv2": "OpenCV",
    "ai_edge_litert": "LiteRT",
    "picamera2": "ribbon cameras",
    "gpiod": "GPIO",
}


def _provider(tried: Tried) -> Finding:
    what = "model on"
    if not tried.offered:
        says = f"{tried.name}: not in this onnxruntime"
        return Finding(verdict="missing", what=what, says=says, todo=f"needs {tried.needs}")
    if tried.problem:
        says = f"{tried.name}: {tried.problem}"
        return Finding(verdict="problem", what=what, says=says, todo=f"needs {tried.needs}")
    took = "not measured" if tried.ms is None else f"{tried.ms:.1f} ms a run of the built-in model"
    left = f", {tried.fallback_nodes} of {tried.nodes} operations left to another" if tried.fallback_nodes else ""
    return Finding(verdict="ok", what=what, says=f"{tried.name}: {took}{left}")


def _cameras(facts: Facts) -> Iterator[Finding]:
    cameras = [device for device in facts.devices if device.kind in {"camera", "unknown"}]
    if not cameras:
        todo = "plug one in, then look at `ls -l /dev/v4l/by-id`"
        yield Finding(verdict="missing", what="USB cameras", says="none is there", todo=todo)
    for device in cameras:
        title = f"{device.path} ({device.title})" if device.title else str(device.path)
        if device.why is None:
            yield Finding(verdict="ok", what="camera", says=f"{title}: {', '.join(device.formats) or 'no formats'}")
        elif device.why == errno.EACCES:
            todo = "sudo usermod -aG video $USER, then log in again"
            yield Finding(verdict="problem", what="camera", says=f"{title}: no permission", todo=todo)
        else:
            why = errno.errorcode.get(device.why, str(device.why))
            todo = "unplug it and plug it in again, then look at `sudo dmesg | tail`"
            yield Finding(verdict="problem", what="camera", says=f"{title}: cannot be asked ({why})", todo=todo)


def _hardware(facts: Facts) -> Finding:
    what = "hardware decoding"
    works = [name for name, why in facts.hardware.items() if not why]
    if works:
        return Finding(
            verdict="ok", what=what, says=f"{', '.join(works)}: used where cheaper; `edge-agent probe URL` measures"
        )
    tried = "; ".join(f"{name}: {why}" for name, why in facts.hardware.items()) or "PyAV was built with none"
    codecs = [str(device.path) for device in facts.devices if device.kind == "codec"]
    beside = f"; V4L2 has {', '.join(codecs)}" if codecs else ""
    todo = "software works; for a GStreamer pipeline with hardware see docs/install.md"
    return Finding(verdict="missing", what=what, says=f"none by PyAV ({tried}){beside}", todo=todo)


def _clock(facts: Facts) -> Finding:
    if facts.time_synced:
        return Finding(verdict="ok", what="clock", says="synchronised")
    todo = "sudo timedatectl set-ntp true"
    return Finding(verdict="problem", what="clock", says="no time server vouches for it", todo=todo)


def _temperature(facts: Facts) -> Iterator[Finding]:
    if facts.temperature_celsius is None:
        return
    says = f"{facts.temperature_celsius:.0f} °C"
    if facts.temperature_celsius < HOT_CELSIUS:
        yield Finding(verdict="ok", what="temperature", says=says)
    else:
        todo = "cool it: a board slows down when it is this hot"
        yield Finding(verdict="problem", what="temperature", says=says, todo=todo)


def _state(facts: Facts) -> Finding:
    folder, writable = facts.state
    if writable:
        return Finding(verdict="ok", what="state folder", says=f"{folder} can be written")
    if writable is None:
        todo = "the systemd unit makes it; to run by hand set outbox.path"
        return Finding(verdict="missing", what="state folder", says=f"{folder} is not there", todo=todo)
    todo = "run as the unit's user, or set outbox.path"
    return Finding(verdict="problem", what="state folder", says=f"{folder} cannot be written by this user", todo=todo)
