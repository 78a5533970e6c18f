"""What a camera costs while nothing moves: the packet gate beside decoding everything, and beside the usual ways.

Each way reads the same clip, a minute in turn with the others, so that whatever else the machine does hits all alike.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import av
import cv2
import numpy as np
from camera_clips import Encoding, film, scene
from truth import timed_packets

from edge_agent.edges.sources.decoding import Decoding, Stamp
from edge_agent.stages.gate.motion import Gate
from edge_agent.stages.gate.packets import PacketGate
from edge_agent.stages.gate.settings import GateSettings

SIZE = (1920, 1080)
MINUTE_S = 60.0
RATE_HZ = 5.0

Minutes = Iterator[float]
"""Goes through a clip and gives, after each minute of it, the CPU seconds of processes of its own (0 without)."""


def main() -> None:
    """Print a row a way."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=int, default=10)
    parser.add_argument("--gop-s", type=float, default=2.0)
    parser.add_argument(
        "--noise", type=float, default=3.0, help="standard deviation of the sensor's noise, grey levels"
    )
    parser.add_argument("--clip", type=Path, help="a clip of your own, of a camera that sees nothing move")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        clip = args.clip or make_clip(Path(folder), args.minutes, args.gop_s, args.noise)
        spent_s = measure(clip, args.minutes)
    decode_all, mog2 = spent_s["decode all, pixel gate"], spent_s["cv2, MOG2"]
    print(f"{'':28} {'CPU ms a second':>16} {'of decode all':>14} {'of cv2, MOG2':>13} {'cameras a core':>15}")
    for name, cpu_s in spent_s.items():
        print(f"{name:28} {cpu_s * 1000:16.2f} {cpu_s / decode_all:14.3f} {cpu_s / mog2:13.3f} {1 / cpu_s:15.1f}")


def make_clip(folder: Path, minutes: int, gop_s: float, noise: float) -> Path:
    """A minute of a still scene, again and again."""
    minute, clip = folder / "minute.mp4", folder / "idle.mp4"
    pictures = scene(size=SIZE, seconds=MINUTE_S, movers=(), noise=noise, seed=1)
    film({minute: Encoding(gop_s=gop_s, crf=27)}, pictures, size=SIZE)
    print(
        f"{minute.stat().st_size * 8 / MINUTE_S / 1e6:.2f} Mbit/s, key pictures every {gop_s:g} s, {SIZE[0]}x{SIZE[1]}"
    )
    command = ["ffmpeg", "-loglevel", "error", "-stream_loop", str(minutes - 1), "-i", minute, "-c", "copy", clip]
    subprocess.run(command, check=True)
    return clip


def measure(clip: Path, minutes: int) -> dict[str, float]:
    """CPU seconds that each way takes for a second of the clip, without the first minute, in which a gate learns."""
    ways = {name: way(clip) for name, way in WAYS.items()}
    spent_s: dict[str, list[float]] = {name: [] for name in ways}
    before_s = dict.fromkeys(ways, 0.0)
    for _minute in range(minutes):
        for name, way in ways.items():
            began_s = time.process_time()
            elsewhere_s = next(way, None)
            if elsewhere_s is not None:
                spent_s[name].append(time.process_time() - began_s + elsewhere_s - before_s[name])
                before_s[name] = elsewhere_s
    return {name: float(np.mean(each[1:] or each)) / MINUTE_S for name, each in spent_s.items()}


def demux_only(clip: Path) -> Minutes:
    """What no way can do without."""
    for _packet, stamp in _packets(clip):
        if _is_minute(stamp.at_s):
            yield 0.0


def packet_gate(clip: Path) -> Minutes:
    """As the agent does."""
    yield from _ours(clip, GateSettings(mode="auto"))


def decode_all(clip: Path) -> Minutes:
    """As the agent does with `gate.mode: pixels`."""
    yield from _ours(clip, GateSettings(mode="pixels"))


def _ours(clip: Path, settings: GateSettings) -> Minutes:
    packets = PacketGate(settings, RATE_HZ)
    motion = Gate(settings, RATE_HZ)
    with av.open(str(clip)) as container:
        stream = container.streams.video[0]
        stream.codec_context.thread_count = 1
        decoding = Decoding(stream, None if settings.mode == "pixels" else packets)
        due: list[float] = []

        def noted() -> Iterator[tuple[object, object]]:
            for packet, stamp in timed_packets(container, stream):
                yield packet, stamp
                if _is_minute(stamp.at_s):
                    due.append(stamp.at_s)

        for frame in decoding.frames(noted()):  # type: ignore[arg-type]
            if frame is not None:
                motion.observe(frame)
            while due:
                due.pop()
                yield 0.0
        yield from (0.0 for _ in due)


def cv2_mog2(clip: Path) -> Minutes:
    """The loop that most people write: every picture as BGR, a background subtractor on a small one."""
    cv2.setNumThreads(1)
    camera, subtractor, number = cv2.VideoCapture(str(clip)), cv2.createBackgroundSubtractorMOG2(), 0
    fps = camera.get(cv2.CAP_PROP_FPS)
    while True:
        there, picture = camera.read()
        if not there:
            return
        small = cv2.resize(picture, (320, 180), interpolation=cv2.INTER_AREA)
        cv2.countNonZero(subtractor.apply(small))
        number += 1
        if number % round(MINUTE_S * fps) == 0:
            yield 0.0


def ffmpeg_pipe(clip: Path) -> Minutes:
    """An ffmpeg process that decodes everything and sends 5 pictures a second, and a running average of small ones."""
    width, height = 640, 360
    command = ["ffmpeg", "-loglevel", "error", "-threads", "1", "-i", str(clip), "-vf"]
    command += [f"fps={RATE_HZ:g},scale={width}:{height}", "-f", "rawvideo", "-pix_fmt", "yuv420p", "-"]
    average = None
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        number = 0
        while process.stdout and len(data := process.stdout.read(width * height * 3 // 2)) == width * height * 3 // 2:
            luma = np.frombuffer(data, np.uint8)[: width * height].reshape(height, width)
            small = cv2.resize(luma, (178, 100), interpolation=cv2.INTER_LINEAR)
            average = small.astype(np.float32) if average is None else average
            differs = cv2.threshold(cv2.absdiff(small, cv2.convertScaleAbs(average)), 30, 255, cv2.THRESH_BINARY)[1]
            cv2.findContours(cv2.dilate(differs, None, iterations=2), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
            cv2.accumulateWeighted(small, average, 0.01)
            number += 1
            if number % round(MINUTE_S * RATE_HZ) == 0:
                yield _cpu_s(process.pid)


def _cpu_s(pid: int) -> float:
    """CPU seconds of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")  # utime and stime, proc(5)


def _packets(clip: Path) -> Iterator[tuple[object, Stamp]]:
    with av.open(str(clip)) as container:
        yield from timed_packets(container, container.streams.video[0])


def _is_minute(at_s: float) -> bool:
    """Whether this is the last picture of a minute."""
    return at_s > 0 and (at_s + 1 / 15) % MINUTE_S < 1 / 30


WAYS: dict[str, Callable[[Path], Minutes]] = {
    "demux only": demux_only,
    "packet gate": packet_gate,
    "decode all, pixel gate": decode_all,
    "cv2, MOG2": cv2_mog2,
    "ffmpeg pipe, running average": ffmpeg_pipe,
}

if __name__ == "__main__":
    main()
