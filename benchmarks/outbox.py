"""What the outbox costs: time and bytes an event, and how fast it drains into a real mosquitto.

FULL and NORMAL take turns in one run, for a shared disk is at times twice as slow as at others. Bytes are those that
the kernel writes to a loop device with ext4 on it, journal included; where none may be mounted, those that the process
hands to the kernel.
"""

from __future__ import annotations

import argparse
import os
import random
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

import brokers
from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion

from edge_agent.edges import mqtt
from edge_agent.edges.clock import Backoff, SystemClock
from edge_agent.edges.deliver import Deliverer
from edge_agent.edges.mqtt import MqttSettings
from edge_agent.edges.outbox import Outbox, OutboxSettings
from edge_agent.edges.outbox import file as outbox_file
from edge_agent.records import Message

GROUPS = (1, 10, 100)
PAYLOAD_BYTES = 490  # an event of docs/events.md
ACK_ROWS = 64  # so many are deleted together by `deliver` when events come fast
INSIDE = "EDGE_AGENT_BENCHMARK_DISK"
IMAGE_BYTES = 128 << 20


def event(number: int, topic: str = "edge/pi/camera/a/event", age_s: float = 0.0) -> Message:
    """An event of the usual size."""
    return Message(
        topic=topic,
        late_topic=f"{topic}/late",
        payload=str(number).encode().ljust(PAYLOAD_BYTES),
        kind=("new", "update", "end")[number % 3],  # type: ignore[arg-type]
        utc_ns=time.time_ns() - round(age_s * 1e9),
        subject=f"0123456789abcdef/a-{number // 3}",
    )


@contextmanager
def outbox_at(path: Path, synchronous: str = "FULL") -> Iterator[Outbox]:
    """An outbox that waits for the disk, or does not."""
    usual = outbox_file.PRAGMAS
    outbox_file.PRAGMAS = tuple(pragma.replace("synchronous=FULL", f"synchronous={synchronous}") for pragma in usual)
    try:
        with closing(Outbox(OutboxSettings(path=path), SystemClock())) as outbox:
            yield outbox
    finally:
        outbox_file.PRAGMAS = usual


@dataclass
class Times:
    """How long calls took, in seconds."""

    wall_s: list[float] = field(default_factory=list)
    cpu_s: list[float] = field(default_factory=list)

    def note(self, call: Callable[[], object]) -> None:
        """Time a call."""
        wall_s, cpu_s = time.perf_counter(), time.thread_time()
        call()
        self.wall_s.append(time.perf_counter() - wall_s)
        self.cpu_s.append(time.thread_time() - cpu_s)

    def row(self, events: int) -> str:
        """Median and 99th percentile of a call, and the processor's time an event, in milliseconds."""
        ordered = sorted(self.wall_s)
        p99_s = ordered[min(len(ordered) - 1, round(0.99 * len(ordered)))]
        cpu_ms = 1000 * statistics.fmean(self.cpu_s) / events
        return f"{1000 * statistics.median(ordered):8.2f} {1000 * p99_s:8.2f} {cpu_ms:10.3f}"


