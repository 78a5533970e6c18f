"""What the machine says of itself: memory and temperature, from the kernel's files."""

from __future__ import annotations

import os
from pathlib import Path

_STATM = Path("/proc/self/statm")
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
