"""Measure what each stage costs on this machine, beside the limit: decoding and the bare model."""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

import edge_agent
from edge_agent import app, clips
from edge_agent.cli.files import load_settings
from edge_agent.config import Settings
from edge_agent.errors import ConfigError
from edge_agent.tools import bench_report
from edge_agent.tools.bench import Benchmark, Spent, run_benchmark


def arguments(parser: argparse.ArgumentParser) -> None:
    """Say what can be asked."""
    parser.add_argument("clip", nargs="?", type=Path, default=clips.PEDESTRIANS, help="a video; else the built-in one")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--model", default="default", help="a built-in model's name, or an ONNX or .tflite file")
    what.add_argument("-c", "--config", type=Path, help="take the model and a camera's settings from this YAML file")
    parser.add_argument("--camera", metavar="NAME", help="which camera of the file; the first one when left out")
    parser.add_argument("--rate-hz", type=float, help="without a file: how often to look while something moves (5)")
    parser.add_argument(
        "--rounds", type=_at_least_one, default=3, help="how often to measure; the cheapest round counts"
    )
    parser.add_argument("--compare", type=Path, metavar="BASE.json", help="what --json has printed before, to compare")
    parser.add_argument("--json", action="store_true", help="print JSON")


def _at_least_one(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return number


def run(args: argparse.Namespace) -> int:
    """Measure, and print a table."""
    base = bench_report.read_report(args.compare) if args.compare else None
    settings = _settings(args)
    camera = app.camera_of(settings, args.camera)
    vision = app.load_model(settings)
    before = bench_report.temperature_celsius()
    benchmark = run_benchmark(
        build=lambda infer: app.build_replay(settings, camera, replace(vision, infer=infer), run_id="0" * 6),
        record=lambda: app.open_recording(args.clip).frames(),
        infer=vision.infer,
        blank=vision.blank(),
        rounds=args.rounds,
    )
    report = {
        **bench_report.measured_on(args.clip, vision, camera.detect.rate_hz, edge_agent.__version__),
        **bench_report.report_of(benchmark),
        "celsius_before": before,
        "celsius_after": bench_report.temperature_celsius(),
    }
    if args.json:
        print(json.dumps(report, indent=2))
        return 0
    print("\n".join([*_table(benchmark, args.clip, vision.name), *_temperatures(report)]))
    if base is not None:
        print("\n".join(["", *bench_report.compared(base, report)]))
    return 0


def _settings(args: argparse.Namespace) -> Settings:
    if not args.config:
        return app.one_camera(args.clip, args.model, {} if args.rate_hz is None else {"rate_hz": args.rate_hz})
    if args.rate_hz is not None:
        raise ConfigError(f"--rate-hz: {args.config} says how often to look; leave one of the two out")
    return load_settings(args.config)


def _temperatures(report: dict[str, Any]) -> list[str]:
    before, after = report["celsius_before"], report["celsius_after"]
    return [] if before is None or after is None else [f"{before:.1f} °C before, {after:.1f} °C after"]


def _table(benchmark: Benchmark, clip: Path, model: str) -> list[str]:
    runs = "" if benchmark.runs == benchmark.looks else f", {benchmark.runs} runs of the model"
    rows = [
        f"{clip.name}, model {model}: {benchmark.frames} frames, {benchmark.looks} looks{runs}",
        "",
        "stage         calls   CPU ms a frame   CPU ms a call   wall p50   wall p99",
    ]
    for stage, spent in benchmark.stages.items():
        rows.append(_row(stage, spent, benchmark.frames))
        if stage == "detect":
            rows.append(_row("  model", benchmark.model, benchmark.frames))
            beside_ms = benchmark.beside_model_cpu_ms
            a_look = beside_ms * benchmark.frames / max(benchmark.looks, 1)
            rows.append(f"{'  beside it':12} {'':6}  {beside_ms:15.3f} {a_look:15.3f}")
    rows += [
        "",
        f"whole {benchmark.whole_cpu_ms:.3f} CPU ms a frame",
        f"limit {benchmark.limit_cpu_ms:.3f}, decode and the bare model in turn: ratio {benchmark.ratio:.3f}",
        f"limit {benchmark.warm_limit_cpu_ms:.3f}, each by itself with warm caches: ratio {benchmark.warm_ratio:.3f}",
        f"{benchmark.frames_a_second:.0f} frames a second, peak RSS {benchmark.peak_rss_bytes / 2**20:.0f} MiB",
    ]
    return rows


def _row(name: str, spent: Spent, frames: int) -> str:
    p50_ms, p99_ms = np.percentile(spent.wall_ms or [0.0], [50, 99])
    calls, total_ms = len(spent.cpu_ms), spent.cpu_total_ms
    return (
        f"{name:12} {calls:6}  {total_ms / frames:15.3f} {total_ms / max(calls, 1):15.3f} {p50_ms:10.2f} {p99_ms:10.2f}"
    )
