"""Cameras that fail in every way there is, an agent that looks at them, and what came of it."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

from brokers import Listener, listening, until
from brokers import running as running_broker
from program import ROOT, Agent, check_messages, environment
from proxy import Proxy, proxy_of
from rtsp import RtspCamera, rtsp_camera

from edge_agent.clips import PEDESTRIANS

STALL_S = 4.0
RETRY_CAP_S = 1.0
BACK_S = RETRY_CAP_S + 2.0
"""How soon a camera must stream again after its server has returned."""

LONGEST_GAP_S = 1.0
"""What may lie between two frames of a camera that nobody disturbs; they come ten a second."""

START_S = 30.0
STOP_S = 25.0
RATE_HZ = 10
SIZES = ((320, 240), (352, 288), (256, 192), (384, 288), (192, 144), (400, 304))
_WATCHED = Path(__file__).with_name("watched.py")


@dataclass
class Victim:
    """A camera, and the proxy between it and the agent."""

    name: str
    folder: Path
    camera: RtspCamera
    proxy: Proxy
    looks: int = 0

    @property
    def clip(self) -> Path:
        """What it shows."""
        return self.folder / "stream.mp4"

    def settings(self) -> dict[str, Any]:
        """What the agent is told about it."""
        return {
            "id": self.name,
            "source": f"rtsp://127.0.0.1:{self.proxy.port}/stream",
            "capture": {"stall_s": STALL_S, "retry_first_s": RETRY_CAP_S / 2, "retry_cap_s": RETRY_CAP_S},
            "gate": {"mode": "pixels"},  # every picture is decoded, so a gap is a gap
            "detect": {"rate_hz": 1},
        }

    def change(self) -> None:
        """Show the other codec and another size to the next who connects."""
        self.looks += 1
        self.show(h265=self.looks % 2 == 1, size=SIZES[self.looks % len(SIZES)])

    def show(self, *, h265: bool, size: tuple[int, int], is_black: bool = False) -> None:
        """Show a clip of this codec and size to the next who connects, or nothing but black."""
        name = f"{'black-' if is_black else ''}{'h265' if h265 else 'h264'}-{size[0]}.mp4"
        prepared = make_clip(self.folder.parent / name, h265=h265, size=size, is_black=is_black)
        fresh = self.folder / "fresh.mp4"
        fresh.write_bytes(prepared.read_bytes())
        fresh.replace(self.clip)


def make_clip(path: Path, *, h265: bool, size: tuple[int, int], is_black: bool = False) -> Path:
    """Write a few seconds of the built-in clip in another size, with a key frame a second, unless it is there."""
    if not path.exists():
        coder = ["libx265", "-tag:v", "hvc1", "-x265-params", "log-level=error"] if h265 else ["libx264"]
        scale = f"scale={size[0]}:{size[1]}" + (",drawbox=color=black:t=fill" if is_black else "")
        head = ["ffmpeg", "-v", "error", "-i", str(PEDESTRIANS), "-t", "5", "-an", "-vf", scale]
        tail = ["-preset", "ultrafast", "-bf", "0", "-g", str(RATE_HZ), "-y", str(path)]
        subprocess.run([*head, "-c:v", *coder, *tail], check=True)
    return path


# Faults: each does its worst, and returns when the camera could be read again.


def killed(seconds: float) -> Callable[[Victim], None]:
    """Pull the plug for some seconds."""

    def fault(victim: Victim) -> None:
        victim.camera.kill()
        time.sleep(seconds)
        victim.camera.start()

    return fault


def frozen(seconds: float) -> Callable[[Victim], None]:
    """Let it hang for some seconds, then go on as if nothing had been."""

    def fault(victim: Victim) -> None:
        victim.camera.freeze()
        time.sleep(seconds)
        victim.camera.thaw()

    return fault


def frozen_and_restarted(seconds: float) -> Callable[[Victim], None]:
    """Let it hang for some seconds, until somebody switches it off and on."""

    def fault(victim: Victim) -> None:
        victim.camera.freeze()
        time.sleep(seconds)
        victim.camera.kill()
        victim.camera.start()

    return fault


def stalled(seconds: float) -> Callable[[Victim], None]:
    """Let the network carry nothing for some seconds."""

    def fault(victim: Victim) -> None:
        victim.proxy.stall()
        time.sleep(seconds)
        victim.proxy.flow()

    return fault


def changed(victim: Victim) -> None:
    """Come back with another codec and size."""
    victim.camera.kill()
    victim.change()
    victim.camera.start()


def changed_unseen(victim: Victim) -> None:
    """Show another codec and size after the network has broken off, the camera itself having run on."""
    victim.change()
    victim.proxy.reset()


def went_black(victim: Victim) -> None:
    """Show black for a while, and then what there is to see again, with the network breaking off each time."""
    h265, size = victim.looks % 2 == 1, SIZES[victim.looks % len(SIZES)]
    victim.show(h265=h265, size=size, is_black=True)
    victim.proxy.reset()
    time.sleep(BACK_S)
    victim.show(h265=h265, size=size)
    victim.proxy.reset()


def reset(victim: Victim) -> None:
    """Let the network break off."""
    victim.proxy.reset()


def truncated(victim: Victim) -> None:
    """Let the stream end in the middle of a packet."""
    victim.proxy.truncate(5003)
    time.sleep(1.0)  # until so much has come


def swallowed(victim: Victim) -> None:
    """Let a part of the stream be lost."""
    victim.proxy.swallow(7001)
    time.sleep(1.0)


Fault = Callable[[Victim], None]


@dataclass(frozen=True)
class Suffered:
    """One fault that a camera went through; seconds of the monotonic clock."""

    camera: str
    fault: str
    began_s: float
    returned_s: float
    recovered_s: float

    @property
    def back_s(self) -> float:
        """How long after its server's return it streamed again."""
        return self.recovered_s - self.returned_s