def cost(folder: Path, calls: int) -> None:
    """Print what a `put` takes, with FULL and NORMAL in turns."""
    print(f"{'a commit':>9} {'':>8} {'p50 ms':>8} {'p99 ms':>8} {'CPU ms/event':>12}")
    for group in GROUPS:
        times = {"FULL": Times(), "NORMAL": Times()}
        with (
            outbox_at(folder / f"full-{group}.db") as full,
            outbox_at(folder / f"normal-{group}.db", "NORMAL") as normal,
        ):
            boxes = {"FULL": full, "NORMAL": normal}
            for call in range(calls):
                for name in random.sample(list(boxes), 2):
                    messages = [event(call * group + number) for number in range(group)]
                    times[name].note(lambda box=boxes[name], messages=messages: box.put(messages))  # type: ignore[misc]
                    if call % (ACK_ROWS // group + 1) == 0:
                        boxes[name].ack([entry.id for entry in boxes[name].peek(10 * ACK_ROWS)])
        for name, one in times.items():
            print(f"{group:9} {name:>8} {one.row(group)}")


def together(folder: Path, seconds: float) -> None:
    """Print what pipelines that put at once share."""
    print(f"\n{'threads':>9} {'events/s':>9} {'events a commit':>16} {'p50 ms':>8} {'p99 ms':>8}")
    for count in (1, 4, 16):
        times = Times()
        with outbox_at(folder / f"threads-{count}.db") as outbox:
            commits = _count_commits(outbox)
            threads = [
                threading.Thread(target=_put_for, args=(outbox, time.monotonic() + seconds, times))
                for _ in range(count)
            ]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            events = len(times.wall_s)
            print(f"{count:9} {events / seconds:9.0f} {events / max(1, commits()):16.1f} {times.row(1)[:17]}")


def _put_for(outbox: Outbox, until_s: float, times: Times) -> None:
    """Put one event after the other."""
    number = 0
    while time.monotonic() < until_s:
        messages = [event(number)]
        times.note(lambda messages=messages: outbox.put(messages))  # type: ignore[misc]
        number += 1


def _count_commits(outbox: Outbox) -> Callable[[], int]:
    """How many transactions there were since."""
    said: list[str] = []
    outbox._disk._file._database.set_trace_callback(lambda words: said.append(words) if words == "COMMIT" else None)  # type: ignore[union-attr]  # noqa: SLF001
    return lambda: len(said)


def wear(folder: Path, written: Callable[[], int], how: str) -> None:
    """Print how many bytes an event makes the disk write, from `put` to its deletion."""
    print(f"\n{'put':>9} {'deleted':>9} {'bytes/event':>12}   ({how})")
    for synchronous in ("FULL", "NORMAL"):
        for group, deleted in ((1, 1), (1, ACK_ROWS), (10, ACK_ROWS), (100, 100)):
            events = 2000 if group > 1 else 600
            with outbox_at(folder / f"wear-{synchronous}-{group}-{deleted}.db", synchronous) as outbox:
                before = written()
                for first in range(0, events, group):
                    outbox.put([event(first + number) for number in range(group)])
                    if outbox.stats().waiting >= deleted:
                        outbox.ack([entry.id for entry in outbox.peek(1000)])
                outbox.ack([entry.id for entry in outbox.peek(1000)])
                print(f"{group:9} {deleted:9} {(written() - before) / events:12.0f}   {synchronous}")


def _of_process() -> int:
    lines = Path("/proc/self/io").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("write_bytes"))


def _of_device(folder: Path) -> Callable[[], int]:
    """Bytes written to the device of a folder, everything that waits for it included."""
    number = folder.stat().st_dev
    stat = Path(f"/sys/dev/block/{os.major(number)}:{os.minor(number)}/stat")

    def written() -> int:
        os.sync()
        return int(stat.read_text().split()[6]) * 512  # sectors. Source: Documentation/block/stat.rst of Linux

    return written


def deliverer(outbox: Outbox, url: str, drain_per_s: float) -> Deliverer:
    """The agent's own delivery."""
    settings = MqttSettings(url=url, drain_per_s=drain_per_s)
    will = Message(topic="edge/pi/status", payload=b"offline", kind="state")
    return Deliverer(
        outbox=outbox,
        connect=lambda: mqtt.connect(settings, client_id="benchmark", will=will),
        clock=SystemClock(),
        settings=settings,
        backoff=Backoff(first_s=0.1, cap_s=1.0, uniform=random.uniform),
    )


