"""From a picture's last packet on the wire to the event about it, committed to the disk: real RTSP, the real daemon.

An event carries the time of its picture. Another process watches the outbox and notes when the event can be read there,
which it can only after the commit.
"""

from __future__ import annotations

import argparse
import json
import os
import sqlite3
import sys
import tempfile
import time
from contextlib import ExitStack, closing
from datetime import datetime
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

import numpy as np
import program
from brokers import until
from rtsp import rtsp_camera

from edge_agent.clips import PEDESTRIANS

POLL_S = 0.003
NOBODY = "mqtt://127.0.0.1:1"  # without a broker every event stays in the outbox


def main() -> None:
    """Print a row a number of cameras."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cameras", type=int, nargs="+", default=[1, 4])
    parser.add_argument("--seconds", type=float, default=60.0)
    args = parser.parse_args()
    print("cameras  events   p50 ms   p99 ms   max ms   CPU of a core")
    for count in args.cameras:
        delays_ms, cpu = measure(count, args.seconds)
        p50, p99 = np.percentile(delays_ms, [50, 99])
        print(f"{count:7} {len(delays_ms):7} {p50:8.1f} {p99:8.1f} {max(delays_ms):8.1f} {cpu:15.2f}")


def measure(count: int, seconds: float) -> tuple[list[float], float]:
    """Milliseconds of every event's way, and the part of a core that the agent took."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        cameras = [
            {"id": f"c{number}", "source": stack.enter_context(rtsp_camera(PEDESTRIANS)).url(), "zones": program.ZONES}
            for number in range(count)
        ]
        agent = program.Agent(folder, *cameras, mqtt={"url": NOBODY})
        stack.callback(agent.kill)
        agent.start()
        until(agent.outbox.exists, within_s=60.0)
        time.sleep(10.0)  # the start is not what is measured
        began_s, cpu_s = time.monotonic(), _cpu_s(agent.pid)
        delays_ms = list(_delays_ms(agent.outbox, seconds))
        return delays_ms, (_cpu_s(agent.pid) - cpu_s) / (time.monotonic() - began_s)


def _delays_ms(outbox: Path, seconds: float) -> list[float]:
    delays_ms: list[float] = []
    over_s = time.monotonic() + seconds
    with closing(sqlite3.connect(f"file:{outbox}?mode=ro", uri=True)) as reader:
        last = reader.execute("SELECT coalesce(max(id), 0) FROM message").fetchone()[0]
        while time.monotonic() < over_s:
            rows = reader.execute("SELECT id, payload FROM message WHERE id > ? ORDER BY id", (last,)).fetchall()
            now_s = time.time()
            for row, payload in rows:
                last = row
                taken = datetime.fromisoformat(json.loads(payload)["time"].replace("Z", "+00:00"))
                delays_ms.append((now_s - taken.timestamp()) * 1000)
            time.sleep(POLL_S)
    return delays_ms


def _cpu_s(pid: int) -> float:
    """CPU seconds of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")  # utime and stime, proc(5)


if __name__ == "__main__":
    main()
