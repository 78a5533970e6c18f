"""The program as a person runs it: processes of their own, with a folder, an environment and a log of their own."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from brokers import DEADLINE_S, Heard, listening, until
from brokers import Listener as BrokerListener

import edge_agent
from edge_agent.clips import PEDESTRIANS
from edge_agent.stages.encode.channels import CHANNELS, QOS
from edge_agent.tools.contract import Contract

PACKAGE = Path(edge_agent.__file__).parent

DEVICE = "box"
PREFIX = "edge"
DISCOVERY_PREFIX = "homeassistant"
ROOT = f"{PREFIX}/{DEVICE}"

ZONES = {
    "crossing": {"polygon": [[0.35, 0.38], [0.8, 0.4], [0.95, 0.75], [0.5, 0.62]]},
    "road": {"polygon": [[0.0, 0.33], [0.35, 0.38], [0.5, 0.62], [0.0, 0.42]]},
}
"""The demo's zones, which people of the built-in clip enter and leave."""

SOON_S = 20.0
"""Enough for a start, the first frames, and the first events on a busy machine."""

PATIENCE_S = 40.0
"""Enough for a start and what takes its time: some groups of pictures, a round of a film, a report every 30 s."""

CONTRACT = Contract()

_ASKED = re.compile(rf"{ROOT}/(command|camera/[^/]+/set/[^/]+)")
"""What others ask of the agent: tests write it, and write it wrong on purpose."""

_ANSWER = f"{ROOT}/command/result"
_ANSWERS = (f"{_ANSWER}/", "reply/")
"""Where tests want their answers, beside that."""

_EVENT = re.compile(r".*/event(/late)?")


def environment(**more: str) -> dict[str, str]:
    """The environment of a process that shall find this very package, from a checkout as when installed."""
    return {**os.environ, "PYTHONPATH": str(PACKAGE.parent), **more}


