"""What systemd is told while a configuration is read anew."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from edge_agent.edges.systemd import Notifier


@pytest.mark.parametrize("watchdog", [True, False])
def test_while_reloading_no_sign_of_life_is_expected_for_a_while(tmp_path: Path, *, watchdog: bool) -> None:
    path = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(path)
        notifier = Notifier({"NOTIFY_SOCKET": path, **({"WATCHDOG_USEC": "60000000"} if watchdog else {})})
        notifier.reloading(900.0)
        notifier.ready()
        systemd.setblocking(False)  # noqa: FBT003 - the library's way
        told = [systemd.recv(1024).decode() for _ in range(4 if watchdog else 2)]
    first, _, stamp = told[1 if watchdog else 0].partition("\n")
    assert first == "RELOADING=1"
    assert stamp.startswith("MONOTONIC_USEC=")
    if watchdog:
        assert (told[0], told[2:]) == ("WATCHDOG_USEC=900000000", ["READY=1", "WATCHDOG_USEC=60000000"])
    else:
        assert told[1] == "READY=1"