def drain(folder: Path, events: int) -> None:
    """Print how fast a backlog drains, and what a subscriber that takes a millisecond for each makes of it."""
    print(f"\n{'drain_per_s':>12} {'events/s':>9} {'CPU ms/event':>13} {'lost by a subscriber of 1,000/s':>33}")
    # As it is installed: it keeps 1,000 for a slow subscriber, and drops what comes then.
    with brokers.running(folder, "max_queued_messages 1000") as broker:
        for drain_per_s in (100_000, 2000, 1000, 500):
            with outbox_at(folder / f"drain-{drain_per_s}.db") as outbox:
                for first in range(0, events, 200):  # each of an hour ago, by the clock of an earlier run
                    outbox.put([event(first + number, age_s=3600.0) for number in range(200)])
            with outbox_at(folder / f"drain-{drain_per_s}.db") as outbox, _slow(broker.port) as arrived:
                stop = threading.Event()
                delivery = deliverer(outbox, broker.url, drain_per_s)
                cpu_s: list[float] = []

                def run(delivery: Deliverer = delivery, cpu_s: list[float] = cpu_s) -> None:
                    begun_s = time.thread_time()
                    delivery.run(stop)  # noqa: B023 - it ends before the next one begins
                    cpu_s.append(time.thread_time() - begun_s)

                thread = threading.Thread(target=run)
                begun_s = time.monotonic()
                thread.start()
                while delivery.counters.acked < events:
                    time.sleep(0.005)
                seconds = time.monotonic() - begun_s
                stop.set()
                thread.join()
                brokers.until(lambda: _settled(arrived), within_s=60)
                lost = events - len(set(arrived))
            print(f"{drain_per_s:12} {events / seconds:9.0f} {1000 * cpu_s[0] / events:13.3f} {lost:33}")


@contextmanager
def _slow(port: int) -> Iterator[list[bytes]]:
    """A subscriber that takes at least a millisecond for each message."""
    arrived: list[bytes] = []
    client = paho.Client(CallbackAPIVersion.VERSION2)
    subscribed = threading.Event()
    client.on_connect = lambda client, *_: client.subscribe("edge/pi/camera/#", qos=1)
    client.on_subscribe = lambda *_: subscribed.set()

    def take(_client: paho.Client, _data: object, message: paho.MQTTMessage) -> None:
        time.sleep(0.001)
        arrived.append(bytes(message.payload))

    client.on_message = take
    client.connect("127.0.0.1", port)
    client.loop_start()
    brokers.until(subscribed.is_set)
    try:
        yield arrived
    finally:
        client.disconnect()
        client.loop_stop()


def _settled(arrived: Sequence[bytes]) -> bool:
    count = len(arrived)
    time.sleep(0.5)
    return len(arrived) == count


def on_a_disk_of_its_own(folder: Path) -> bool:
    """Measure bytes in another process that sees an image of ext4 as a disk; false where that may not be."""
    disk = folder / "disk"
    disk.mkdir()
    mount = (
        f'truncate -s {IMAGE_BYTES} "$0.img" && mkfs.ext4 -q "$0.img" && mount -o loop "$0.img" "$0" && exec "$1" "$2"'
    )
    command = ["unshare", "--mount", "sh", "-c", mount, str(disk), sys.executable, __file__]
    try:
        done = subprocess.run(command, env={**os.environ, INSIDE: str(disk)}, stderr=subprocess.DEVNULL, check=False)
    except FileNotFoundError:
        return False
    return done.returncode == 0


def main() -> None:
    """Print the tables."""
    if INSIDE in os.environ:
        folder = Path(os.environ[INSIDE])
        wear(folder, _of_device(folder), "written to the device, ext4 and its journal included")
        return
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, help="on the disk to measure; a temporary one when left out")
    parser.add_argument("--calls", type=int, default=400, help="of each kind")
    parser.add_argument("--events", type=int, default=5000, help="to drain")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=args.folder) as name:
        folder = Path(name)
        cost(folder, args.calls)
        together(folder, 3.0)
        sys.stdout.flush()
        if not on_a_disk_of_its_own(folder):
            wear(folder, _of_process, "handed to the kernel by the process, without the file system's own")
        drain(folder, args.events)


if __name__ == "__main__":
    main()
