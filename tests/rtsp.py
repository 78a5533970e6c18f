"""A small RTSP camera: H.264 and H.265 clips, endlessly, over TCP or UDP, in a process that tests can freeze and kill.

As a program: `python rtsp.py CLIPS PORT PICTURES [USER:PASSWORD]`; it prints the port when it listens. CLIPS is a clip,
or a folder whose `NAME.mp4` is shown at `/NAME`. A clip that has changed is read anew for the next client, so a camera
may have another codec and size from one connection to the next. After PICTURES it hangs up; 0 means never.
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
_FRAGMENT_H264 = 28  # FU-A of RFC 6184, section 5.8
_FRAGMENT_H265 = 49  # FU of RFC 7798, section 4.4.3

Send = Callable[[bytes], object]
"""Sends one RTP packet to the client."""


class RtspCamera:
    """The camera as a test handles it: switch it on, freeze it, kill it, switch it on again on the same port."""

    def __init__(self, clips: Path, credentials: str = "", *, pictures: int = 0) -> None:
        self._clips = clips
        self._credentials = credentials
        self._pictures = pictures
        self._port = 0
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
        command = [sys.executable, __file__, str(self._clips), str(self._port), str(self._pictures), self._credentials]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        self._port = int(self._process.stdout.readline())

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
def rtsp_camera(clips: Path, credentials: str = "", *, pictures: int = 0) -> Iterator[RtspCamera]:
    """Have a camera that shows a clip from an MP4 file, or a folder of them, and asks for `user:password` if given."""
    camera = RtspCamera(clips, credentials, pictures=pictures)
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

    codec: str
    parameter_sets: list[bytes]
    pictures: list[Picture]
    rate_hz: float

    @staticmethod
    def load(path: Path) -> Film:
        """Read an H.264 or H.265 clip from an MP4 file."""
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            assert stream.average_rate is not None
            assert stream.time_base is not None
            pictures = [
                Picture(list(_nal_units(bytes(packet))), float((packet.pts or 0) * stream.time_base))
                for packet in container.demux(stream)
                if packet.size
            ]
            codec, extradata = stream.codec_context.name, stream.codec_context.extradata or b""
            sets = _parameter_sets_h265(extradata) if codec == "hevc" else _parameter_sets_h264(extradata)
            return Film(codec, sets, pictures, float(stream.average_rate))

    def sdp(self) -> str:
        """Describe it as RFC 4566, and RFC 6184 or RFC 7798 want."""
        sets = [base64.b64encode(unit).decode() for unit in self.parameter_sets]
        if self.codec == "hevc":
            name, parameters = "H265", ";".join(map("sprop-{}={}".format, ("vps", "sps", "pps"), sets))
        else:
            name, parameters = "H264", f"packetization-mode=1;sprop-parameter-sets={','.join(sets)}"
        lines = [
            "v=0",
            "o=- 0 0 IN IP4 127.0.0.1",
            "s=test",
            "c=IN IP4 0.0.0.0",
            "t=0 0",
            "m=video 0 RTP/AVP 96",
            f"a=rtpmap:96 {name}/{_CLOCK_HZ}",
            f"a=fmtp:96 {parameters}",
            "a=control:track",
        ]
        return "\r\n".join(lines) + "\r\n"

    def rtp_packets(self) -> Iterator[list[bytes]]:
        """Give the packets of one picture after the other, without end."""
        sequence = itertools.count()
        clip_s = len(self.pictures) / self.rate_hz
        cut = _fragments_h265 if self.codec == "hevc" else _fragments_h264
        for index, coded in enumerate(itertools.cycle(self.pictures)):
            played_s = index // len(self.pictures) * clip_s
            stamp = round((played_s + coded.shown_s) * _CLOCK_HZ) & 0xFFFFFFFF
            payloads = [payload for unit in coded.nal_units for payload in _payloads(unit, cut)]
            last = len(payloads) - 1
            yield [
                struct.pack("!BBHII", 0x80, 96 | (part == last) << 7, next(sequence) & 0xFFFF, stamp, 1) + payload
                for part, payload in enumerate(payloads)
            ]


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True

    def __init__(self, port: int, clips: Path, pictures: int, credentials: str) -> None:
        super().__init__(("127.0.0.1", port), _Session)
        self.pictures = pictures
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
        self._send: Send = self._interleaved
        self._playing = False
        self._packets: Iterator[list[bytes]] = iter(())
        due_s = time.monotonic()
        sent = 0
        while not self.server.pictures or sent < self.server.pictures:
            patience_s = max(0.0, due_s - time.monotonic()) if self._playing else None
            if select.select([self.connection], [], [], patience_s)[0]:
                if not self._answer():
                    return
            else:
                for packet in next(self._packets):
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


def _parameter_sets_h264(avcc: bytes) -> list[bytes]:
    """Read the SPS and PPS of an avcC box (ISO/IEC 14496-15, section 5.3.3.1) that holds one of each."""
    sps_end = 8 + int.from_bytes(avcc[6:8], "big")
    pps_start = sps_end + 3
    pps_end = pps_start + int.from_bytes(avcc[sps_end + 1 : pps_start], "big")
    return [avcc[8:sps_end], avcc[pps_start:pps_end]]


def _parameter_sets_h265(hvcc: bytes) -> list[bytes]:
    """Read the VPS, SPS and PPS of an hvcC box (ISO/IEC 14496-15, section 8.3.3.1) that holds one of each, in order."""
    sets: list[bytes] = []
    at = 23  # after what is always there, the last byte of which counts the arrays
    for _ in range(hvcc[22]):
        units = int.from_bytes(hvcc[at + 1 : at + 3], "big")
        at += 3
        for _ in range(units):
            size = int.from_bytes(hvcc[at : at + 2], "big")
            sets.append(hvcc[at + 2 : at + 2 + size])
            at += 2 + size
    return sets[:3]  # what follows is a note of the encoder


def _payloads(unit: bytes, cut: Callable[[bytes], Iterator[bytes]]) -> Iterator[bytes]:
    """Cut a NAL unit into RTP payloads: itself if it is small, else fragments."""
    return iter([unit]) if len(unit) <= _MAX_PAYLOAD_BYTES else cut(unit)


def _fragments_h264(unit: bytes) -> Iterator[bytes]:
    indicator, kind = unit[0] & 0xE0 | _FRAGMENT_H264, unit[0] & 0x1F
    for edges, part in _parts(unit[1:]):
        yield bytes([indicator, edges | kind]) + part


def _fragments_h265(unit: bytes) -> Iterator[bytes]:
    header, kind = bytes([unit[0] & 0x81 | _FRAGMENT_H265 << 1, unit[1]]), unit[0] >> 1 & 0x3F
    for edges, part in _parts(unit[2:]):
        yield header + bytes([edges | kind]) + part


def _parts(body: bytes) -> Iterator[tuple[int, bytes]]:
    """Cut into parts, each with the bits that mark the first and the last."""
    for at in range(0, len(body), _MAX_PAYLOAD_BYTES):
        first, last = at == 0, at + _MAX_PAYLOAD_BYTES >= len(body)
        yield first << 7 | last << 6, body[at : at + _MAX_PAYLOAD_BYTES]


def _main(clips: str, port: str, pictures: str, credentials: str = "") -> Any:
    with _Server(int(port), Path(clips), int(pictures), credentials) as server:
        print(server.server_address[1], flush=True)  # noqa: T201 - the parent waits for it
        server.serve_forever()


if __name__ == "__main__":
    _main(*sys.argv[1:])
