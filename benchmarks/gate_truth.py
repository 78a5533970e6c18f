"""Does the packet gate miss anything? Against decoding everything, over many ways to encode and many things that move.

In every clip a still scene is crossed by things at times that have nothing to do with the key pictures: in drawn ones
by movers of four kinds, in real ones by what moves there when the clip goes on after it had stood still. The same
motion gate looks at all pictures, and at those that the packet gate lets through; what the first sees and the second
does not is lost.
"""

from __future__ import annotations

import argparse
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import av
import numpy as np
from camera_clips import FPS, Encoding, Mover, film, scene, stop_and_go
from truth import timed_packets

from edge_agent.edges.sources.decoding import Decoding
from edge_agent.records import ByteArray
from edge_agent.stages.gate.motion import Gate
from edge_agent.stages.gate.packets import PacketGate
from edge_agent.stages.gate.settings import GateSettings

VIDEO = Path(__file__).parents[2] / "shared" / "data" / "video"
REAL = (
    "one-by-one-person-detection.mp4",
    "car-detection.mp4",
    "ir-indoor-1.mp4",
    "ir-indoor-2.mp4",
    "PETS09-S2L1/video.mp4",
)
RATE_HZ = 5.0
LEARN_S = 20.0
REST_S = 9.0  # between two movers: long enough to fall asleep again

KINDS: Mapping[str, tuple[float, float, float]] = {
    "walker": (0.15, 0.12, 4.0),
    "runner": (0.15, 0.5, 1.6),
    "slow": (0.12, 0.01, 8.0),
    "small": (0.03, 0.08, 5.0),
}
"""What moves: its height and how far it goes in a second, in heights of the picture, and for how many seconds."""

ENCODINGS: Mapping[str, Encoding] = {
    "H.264 VBR, 1 s": Encoding(gop_s=1),
    "H.264 VBR, 2 s": Encoding(),
    "H.264 VBR, 4 s": Encoding(gop_s=4),
    "H.264 VBR, 10 s": Encoding(gop_s=10),
    "H.264 VBR, B-frames": Encoding(b_frames=2),
    "H.264 CBR, 2 s": Encoding(kbit_s=800),
    "H.264 CBR, filler": Encoding(kbit_s=800, filler=True),
    "H.264 CBR, 10 s": Encoding(gop_s=10, kbit_s=800),
    "H.265 VBR, 2 s": Encoding(codec="libx265"),
    "H.265 VBR, 10 s": Encoding(codec="libx265", gop_s=10),
    "H.264 intra refresh": Encoding(intra_refresh=True),
}


@dataclass(frozen=True, kw_only=True)
class Spans:
    """A scene in which something moves for some spans of time.

    Attributes:
        name: where it is.
        size: of its pictures, width and height.
        fps: pictures a second.
        spans: what moves, from when, and until when, in seconds.
        seconds: how long it is.
        draw: gives its pictures with so much noise, I420.
    """

    name: str
    size: tuple[int, int]
    fps: float
    spans: Sequence[tuple[str, float, float]]
    seconds: float
    draw: Callable[[float], Iterator[ByteArray]]


@dataclass(kw_only=True)
class Seen:
    """What a motion gate saw of a clip.

    Attributes:
        moved_s: when something moved.
        woken_s: when the packet gate woke up.
        bases: what it went by, with the number of packets.
        kept: packets that were not decoded.
        packets: all of them.
    """

    moved_s: list[float] = field(default_factory=list)
    woken_s: list[float] = field(default_factory=list)
    bases: Counter[str] = field(default_factory=Counter)
    kept: int = 0
    packets: int = 0


