"""Programs and servers that play a camera's part: pushing over RTMP, writing into a pipe, uploading pictures."""

from __future__ import annotations

import itertools
import os
import shutil
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from ports import free_port
from videos import CHROMA_BLUE, CHROMA_RED, HEIGHT_PX, RATE_HZ, WIDTH_PX, brightness, encode_picture

_PATIENCE_S = 10.0
_SYSTEM_PYTHON = "/usr/bin/python3"  # Debian's bindings are built for that one


def wait_until(holds: Callable[[], bool]) -> None:
    """Wait for somebody else; fail when it takes long."""
    until_s = time.monotonic() + _PATIENCE_S
    while not holds():
        assert time.monotonic() < until_s
        time.sleep(0.005)


def _listens(port: int, table: str) -> bool:
    """Whether somebody waits on a port, without connecting: the first connection is the only one."""
    state = "0A" if table == "tcp" else "07"  # /proc/net/tcp, /proc/net/udp
    lines = Path(f"/proc/net/{table}").read_text().splitlines()[1:]
    return any(line.split()[1].endswith(f":{port:04X}") and line.split()[3] == state for line in lines)


class Ffmpeg:
    """The ffmpeg program as a camera that waits for one reader and shows it a clip, over and over unless told."""

    def __init__(self, clip: Path, protocol: str) -> None:
        if shutil.which("ffmpeg") is None:
            pytest.skip("ffmpeg is not installed")
        self._clip = clip
        self._udp = protocol == "srt"
        self.port = free_port(socket.SOCK_DGRAM if self._udp else socket.SOCK_STREAM)
        self.url = f"{protocol}://127.0.0.1:{self.port}" + ("" if self._udp else "/live/front")
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def sends(self) -> bool:
        """Whether it has not ended."""
        return self._process is not None and self._process.poll() is None

    def start(self, *, loops: int = -1, codec: str = "copy", sound: bool = False) -> None:
        """Wait for a reader; whoever came before is gone. With `sound`, which goes on when the clip is over."""
        self.stop()
        output = ["-f", "mpegts", f"{self.url}?mode=listener"] if self._udp else ["-f", "flv", "-listen", "1", self.url]
        tone = (
            ["-re", "-f", "lavfi", "-i", "sine=sample_rate=44100", "-c:a", "aac", "-max_interleave_delta", "100000"]
            if sound
            else []
        )
        film = ["-re", "-stream_loop", str(loops), "-i", str(self._clip), *tone, "-c:v", codec]
        self._process = subprocess.Popen(
            ["ffmpeg", "-nostdin", "-loglevel", "quiet", *film, *output], stdout=subprocess.DEVNULL
        )
        wait_until(lambda: _listens(self.port, "udp" if self._udp else "tcp"))

    def stop(self) -> None:
        """Pull the plug."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        self._process = None


@contextmanager
def ffmpeg_camera(clip: Path, protocol: str) -> Iterator[Ffmpeg]:
    camera = Ffmpeg(clip, protocol)
    try:
        yield camera
    finally:
        camera.stop()


@contextmanager
def gstreamer_server(**pipelines: str) -> Iterator[str]:
    """GStreamer's RTSP server; gives its address, below which each pipeline is shown under its name."""
    program = [_SYSTEM_PYTHON, str(Path(__file__).with_name("gstreamer_server.py"))]
    words = [word for pair in pipelines.items() for word in pair]
    with subprocess.Popen([*program, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        try:
            port = process.stdout.readline()
            if not port:
                pytest.skip(f"GStreamer's RTSP server is not installed: {process.stderr.read().splitlines()[-1]}")
            yield f"rtsp://127.0.0.1:{int(port)}"
        finally:
            process.kill()


def raw_frame(index: int) -> bytes:
    """One grey picture as it lies in a pipe."""
    quarter = WIDTH_PX * HEIGHT_PX // 4
    return bytes([brightness(index)]) * (4 * quarter) + bytes([CHROMA_BLUE]) * quarter + bytes([CHROMA_RED]) * quarter


class Writer:
    """A program that writes frames into a named pipe for whoever reads it, one reader after the other."""

    def __init__(self, path: Path) -> None:
        self.path = path
        os.mkfifo(path)
        self._waiting = threading.Event()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def ready(self) -> None:
        """Wait until it has noticed that the last reader is gone."""
        assert self._waiting.wait(_PATIENCE_S)

    def _run(self) -> None:
        while not self._over.is_set():
            self._waiting.set()
            with self.path.open("wb", buffering=0) as pipe, suppress(BrokenPipeError):
                self._waiting.clear()
                index = 0
                while not self._over.wait(1 / RATE_HZ):
                    pipe.write(raw_frame(index))
                    index += 1

    def close(self) -> None:
        """End the thread, which may wait for a reader."""
        self._over.set()
        reader = os.open(self.path, os.O_RDONLY | os.O_NONBLOCK)
        self._thread.join()
        os.close(reader)


def server_context(folder: Path) -> ssl.SSLContext:
    """What a server with a certificate made up on the spot speaks TLS with."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    key, certificate = folder / "key.pem", folder / "certificate.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1"]
    subprocess.run([*command, "-keyout", str(key), "-out", str(certificate)], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return context


@contextmanager
def uploading_camera(folder: Path) -> Iterator[Path]:
    """A camera that uploads a picture now and then: it writes under another name and renames, so each is whole."""
    over = threading.Event()

    def upload() -> None:
        for index in itertools.count():
            if over.wait(0.02):
                return
            unfinished = folder / "upload.part"
            unfinished.write_bytes(encode_picture(index))
            unfinished.rename(folder / f"{index}.jpg")
            (folder / f"{index - 20}.jpg").unlink(missing_ok=True)

    thread = threading.Thread(target=upload)
    thread.start()
    try:
        yield folder
    finally:
        over.set()
        thread.join()
