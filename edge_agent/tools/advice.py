"""What a look at a camera means to whoever can set it up: each line is one thing to change there."""

from __future__ import annotations

import math
from collections.abc import Iterator

from edge_agent.edges.sources.source import ALL_PICTURES
from edge_agent.stages.gate.gops import UNKNOWN
from edge_agent.stages.gate.settings import GateSettings
from edge_agent.tools.probe import Probed

GOOD_GOP_S = 2.0
"""How far apart key pictures are best: near enough to be compared, and few enough to be cheap."""

ENOUGH_HZ = 10.0
"""Twice what the detector looks at by default; pictures beyond are decoded for nothing."""

ENOUGH_PIXELS = 1280 * 720
"""No built-in model sees more than 416x256."""

_GATED = ("h264", "hevc")
_LEAST_KEYS = 5  # around the three groups that a gate learns from, and the first, which differs from nothing before
_LONGEST_LOOK_S = 120
_FAST_GOP_S = 0.8
_UNEVEN = 1.5  # times the shortest: an encoder that goes by what moves, not by the clock
_NEARLY = 1.05
_PLANAR_8_BIT = ("yuv420p", "yuvj420p", None)


def advise(probed: Probed, settings: GateSettings | None = None) -> tuple[str, ...]:
    """Say what to change at the camera, what saves most first; nothing when all is well."""
    return tuple(_about(probed, settings or GateSettings()))


def look_again_s(probed: Probed) -> int | None:
    """For how many seconds to look to learn more of the packet gate; None when it has been seen enough of."""
    if probed.basis != UNKNOWN or probed.key_pictures >= _LEAST_KEYS:
        return None
    gop_s = probed.key_distance_s[1] if probed.key_distance_s else probed.seconds
    return min(_LONGEST_LOOK_S, math.ceil(_LEAST_KEYS * max(gop_s, GOOD_GOP_S) / 5 + 1) * 5)


def gate_in_words(probed: Probed) -> str:
    """Whether the packet gate can leave this stream undecoded, and what it goes by; of a clip, were it a camera's."""
    if not probed.basis.startswith(ALL_PICTURES) and probed.basis != UNKNOWN:
        return f"yes, by {probed.basis}"
    if probed.basis != UNKNOWN:
        return f"no: {probed.basis}"
    seconds = look_again_s(probed)
    if seconds is None:
        return "not known: something moved all the time; look again while nothing does"
    return (
        f"not known: {probed.key_pictures} key pictures in {probed.seconds:.0f} s are too few; try --seconds {seconds}"
    )


def _about(probed: Probed, settings: GateSettings) -> Iterator[str]:
    if probed.codec not in _GATED:
        yield f"set the codec to H.264 or H.265: of {probed.codec} every picture has to be decoded"
    else:
        yield from _about_key_pictures(probed, settings)
        yield from _about_sizes(probed)
    if probed.width * probed.height > _NEARLY * ENOUGH_PIXELS:
        yield (
            f"use its second stream (substream), of 640x360 to 1280x720: {probed.width}x{probed.height} has "
            f"{probed.width * probed.height / ENOUGH_PIXELS:.1f} times the pixels of 1280x720, and no model sees them"
        )
    if probed.rate_hz > _NEARLY * ENOUGH_HZ:
        yield f"set the frame rate to {ENOUGH_HZ:.0f} or less: the detector looks 5 times a second"
    if probed.bidirectional:
        yield "switch B-frames off, or set the profile to Baseline: they bring delay"
    if probed.pixel_format not in _PLANAR_8_BIT:
        yield f"set 8 bit and 4:2:0: {probed.pixel_format} is converted, picture by picture"
    if probed.damaged:
        yield f"look after its connection: {probed.damaged} of {probed.pictures} packets could not be decoded"


def _about_key_pictures(probed: Probed, settings: GateSettings) -> Iterator[str]:
    frames = round(GOOD_GOP_S * min(probed.rate_hz, ENOUGH_HZ))
    to_set = f"set the key frame interval (I-frame interval, GOP) to {GOOD_GOP_S:g} s, {frames} frames"
    if probed.refresh_points:
        yield "switch intra refresh off: it sends pieces of key pictures, none of which is whole"
    if probed.key_distance_s is None:
        if probed.seconds > settings.max_gop_s:
            yield f"{to_set}: there was none for {probed.seconds:.0f} s"
            yield _SMART
        return
    least_s, most_s = probed.key_distance_s
    if least_s < _FAST_GOP_S:
        yield f"{to_set}: key pictures {least_s:.1f} s apart are most of what it sends"
    elif most_s > settings.max_gop_s or "apart" in probed.basis:
        yield f"{to_set}: they are {most_s:.1f} s apart"
    if most_s > GOOD_GOP_S * _UNEVEN and most_s > least_s * _UNEVEN:
        yield _SMART


def _about_sizes(probed: Probed) -> Iterator[str]:
    if probed.filler or any(sign in probed.basis for sign in _BLIND):
        yield "set the bit rate to variable (VBR), not constant (CBR): sizes then tell when something moves"


_SMART = "switch the smart codec off (H.264+, H.265+, Zipstream, dynamic GOP): it leaves key pictures out"

_BLIND = ("tell nothing", "large things only", "coarse")
"""What a packet gate's `basis` says where sizes are of little use to it."""
