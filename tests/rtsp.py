"""A small RTSP camera: an H.264 clip, endlessly, over TCP or UDP, in a process that tests can freeze and kill.

As a program: `python rtsp.py CLIP PORT [USER:PASSWORD]`; it prints the port when it listens.
"""

from __future__ import annotations

import base64
import itertools
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
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av

_CLOCK_HZ = 90_000  # of RTP's video time stamps
_MAX_PAYLOAD_BYTES = 1400  # fits into an Ethernet packet
_FRAGMENT = 28  # FU-A of RFC 6184, section 5.8

Send = Callable[[bytes], object]
"""Sends one RTP packet to the client."""


class RtspCamera:
    """The camera as a test handles it: switch it on, freeze it, kill it, switch it on again on the same port."""

    def __init__(self, clip: Path, credentials: str = "") -> None:
        self._clip = clip
        self._credentials = credentials
        self._port = 0
        self._process: subprocess.Popen[str] | None = None

    def url(self, credentials: str = "") -> str:
        """Its address, with the credentials that the client shall use."""
        return f"rtsp://{credentials}{'@' if credentials else ''}127.0.0.1:{self._port}/stream"

    def start(self) -> None:
        """Switch it on; returns when it listens."""
        command = [sys.executable, __file__, str(self._clip), str(self._port), self._credentials]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        self._port = int(self._process.stdout.readline())

    def freeze(self) -> None:
        """Let it fall silent without closing anything, as a hung camera does."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def kill(self) -> None:
        """Pull the plug."""
        if self._process is not None and self._process.stdout is not None:
            self._process.kill()
            self._process.wait()
            self._process.stdout.close()
        self._process = None


@contextmanager
def rtsp_camera(clip: Path, credentials: str = "") -> Iterator[RtspCamera]:
    """Have a camera that shows an H.264 clip from an MP4 file, and asks for `user:password` if given."""
    camera = RtspCamera(clip, credentials)
    camera.start()
    try:
        yield camera
    finally:
        camera.kill()


@dataclass(frozen=True)
class Picture:
    """One coded picture: its NAL units and when it is shown, counted from the clip's beginning."""

    nal_units: list[bytes]
    shown_s: float


@dataclass(frozen=True)
class Film:
    """What the camera sees."""

    parameter_sets: list[bytes]
    pictures: list[Picture]
    rate_hz: float

    @staticmethod
    def load(path: Path) -> Film:
        """Read an H.264 clip from an MP4 file."""
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            assert stream.average_rate is not None
            assert stream.time_base is not None
            pictures = [
                Picture(list(_nal_units(bytes(packet))), float((packet.pts or 0) * stream.time_base))
                for packet in container.demux(stream)
                if packet.size
            ]
            return Film(_parameter_sets(stream.codec_context.extradata or b""), pictures, float(stream.average_rate))

    def sdp(self) -> str:
        """Describe it as RFC 4566 and RFC 6184 want."""
        sets = ",".join(base64.b64encode(unit).decode() for unit in self.parameter_sets)
        lines = [
            "v=0",
            "o=- 0 0 IN IP4 127.0.0.1",
            "s=test",
            "c=IN IP4 0.0.0.0",
            "t=0 0",
            "m=video 0 RTP/AVP 96",
            f"a=rtpmap:96 H264/{_CLOCK_HZ}",
            f"a=fmtp:96 packetization-mode=1;sprop-parameter-sets={sets}",
            "a=control:track",
        ]
        return "\r\n".join(lines) + "\r\n"

    def rtp_packets(self) -> Iterator[list[bytes]]:
        """Give the packets of one picture after the other, without end."""
        sequence = itertools.count()
        clip_s = len(self.pictures) / self.rate_hz
        for index, coded in enumerate(itertools.cycle(self.pictures)):
            played_s = index // len(self.pictures) * clip_s
            stamp = round((played_s + coded.shown_s) * _CLOCK_HZ) & 0xFFFFFFFF
            payloads = [payload for unit in coded.nal_units for payload in _payloads(unit)]
            last = len(payloads) - 1
            yield [
                struct.pack("!BBHII", 0x80, 96 | (part == last) << 7, next(sequence) & 0xFFFF, stamp, 1) + payload
                for part, payload in enumerate(payloads)
            ]


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True

    def __init__(self, port: int, film: Film, credentials: str) -> None:
        super().__init__(("127.0.0.1", port), _Session)
        self.film = film
        self.credentials = credentials


