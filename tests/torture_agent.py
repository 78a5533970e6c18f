"""An agent without cameras: threads that put events as pipelines do, and the real outbox, delivery and MQTT.

    torture_agent.py OUTBOX LEDGER URL LIFE RATE_HZ [CAMERAS]

It writes down what it does in the ledger, a file that is only appended to: `try ID` before an event is put, `disk ID`
when `put` has returned and nothing waits in memory, else `memory ID`. SIGTERM ends the events; it goes on until all of
them are delivered.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import threading
import time
import zlib
from contextlib import closing
from pathlib import Path

from edge_agent.edges.clock import Backoff, SystemClock
from edge_agent.edges.deliver import Deliverer
from edge_agent.edges.mqtt import Brokers, MqttSettings
from edge_agent.edges.outbox import Outbox, OutboxSettings
from edge_agent.records import Message, MessageKind

ROOT = "edge/torture"
LATE_AFTER_S = 10.0
DRAIN_S = 120.0


def event_id(life: int, camera: int, seq: int) -> str:
    return f"{life}/{camera}/{seq}"


def payload(name: str) -> bytes:
    """About 500 bytes that follow from the event's id, so that whoever gets them sees whether they are whole."""
    return json.dumps({"event_id": name, "rest": f"{zlib.crc32(name.encode()):08x}" * 58}).encode()


def message(life: int, camera: int, seq: int, kind: MessageKind, subject: int) -> Message:
    topic = f"{ROOT}/camera/{camera}/event"
    return Message(
        topic=topic,
        late_topic=f"{topic}/late",
        payload=payload(event_id(life, camera, seq)),
        kind=kind,
        utc_ns=time.time_ns(),
        subject=f"{life}/{camera}-{subject}",
    )


def see(outbox: Outbox, ledger: int, life: int, camera: int, rate_hz: float, over: threading.Event) -> None:
    """One camera: objects that come, do something and go, some of it in one frame."""
    chance = random.Random(f"{life}/{camera}")  # noqa: S311 - no secret
    seq = subject = 0
    kinds: list[MessageKind] = []
    while not over.wait(chance.expovariate(rate_hz)):
        if not kinds:
            subject += 1
            kinds = ["new", *["update"] * chance.choice((0, 0, 1, 2)), "end"]
        count = chance.choice((1, 1, 1, min(2, len(kinds))))
        frame = [message(life, camera, seq + number, kinds.pop(0), subject) for number in range(count)]
        names = [event_id(life, camera, seq + number) for number in range(count)]
        seq += count
        state = Message(topic=f"{ROOT}/camera/{camera}/count/person", payload=str(seq).encode(), kind="state")
        os.write(ledger, "".join(f"try {name}\n" for name in names).encode())
        outbox.put([*frame, state])
        where = "memory" if outbox.stats().in_memory else "disk"
        os.write(ledger, "".join(f"{where} {name}\n" for name in names).encode())


def main(path: str, ledger_path: str, url: str, life: str, rate_hz: str, cameras: str = "4") -> int:
    over, stop = threading.Event(), threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: over.set())
    clock = SystemClock()
    settings = MqttSettings(url=url, late_after_s=LATE_AFTER_S, retry_first_s=0.2, retry_cap_s=1, ack_timeout_s=4)
    will = Message(topic=f"{ROOT}/status", payload=b"offline", kind="state")
    ledger = os.open(ledger_path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    with closing(Outbox(OutboxSettings(path=Path(path)), clock)) as outbox:
        deliverer = Deliverer(
            outbox=outbox,
            connect=Brokers(settings, client_id="torture", will=will, clock=clock).connect,
            clock=clock,
            settings=settings,
            backoff=Backoff(first_s=settings.retry_first_s, cap_s=settings.retry_cap_s, uniform=random.uniform),
        )
        delivery = threading.Thread(target=deliverer.run, args=[stop])
        delivery.start()
        seers = [
            threading.Thread(target=see, args=(outbox, ledger, int(life), camera, float(rate_hz) / int(cameras), over))
            for camera in range(int(cameras))
        ]
        for thread in seers:
            thread.start()
        for thread in seers:
            thread.join()
        until_s = clock.monotonic_s() + DRAIN_S
        while outbox.stats().waiting and clock.monotonic_s() < until_s:
            time.sleep(0.1)
        stop.set()
        delivery.join()
        return 0 if outbox.stats().waiting == 0 else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
