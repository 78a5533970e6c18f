"""The knobs of a V4L2 camera, by the names that `v4l2-ctl --list-ctrls` shows: the only thing FFmpeg cannot set.

Source: numbers and structures of <linux/videodev2.h>, whose ioctls its documentation describes under "User Controls".
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
import struct
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from edge_agent.errors import SourceError

_QUERY = 0xC0445624  # VIDIOC_QUERYCTRL
_SET = 0xC008561C  # VIDIOC_S_CTRL
_NEXT = 0x80000000  # V4L2_CTRL_FLAG_NEXT_CTRL: the first control behind this id
_DISABLED = 0x0001  # V4L2_CTRL_FLAG_DISABLED
_HEADING = 6  # V4L2_CTRL_TYPE_CTRL_CLASS: the name of a group, no control
_CONTROL = struct.Struct("=II32siiiiI8x")  # struct v4l2_queryctrl: id, type, name, least, most, step, default, flags
_VALUE = struct.Struct("=Ii")  # struct v4l2_control: id, value


@dataclass(frozen=True, slots=True, kw_only=True)
class _Control:
    """One knob: its number, and from where to where it goes."""

    number: int
    least: int
    most: int


def set_controls(path: str, wanted: Mapping[str, float], name: str) -> None:
    """Turn each knob as wanted, in the order given: `auto_exposure` must be off before `exposure_time_absolute` obeys.

    Args:
        path: the device.
        wanted: what to set to what; whole numbers.
        name: what messages call the camera.

    Raises:
        SourceError: the camera has no such control, it does not go that far, or refuses.
    """
    if not wanted:
        return
    with _opened(path) as device:
        there = dict(_controls(device))
        for control, value in wanted.items():
            if control not in there:
                raise SourceError(f"{name} has no control {control}; it has {', '.join(there) or 'none at all'}")
            _set(device, there[control], value, f"{name}: control {control}")


@contextmanager
def _opened(path: str) -> Iterator[int]:
    device = os.open(Path(path), os.O_RDWR | os.O_NONBLOCK)
    try:
        yield device
    finally:
        os.close(device)


def _controls(device: int) -> Iterator[tuple[str, _Control]]:
    number = 0
    while True:
        asked = bytearray(_CONTROL.pack(number | _NEXT, 0, b"", 0, 0, 0, 0, 0))
        try:
            fcntl.ioctl(device, _QUERY, asked)
        except OSError:  # behind the last one
            return
        number, kind, title, least, most, _, _, flags = _CONTROL.unpack(asked)
        if kind != _HEADING and not flags & _DISABLED:
            yield (
                _as_word(title.rstrip(b"\0").decode(errors="replace")),
                _Control(number=number, least=least, most=most),
            )


def _as_word(title: str) -> str:
    """Write "White Balance, Automatic" as `white_balance_automatic`, as v4l2-ctl does."""
    return re.sub(r"[^a-z0-9]+", "_", title.lower()).strip("_")


def _set(device: int, control: _Control, value: float, what: str) -> None:
    if value != int(value) or not control.least <= value <= control.most:
        raise SourceError(f"{what} is {value:g}, must be a whole number, {control.least} to {control.most}")
    try:
        fcntl.ioctl(device, _SET, bytearray(_VALUE.pack(control.number, int(value))))
    except OSError as error:
        hint = "; another control rules over it" if error.errno in {errno.EACCES, errno.EBUSY} else ""
        raise SourceError(f"{what} cannot be set to {value:g}: {error.strerror}{hint}") from error
