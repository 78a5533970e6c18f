"""A small RTSP camera: it shows clips endlessly, over TCP or UDP, in a process that tests can freeze and kill.

As a program: `python rtsp.py CLIPS PORT MANNER [USER:PASSWORD]`; it prints the port when it listens. CLIPS is a clip,
or a folder whose `NAME.mp4` is shown at `/NAME`. A clip that has changed is read anew for the next client, so a camera
may have another codec and size from one connection to the next. MANNER is a `Manner` as JSON.
"""

from __future__ import annotations

import base64
import json
import random
import re
import select
import signal
import socket
import socketserver
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ports import free_port
from rtp import Film

Send = Callable[[bytes], object]
"""Sends one packet of RTP or RTCP to the client."""


@dataclass(frozen=True, kw_only=True)
class Manner:
    """How a camera behaves.

    Attributes:
        pictures: after so many it hangs up; 0 means never.
        report_every: pictures from one sender's report to the next; 0 means that it sends none.
        delay_s: from taking a picture to sending it, as its reports say.
        ahead_s: how much its clock is ahead of this machine's; below 0: behind.
        step_at: from the picture with this number on...
        step_s: ...its clock is so much further ahead.
        lost_ratio: how much of its RTP packets never arrives, 0..1; the same ones in each connection.
    """

    pictures: int = 0
    report_every: int = 0
    delay_s: float = 0.0
    ahead_s: float = 0.0
    step_at: int = 0
    step_s: float = 0.0
    lost_ratio: float = 0.0


_PLAIN = Manner()


