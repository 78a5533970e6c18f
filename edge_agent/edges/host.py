"""What the machine says of itself: its board, memory and temperature, from the kernel's files."""

from __future__ import annotations

import os
import platform
import sys
from pathlib import Path

_STATM = Path("/proc/self/statm")
_BOARD = Path("/proc/device-tree/model")  # boards without a firmware of their own, such as a Raspberry Pi
_MEMORY = Path("/proc/meminfo")
_PROCESSORS = Path("/proc/cpuinfo")
_THERMAL = Path("/sys/class/thermal/thermal_zone0/temp")  # the processor, on a Raspberry Pi and on a Jetson


def memory_rss_bytes() -> int | None:
    """Memory that this process holds now; None where the kernel does not say."""
    try:
        return int(_STATM.read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        return None


def temperature_celsius() -> float | None:
    """Temperature of the processor; None where there is no sensor."""
    try:
        return int(_THERMAL.read_text(encoding="ascii")) / 1000
    except (OSError, ValueError):
        return None


def board() -> str | None:
    """What board this is, by its device tree; None where there is none, as on a PC."""
    try:
        return _BOARD.read_text(encoding="utf-8", errors="replace").strip("\0\n ") or None
    except OSError:
        return None


def system() -> str:
    """Name the distribution, the kernel's version and the processor's kind."""
    try:
        name = platform.freedesktop_os_release()["PRETTY_NAME"]
    except (OSError, KeyError):
        name = platform.system()
    return f"{name}, kernel {platform.release()}, {platform.machine()}"


def is_64_bit() -> bool:
    """Whether this Python is, which the libraries have wheels for."""
    return sys.maxsize > 1 << 32


def cpu_count() -> int:
    """How many processors this process may use."""
    return len(os.sched_getaffinity(0))


def memory_bytes() -> tuple[int, int] | None:
    """All of it, and what is free for new programs; None where the kernel does not say."""
    try:
        rows = dict(line.split(":", 1) for line in _MEMORY.read_text(encoding="ascii").splitlines())
        return _kib(rows["MemTotal"]), _kib(rows["MemAvailable"])
    except (OSError, ValueError, KeyError):
        return None


def _kib(text: str) -> int:
    return int(text.split(maxsplit=1)[0]) << 10


def processor() -> str | None:
    """What the processor calls itself; None where the kernel does not say, as on ARM."""
    return _processor_line("model name")


def processor_name() -> str:
    """What tells this kind of machine from another: its board, its processor, or at least the processor's kind."""
    return board() or processor() or platform.machine()


def sums_saturate() -> bool:
    """Whether 8-bit products of unsigned and signed numbers lose what is beyond 16 bits: x86 without VNNI."""
    flags = (_processor_line("flags") or "").split()
    return "avx2" in flags and not any(flag.endswith("_vnni") for flag in flags)


def _processor_line(key: str) -> str | None:
    """What the kernel says of the first processor under a key."""
    try:
        lines = _PROCESSORS.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return None
    return next((line.partition(":")[2].strip() for line in lines if line.partition(":")[0].strip() == key), None)
