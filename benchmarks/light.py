"""What the motion gate says of a change of light, and how late it then sees somebody who walks in.

Real places without their people (the median of a clip), and real people in them, under light that is made to change: by
a camera's exposure, a cloud, a lamp, infrared being switched on. Nothing moves but those people, if they are there.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import av
import cv2
import numpy as np

from edge_agent.edges.sources.planes import Planes, view_planes
from edge_agent.records import ByteArray, FloatArray, Frame
from edge_agent.stages.gate.motion import Gate
from edge_agent.stages.gate.settings import GateSettings

VIDEO = Path(__file__).parents[2] / "shared" / "data" / "video"
CLIPS = ("PETS09-S2L1/video.mp4", "one-by-one-person-detection.mp4", "ir-indoor-2.mp4")
RATE_HZ = 5.0
SWITCH_S, END_S = 30.0, 60.0
NOISE = 2.0  # of the small picture, grey levels
SAMPLES = 4
ARRIVALS_S = (0.5, 1.5, 3.0, 6.0)  # after the switch
WITHIN_S = 15.0
FILTER_S = 0.4  # how long it takes to move

Light = Callable[[FloatArray, float], FloatArray]
"""A luma plane, 0..255, and the seconds since the switch in; what the camera makes of it out."""


@dataclass(frozen=True, kw_only=True)
class Switch:
    """A change of light.

    Attributes:
        light: what it does to the luma plane.
        flat_s: when colour goes, after the switch.
    """

    light: Light
    flat_s: float = np.inf


@dataclass(frozen=True, kw_only=True)
class Place:
    """A place that a camera sees.

    Attributes:
        empty: without its people.
        people: with them, `RATE_HZ` a second.
    """

    empty: Planes
    people: Sequence[Planes]


def main() -> None:
    """Print a row a switch."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("clips", nargs="*", type=Path, default=[VIDEO / name for name in CLIPS])
    args = parser.parse_args()
    places = [place_of(clip) for clip in args.clips]
    print(f"{len(places)} places. false: motion ON though nothing moves, in places, and for how long altogether.")
    print("delay: from somebody's arrival, so long after the switch, until motion is ON; median and longest of places.")
    print(
        f"{'switch':26} {'false ON':>9} {'for s':>6} {'looks':>6}  " + " ".join(f"{at_s:>7} s" for at_s in ARRIVALS_S)
    )
    for name, switch in switches().items():
        still = [watch(place, switch, np.inf) for place in places]
        false_s = [sum(moving for at_s, moving, _ in seen if at_s >= SWITCH_S) / RATE_HZ for seen in still]
        looks = sum(look for seen in still for at_s, _, look in seen if at_s >= SWITCH_S) / len(places)
        delays = [[delay(place, switch, at_s) for place in places] for at_s in ARRIVALS_S]
        print(
            f"{name:26} {sum(map(bool, false_s)):9} {sum(false_s):6.1f} {looks:6.0f}  "
            + " ".join(f"{np.median(some):4.1f} {max(some):4.1f}" for some in delays),
            flush=True,
        )


def switches() -> dict[str, Switch]:
    """Changes of light by name."""
    return {
        "none": Switch(light=lambda luma, _s: luma),
        "gain x1.5 at once": Switch(light=lambda luma, s: luma * ramp(s, 0, 1, 1.5)),
        "gain x1.5 in 2 s": Switch(light=lambda luma, s: luma * ramp(s, 2, 1, 1.5)),
        "gain x0.6 in 2 s": Switch(light=lambda luma, s: luma * ramp(s, 2, 1, 0.6)),
        "cloud, x0.7 in 8 s": Switch(light=lambda luma, s: luma * ramp(s, 8, 1, 0.7)),
        "gamma 0.6 in 2 s": Switch(light=lambda luma, s: 255 * (luma / 255) ** ramp(s, 2, 1, 0.6)),
        "exposure hunts for 3 s": Switch(
            light=lambda luma, s: luma * (1 + 0.5 * np.exp(-max(s, 0)) * np.sin(4 * max(s, 0)))
        ),
        "side light in 2 s": Switch(light=lambda luma, s: luma * (1 + ramp(s, 2, 0, 0.6) * slope(luma))),
        "side light in 10 s": Switch(light=lambda luma, s: luma * (1 + ramp(s, 10, 0, 0.6) * slope(luma))),
        "lamp at once": Switch(light=lambda luma, s: luma + ramp(s, 0, 0, 90) * spot(luma)),
        "lamp warms up in 3 s": Switch(light=lambda luma, s: luma + ramp(s, 3, 0, 90) * spot(luma)),
        "infrared on": Switch(light=infrared, flat_s=FILTER_S),
    }


