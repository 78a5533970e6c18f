"""What a benchmark found, as JSON types with all it was measured on, and how it differs from an earlier one."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from edge_agent.edges import host
from edge_agent.edges.host import temperature_celsius
from edge_agent.errors import ConfigError
from edge_agent.tools.bench import Benchmark, Spent
from edge_agent.vision import Vision

__all__ = ["Report", "compared", "measured_on", "read_report", "report_of", "temperature_celsius"]

SCHEMA = 1

Report = dict[str, Any]

MEASURED_ON = ("version", "clip", "model", "input", "provider", "threads", "rate_hz", "processor", "cores")
"""What has to be the same for two reports to differ by the program alone."""

_FIGURES = {
    "ratio": "whole to the limit",
    "warm_ratio": "to the warm limit",
    "whole_cpu_ms_a_frame": "whole, CPU ms a frame",
    "limit_cpu_ms_a_frame": "limit, CPU ms a frame",
}


def measured_on(clip: Path, vision: Vision, rate_hz: float, version: str) -> Report:
    """What a benchmark is measured on.

    Args:
        clip: what is looked at.
        vision: the model.
        rate_hz: how often it looks.
        version: of this program.
    """
    return {
        "schema": SCHEMA,
        "version": version,
        "clip": clip.name,
        "model": vision.sha256,
        "input": list(vision.input_size),
        "provider": vision.provider,
        "threads": vision.threads,
        "rate_hz": rate_hz,
        "processor": host.processor_name(),
        "cores": host.cpu_count(),
    }


def report_of(benchmark: Benchmark) -> Report:
    """What was found."""
    return {
        "frames": benchmark.frames,
        "looks": benchmark.looks,
        "runs": benchmark.runs,
        "stages": {stage: _numbers(spent, benchmark.frames) for stage, spent in benchmark.stages.items()},
        "model": _numbers(benchmark.model, benchmark.frames),
        "beside_model_cpu_ms_a_frame": round(benchmark.beside_model_cpu_ms, 4),
        "whole_cpu_ms_a_frame": round(benchmark.whole_cpu_ms, 4),
        "limit_cpu_ms_a_frame": round(benchmark.limit_cpu_ms, 4),
        "ratio": round(benchmark.ratio, 4),
        "warm_limit_cpu_ms_a_frame": round(benchmark.warm_limit_cpu_ms, 4),
        "warm_ratio": round(benchmark.warm_ratio, 4),
        "frames_a_second": round(benchmark.frames_a_second, 1),
        "peak_rss_bytes": benchmark.peak_rss_bytes,
    }


def _numbers(spent: Spent, frames: int) -> dict[str, float]:
    p50_ms, p99_ms = np.percentile(spent.wall_ms or [0.0], [50, 99])
    return {
        "calls": len(spent.cpu_ms),
        "cpu_ms_a_frame": round(spent.cpu_total_ms / frames, 4),
        "wall_p50_ms": round(float(p50_ms), 4),
        "wall_p99_ms": round(float(p99_ms), 4),
    }


def read_report(path: Path) -> Report:
    """An earlier report.

    Raises:
        ConfigError: the file holds none.
    """
    try:
        report: Report = json.loads(path.read_text(encoding="utf-8"))
        is_one = report["schema"] == SCHEMA and len(list(_rows(report, report))) > 0
    except OSError as error:
        raise ConfigError(f"--compare {path}: cannot be read: {error.strerror}") from error
    except (ValueError, KeyError, TypeError, AttributeError):
        is_one = False
    if not is_one:
        raise ConfigError(f"--compare {path}: is no report of `edge-agent bench --json` of this version")
    return report


def compared(before: Report, now: Report) -> Iterator[str]:
    """Lines of a table: before, now, and the second to the first; what was not the same follows."""
    yield f"{'':24} {'before':>10} {'now':>10} {'ratio':>7}"
    for name, old, new in _rows(before, now):
        share = f"{new / old:7.2f}" if old else f"{'-':>7}"
        yield f"{name:24} {old:10.3f} {new:10.3f} {share}"
    others = [key for key in MEASURED_ON if before.get(key) != now[key]]
    if others:
        yield ""
    for key in others:
        yield f"not the same {key}: {before.get(key)}, now {now[key]}"
    if "processor" in others or "cores" in others:
        yield "another machine: only the ratios to the limit can be compared"


def _rows(before: Report, now: Report) -> Iterator[tuple[str, float, float]]:
    for key, name in _FIGURES.items():
        yield name, float(before[key]), float(now[key])
    for stage, numbers in now["stages"].items():
        earlier: Mapping[str, float] = before["stages"].get(stage, {"cpu_ms_a_frame": 0.0})
        yield f"{stage}, CPU ms a frame", float(earlier["cpu_ms_a_frame"]), float(numbers["cpu_ms_a_frame"])
    yield "peak RSS, MiB", before["peak_rss_bytes"] / 2**20, now["peak_rss_bytes"] / 2**20