class _Session(socketserver.StreamRequestHandler):
    """One client: answers its requests, and between them sends pictures when they are due."""

    server: _Server

    def handle(self) -> None:
        with suppress(ConnectionError, ValueError):  # the client is gone
            self._serve()

    def _serve(self) -> None:
        self._send: Send = self._interleaved
        self._playing = False
        packets, due_s = self.server.film.rtp_packets(), time.monotonic()
        while True:
            patience_s = max(0.0, due_s - time.monotonic()) if self._playing else None
            if select.select([self.connection], [], [], patience_s)[0]:
                if not self._answer():
                    return
            else:
                for packet in next(packets):
                    self._send(packet)
                due_s = time.monotonic() + 1 / self.server.film.rate_hz

    def _answer(self) -> bool:
        request = list(iter(lambda: self.rfile.readline().decode().strip(), ""))
        if not request:
            return False
        method = request[0].split()[0]
        headers = dict(line.split(": ", 1) for line in request[1:])
        status, answer, body = self._reply(method, headers)
        answer = {"CSeq": headers["CSeq"], "Session": "1;timeout=60", **answer, "Content-Length": str(len(body))}
        head = "".join(f"{name}: {value}\r\n" for name, value in answer.items())
        self.connection.sendall(f"RTSP/1.0 {status}\r\n{head}\r\n{body}".encode())
        return method != "TEARDOWN"

    def _reply(self, method: str, headers: dict[str, str]) -> tuple[str, dict[str, str], str]:
        """Status, headers and body for a request."""
        wanted = base64.b64encode(self.server.credentials.encode()).decode()
        if wanted and headers.get("Authorization") != f"Basic {wanted}":
            return "401 Unauthorized", {"WWW-Authenticate": 'Basic realm="camera"'}, ""
        if method == "DESCRIBE":
            return "200 OK", {"Content-Type": "application/sdp"}, self.server.film.sdp()
        if method == "SETUP":
            return "200 OK", {"Transport": self._set_up(headers["Transport"])}, ""
        self._playing = self._playing or method == "PLAY"
        return "200 OK", {"Public": "DESCRIBE, SETUP, PLAY, TEARDOWN, GET_PARAMETER"}, ""

    def _set_up(self, transport: str) -> str:
        ports = re.search(r"client_port=(\d+)-", transport)
        if ports is None:
            return transport
        datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        datagrams.bind(("127.0.0.1", 0))
        port = datagrams.getsockname()[1]
        self._send = lambda packet: datagrams.sendto(packet, ("127.0.0.1", int(ports[1])))
        return f"{transport};server_port={port}-{port + 1}"

    def _interleaved(self, packet: bytes) -> None:
        self.connection.sendall(struct.pack("!cBH", b"$", 0, len(packet)) + packet)


def _nal_units(sample: bytes) -> Iterator[bytes]:
    """Split a picture of an MP4 file, where four bytes of length stand before each NAL unit."""
    at = 0
    while at < len(sample):
        size = int.from_bytes(sample[at : at + 4], "big")
        yield sample[at + 4 : at + 4 + size]
        at += 4 + size


def _parameter_sets(avcc: bytes) -> list[bytes]:
    """Read the SPS and PPS of an avcC box (ISO/IEC 14496-15, section 5.3.3.1) that holds one of each."""
    sps_end = 8 + int.from_bytes(avcc[6:8], "big")
    pps_start = sps_end + 3
    pps_end = pps_start + int.from_bytes(avcc[sps_end + 1 : pps_start], "big")
    return [avcc[8:sps_end], avcc[pps_start:pps_end]]


def _payloads(unit: bytes) -> Iterator[bytes]:
    """Cut a NAL unit into RTP payloads: itself if it is small, else fragments (FU-A)."""
    if len(unit) <= _MAX_PAYLOAD_BYTES:
        yield unit
        return
    indicator, kind = unit[0] & 0xE0 | _FRAGMENT, unit[0] & 0x1F
    for at in range(1, len(unit), _MAX_PAYLOAD_BYTES):
        first, last = at == 1, at + _MAX_PAYLOAD_BYTES >= len(unit)
        yield bytes([indicator, first << 7 | last << 6 | kind]) + unit[at : at + _MAX_PAYLOAD_BYTES]


def _main(clip: str, port: str, credentials: str = "") -> Any:
    with _Server(int(port), Film.load(Path(clip)), credentials) as server:
        print(server.server_address[1], flush=True)  # noqa: T201 - the parent waits for it
        server.serve_forever()


if __name__ == "__main__":
    _main(*sys.argv[1:])