@dataclass(frozen=True)
class Frames:
    """When frames of a camera came, and how large they were."""

    at_s: list[float]
    sizes: list[tuple[int, int]]

    def gaps(self) -> Iterator[tuple[float, float]]:
        """From each frame to the next."""
        return pairwise(self.at_s)


@dataclass
class Record:
    """What a run was like."""

    suffered: list[Suffered] = field(default_factory=list)
    rss_bytes: list[int] = field(default_factory=list)
    threads: list[int] = field(default_factory=list)
    frames: dict[str, Frames] = field(default_factory=dict)

    def undisturbed_gap_s(self, camera: str) -> float:
        """The longest gap between two frames of a camera that none of its own faults explains."""
        own = [each for each in self.suffered if each.camera == camera]
        return max(
            end_s - begin_s
            for begin_s, end_s in self.frames[camera].gaps()
            if not any(begin_s <= each.recovered_s and each.began_s <= end_s for each in own)
        )


@dataclass
class Trial:
    """An agent that looks at cameras which fail."""

    victims: list[Victim]
    agent: Agent
    news: Listener
    notes: Path
    record: Record = field(default_factory=Record)

    def frames(self) -> dict[str, Frames]:
        """Every frame so far, by camera."""
        frames = {victim.name: Frames([], []) for victim in self.victims}
        for line in self.notes.read_text().splitlines():
            if len(words := line.split()) == 4:
                frames[words[0]].at_s.append(float(words[1]))
                frames[words[0]].sizes.append((int(words[2]), int(words[3])))
        return frames

    def statuses(self, camera: str) -> list[str]:
        """What the camera's status topic said, in order."""
        return [payload.decode() for payload in self.news.payloads(f"{ROOT}/camera/{camera}/status")]

    def health(self, camera: str) -> list[dict[str, Any]]:
        """What the health reports said of a camera, in order."""
        return [json.loads(payload)["cameras"][camera] for payload in self.news.payloads(f"{ROOT}/health")]

    def states(self, camera: str) -> list[str]:
        """The states of a camera in the health reports, in order, without repeats."""
        states = [state["state"] for state in self.health(camera)]
        return [state for state, before in zip(states, [None, *states], strict=False) if state != before]

    def wait_streaming(self) -> None:
        """Wait until every camera streams."""
        names = [victim.name for victim in self.victims]

        def over() -> bool:
            return not self.agent.alive or all(self.statuses(name)[-1:] == ["online"] for name in names)

        until(over, within_s=START_S)
        assert self.agent.alive

    def run(self, plans: Mapping[str, Iterable[Fault]], rest_s: Callable[[], float]) -> None:
        """Let each camera go through its faults, all cameras at once, with rests between them."""
        over = threading.Event()
        threads = [
            threading.Thread(target=self._suffer, args=(victim, plans[victim.name], rest_s))
            for victim in self.victims
            if victim.name in plans
        ]
        watcher = threading.Thread(target=self._sample, args=(over,))
        for thread in (watcher, *threads):
            thread.start()
        for thread in threads:
            thread.join()
        over.set()
        watcher.join()
        self.record.frames = self.frames()

    def _suffer(self, victim: Victim, faults: Iterable[Fault], rest_s: Callable[[], float]) -> None:
        for fault in faults:
            time.sleep(rest_s())
            began_s = time.monotonic()
            fault(victim)
            returned_s = time.monotonic()
            recovered_s = self._recovered_s(victim.name, returned_s)
            name = getattr(fault, "__qualname__", "").partition(".")[0]
            self.record.suffered.append(Suffered(victim.name, name, began_s, returned_s, recovered_s))

    def _recovered_s(self, camera: str, since_s: float) -> float:
        """When frames came again; infinity when they did not."""
        while time.monotonic() < since_s + 4 * BACK_S:
            later = [at_s for at_s in self.frames()[camera].at_s if at_s > since_s]
            if len(later) >= RATE_HZ // 2:  # one alone may have been under way
                return _steady_s(later)
            time.sleep(0.1)
        return float("inf")

    def _sample(self, over: threading.Event) -> None:
        while not over.wait(0.5):
            status = Path(f"/proc/{self.agent.pid}/status").read_text()
            fields = dict(line.split(":", 1) for line in status.splitlines())
            self.record.rss_bytes.append(int(fields["VmRSS"].split()[0]) * 1024)
            self.record.threads.append(int(fields["Threads"]))


