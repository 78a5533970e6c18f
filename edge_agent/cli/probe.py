"""Look at a camera's stream for some seconds: how it is built, what it costs, and what to change at the camera."""

from __future__ import annotations

import argparse
import json
import math
import os
import re
from dataclasses import asdict
from typing import Any

from edge_agent.errors import ConfigError
from edge_agent.tools.advice import advise, gate_in_words
from edge_agent.tools.camera_block import CameraBlock, camera_block
from edge_agent.tools.decoders import DecoderCost
from edge_agent.tools.probe import SCHEMES, Probed, can_probe, probe

_LONGEST_S = 600.0
_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_CODECS = {"h264": "H.264", "hevc": "H.265", "mjpeg": "Motion JPEG"}


def arguments(parser: argparse.ArgumentParser) -> None:
    """Say what can be asked."""
    parser.add_argument("url", type=address, metavar="URL", help="a camera's address, rtsp://… or another; or file://…")
    parser.add_argument("--seconds", type=_seconds, default=10.0, help="how long to look; 10 when left out")
    parser.add_argument("--json", action="store_true", help="print JSON")


def address(text: str) -> str:
    """Take an address that can be looked at; a complaint does not repeat it, for it may hold a password."""
    if not can_probe(text):
        raise argparse.ArgumentTypeError(f"must begin with {', '.join(f'{scheme}://' for scheme in SCHEMES)}")
    return text


def filled(url: str) -> str:
    """Put the environment's values in place of each `${NAME}`, so that a password need not be typed.

    Raises:
        ConfigError: one is not set.
    """
    try:
        return _VARIABLE.sub(lambda match: os.environ[match[1]], url)
    except KeyError as error:
        raise ConfigError(f"URL: the variable {error.args[0]} is not set") from None


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 1 <= seconds <= _LONGEST_S:
        raise argparse.ArgumentTypeError(f"must be 1 to {_LONGEST_S:g}")
    return seconds


def run(args: argparse.Namespace) -> int:
    """Look, and say what was found."""
    url = filled(args.url)
    probed, block = probe(url, args.seconds), camera_block(url)
    print(json.dumps(_summary(probed, block), indent=2) if args.json else "\n".join(_lines(probed, block)))
    return 0


def one_line(probed: Probed) -> str:
    """What a stream is, in a line."""
    codec = f"{_CODECS.get(probed.codec, probed.codec)} {probed.profile or ''}".rstrip()
    return f"{codec} {probed.width}x{probed.height}, {probed.rate_hz:.1f} frames a second, {_costs(probed)}"


def _lines(probed: Probed, block: CameraBlock) -> list[str]:
    said = f" (it says {probed.said_rate_hz:.4g})" if probed.said_rate_hz else ""
    cheap = probed.cheapest
    rows = {
        "source": f"{probed.source} by {probed.transport}; {probed.pictures} pictures in {probed.seconds:.1f} s",
        "codec": f"{_CODECS.get(probed.codec, probed.codec)}, profile {probed.profile or 'not told'}, "
        f"{probed.pixel_format or 'pixel format not told'}",
        "size": f"{probed.width}x{probed.height}",
        "frame rate": f"{probed.rate_hz:.2f} a second{said}",
        "bit rate": f"{probed.kbit_a_second:.0f} kbit/s{', padded to be constant' if probed.filler else ''}",
        "key pictures": _key_pictures(probed),
        "B-frames": "yes" if probed.bidirectional else "no",
        "decoding": _costs(probed),
        **{f"  {cost.name}": _cost(cost) for cost in probed.decoders[1:]},
        "  cheapest": cheap.name if cheap else "none works",
        "packet gate": gate_in_words(probed) + ("" if probed.live else "; of a clip every picture is decoded anyway"),
    }
    lines = [f"{name:13} {value}" for name, value in rows.items()]
    if probed.damaged:
        lines.append(f"{'damaged':13} {probed.damaged} packets could not be decoded")
    advice = advise(probed)
    lines += ["", "To change at the camera:" if advice else "Nothing to change at the camera."]
    lines += [f"- {line}" for line in advice]
    lines += ["", *(f"# {name}: to be set where the agent runs" for name in block.secrets), block.text]
    return lines


def _key_pictures(probed: Probed) -> str:
    if probed.key_distance_s is None:
        return f"{probed.key_pictures} came, too few to tell how far apart they are"
    least_s, most_s = probed.key_distance_s
    return f"{least_s:.2f} to {most_s:.2f} s apart, {probed.key_pictures} came"


def _costs(probed: Probed) -> str:
    """What decoding in software takes."""
    software = probed.decoders[0]
    if software.cpu_ms is None:
        return f"in software: {software.why}"
    share = software.cpu_ms * probed.rate_hz / 10  # ms a second are thousandths; as a percentage
    return f"{software.cpu_ms:.2f} ms of CPU a frame in software, {share:.0f} % of a core"


def _cost(cost: DecoderCost) -> str:
    return f"none: {cost.why}" if cost.cpu_ms is None else f"{cost.cpu_ms:.2f} ms of CPU a frame"


def _summary(probed: Probed, block: CameraBlock) -> dict[str, Any]:
    cheap = probed.cheapest
    return {
        **{name: round(value, 4) if isinstance(value, float) else value for name, value in asdict(probed).items()},
        "cheapest": cheap.name if cheap else None,
        "packet_gate": gate_in_words(probed),
        "advice": list(advise(probed)),
        "yaml": f"{block.text}\n",
        "variables": list(block.secrets),
    }
