"""All bad days in one: the agent is killed, the broker stopped, the network cut and the disk full, and what came of it.

`tests/flow/test_torture.py` runs it for a minute, `benchmarks/torture.py` as long as one likes.
"""

from __future__ import annotations

import json
import random
import resource
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path

import torture_agent
from brokers import Heard, Mosquitto, listening, until
from program import environment
from proxy import Proxy, proxy_of

_AGENT = Path(__file__).with_name("torture_agent.py")
_START_S = 20.0
_DRAIN_S = torture_agent.DRAIN_S + 10.0
_DISK_BYTES = 24 << 20


@dataclass(frozen=True, kw_only=True)
class Plan:
    """When to pull which plug, in seconds from the start.

    Attributes:
        seed: of everything that is left to chance.
        events: how many to commit at least.
        rate_hz: how many come a second, of all cameras together.
        kills: when the agent is killed.
        outages: from when to when there is no broker.
        cuts: when the network does what, by the name of a fault in `CUTS`.
        full: from when to when the disk is full.
    """

    seed: int
    events: int
    rate_hz: float
    kills: tuple[float, ...]
    outages: tuple[tuple[float, float], ...]
    cuts: tuple[tuple[float, str], ...]
    full: tuple[float, float]

    @property
    def length_s(self) -> float:
        """How long it takes, without what is left to deliver at its end."""
        return self.events / self.rate_hz


def plan(  # noqa: PLR0913  (so many plugs)
    *,
    seed: int,
    events: int,
    rate_hz: float,
    kills: int,
    outages: int,
    cuts: int,
    outage_s: float,
    long_outage_s: float,
) -> Plan:
    """Spread what happens over the time: outages and the full disk one after the other, kills and cuts at random."""
    chance = random.Random(seed)  # noqa: S311 - no secret
    length_s = events / rate_hz
    slot_s = (length_s - 2.0) / (outages + 1)
    starts = [1.0 + slot * slot_s for slot in range(outages + 1)]
    lengths = [long_outage_s, *[outage_s] * outages][:outages]
    chance.shuffle(lengths)
    full_s = min(6.0, slot_s / 2)
    assert max(lengths, default=0.0) < slot_s, "the outages do not fit into the time"
    return Plan(
        seed=seed,
        events=events,
        rate_hz=rate_hz,
        kills=tuple(sorted(chance.uniform(1.0, length_s) for _ in range(kills))),
        outages=tuple((start, start + length) for start, length in zip(starts, lengths, strict=False)),
        cuts=tuple(sorted((chance.uniform(1.0, length_s), chance.choice(list(CUTS))) for _ in range(cuts))),
        full=(starts[-1], starts[-1] + full_s),
    )


def _delay(proxy: Proxy) -> None:
    proxy.stall()
    time.sleep(0.7)
    proxy.flow()


def _hang(proxy: Proxy) -> None:
    """For longer than an acknowledgement may take."""
    proxy.stall()
    time.sleep(5.0)
    proxy.flow()


CUTS: dict[str, Callable[[Proxy], None]] = {
    "delay": _delay,
    "hang": _hang,
    "reset": Proxy.reset,
    "lose bytes": lambda proxy: proxy.swallow(7),
    "truncate an answer": lambda proxy: proxy.truncate(9),
    "truncate a message": lambda proxy: proxy.truncate_upward(701),
}
"""What the network does: drop, delay and truncate."""


