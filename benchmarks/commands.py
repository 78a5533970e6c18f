"""What a command costs, how soon it is answered, and what ten reloads leave behind; prints a table.

python benchmarks/commands.py
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

import brokers
import program

COMMANDS = 500
RELOADS = 10
TOPIC, RESULT = f"{program.ROOT}/command", f"{program.ROOT}/command/result"


class Asker:
    """Asks, and waits for the answer."""

    def __init__(self, port: int) -> None:
        self._answered = threading.Event()
        self.answer: dict[str, object] = {}
        self._client = paho.Client(CallbackAPIVersion.VERSION2)
        self._client.on_message = self._take
        self._client.connect("127.0.0.1", port)
        self._client.subscribe(RESULT, qos=1)
        self._client.loop_start()

    def ask(self, topic: str, payload: str) -> float:
        """Seconds from the question to the answer."""
        self._answered.clear()
        began_s = time.perf_counter()
        self._client.publish(topic, payload, qos=1)
        if not self._answered.wait(60) or not self.answer["ok"]:
            raise SystemExit(f"{payload}: {self.answer or 'no answer'}")
        return time.perf_counter() - began_s

    def _take(self, _client: object, _data: object, message: paho.MQTTMessage) -> None:
        self.answer = json.loads(message.payload)
        self._answered.set()


def main() -> None:
    """Run an agent whose camera sleeps through it all, and ask."""
    folder = Path(tempfile.mkdtemp())
    with brokers.running(folder) as broker:
        agent = program.Agent(folder, program.camera(**program.LOOP), mqtt={"url": broker.url})
        settings = json.loads(agent.config.read_text())
        program.write_config(agent.config, settings | {"commands": {"per_minute": 6000}})
        agent.start()
        try:
            brokers.until(lambda: "streaming" in agent.log, within_s=60)
            asker = Asker(broker.port)
            print(f"{'':28} {'p50':>8} {'p99':>8} {'CPU a command':>14}")
            asker.ask(TOPIC, '{"name":"pause"}')
            _row(agent, "ping", asker, TOPIC, lambda _: '{"name":"ping"}')
            topic = f"{program.ROOT}/camera/front/set/rate_hz"
            _row(agent, "set/rate_hz, kept on disk", asker, topic, lambda index: f"{1 + index % 9}")
            print(f"\n{'reloads':>8} {'answered after, s':>18} {'threads':>8} {'RSS, MB':>8}")
            took_s: list[float] = []
            for index in range(RELOADS + 1):
                if index in {0, 1, RELOADS // 2, RELOADS}:
                    print(f"{index:8} {took_s[-1] if took_s else 0:18.2f} {_status(agent, 'Threads'):8} ", end="")
                    print(f"{_status(agent, 'VmRSS') / 1024:8.1f}")
                took_s.append(asker.ask(TOPIC, '{"name":"reload"}'))
            print(f"median of {len(took_s)} reloads: {statistics.median(took_s):.2f} s")
        finally:
            agent.kill()


def _row(agent: program.Agent, name: str, asker: Asker, topic: str, payload: Callable[[int], str]) -> None:
    cpu_s = _cpu_s(agent)
    took_ms = sorted(1000 * asker.ask(topic, payload(index)) for index in range(COMMANDS))
    cpu_ms = 1000 * (_cpu_s(agent) - cpu_s) / COMMANDS
    print(f"{name:28} {took_ms[COMMANDS // 2]:6.1f}ms {took_ms[COMMANDS * 99 // 100]:6.1f}ms {cpu_ms:12.2f}ms")


def _cpu_s(agent: program.Agent) -> float:
    fields = Path(f"/proc/{agent.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100  # utime and stime, in hundredths: proc_pid_stat(5)


def _status(agent: program.Agent, name: str) -> int:
    lines = Path(f"/proc/{agent.pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(f"{name}:")).split()[1])


if __name__ == "__main__":
    main()
