"""Measure what each stage costs on this machine, beside the limit: decoding and the bare model."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np

from edge_agent import app, clips
from edge_agent.tools.bench import Benchmark, Spent, run_benchmark


def arguments(parser: argparse.ArgumentParser) -> None:
    """Say what can be asked."""
    parser.add_argument("clip", nargs="?", type=Path, default=clips.PEDESTRIANS, help="a video; else the built-in one")
    parser.add_argument("--model", default="default", help="a built-in model's name, or an ONNX or .tflite file")
    parser.add_argument("--rate-hz", type=float, default=5.0, help="how often to look while something moves")
    parser.add_argument(
        "--rounds", type=_at_least_one, default=3, help="how often to measure; the cheapest round counts"
    )
    parser.add_argument("--json", action="store_true", help="print JSON")


def _at_least_one(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return number


def run(args: argparse.Namespace) -> int:
    """Measure, and print a table."""
    settings = app.one_camera(args.clip, args.model, {"rate_hz": args.rate_hz})
    camera = settings.cameras[0]
    vision = app.load_model(settings)
    benchmark = run_benchmark(
        build=lambda: app.build_replay(settings, camera, vision, run_id="0" * 6),
        record=lambda: app.open_recording(args.clip).frames(),
        infer=vision.infer,
        blank=vision.blank(),
        rounds=args.rounds,
    )
    print(json.dumps(_summary(benchmark), indent=2) if args.json else _table(benchmark, args))
    return 0


def _table(benchmark: Benchmark, args: argparse.Namespace) -> str:
    rows = [
        f"{args.clip.name}, model {args.model}: {benchmark.frames} frames, {benchmark.looks} looks",
        "",
        "stage     calls   CPU ms a frame   CPU ms a call   wall p50   wall p99",
    ]
    for stage, spent in benchmark.stages.items():
        p50_ms, p99_ms = np.percentile(spent.wall_ms or [0.0], [50, 99])
        calls = len(spent.cpu_ms)
        a_call = spent.cpu_total_ms / max(calls, 1)
        a_frame = spent.cpu_total_ms / benchmark.frames
        rows.append(f"{stage:8} {calls:6}  {a_frame:15.3f} {a_call:15.3f} {p50_ms:10.2f} {p99_ms:10.2f}")
    rows += [
        "",
        f"whole {benchmark.whole_cpu_ms:.3f} CPU ms a frame",
        f"limit {benchmark.limit_cpu_ms:.3f}, decode and the bare model in turn: ratio {benchmark.ratio:.3f}",
        f"limit {benchmark.warm_limit_cpu_ms:.3f}, each by itself with warm caches: ratio {benchmark.warm_ratio:.3f}",
        f"{benchmark.frames_a_second:.0f} frames a second, peak RSS {benchmark.peak_rss_bytes / 2**20:.0f} MiB",
    ]
    return "\n".join(rows)


def _summary(benchmark: Benchmark) -> dict[str, Any]:
    def numbers(spent: Spent) -> dict[str, float]:
        p50_ms, p99_ms = np.percentile(spent.wall_ms or [0.0], [50, 99])
        return {
            "calls": len(spent.cpu_ms),
            "cpu_ms_a_frame": round(spent.cpu_total_ms / benchmark.frames, 4),
            "wall_p50_ms": round(float(p50_ms), 4),
            "wall_p99_ms": round(float(p99_ms), 4),
        }

    return {
        "frames": benchmark.frames,
        "looks": benchmark.looks,
        "stages": {stage: numbers(spent) for stage, spent in benchmark.stages.items()},
        "whole_cpu_ms_a_frame": round(benchmark.whole_cpu_ms, 4),
        "limit_cpu_ms_a_frame": round(benchmark.limit_cpu_ms, 4),
        "ratio": round(benchmark.ratio, 4),
        "warm_limit_cpu_ms_a_frame": round(benchmark.warm_limit_cpu_ms, 4),
        "warm_ratio": round(benchmark.warm_ratio, 4),
        "frames_a_second": round(benchmark.frames_a_second, 1),
        "peak_rss_bytes": benchmark.peak_rss_bytes,
    }