class Disk:
    """A small disk of its own for the outbox, where this user may mount one; else a limit on the size of files."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        folder.mkdir()
        self._filler: Path | None = None
        self._enter: list[str] = []
        self.kind = "limit on the size of files"
        self.outbox = folder / "outbox.db"
        image = folder.with_suffix(".img")
        mount = (
            f'truncate -s {_DISK_BYTES} "$1" && mkfs.ext4 -q "$1" && mount -o loop "$1" "$0" && echo ext4 '
            f'|| {{ mount -t tmpfs -o size={_DISK_BYTES} none "$0" && echo tmpfs; }}'
        )
        command = ["unshare", "--mount", "sh", "-c", f"{mount}; exec sleep 100000", str(folder), str(image)]
        with suppress(FileNotFoundError):
            holder = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
            stack.callback(_end, holder)
            assert holder.stdout
            if kind := holder.stdout.readline().strip():
                self.kind = kind
                self._enter = ["nsenter", "--mount", "--target", str(holder.pid), "--wd=."]
                seen = Path(f"/proc/{holder.pid}/root{folder}")  # as the holder sees it
                self._filler = seen / "filler"
                self.outbox = seen / "outbox.db"
        self._path = folder / "outbox.db"

    def start(self, arguments: Sequence[str], log: Path) -> subprocess.Popen[bytes]:
        """Start an agent whose outbox lies there."""
        command = [*self._enter, sys.executable, str(_AGENT), str(self._path), *arguments]
        with log.open("ab") as out:
            return subprocess.Popen(command, env=environment(), stdout=out, stderr=out)

    def fill(self, agent: subprocess.Popen[bytes]) -> None:
        """Leave no room."""
        if self._filler is None:
            resource.prlimit(agent.pid, resource.RLIMIT_FSIZE, (4096, resource.RLIM_INFINITY))
            return
        with suppress(OSError), self._filler.open("wb", buffering=0) as file:
            for size in (1 << 16, 1 << 9):
                with suppress(OSError):
                    while file.write(bytes(size)):
                        pass

    def free(self, agent: subprocess.Popen[bytes]) -> None:
        """Leave room again."""
        if self._filler is None:
            resource.prlimit(agent.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        else:
            self._filler.unlink(missing_ok=True)


@dataclass(kw_only=True)
class Evidence:
    """What the agent's lives wrote down, in that order, and what was heard."""

    tried: list[str]
    on_disk: list[str]
    in_memory: list[str]
    heard: list[Heard]
    log: str
    disk: str
    killed: list[str] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What came of it; `lost`, `invented`, `changed` and `disordered` must be empty.

    Attributes:
        committed: events for which `put` returned with the disk having them.
        in_memory: events for which `put` returned while the disk took nothing, and that arrived.
        vanished: the same, and they did not arrive: the agent was killed before the disk took something again.
        received: different events that arrived.
        repeats: those that arrived again.
        late: events that came on a late topic first.
        lost: committed, and never arrived.
        invented: arrived, and nobody had put them.
        changed: arrived with another payload.
        disordered: cameras, and the event that came after a later one.
    """

    committed: int
    in_memory: int
    vanished: int
    received: int
    repeats: int
    late: int
    lost: list[str]
    invented: list[str]
    changed: list[str]
    disordered: list[str]


def judge(evidence: Evidence) -> Outcome:
    """Hold what was heard against what was written down."""
    ids = [json.loads(heard.payload)["event_id"] for heard in evidence.heard]
    first = dict(reversed([*zip(ids, evidence.heard, strict=True)]))
    received = set(ids)
    whole = {name: torture_agent.payload(name) for name in received}
    disordered = []
    newest: dict[str, tuple[int, int]] = {}
    for name in dict.fromkeys(ids):  # in the order of their first arrival
        life, camera, seq = name.split("/")
        place = (int(life), int(seq))
        if place < newest.get(camera, place):
            disordered.append(f"{name} after {newest[camera]}")
        newest[camera] = max(place, newest.get(camera, place))
    return Outcome(
        committed=len(evidence.on_disk),
        in_memory=len(set(evidence.in_memory) & received),
        vanished=len(set(evidence.in_memory) - received),
        received=len(received),
        repeats=len(ids) - len(received),
        late=sum(heard.topic.endswith("/late") for heard in first.values()),
        lost=sorted(set(evidence.on_disk) - received),
        invented=sorted(received - set(evidence.tried)),
        changed=[name for name, heard in zip(ids, evidence.heard, strict=True) if heard.payload != whole[name]],
        disordered=disordered,
    )


def run(the_plan: Plan, folder: Path) -> Evidence:
    """Let it all happen, then let the agent deliver what is left, and end."""
    ledger, log = folder / "ledger.txt", folder / "agent.log"
    ledger.touch()
    with ExitStack() as stack:
        # With `persistence`, the broker brings the subscriber's session over its stops: what it confirmed it delivers.
        broker = Mosquitto(folder, "persistence true", f"persistence_location {folder}/")
        broker.start()
        stack.callback(broker.stop)
        proxy = stack.enter_context(proxy_of(broker.port))
        disk = Disk(folder / "disk", stack)
        archive = stack.enter_context(
            listening(broker.port, f"{torture_agent.ROOT}/camera/+/event/#", session="archive")
        )
        lives = _Lives(disk, ledger, log, f"mqtt://127.0.0.1:{proxy.port}", the_plan.rate_hz)
        stack.callback(lives.kill)
        lives.begin()
        for act in _in_time(the_plan, broker, proxy, disk, lives):
            act()
        until(lambda: committed(ledger) >= the_plan.events, "the agent commits nothing more", within_s=_START_S * 3)
        assert lives.finish() == 0, log.read_text()
        lines = [line.split() for line in ledger.read_text().splitlines()]
        tried, on_disk, in_memory = (
            [name for word, name in lines if word == kind] for kind in ("try", "disk", "memory")
        )
        with suppress(AssertionError):
            until(lambda: len(archive.heard) >= len(on_disk) and len(_ids(archive.heard)) >= len(on_disk), within_s=10)
        return Evidence(
            tried=tried,
            on_disk=on_disk,
            in_memory=in_memory,
            heard=list(archive.heard),
            log=log.read_text(),
            disk=disk.kind,
        )


def _ids(heard: Sequence[Heard]) -> set[bytes]:
    return {one.payload for one in heard}


def committed(ledger: Path) -> int:
    """How many events the agent has committed so far."""
    return ledger.read_text().count("disk ")


class _Lives:
    """The agent, life after life."""

    def __init__(self, disk: Disk, ledger: Path, log: Path, url: str, rate_hz: float) -> None:
        self._disk = disk
        self._ledger = ledger
        self._log = log
        self._url = url
        self._rate_hz = rate_hz
        self._count = 0
        self.process: subprocess.Popen[bytes] | None = None

    def begin(self) -> None:
        """Start the next one."""
        self._count += 1
        self.process = self._disk.start([str(self._ledger), self._url, str(self._count), str(self._rate_hz)], self._log)

    def again(self) -> None:
        """End this one as a power cut does, and start the next."""
        assert self.process
        assert self.process.poll() in {None, 69}, self._log.read_text()
        self.kill()
        self.begin()

    def kill(self) -> None:
        """No harm when it does not run."""
        if self.process:
            self.process.kill()
            self.process.wait()

    def finish(self) -> int:
        """Let it deliver all, and say how it ended."""
        assert self.process
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(_DRAIN_S)


def _in_time(
    the_plan: Plan, broker: Mosquitto, proxy: Proxy, disk: Disk, lives: _Lives
) -> Iterator[Callable[[], object]]:
    """What to do, each thing when it is time."""
    actions: list[tuple[float, Callable[[], object]]] = [(at_s, lives.again) for at_s in the_plan.kills]
    for from_s, to_s in the_plan.outages:
        actions += [(from_s, broker.finish), (to_s, broker.start)]
    for at_s, name in the_plan.cuts:
        actions.append((at_s, lambda name=name: CUTS[name](proxy)))  # type: ignore[misc]

    def fill() -> None:
        assert lives.process
        disk.fill(lives.process)

    def free() -> None:
        assert lives.process
        disk.free(lives.process)

    actions += [(the_plan.full[0], fill), (the_plan.full[1], free)]
    start_s = time.monotonic()
    for at_s, act in sorted(actions, key=lambda action: action[0]):
        time.sleep(max(0.0, start_s + at_s - time.monotonic()))
        yield act


def _end(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.communicate()


def table(the_plan: Plan, evidence: Evidence, outcome: Outcome) -> str:
    """What came of it, for people."""
    cuts = Counter(name for _, name in the_plan.cuts)
    lengths = ", ".join(f"{to_s - from_s:.0f}" for from_s, to_s in the_plan.outages)
    rows = {
        "seed": the_plan.seed,
        "length": f"{the_plan.length_s:.0f} s, 4 cameras",
        "kills of the agent": len(the_plan.kills),
        "stops of the broker": f"{len(the_plan.outages)}: {lengths} s",
        "network": ", ".join(f"{count} x {name}" for name, count in sorted(cuts.items())),
        "disk full": f"{the_plan.full[1] - the_plan.full[0]:.0f} s ({evidence.disk})",
        "committed": outcome.committed,
        "put while full": f"{outcome.in_memory} arrived from memory, {outcome.vanished} vanished in a kill",
        "received distinct": outcome.received,
        "lost": len(outcome.lost),
        "invented or changed": len(outcome.invented) + len(outcome.changed),
        "out of order": f"{len(outcome.disordered)} (within a camera, without repeats)",
        "repeats": outcome.repeats,
        "late": outcome.late,
    }
    return "\n".join(f"  {name:20} {value}" for name, value in rows.items())