def ramp(at_s: float, lasts_s: float, before: float, after: float) -> float:
    """Go from one value to another."""
    part = float(at_s >= 0) if lasts_s == 0 else min(max(at_s / lasts_s, 0.0), 1.0)
    return before + part * (after - before)


def slope(luma: FloatArray) -> FloatArray:
    """From -1 on the left to 1 on the right."""
    return np.linspace(-1, 1, luma.shape[1], dtype=np.float32)[None, :]


def spot(luma: FloatArray) -> FloatArray:
    """A lamp's light on the upper left: 1 in the middle, a half a third of the picture's width away."""
    height, width = luma.shape
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    distance = np.hypot(x - width * 0.3, y - height * 0.3) / (width / 3)
    return np.exp2(-(distance**2)).astype(np.float32)


def infrared(luma: FloatArray, at_s: float) -> FloatArray:
    """Dusk; the filter moves out and colour goes; far too bright by the camera's own light, then it settles."""
    dusk = luma * 0.45 + 10
    if at_s < 0:
        return dusk
    lit = 255 * (luma / 255) ** 0.7 * (1.1 - 0.8 * (1 - spot(luma)))
    if at_s < FILTER_S:  # the filter is between
        return dusk * 0.6
    return lit * (1 + 1.2 * np.exp(-(at_s - FILTER_S) / 0.6))


def place_of(clip: Path) -> Place:
    """A clip's place and its people."""
    with av.open(str(clip)) as container:
        stream = container.streams.video[0]
        step = max(1, round(float(stream.average_rate or RATE_HZ) / RATE_HZ))
        pictures = [view_planes(p) for i, p in enumerate(container.decode(stream)) if i % step == 0]
    some = pictures[:: max(1, len(pictures) // 60)]
    planes = (np.median(np.stack([getattr(p, name) for p in some]), axis=0).astype(np.uint8) for name in NAMES)
    return Place(empty=Planes(*planes), people=pictures[len(pictures) // 3 :])


NAMES = ("luma", "chroma_blue", "chroma_red")


def watch(place: Place, switch: Switch, arrival_s: float) -> list[tuple[float, bool, bool]]:
    """For each picture its moment, whether something moves, and whether to look."""
    gate, random, said = Gate(GateSettings(), RATE_HZ), np.random.default_rng(1), []
    for seq in range(round(END_S * RATE_HZ)):
        at_s = seq / RATE_HZ
        since_s = at_s - SWITCH_S
        number = round((since_s - arrival_s) * RATE_HZ) if np.isfinite(arrival_s) else -1
        planes = place.empty if number < 0 else place.people[number % len(place.people)]
        motion = gate.observe(taken(planes, switch, since_s, random, seq))
        said.append((at_s, motion.moving, motion.look))
    return said


def taken(planes: Planes, switch: Switch, since_s: float, random: np.random.Generator, seq: int) -> Frame:
    """A frame in this light."""
    height, width = planes.luma.shape
    lit = np.asarray(switch.light(planes.luma.astype(np.float32), since_s), np.float32)
    grain = random.normal(0, NOISE, (height // 2 + 1, width // 2 + 1)).astype(np.float32)
    lit = lit + cv2.resize(grain * np.sqrt(SAMPLES) / 2, (width, height), interpolation=cv2.INTER_NEAREST)
    chroma = [getattr(planes, name) for name in NAMES[1:]]
    if since_s >= switch.flat_s:
        chroma = [np.full_like(plane, 128) for plane in chroma]
    luma: ByteArray = np.clip(lit, 0, 255).astype(np.uint8)
    return Frame(
        luma=luma, chroma_blue=chroma[0], chroma_red=chroma[1], at_s=seq / RATE_HZ, utc_ns=0, utc_synced=False, seq=seq
    )


def delay(place: Place, switch: Switch, arrival_s: float) -> float:
    """How long after somebody's arrival motion is ON."""
    seen = watch(place, switch, arrival_s)
    begins_s = SWITCH_S + arrival_s
    return next((at_s - begins_s for at_s, moving, _ in seen if at_s >= begins_s and moving), WITHIN_S)


if __name__ == "__main__":
    main()
