"""A real Home Assistant in a folder of its own, started and stopped at will; what it is asked goes over its input."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from brokers import until
from ports import free_port

PYTHON = os.environ.get("EDGE_AGENT_HA_PYTHON", "")
"""A Python that has `homeassistant`: `make test-ha` makes one and says where it is."""

needs_home_assistant = pytest.mark.skipif(
    not PYTHON, reason="needs Home Assistant, 600 MB of packages on Python 3.13: make test-ha"
)

START_S = 120.0


class House:
    """Home Assistant.

    Args:
        folder: for its configuration, what it remembers, and its log.
        broker_port: of the broker, on loopback.
    """

    def __init__(self, folder: Path, broker_port: int) -> None:
        self.folder = folder
        self._process: subprocess.Popen[str] | None = None
        storage = folder / ".storage"
        storage.mkdir(parents=True)
        (folder / "configuration.yaml").touch()  # it is not content without one
        entry = {
            "created_at": "2026-01-01T00:00:00+00:00",
            "data": {"broker": "127.0.0.1", "port": broker_port, "protocol": "5"},
            "disabled_by": None,
            "discovery_keys": {},
            "domain": "mqtt",
            "entry_id": "0123456789abcdef0123456789abcdef",
            "minor_version": 2,
            "modified_at": "2026-01-01T00:00:00+00:00",
            "options": {"discovery": True, "discovery_prefix": "homeassistant"},
            "pref_disable_new_entities": False,
            "pref_disable_polling": False,
            "source": "user",
            "subentries": [],
            "title": "broker",
            "unique_id": None,
            "version": 1,
        }
        stored = {"version": 1, "minor_version": 5, "key": "core.config_entries", "data": {"entries": [entry]}}
        (storage / "core.config_entries").write_text(json.dumps(stored))

    @property
    def log(self) -> str:
        """What it has said so far, all its lives together."""
        return (self.folder / "process.log").read_text()

    def complaints(self) -> list[str]:
        """Lines of its log in which something of MQTT is a warning or worse, but for how it was started."""
        return [line for line in self.log.splitlines() if re.search(r" (WARNING|ERROR) .*components\.mqtt", line)]

    def start(self) -> None:
        """Start it, and wait until it has."""
        program = Path(__file__).with_name("house_process.py")
        with (self.folder / "process.log").open("a") as log:
            self._process = subprocess.Popen(
                [PYTHON, program, self.folder, str(free_port())],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                cwd=self.folder,
            )
        assert self._answer() == "started"

    def stop(self) -> None:
        """Let it stop in order, as a restart from its menu does; no harm when it does not run."""
        if self._process:
            assert self._process.stdin
            assert self._process.stdout
            self._process.stdin.close()
            self._process.wait(START_S)
            self._process.stdout.close()
            self._process = None

    def ask(self, what: str, *arguments: Any) -> Any:
        """Ask it; the questions are the methods of `House` in `house_process.py`."""
        assert self._process
        assert self._process.stdin
        self._process.stdin.write(json.dumps([what, *arguments]) + "\n")
        self._process.stdin.flush()
        return self._answer()

    def state(self, entity_id: str) -> str | None:
        """The state of an entity; None while there is none."""
        found = self.ask("states").get(entity_id)
        return found and str(found["state"])

    def wait_for(self, entity_id: str, state: str | None, within_s: float = 30.0) -> None:
        """Wait until an entity has a state, or with None is gone."""
        until(lambda: self.state(entity_id) == state, f"{entity_id} is never {state}", within_s)

    def entity_ids(self) -> list[str]:
        """All that MQTT has brought, sorted."""
        return sorted(one["entity_id"] for one in self.ask("entities"))

    def device_id(self, name: str) -> str:
        """The id of a device."""
        (found,) = [one["id"] for one in self.ask("devices") if one["name"] == name]
        return str(found)

    def _answer(self) -> Any:
        assert self._process
        assert self._process.stdout
        line = self._process.stdout.readline()
        assert line, self.log
        return json.loads(line)


@contextmanager
def living(folder: Path, broker_port: int) -> Iterator[House]:
    """A Home Assistant for the length of a `with`."""
    house = House(folder, broker_port)
    house.start()
    try:
        yield house
    finally:
        house.stop()