def run_program(
    *arguments: str | Path, cwd: Path, within_s: float = 180.0, env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a command of the program to its end."""
    return subprocess.run(
        [sys.executable, "-m", "edge_agent", *map(str, arguments)],
        cwd=cwd,
        env=env or environment(),
        capture_output=True,
        text=True,
        timeout=within_s,
        check=False,
    )


def write_config(path: Path, settings: Mapping[str, Any]) -> Path:
    """Write a configuration; JSON is YAML too."""
    path.write_text(json.dumps(settings, indent=1), encoding="utf-8")
    return path


def camera(name: str = "front", clip: Path = PEDESTRIANS, **more: Any) -> dict[str, Any]:
    """A camera that shows a clip."""
    return {"id": name, "source": f"file://{clip}", **more}


LOOP: dict[str, Any] = {"capture": {"loop": True}}
"""For a camera that begins its clip again and again."""


class Agent:
    """The daemon: start it, kill it, stop it, start it again; its state and its log stay in its folder.

    Args:
        folder: for its configuration, its outbox and its log.
        cameras: its cameras.
        mqtt: the settings of that section.
        webhook: the settings of that section.
        model: the settings of that section.
        explain: the settings of that section.
        homeassistant: the settings of that section.
        env: its environment; `environment()` when left out.
        program: what Python runs, before the command.
    """

    def __init__(  # noqa: PLR0913  (one for each section that a test may set)
        self,
        folder: Path,
        *cameras: Mapping[str, Any],
        mqtt: Mapping[str, Any],
        webhook: Mapping[str, Any] | None = None,
        model: Mapping[str, Any] | None = None,
        explain: Mapping[str, Any] | None = None,
        homeassistant: Mapping[str, Any] | None = None,
        env: Mapping[str, str] | None = None,
        program: Sequence[str | Path] = ("-m", "edge_agent"),
    ) -> None:
        self.folder = folder
        self.outbox = folder / "state" / "outbox.db"
        self.config = write_config(
            folder / "config.yaml",
            {
                "device": {"id": DEVICE},
                "mqtt": {"retry_cap_s": 1, **mqtt},
                "cameras": cameras,
                "webhook": webhook or {},
                "model": model or {},
                "explain": explain or {},
                "homeassistant": homeassistant or {},
                "outbox": {"path": str(self.outbox)},
            },
        )
        self._env = env or environment()
        self._command = [sys.executable, *map(str, program), "run", "-c", str(self.config)]
        self._log = folder / "agent.log"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> str:
        """What it has said so far, all its lives together."""
        return self._log.read_text(encoding="utf-8")

    @property
    def alive(self) -> bool:
        """Whether it runs now."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        """Its process."""
        assert self._process
        return self._process.pid

    def start(self) -> None:
        """Start it, and do not wait for anything."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(self._command, cwd=self.folder, env=self._env, stdout=log, stderr=log)

    def kill(self) -> None:
        """Pull the plug; no harm when it does not run."""
        if self._process:
            self._process.kill()
            self._process.wait()
            self._process = None

    def stop(self, how: signal.Signals = signal.SIGTERM, within_s: float = DEADLINE_S) -> int:
        """Ask it to stop, and give its exit code."""
        self.send_signal(how)
        return self.wait(within_s)

    def send_signal(self, which: signal.Signals) -> None:
        """Send it a signal, and wait for nothing."""
        assert self._process
        self._process.send_signal(which)

    def heeds(self, which: signal.Signals) -> bool:
        """Whether it has come so far that it catches a signal, which would just kill it before."""
        status = Path(f"/proc/{self.pid}/status").read_text(encoding="ascii")
        (caught,) = re.findall(r"^SigCgt:\s+([0-9a-f]+)$", status, re.MULTILINE)  # proc_pid_status(5)
        return bool(int(caught, 16) >> (which - 1) & 1)

    def wait(self, within_s: float) -> int:
        """Wait until it ends by itself, and give its exit code."""
        assert self._process
        code = self._process.wait(within_s)
        self._process = None
        return code

    def waiting(self) -> list[dict[str, Any]]:
        """The events in its outbox, as `outbox list` shows them; none while there is no outbox."""
        if not self.outbox.exists():
            return []
        done = run_program("outbox", "list", "--path", self.outbox, "--json", "--limit", "10000", cwd=self.folder)
        return [line["payload"] for line in json.loads(done.stdout)] if done.returncode == 0 else []


@contextmanager
def running(  # noqa: PLR0913  (as of Agent)
    folder: Path,
    *cameras: Mapping[str, Any],
    mqtt: Mapping[str, Any],
    webhook: Mapping[str, Any] | None = None,
    model: Mapping[str, Any] | None = None,
    explain: Mapping[str, Any] | None = None,
    homeassistant: Mapping[str, Any] | None = None,
    env: Mapping[str, str] | None = None,
) -> Iterator[Agent]:
    """An agent for the length of a `with`; it must never have died of something that it did not expect."""
    agent = Agent(
        folder, *cameras, mqtt=mqtt, webhook=webhook, model=model, explain=explain, homeassistant=homeassistant, env=env
    )
    agent.start()
    try:
        yield agent
    finally:
        agent.kill()
        sys.stdout.write(agent.log)  # shown when the test fails
    assert "Traceback" not in agent.log


@contextmanager
def hearing(port: int, *, session: str = "") -> Iterator[BrokerListener]:
    """Hear everything, and check all of it against the contract at the end."""
    with listening(port, session=session) as listener:
        yield listener
        check_messages(listener.heard)


def check_messages(heard: Iterable[Heard]) -> None:
    """Hold each message against the contract: its topic, its payload, whether it is retained, and its QoS."""
    for message in heard:
        wrong = faults(message)
        assert not wrong, f"{message.topic}: {'; '.join(wrong)}: {message}"


def faults(message: Heard) -> list[str]:
    """What of a message is against the contract, each in a line."""
    if _ASKED.fullmatch(message.topic):
        return []
    if message.topic.startswith(_ANSWERS):
        message = replace(message, topic=_ANSWER)
    found = [
        one
        for one in CHANNELS.values()
        if (at := one.match(message.topic))
        and at.get("prefix", PREFIX) == PREFIX
        and at.get("discovery_prefix", DISCOVERY_PREFIX) == DISCOVERY_PREFIX
    ]
    if len(found) != 1:
        return [f"{len(found)} channels of the contract have this topic"]
    [channel] = found
    wrong = CONTRACT.faults(message.topic, message.payload)
    if message.as_published and message.retain is not channel.retained:
        wrong.append(f"it is {'' if message.retain else 'not '}retained")
    if message.qos != QOS:
        wrong.append(f"its QoS is {message.qos}, must be {QOS}")
    return wrong


def check_event(payload: bytes) -> dict[str, Any]:
    """Hold one event against the JSON Schema and its bound, and give what it says."""
    event: dict[str, Any] = json.loads(payload)
    topic = CHANNELS["event"].at(prefix=PREFIX, device=event["device"], camera=event["camera"])
    assert CONTRACT.faults(topic, payload) == []
    return event


def is_event(topic: str) -> bool:
    """Whether a topic is one of events, late ones included."""
    return _EVENT.fullmatch(topic) is not None


def events_in(heard: Iterable[Heard]) -> list[dict[str, Any]]:
    """What the events among the messages say, in order, repeats included."""
    return [json.loads(message.payload) for message in list(heard) if is_event(message.topic)]


def objects(events: Sequence[Mapping[str, Any]], event_type: str) -> list[str]:
    """The ids of the objects that an event of that type speaks of, with their runs, one an event."""
    return [f"{event['run_id']}/{event['object']['id']}" for event in events if event["event_type"] == event_type]


def seconds(event: Mapping[str, Any]) -> float:
    """When the frame of an event was taken, in seconds since 1970: the time in a film that began then."""
    return datetime.fromisoformat(event["time"].replace("Z", "+00:00")).timestamp()


def wait_for_new(news: BrokerListener, count: int = 1, within_s: float = SOON_S) -> None:
    """Wait until so many objects were spoken of."""
    until(lambda: len(objects(events_in(news.heard), "new")) >= count, within_s=within_s)
