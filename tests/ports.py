"""Ports of this machine for servers of tests: nothing else takes one before its server listens, or between two lives.

Who asks Linux for any port, and whoever connects, gets one from `net.ipv4.ip_local_port_range`, 32768 and more unless
set otherwise. These lie below, and each of the processes in which tests run side by side has a range of its own.
"""

from __future__ import annotations

import itertools
import os
import random
import socket

_FIRST, _LAST = 10_000, 32_767


def free_port(kind: socket.SocketKind = socket.SOCK_STREAM) -> int:
    """A port on loopback that nobody uses now, and that is given to nobody else for a long while."""
    return next(port for port in _ports if _is_free(port, kind))


def _is_free(port: int, kind: socket.SocketKind) -> bool:
    with socket.socket(socket.AF_INET, kind) as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def _own_ports() -> range:
    """This process's share, by what pytest-xdist calls it (`gw0`, `gw1` …); all, where it runs alone."""
    count = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    number = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % count
    size = (_LAST + 1 - _FIRST) // count
    return range(_FIRST + number * size, _FIRST + (number + 1) * size)


def _from_anywhere(ports: range) -> itertools.cycle[int]:
    """All of them again and again, from one by chance on: another run on this machine begins elsewhere."""
    start = random.randrange(len(ports))  # noqa: S311 - no secret
    return itertools.cycle([*ports[start:], *ports[:start]])


_ports = _from_anywhere(_own_ports())