class RtspCamera:
    """The camera as a test handles it: switch it on, freeze it, kill it, switch it on again on the same port."""

    def __init__(self, clips: Path, credentials: str = "", manner: Manner = _PLAIN) -> None:
        self._clips = clips
        self._credentials = credentials
        self._manner = json.dumps(asdict(manner))
        self._port = free_port()
        self._process: subprocess.Popen[str] | None = None

    @property
    def port(self) -> int:
        """Where it listens on loopback; the same for all its life."""
        return self._port

    @property
    def pid(self) -> int:
        """Its process."""
        assert self._process is not None
        return self._process.pid

    def url(self, credentials: str = "", stream: str = "stream") -> str:
        """The address of one of its streams, with the credentials that the client shall use."""
        return f"rtsp://{credentials}{'@' if credentials else ''}127.0.0.1:{self._port}/{stream}"

    def start(self) -> None:
        """Switch it on; returns when it listens."""
        command = [sys.executable, __file__, str(self._clips), str(self._port), self._manner, self._credentials]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        assert int(self._process.stdout.readline()) == self._port

    def freeze(self) -> None:
        """Let it fall silent without closing anything, as a hung camera does."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on where it fell silent."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        """Pull the plug."""
        if self._process is not None and self._process.stdout is not None:
            self._process.kill()
            self._process.wait()
            self._process.stdout.close()
        self._process = None


@contextmanager
def rtsp_camera(clips: Path, credentials: str = "", manner: Manner = _PLAIN) -> Iterator[RtspCamera]:
    """Have a camera that shows a clip from an MP4 file, or a folder of them, and asks for `user:password` if given."""
    camera = RtspCamera(clips, credentials, manner)
    camera.start()
    try:
        yield camera
    finally:
        camera.kill()


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True

    def __init__(self, port: int, clips: Path, manner: Manner, credentials: str) -> None:
        super().__init__(("127.0.0.1", port), _Session)
        self.manner = manner
        self.credentials = credentials
        self._clips = clips
        self._films: dict[Path, tuple[int, Film]] = {}

    def film(self, stream: str) -> Film:
        """What is shown at `/stream` now; read when the clip has changed.

        Raises:
            FileNotFoundError: there is no such stream.
        """
        path = self._clips / f"{stream}.mp4" if self._clips.is_dir() else self._clips
        changed_ns = path.stat().st_mtime_ns
        if self._films.get(path, (0,))[0] != changed_ns:
            self._films[path] = (changed_ns, Film.load(path))
        return self._films[path][1]


class _Session(socketserver.StreamRequestHandler):
    """One client: answers its requests, and between them sends pictures when they are due."""

    server: _Server
    rbufsize = 0  # what lay in a buffer, `select` would not see

    def handle(self) -> None:
        with suppress(ConnectionError, ValueError, KeyError, struct.error):  # the client is gone, or out of step
            self._serve()

    def _serve(self) -> None:
        manner, chance = self.server.manner, random.Random(1)  # noqa: S311 - no secret
        self._send, self._send_report = self._interleaved(0), self._interleaved(1)
        self._playing = False
        self._packets: Iterator[list[bytes]] = iter(())
        due_s = time.monotonic()
        sent = 0
        while not manner.pictures or sent < manner.pictures:
            patience_s = max(0.0, due_s - time.monotonic()) if self._playing else None
            if select.select([self.connection], [], [], patience_s)[0]:
                if not self._answer():
                    return
            else:
                if manner.report_every and sent % manner.report_every == 0:
                    ahead_s = manner.ahead_s + manner.step_s * (sent >= manner.step_at)
                    self._send_report(self._film.report(sent, time.time() - manner.delay_s + ahead_s))
                for packet in next(self._packets):
                    if chance.random() >= manner.lost_ratio:
                        self._send(packet)
                sent += 1
                # After a wait that was too long by itself the rate is kept; what was missed is missed.
                due_s = max(due_s + 1 / self._film.rate_hz, time.monotonic())

    def _answer(self) -> bool:
        first = self.rfile.read(1)
        if first == b"$":  # a receiver's report between the requests (RFC 2326, section 10.12)
            _channel, size = struct.unpack("!BH", self.connection.recv(3, socket.MSG_WAITALL))
            self.connection.recv(size, socket.MSG_WAITALL)
            return True
        request = [(first + self.rfile.readline()).decode().strip()]
        if not first or not request[0]:
            return False
        request += iter(lambda: self.rfile.readline().decode().strip(), "")
        method, address = request[0].split()[:2]
        headers = dict(line.split(": ", 1) for line in request[1:])
        status, answer, body = self._reply(method, address, headers)
        answer = {"CSeq": headers["CSeq"], "Session": "1;timeout=60", **answer, "Content-Length": str(len(body))}
        head = "".join(f"{name}: {value}\r\n" for name, value in answer.items())
        self.connection.sendall(f"RTSP/1.0 {status}\r\n{head}\r\n{body}".encode())
        return method != "TEARDOWN"

    def _reply(self, method: str, address: str, headers: dict[str, str]) -> tuple[str, dict[str, str], str]:
        """Status, headers and body for a request."""
        wanted = base64.b64encode(self.server.credentials.encode()).decode()
        if wanted and headers.get("Authorization") != f"Basic {wanted}":
            return "401 Unauthorized", {"WWW-Authenticate": 'Basic realm="camera"'}, ""
        if method == "DESCRIBE":
            try:
                self._film = self.server.film(address.rstrip("/").rpartition("/")[2])
            except FileNotFoundError:
                return "404 Not Found", {}, ""
            self._packets = self._film.rtp_packets()
            return "200 OK", {"Content-Type": "application/sdp"}, self._film.sdp()
        if method == "SETUP":
            return "200 OK", {"Transport": self._set_up(headers["Transport"])}, ""
        self._playing = self._playing or method == "PLAY"
        return "200 OK", {"Public": "DESCRIBE, SETUP, PLAY, TEARDOWN, GET_PARAMETER"}, ""

    def _set_up(self, transport: str) -> str:
        ports = re.search(r"client_port=(\d+)-", transport)
        if ports is None:
            return transport
        port, datagrams, reports = _pair_of_ports()
        self._send = lambda packet: datagrams.sendto(packet, ("127.0.0.1", int(ports[1])))
        self._send_report = lambda packet: reports.sendto(packet, ("127.0.0.1", int(ports[1]) + 1))
        return f"{transport};server_port={port}-{port + 1}"

    def _interleaved(self, channel: int) -> Send:
        return lambda packet: self.connection.sendall(struct.pack("!cBH", b"$", channel, len(packet)) + packet)


def _pair_of_ports() -> tuple[int, socket.socket, socket.socket]:
    """Two sockets with neighbouring ports, for RTP and RTCP, and the first port."""
    while True:
        first, second = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2))
        first.bind(("127.0.0.1", 0))
        port = first.getsockname()[1]
        with suppress(OSError, OverflowError):  # somebody else's, or beyond the last
            second.bind(("127.0.0.1", port + 1))
            return port, first, second


def _main(clips: str, port: str, manner: str, credentials: str = "") -> Any:
    with _Server(int(port), Path(clips), Manner(**json.loads(manner)), credentials) as server:
        print(server.server_address[1], flush=True)  # noqa: T201 - the parent waits for it
        server.serve_forever()


if __name__ == "__main__":
    _main(*sys.argv[1:])
