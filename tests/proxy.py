"""A TCP proxy that treats what goes through it as badly as a network does."""

from __future__ import annotations

import select
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

_LOOK_S = 0.02
_PUBLISH = 0x30  # MQTT 5, section 3.3
_CHUNK_BYTES = 65536
_RESET = struct.pack("ii", 1, 0)  # SO_LINGER for 0 s: `close` sends RST instead of FIN


class _Connection:
    """One client and its connection to the server behind the proxy."""

    def __init__(self, client: socket.socket, server: socket.socket) -> None:
        self.client = client
        self.server = server
        self.swallow_bytes = 0
        self.left_bytes: int | None = None  # until it is cut off
        self.left_upward_bytes: int | None = None

    def pump(self, source: socket.socket) -> bool:
        """Take some bytes on; false when that was all."""
        data = source.recv(_CHUNK_BYTES)
        if not data:
            return False
        if source is self.client:
            if self.left_upward_bytes is not None:
                data = data[: self.left_upward_bytes]
                self.left_upward_bytes -= len(data)
            self.server.sendall(data)
            return self.left_upward_bytes != 0
        swallowed = min(self.swallow_bytes, len(data))
        self.swallow_bytes -= swallowed
        data = data[swallowed:]
        if self.left_bytes is not None:
            data = data[: self.left_bytes]
            self.left_bytes -= len(data)
        self.client.sendall(data)
        return self.left_bytes != 0

    def close(self, *, reset: bool = False) -> None:
        if reset:
            self.client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self.client.close()
        self.server.close()


class Proxy:
    """Stands before a server on loopback, on a port of its own.

    Args:
        port: of the server; where nobody listens a client is accepted and hung up on.
    """

    def __init__(self, port: int) -> None:
        self._target = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._lock = threading.Lock()
        self._connections: list[_Connection] = []
        self._stalled = False
        self._closing = False
        self.hang_up_on: bytes | None = None
        """Whoever publishes something that holds these bytes is hung up on; the server does not get it."""
        self._thread = threading.Thread(target=self._serve, name=f"proxy of {port}")
        self._thread.start()

    def stall(self) -> None:
        """Let nothing through any more, and hang up on nobody; new clients are accepted and not answered."""
        self._stalled = True

    def flow(self) -> None:
        """Let everything through again, also what came meanwhile."""
        self._stalled = False

    def swallow(self, size: int) -> None:
        """Lose the next so many bytes from the server."""
        with self._lock:
            for connection in self._connections:
                connection.swallow_bytes = size

    def truncate(self, size: int) -> None:
        """Let so many more bytes from the server through, then hang up."""
        with self._lock:
            for connection in self._connections:
                connection.left_bytes = size

    def truncate_upward(self, size: int) -> None:
        """Let so many more bytes from the client through, then hang up."""
        with self._lock:
            for connection in self._connections:
                connection.left_upward_bytes = size

    def reset(self) -> None:
        """Break off every connection, as a router does that has forgotten it."""
        with self._lock:
            for connection in self._connections:
                connection.close(reset=True)
            self._connections.clear()

    def close(self) -> None:
        """Hang up on everybody and end."""
        self._closing = True
        self._thread.join()

    def _serve(self) -> None:
        with self._listener:
            while not self._closing:
                sockets = {} if self._stalled else self._sockets()
                # What was closed since then is a bad file descriptor.
                with suppress(OSError, ValueError):
                    for ready in select.select([self._listener, *sockets], [], [], _LOOK_S)[0]:
                        with self._lock:
                            self._look_at(ready, sockets.get(ready))
        for connection in self._connections:
            connection.close()

    def _sockets(self) -> dict[socket.socket, _Connection]:
        with self._lock:
            return {end: each for each in self._connections for end in (each.client, each.server)}

    def _look_at(self, ready: socket.socket, connection: _Connection | None) -> None:
        if connection is None:
            client, _ = self._listener.accept()
            server = socket.socket()
            try:
                server.connect(("127.0.0.1", self._target))
            except OSError:
                client.close()
                server.close()
            else:
                self._connections.append(_Connection(client, server))
        elif connection in self._connections:
            try:
                goes_on = not self._displeases(ready, connection) and connection.pump(ready)
            except OSError:
                goes_on = False
            if not goes_on:
                connection.close()
                self._connections.remove(connection)

    def _displeases(self, ready: socket.socket, connection: _Connection) -> bool:
        if self.hang_up_on is None or ready is not connection.client:
            return False
        data = ready.recv(_CHUNK_BYTES, socket.MSG_PEEK)
        return data[:1] != b"" and data[0] & 0xF0 == _PUBLISH and self.hang_up_on in data


@contextmanager
def proxy_of(port: int) -> Iterator[Proxy]:
    """A proxy for the length of a `with`."""
    proxy = Proxy(port)
    try:
        yield proxy
    finally:
        proxy.close()
