"""Which V4L2 devices there are, what they are called, and in what formats a camera among them gives its pictures.

Source: numbers and structures of <linux/videodev2.h>, whose ioctls its documentation describes under "Querying
Capabilities" and "Data Formats".
"""

from __future__ import annotations

import errno
import fcntl
import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

DEVICES = Path("/dev")
TITLES = Path("/sys/class/video4linux")  # videoN/name is what the maker calls it

_QUERY = 0x80685600  # VIDIOC_QUERYCAP
_FORMATS = 0xC0405602  # VIDIOC_ENUM_FMT
_CAPTURE = 0x00000001  # V4L2_CAP_VIDEO_CAPTURE
_CODEC = 0x00008000 | 0x00004000  # V4L2_CAP_VIDEO_M2M, …_M2M_MPLANE: memory to memory
_HAS_OWN = 0x80000000  # V4L2_CAP_DEVICE_CAPS: what this node can do stands apart from what the whole device can
_BUFFER_KIND = 1  # V4L2_BUF_TYPE_VIDEO_CAPTURE
_CAPABILITIES = struct.Struct("=16s32s32sIII12x")  # struct v4l2_capability: driver, card, bus, version, all, own
_FORMAT = struct.Struct("=III32s4s16x")  # struct v4l2_fmtdesc: index, buffer kind, flags, description, format


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """One device.

    Attributes:
        path: the name that stays when others are plugged in, where it has one.
        title: what its maker calls it; empty when nobody says.
        kind: `codec` is hardware that decodes or encodes; `other` gives no pictures, such as a camera's second node.
        formats: in which a camera gives pictures, such as `MJPG`.
        why: it could not be asked, as the kernel's error.
    """

    path: Path
    title: str = ""
    kind: Literal["camera", "codec", "other", "unknown"] = "unknown"
    formats: tuple[str, ...] = ()
    why: int | None = None


def names(devices: Path = DEVICES, titles: Path = TITLES) -> list[tuple[Path, Path, str]]:
    """Every device that the kernel shows: its node, the name that stays, and its title."""
    stable = {link.resolve(): link for link in sorted(devices.glob("v4l/by-id/*"))}
    return [(node, stable.get(node, node), _title(titles / node.name)) for node in sorted(devices.glob("video[0-9]*"))]


def examine(devices: Path = DEVICES, titles: Path = TITLES) -> tuple[Device, ...]:
    """Ask each device what it is; nothing is set, and no picture is taken."""
    return tuple(_examine(node, path, title) for node, path, title in names(devices, titles))


def _examine(node: Path, path: Path, title: str) -> Device:
    try:
        opened = os.open(node, os.O_RDONLY | os.O_NONBLOCK)
    except OSError as error:
        return Device(path=path, title=title, why=error.errno)
    try:
        return _ask(opened, path, title)
    except OSError as error:
        return Device(path=path, title=title, why=error.errno)
    finally:
        os.close(opened)


def _ask(opened: int, path: Path, title: str) -> Device:
    answer = bytearray(_CAPABILITIES.size)
    fcntl.ioctl(opened, _QUERY, answer)
    _, card, _, _, everything, own = _CAPABILITIES.unpack(answer)
    can = own if everything & _HAS_OWN else everything
    title = title or _text(card)
    if can & _CODEC:
        return Device(path=path, title=title, kind="codec")
    if not can & _CAPTURE:
        return Device(path=path, title=title, kind="other")
    return Device(path=path, title=title, kind="camera", formats=tuple(_formats(opened)))


def _formats(opened: int) -> Iterator[str]:
    index = 0
    while True:
        asked = bytearray(_FORMAT.pack(index, _BUFFER_KIND, 0, b"", b""))
        try:
            fcntl.ioctl(opened, _FORMATS, asked)
        except OSError as error:
            if error.errno != errno.EINVAL:  # behind the last one
                raise
            return
        yield _text(_FORMAT.unpack(asked)[4])
        index += 1


def _text(data: bytes) -> str:
    return data.rstrip(b"\0 ").decode(errors="replace")


def _title(folder: Path) -> str:
    try:
        return (folder / "name").read_text().strip()
    except OSError:
        return ""