def _steady_s(later: Sequence[float]) -> float:
    """From when on the frames came without a gap."""
    gaps = [end_s for begin_s, end_s in pairwise(later) if end_s - begin_s > 3 / RATE_HZ]
    return gaps[-1] if gaps else later[0]


@contextmanager
def trial(folder: Path, cameras: int) -> Iterator[Trial]:
    """A broker, cameras, proxies and an agent, which is stopped in order at the end, and its messages checked."""
    with ExitStack() as stack:
        broker = stack.enter_context(running_broker(folder))
        news = stack.enter_context(listening(broker.port))
        victims = [_victim(stack, folder / f"camera-{index}") for index in range(cameras)]
        notes = folder / "notes.txt"
        agent = Agent(
            folder,
            *(victim.settings() for victim in victims),
            mqtt={"url": broker.url},
            env=environment(),
            program=[_WATCHED, notes],
        )
        notes.touch()
        agent.start()
        stack.callback(lambda: sys.stdout.write(agent.log))  # shown when the test fails
        stack.callback(agent.kill)
        yield Trial(victims, agent, news, notes)
        assert agent.stop(within_s=STOP_S) == 0
        check_messages(news.heard)
        assert "Traceback" not in agent.log


def _victim(stack: ExitStack, folder: Path) -> Victim:
    folder.mkdir()
    make_clip(folder / "stream.mp4", h265=False, size=SIZES[0])
    camera = stack.enter_context(rtsp_camera(folder))
    return Victim(folder.name, folder, camera, stack.enter_context(proxy_of(camera.port)))


def table(record: Record) -> str:
    """What came of it, for people."""
    rows = [f"{'fault':22} {'times':>5} {'back after, s: median':>22} {'longest':>8}"]
    for name in sorted({each.fault for each in record.suffered}):
        back_s = [each.back_s for each in record.suffered if each.fault == name]
        rows.append(f"{name:22} {len(back_s):5} {statistics.median(back_s):22.2f} {max(back_s):8.2f}")
    rows += ["", f"{'camera':10} {'faults':>6} {'frames':>7} {'longest gap without a fault of its own, s':>42}"]
    for name, frames in record.frames.items():
        faults = sum(each.camera == name for each in record.suffered)
        rows.append(f"{name:10} {faults:6} {len(frames.at_s):7} {record.undisturbed_gap_s(name):42.2f}")
    half = len(record.rss_bytes) // 2
    rows.append("")
    for title, values, unit in (("RSS, MiB", record.rss_bytes, 2**20), ("threads", record.threads, 1)):
        first, second = max(values[:half]) / unit, max(values[half:]) / unit
        rows.append(f"{title:10} at most {first:.0f} in the first half, {second:.0f} in the second")
    return "\n".join(rows)
