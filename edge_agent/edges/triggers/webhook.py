"""Triggers that another program on this machine sends by HTTP: `POST /trigger/CAMERA`."""

from __future__ import annotations

import io
import re
import socketserver
import threading
from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from typing import Annotated, Any, Literal

from pydantic import Field

from edge_agent.edges.clock import Clock
from edge_agent.edges.triggers.trigger import Trigger
from edge_agent.errors import TriggerError
from edge_agent.settings import Section

HOST = "127.0.0.1"
"""Nobody but this machine may call."""

PLACE = "/trigger/"

_MOST_BYTES = 16_384  # of a request, all in all
_PATIENCE_S = 2.0  # for a whole request: others wait meanwhile
_WAIT_S = 1.0
_LENGTH = re.compile(rb"^content-length:[ \t]*([0-9]{1,18})[ \t]*$", re.IGNORECASE | re.MULTILINE)


class WebhookTriggerSettings(Section):
    """`POST http://127.0.0.1:PORT/trigger/CAMERA` by a program on this machine; the port is `webhook.port`."""

    kind: Literal["webhook"]
    """That it comes by HTTP."""


class WebhookSettings(Section):
    """Where cameras with a `webhook` trigger are called; nothing listens when there is none."""

    port: Annotated[int, Field(ge=1024, le=65535)] = 8127
    """The port on 127.0.0.1."""


class Webhook:
    """All triggers of a device that come by HTTP, on one port.

    It answers 204 when a camera waits for it and 404 when none does, and nothing that was sent comes back. A web page
    has no business here: what a browser says is from one is refused.

    Args:
        settings: which port.
        waiting: who waits, by the camera.
        clock: what patience is measured with.
    """

    name = "webhook"

    def __init__(self, settings: WebhookSettings, waiting: Mapping[str, Sequence[Trigger]], clock: Clock) -> None:
        self._port = settings.port
        self._waiting = {f"{PLACE}{camera}": triggers for camera, triggers in waiting.items()}
        self._clock = clock
        self.triggers = tuple(trigger for triggers in waiting.values() for trigger in triggers)

    def listen(self, stop: threading.Event, beat: Callable[[], None]) -> None:
        """Answer, one request at a time, until `stop` is set.

        Raises:
            TriggerError: the port cannot be opened.
        """
        try:
            server = _Server((HOST, self._port), _Request)
        except OSError as error:
            raise TriggerError(f"port {self._port} of {HOST} cannot be opened: {error.strerror}") from error
        with server:
            server.waiting, server.clock = self._waiting, self._clock
            for trigger in self.triggers:
                trigger.ready()
            while not stop.is_set():
                beat()
                server.handle_request()


class _Server(socketserver.TCPServer):
    allow_reuse_address = True
    request_queue_size = 16
    timeout = _WAIT_S
    waiting: Mapping[str, Sequence[Trigger]]
    clock: Clock

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Whoever calls may go at any time."""


class _Request(BaseHTTPRequestHandler):
    server: _Server

    def setup(self) -> None:
        """Receive the whole request, as far as it is one, before anything reads it."""
        super().setup()
        self.rfile.close()
        self.rfile = io.BytesIO(self._receive())

    def do_POST(self) -> None:
        """Somebody says that a camera is to be looked at."""
        if "origin" in self.headers:
            self.send_error(HTTPStatus.FORBIDDEN)
            return
        triggers = self.server.waiting.get(self.path, ())
        for trigger in triggers:
            trigger.pull()
        self._answer(HTTPStatus.NO_CONTENT if triggers else HTTPStatus.NOT_FOUND)

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Refuse, without a word of what was sent."""
        del message, explain
        self._answer(HTTPStatus.METHOD_NOT_ALLOWED if code == HTTPStatus.NOT_IMPLEMENTED else HTTPStatus(code))

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  (the signature of the parent)
        """Log nothing: health counts what came."""

    def _answer(self, status: HTTPStatus) -> None:
        self.request_version = self.protocol_version  # else a request that makes no sense is taken for one of HTTP 0.9
        self.send_response_only(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _receive(self) -> bytes:
        received = b""
        until_s = self.server.clock.monotonic_s() + _PATIENCE_S
        while len(received) <= _MOST_BYTES and (left_s := until_s - self.server.clock.monotonic_s()) > 0:
            self.connection.settimeout(left_s)
            part = self.connection.recv(_MOST_BYTES)
            received += part
            if not part or _is_whole(received):
                break
        return received if _is_whole(received) else b""


def _is_whole(received: bytes) -> bool:
    head, end, body = received.partition(b"\r\n\r\n")
    length = _LENGTH.search(head.replace(b"\r\n", b"\n"))
    return bool(end) and len(body) >= (int(length[1]) if length else 0)
