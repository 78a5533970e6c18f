"""Many idle RTSP cameras on one core: memory a camera, and whether their packets are read in time.

The daemon runs in a process of its own that is held to one core; the cameras are served by another on the others. They
show a clip from different places on, for cameras do not all make the same noise at the same moment.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

import av
import numpy as np
from camera_clips import FPS, Encoding, film, scene
from rtsp import rtsp_camera

from edge_agent.app import Agent
from edge_agent.config import Settings
from edge_agent.edges.host import memory_rss_bytes
from edge_agent.edges.sources.supervised import Capture
from edge_agent.edges.sources.timeline import LiveTimeline

SIZE = (1920, 1080)
CLIP_S = 60.0
LATE_S = 1.0
_KEY_PICTURES_APART = 3


def main() -> None:
    """Print a row a number of cameras."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cameras", type=int, nargs="+", default=[1, 40])
    parser.add_argument("--seconds", type=float, default=600.0)
    parser.add_argument(
        "--settle-s", type=float, default=60.0, help="left out at the start: everything is decoded then"
    )
    parser.add_argument("--noise", type=float, default=3.0)
    parser.add_argument("--gop-s", type=float, default=2.0)
    args = parser.parse_args()
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        clip = Path(folder) / "stream.mp4"
        pictures = scene(size=SIZE, seconds=CLIP_S, movers=(), noise=args.noise, seed=1)
        film({clip: Encoding(gop_s=args.gop_s, crf=27)}, pictures, size=SIZE)
        print(f"{SIZE[0]}x{SIZE[1]}, 15 a second, {clip.stat().st_size * 8 / CLIP_S / 1e6:.2f} Mbit/s each, one core")
        print("cameras  CPU of the core  asleep  packets  late over 1 s  p99 ms  max ms   RSS MB  MB a further camera")
        clips = out_of_phase(clip)
        with rtsp_camera(Path(folder)) as camera:
            for count in args.cameras:
                urls = [camera.url(stream=clips[number % len(clips)].stem) for number in range(count)]
                rows.append(_in_a_process(urls, args.seconds, args.settle_s))
                _print(rows)


def _print(rows: list[dict[str, Any]]) -> None:
    row, first = rows[-1], rows[0]
    more = row["cameras"] - first["cameras"]
    further = f"{(row['rss_mb'] - first['rss_mb']) / more:19.1f}" if more else f"{'':>19}"
    line = f"{row['cameras']:7} {row['cpu']:16.2f} {row['asleep']:7} {row['packets']:8} {row['late']:14}"
    print(f"{line} {row['p99_ms']:7.0f} {row['max_ms']:7.0f} {row['rss_mb']:8.0f} {further}", flush=True)


def out_of_phase(clip: Path) -> list[Path]:
    """Copies of a clip, none encoded again, that begin at every third of its key pictures and end where they began."""
    groups: list[list[bytes]] = []
    with av.open(str(clip)) as container:
        stream = container.streams.video[0]
        for packet in container.demux(stream):
            if packet.is_keyframe:
                groups.append([])
            if packet.size:
                groups[-1].append(bytes(packet))
        made = []
        for first in range(0, len(groups), _KEY_PICTURES_APART):
            path = clip.with_name(f"from{first}.mp4")
            with av.open(str(path), "w") as target:
                copy = target.add_stream_from_template(stream)
                turned_groups = groups[first:] + groups[:first]
                packets = ((place == 0, data) for group in turned_groups for place, data in enumerate(group))
                for number, (is_key, data) in enumerate(packets):
                    turned = av.Packet(data)
                    turned.pts = turned.dts = number
                    turned.time_base, turned.stream = Fraction(1, FPS), copy
                    turned.is_keyframe = is_key
                    target.mux(turned)
            made.append(path)
    return made


def _in_a_process(urls: Sequence[str], seconds: float, settle_s: float) -> dict[str, Any]:
    context = multiprocessing.get_context("spawn")
    results: Any = context.Queue()
    process = context.Process(target=watch, args=(urls, seconds, settle_s, results))
    process.start()
    result: dict[str, Any] = results.get()
    process.join()
    return result


def watch(urls: Sequence[str], seconds: float, settle_s: float, results: Any) -> None:
    """Run the daemon on one core, and put what was seen into `results`."""
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    lateness_s, captures = _note_lateness(), _note_captures()
    with tempfile.TemporaryDirectory() as folder:
        cameras = [{"id": f"c{number}", "source": url} for number, url in enumerate(urls)]
        settings = Settings.model_validate(
            {
                "device": {"id": "box"},
                "mqtt": {"url": "mqtt://127.0.0.1:1"},
                "cameras": cameras,
                "outbox": {"path": f"{folder}/o.db"},
            }
        )
        agent, stop = Agent(settings=settings), threading.Event()
        daemon = threading.Thread(target=agent.run, args=(stop,), daemon=True)
        daemon.start()
        time.sleep(settle_s)
        lateness_s.clear()
        began_s, cpu_s = time.monotonic(), time.process_time()
        time.sleep(seconds)
        late = np.array(lateness_s)
        results.put(
            {
                "cameras": len(urls),
                "cpu": (time.process_time() - cpu_s) / (time.monotonic() - began_s),
                "asleep": sum(capture.status().state == "asleep" for capture in captures),
                "packets": len(late),
                "late": int(np.count_nonzero(late > LATE_S)),
                "p99_ms": float(np.percentile(late, 99)) * 1000,
                "max_ms": float(late.max()) * 1000,
                "rss_mb": (memory_rss_bytes() or 0) / 1e6,
            }
        )
        stop.set()
        daemon.join()


def _note_lateness() -> list[float]:
    """How late each packet is read, against the least late one of its camera."""
    lateness_s: list[float] = []
    place = LiveTimeline.at_s

    def noted(self: LiveTimeline, stamp_s: float | None, arrived_s: float) -> float:
        at_s = place(self, stamp_s, arrived_s)
        lateness_s.append(arrived_s - at_s)
        return at_s

    LiveTimeline.at_s = noted  # type: ignore[method-assign]
    return lateness_s


def _note_captures() -> list[Capture]:
    """The captures of the daemon, once it has made them."""
    captures: list[Capture] = []
    begin = Capture.__post_init__

    def noted(self: Capture) -> None:
        begin(self)
        captures.append(self)

    Capture.__post_init__ = noted  # type: ignore[method-assign]
    return captures


if __name__ == "__main__":
    main()