def main() -> None:
    """Print a row a scene, noise, encoding and kind of mover."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("clips", nargs="*", type=Path, help="real ones; those of shared/data if none is given")
    parser.add_argument("--onsets", type=int, default=20, help="of each kind, and of each real clip")
    parser.add_argument("--size", default="640x360", help="of the drawn scene")
    parser.add_argument("--noise", type=float, nargs="+", default=[1.5, 5.0], help="of the sensor, grey levels")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", choices=("drawn", "real"))
    parser.add_argument("--folder", type=Path, help="keep the encoded clips here, and use those that are here already")
    args = parser.parse_args()
    width, height = map(int, args.size.split("x"))
    print(
        "lost: seen by decoding everything, not with the packet gate. delay: from the onset until it woke up; what is"
    )
    print("kept from before is looked at then. false: woken up by nothing, an hour of stillness.")
    scenes = [] if args.only == "real" else [drawn((width, height), args.onsets, args.seed)]
    if args.only != "drawn":
        clips = args.clips or [VIDEO / name for name in REAL if (VIDEO / name).exists()]
        scenes += [real(clip, args.onsets, args.seed) for clip in clips]
    totals: Counter[tuple[str, float, str]] = Counter()
    with ExitStack() as stack:
        folder = args.folder or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        for place in scenes:
            for noise in args.noise:
                clips_of = encoded(place, noise, folder)
                for name, clip in clips_of.items():
                    for (kind, column), count in report(f"{place.name}, {name}, noise {noise:g}", clip, place).items():
                        totals[kind, noise, column] += count
                    if args.folder is None:
                        clip.unlink()
    print_totals(totals)


def drawn(size: tuple[int, int], onsets: int, seed: int) -> Spans:
    """The drawn scene."""
    movers = plan(onsets, seed)
    seconds = movers[-1].ends_s + REST_S

    def draw(noise: float) -> Iterator[ByteArray]:
        return scene(size=size, seconds=seconds, movers=movers, noise=noise, seed=seed)

    spans = [(mover.kind, mover.begins_s, mover.ends_s) for mover in movers]
    return Spans(name=f"drawn {size[0]}x{size[1]} {seed}", size=size, fps=FPS, spans=spans, seconds=seconds, draw=draw)


def real(clip: Path, onsets: int, seed: int) -> Spans:
    """A real clip, which stands still between spans of two to four seconds."""
    name = clip.parent.name if clip.stem == "video" else clip.stem
    random = np.random.default_rng(seed)
    spans, at_s = [], LEARN_S
    for _onset in range(onsets):
        at_s += random.uniform(0, 2)
        lasts_s = random.uniform(2, 4)
        spans.append((name, at_s, at_s + lasts_s))
        at_s += lasts_s + REST_S
    with av.open(str(clip)) as container:
        stream = container.streams.video[0]
        size, fps = (stream.width, stream.height), float(stream.average_rate or FPS)

    def draw(noise: float) -> Iterator[ByteArray]:
        return stop_and_go(clip, [span[1:] for span in spans], seconds=at_s, noise=noise)

    return Spans(name=f"{name} {seed}", size=size, fps=fps, spans=spans, seconds=at_s, draw=draw)


def encoded(place: Spans, noise: float, folder: Path) -> Mapping[str, Path]:
    """The clips of a scene, one an encoding."""
    stem = f"{place.name} {len(place.spans)} {noise:g}".replace(" ", "-")
    clips = {name: folder / f"{stem}-{number}.mp4" for number, name in enumerate(ENCODINGS)}
    missing = {clip: ENCODINGS[name] for name, clip in clips.items() if not clip.exists()}
    if missing:
        film(missing, place.draw(noise), size=place.size, fps=place.fps)
    return clips


def plan(onsets: int, seed: int) -> list[Mover]:
    """Movers of all kinds in random order at random times."""
    random = np.random.default_rng(seed)
    movers, at_s = [], LEARN_S
    for number, kind in enumerate(random.permutation(list(KINDS) * onsets).tolist()):
        height, speed, lasts_s = KINDS[kind]
        at_s += random.uniform(0, 2)
        place = (float(random.uniform(0.2, 0.8)), float(random.uniform(0.35, 0.8)))
        mover = Mover(
            kind=kind,
            begins_s=at_s,
            ends_s=at_s + lasts_s,
            height_norm=height,
            speed_norm=speed,
            start_norm=place,
            angle=float(random.uniform(0, 2 * np.pi)),
            look=number,
        )
        movers.append(mover)
        at_s += lasts_s + REST_S
    return movers


def report(name: str, clip: Path, place: Spans) -> Counter[tuple[str, str]]:
    """Print what was lost of one clip, and give it by kind and column."""
    everything, gated = watch(clip, None), watch(clip, PacketGate(GateSettings(), RATE_HZ))
    still_s = place.seconds - sum(ends_s - begins_s for _kind, begins_s, ends_s in place.spans)
    false = [
        at_s
        for at_s in gated.woken_s
        if not any(begins_s - 0.1 <= at_s <= ends_s + 1 for _kind, begins_s, ends_s in place.spans)
    ]
    kept = gated.kept / gated.packets
    basis = ", ".join(f"{basis} ({count / gated.packets:.0%})" for basis, count in gated.bases.most_common(2))
    rate = clip.stat().st_size * 8 / place.seconds / 1e6
    print(f"\n{name}: {rate:.2f} Mbit/s; {kept:.0%} left undecoded by {basis};")
    print(f"{'':9} false wakes an hour {len(false) / still_s * 3600:.1f}")
    print(f"{'':9} onsets  seen  lost  motion frames  lost  delay p50   p95")
    totals: Counter[tuple[str, str]] = Counter()
    for kind in dict.fromkeys(kind for kind, _begins_s, _ends_s in place.spans):
        rows = [_compared(span[1:], everything, gated) for span in place.spans if span[0] == kind]
        seen = [row for row in rows if row[0]]
        delays = [row[2] for row in rows if row[2] is not None]
        p50, p95 = np.percentile(delays, [50, 95]) if delays else (0.0, 0.0)
        lost = sum(not row[1] for row in seen)
        frames, lost_frames = sum(row[0] for row in rows), sum(max(0, row[0] - row[1]) for row in rows)
        line = f"{kind[:9]:9} {len(rows):6} {len(seen):5} {lost:5} {frames:14} {lost_frames:5}"
        print(f"{line} {p50:9.2f} {p95:6.2f}", flush=True)
        columns = {"onsets": len(rows), "seen": len(seen), "lost": lost, "frames": frames, "frames lost": lost_frames}
        totals.update({(kind, column): count for column, count in columns.items()})
    return totals


def print_totals(totals: Counter[tuple[str, float, str]]) -> None:
    """Print what was lost of each kind with all encodings together."""
    print(f"\n{'all encodings':28} noise  onsets   seen  lost  motion frames   lost")
    for kind, noise in dict.fromkeys((kind, noise) for kind, noise, _column in totals):
        onsets, seen, lost, frames, frames_lost = (
            totals[kind, noise, column] for column in ("onsets", "seen", "lost", "frames", "frames lost")
        )
        print(f"{kind:28} {noise:5g} {onsets:7} {seen:6} {lost:5} {frames:14} {frames_lost:6}")


def watch(clip: Path, gate: PacketGate | None) -> Seen:
    """See a clip through a motion gate, behind a packet gate or without."""
    seen, motion, was_asleep = Seen(), Gate(GateSettings(), RATE_HZ), False
    with av.open(str(clip)) as container:
        stream = container.streams.video[0]
        stream.codec_context.thread_count = 1
        now_s = [0.0]

        def noted() -> object:
            for packet, stamp in timed_packets(container, stream):
                now_s[0] = stamp.at_s
                seen.packets += 1
                yield packet, stamp
                if gate:
                    seen.bases[gate.basis] += 1

        for frame in Decoding(stream, gate).frames(noted()):  # type: ignore[arg-type]
            if gate:
                if was_asleep and not gate.asleep:
                    seen.woken_s.append(now_s[0])
                was_asleep = gate.asleep
            if frame is None:
                seen.kept += 1
                continue
            regions = motion.observe(frame).regions
            if regions is not None and len(regions):
                seen.moved_s.append(frame.at_s)
    return seen


def _compared(span: tuple[float, float], everything: Seen, gated: Seen) -> tuple[int, int, float | None]:
    """Motion frames seen by decoding everything and with the gate, and how late the gate woke up, if it slept."""
    begins_s, ends_s = span[0], span[1] + 0.3
    woken_s = [at_s for at_s in gated.woken_s if begins_s <= at_s <= ends_s + 4]
    counts = [sum(begins_s <= at_s <= ends_s for at_s in seen.moved_s) for seen in (everything, gated)]
    return counts[0], counts[1], woken_s[0] - begins_s if woken_s else None


if __name__ == "__main__":
    main()
