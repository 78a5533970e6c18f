"""A broker for the demo: mosquitto where it is installed, else the one that `iotcore` brings; on loopback only."""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from edge_agent import runtimes
from edge_agent.errors import BrokerError

LOOPBACK = "127.0.0.1"
_START_S = 10.0
_STOP_S = 5.0
_POLL_S = 0.05
_MAX_PAYLOAD_BYTES = 262_144  # iotcore's own 20 KB is less than a health report of many cameras

# max_queued_messages 0 is "no limit": with one, mosquitto drops acknowledged messages for slow subscribers, silently.
_MOSQUITTO_CONF = """\
listener {port} {host}
allow_anonymous true
max_queued_messages 0
persistence false
log_type error
"""


@contextlib.contextmanager
def embedded_broker(folder: Path) -> Iterator[tuple[str, str]]:
    """Run a real MQTT broker as a child process for as long as the block lasts.

    Args:
        folder: for its configuration file.

    Yields:
        Its name for people, and its address, `mqtt://127.0.0.1:PORT`.

    Raises:
        BrokerError: it does not start.
        RuntimeMissingError: neither mosquitto nor iotcore is installed.
    """
    port = _free_port()
    mosquitto = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin")  # where Debian puts it
    broker = _mosquitto(mosquitto, folder, port) if mosquitto else _iotcore(port)
    with broker as name:
        yield name, f"mqtt://{LOOPBACK}:{port}"


@contextlib.contextmanager
def _mosquitto(program: str, folder: Path, port: int) -> Iterator[str]:
    conf = folder / "mosquitto.conf"
    conf.write_text(_MOSQUITTO_CONF.format(port=port, host=LOOPBACK), encoding="utf-8")
    with subprocess.Popen([program, "-c", str(conf)], stderr=subprocess.DEVNULL) as process:  # noqa: S603  (found above)
        try:
            _wait_until_listening(process, port)
            yield "mosquitto"
        finally:
            process.terminate()
            process.wait(_STOP_S)


@contextlib.contextmanager
def _iotcore(port: int) -> Iterator[str]:
    iotcore = runtimes.load("iotcore")
    broker = iotcore.Broker(port=port, listen=LOOPBACK, max_payload_size=_MAX_PAYLOAD_BYTES)
    try:
        broker.start(_START_S)
    except (OSError, RuntimeError) as error:
        raise BrokerError(f"iotcore's broker does not start on {LOOPBACK}:{port}: {error}") from error
    try:
        yield "iotcore"
    finally:
        broker.stop()


def _wait_until_listening(process: subprocess.Popen[bytes], port: int) -> None:
    deadline_s = time.monotonic() + _START_S
    while time.monotonic() < deadline_s and process.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection((LOOPBACK, port), timeout=_POLL_S):
            return
        time.sleep(_POLL_S)
    raise BrokerError(f"mosquitto does not start on {LOOPBACK}:{port}; exit code {process.poll()}")


def _free_port() -> int:
    with socket.create_server((LOOPBACK, 0)) as listener:
        return int(listener.getsockname()[1])
