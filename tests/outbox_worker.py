"""A program that uses an outbox as hard as it can until it is killed, and writes down each step before and after it.

    outbox_worker.py OUTBOX LEDGER STEPS

The ledger is only appended to: `try N…`, `put N…`, `acking N…`, `acked N…`, `burying N`, `buried N`.
"""

from __future__ import annotations

import os
import random
import sys
from collections.abc import Iterable
from contextlib import closing, suppress
from pathlib import Path

from edge_agent.edges.clock import SystemClock
from edge_agent.edges.outbox import Outbox, OutboxSettings
from edge_agent.errors import StorageError
from edge_agent.records import Message, MessageKind

KINDS: tuple[MessageKind, ...] = ("new", "update", "end")


def message(number: int) -> Message:
    """The event of that number: whoever has the number knows each of its bytes."""
    payload = str(number).encode().ljust(50 + number * 37 % 1900, b".")
    return Message(topic="t", payload=payload, kind=KINDS[number % 3], late_topic="late", utc_ns=number)


def main(path: str, ledger_path: str, steps: str) -> None:
    ledger = os.open(ledger_path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o644)
    tried = [line for line in Path(ledger_path).read_text().splitlines() if line.startswith("try ")]
    number = int(tried[-1].split()[-1]) + 1 if tried else 0
    chance = random.Random(number)  # noqa: S311 - no secret

    def note(word: str, numbers: Iterable[int]) -> None:
        os.write(ledger, f"{word} {' '.join(map(str, numbers))}\n".encode())

    with closing(Outbox(OutboxSettings(path=Path(path)), SystemClock())) as outbox:
        for _ in range(int(steps)):
            frame = range(number, number := number + chance.randint(1, 4))
            note("try", frame)
            outbox.put([message(one) for one in frame])
            note("put", frame)
            with suppress(StorageError):  # a disk that cannot be read, or not moved on; later it can
                if chance.random() < 0.5:
                    oldest = {entry.id: entry.message.utc_ns for entry in outbox.peek(chance.randint(1, 5))}
                    note("acking", oldest.values())
                    outbox.ack(oldest)
                    note("acked", oldest.values())
                if chance.random() < 0.1:
                    for entry in outbox.peek(1):
                        note("burying", [entry.message.utc_ns])
                        outbox.bury(entry.id, "test")
                        note("buried", [entry.message.utc_ns])


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except StorageError as error:  # it cannot even be opened
        sys.exit(f"{error}")
