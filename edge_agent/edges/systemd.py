"""Telling systemd how it goes: the notify protocol, a datagram to the socket that it names in the environment.

Source: sd_notify(3).
"""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Mapping


class Notifier:
    """Speaks to systemd, or to nobody when it did not start this process.

    Args:
        environ: the process's environment.
    """

    def __init__(self, environ: Mapping[str, str]) -> None:
        path = environ.get("NOTIFY_SOCKET", "")
        self._address = "\0" + path[1:] if path.startswith("@") else path
        self._watchdog_us = environ.get("WATCHDOG_USEC", "")

    def ready(self) -> None:
        """Start-up is done, or reloading."""
        self._send("READY=1")
        if self._watchdog_us:
            self._send(f"WATCHDOG_USEC={self._watchdog_us}")

    def reloading(self, within_s: float) -> None:
        """The configuration is read again; until `ready`, no sign of life may come for so many seconds."""
        if self._watchdog_us:
            self._send(f"WATCHDOG_USEC={round(within_s * 1e6)}")
        self._send(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def still_starting(self, seconds: float) -> None:
        """Start-up goes on, and will say so again or be done within so many seconds."""
        self._send(f"EXTEND_TIMEOUT_USEC={round(seconds * 1e6)}")

    def alive(self) -> None:
        """Everything moves on; to be said at least every half of `WatchdogSec`."""
        self._send("WATCHDOG=1")

    def status(self, text: str) -> None:
        """What `systemctl status` shows, one line."""
        self._send(f"STATUS={text}")

    def stopping(self) -> None:
        """The end has begun."""
        self._send("STOPPING=1")

    def _send(self, state: str) -> None:
        if not self._address:
            return
        # systemd being away is no reason to stop watching a gate.
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as to:
            to.connect(self._address)
            to.sendall(state.encode())
