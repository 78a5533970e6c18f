"""Nothing phones home and no picture leaves: every system call of the running agent that could do either is judged."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import program
import pytest
from brokers import Heard, Listener, listening, needs_mosquitto, until
from brokers import running as running_broker
from ports import free_port

STRACE = shutil.which("strace")

_STARTS = ("execve", "execveat")
_SENDS = ("sendto", "sendmsg", "sendmmsg")
_OPENS = ("open", "openat", "openat2")
_CHANGES = (
    *("creat", "mkdir", "mkdirat", "mknod", "mknodat", "rename", "renameat", "renameat2", "rmdir", "truncate"),
    *("link", "linkat", "symlink", "symlinkat", "unlink", "unlinkat"),
)
_TRACED = ",".join(("%network", *_STARTS, *_OPENS, *_CHANGES))

LOOPBACK = "127.0.0.1"
BROKER_PORT = 1883  # which none of the culprits below connects to
SOME_PORT = 9  # "discard": nobody listens there

_CALL = re.compile(r"(?P<name>\w+)\((?P<arguments>.*)\)\s+= (?P<result>-?\d+|\?|0x[0-9a-f]+)")
_ADDRESS = re.compile(r'sin6?_port=htons\((?P<port>\d+)\).*?(?:inet_addr\("|inet_pton\(AF_INET6, ")(?P<host>[^"]+)"')
_OPENED = re.compile(r'(?:(?P<folder>AT_FDCWD|\d+)(?:<[^>]*>)?, )?"(?P<path>[^"]*)"(?:\.\.\.)?, (?P<how>.*)')
_PATHS = re.compile(r'"([^"]*)"')
_WRITES = ("O_WRONLY", "O_RDWR", "O_CREAT", "O_TRUNC", "O_APPEND")

DEVICES = ("/dev/null",)
"""What is written there is nowhere."""


@dataclass(frozen=True)
class Call:
    """One system call."""

    name: str
    arguments: str
    result: str
    line: str


def traced(command: Sequence[str], folder: Path, env: Mapping[str, str]) -> subprocess.Popen[bytes]:
    """Start a program under strace; one file of calls a thread, so that no line is cut by another thread's."""
    assert STRACE
    trace = [
        "-ff",
        "-qq",
        "-y",
        "-s",
        "256",
        "-e",
        f"trace={_TRACED}",
        "-e",
        "signal=none",
        "-o",
        str(folder / "calls"),
    ]
    with (folder / "traced.log").open("ab") as log:
        return subprocess.Popen([STRACE, *trace, *command], cwd=folder, env=env, stdout=log, stderr=log)


def calls(folder: Path) -> Iterator[Call]:
    """Every call of every thread of the program."""
    for path in sorted(folder.glob("calls.*")):
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
            match = _CALL.match(line)
            if match:
                yield Call(match["name"], match["arguments"], match["result"], line)
            else:
                assert line.startswith(("+++", "exit", "---")) or "unfinished" in line, f"not understood: {line}"


def offences(found: Sequence[Call], *, broker_port: int, state: Path, cwd: Path) -> list[str]:
    """Every call that reaches anybody but the broker, or changes anything outside the state folder."""
    own_ports = {port for call in found if call.name == "getsockname" for _, port in _addresses(call)}
    judge: dict[str, Callable[[Call], bool]] = {
        "connect": lambda call: _connects(call, {broker_port, *own_ports}),
        "bind": _binds,
        **dict.fromkeys(_SENDS, lambda call: _sends(call, broker_port)),
        **dict.fromkeys(_OPENS, lambda call: _opens(call, state, cwd)),
        **dict.fromkeys(_CHANGES, lambda call: _changes(call, state, cwd)),
    }
    programs = [call.line for call in found if call.name in _STARTS and call.result == "0"]
    wrong = [call.line for call in found if call.name in judge and judge[call.name](call)]
    return wrong + programs[1:]  # the first is the program itself; it starts no other


def _addresses(call: Call) -> list[tuple[str, int]]:
    return [(match["host"], int(match["port"])) for match in _ADDRESS.finditer(call.arguments)]


def _connects(call: Call, ports: set[int]) -> bool:
    """Whether a connection goes anywhere but to the broker.

    paho-mqtt wakes its own thread through a pair of sockets, which it connects over loopback: to a port on which this
    very process listens, as `getsockname` told it. AF_UNIX and AF_NETLINK never occur: an address in digits needs
    neither nscd nor the list of interfaces, and systemd is not there.
    """
    addresses = _addresses(call)
    return not addresses or any(host != LOOPBACK or port not in ports for host, port in addresses)


def _sends(call: Call, broker_port: int) -> bool:
    """Whether something is sent to an address of its own; what goes over a connection, `connect` has answered for."""
    without_address = call.arguments.rstrip().endswith("NULL, 0") or "msg_name=NULL" in call.arguments
    return not without_address and (LOOPBACK, broker_port) not in _addresses(call)


def _binds(call: Call) -> bool:
    """Whether anybody from outside could call: only loopback, and a client's socket that does not listen (port 0)."""
    return any(host != LOOPBACK and port != 0 for host, port in _addresses(call)) or "AF_INET" not in call.arguments


def _opens(call: Call, state: Path, cwd: Path) -> bool:
    match = _OPENED.match(call.arguments)
    assert match, call.line
    writes = any(flag in match["how"] for flag in _WRITES)
    return writes and not _allowed(match["path"], call, state, cwd)


def _changes(call: Call, state: Path, cwd: Path) -> bool:
    return call.result != "-1" and not all(_allowed(path, call, state, cwd) for path in _PATHS.findall(call.arguments))


def _allowed(path: str, call: Call, state: Path, cwd: Path) -> bool:
    folder = re.match(r"\d+<(?P<path>[^>]*)>", call.arguments)  # relative to a folder that is open
    whole = Path(os.path.normpath((Path(folder["path"]) if folder else cwd) / path))
    return path in DEVICES or whole.is_relative_to(state)


def may_trace() -> bool:
    """Whether strace is here and may look into other processes."""
    return STRACE is not None and subprocess.run([STRACE, "-qq", "-o", os.devnull, "true"], check=False).returncode == 0


needs_strace = pytest.mark.skipif(not may_trace(), reason="strace is not installed, or may not trace here")


@dataclass(frozen=True, kw_only=True)
class Observed:
    """What a whole life of the agent did."""

    calls: Sequence[Call]
    heard: Sequence[Heard]
    broker_port: int
    state: Path
    cwd: Path

    @property
    def offences(self) -> list[str]:
        return offences(self.calls, broker_port=self.broker_port, state=self.state, cwd=self.cwd)


def innocent_environment(home: Path) -> dict[str, str]:
    """As on a fresh device: `CI` is not set, for onnxruntime keeps quiet where it is; Python caches no code."""
    home.mkdir()
    env = program.environment(HOME=str(home), PYTHONDONTWRITEBYTECODE="1")
    hidden = ("CI", "ORT_DISABLE_TELEMETRY", "XDG_CACHE_HOME", "NOTIFY_SOCKET")
    return {name: value for name, value in env.items() if name not in hidden}


@pytest.fixture(scope="module")
def observed(tmp_path_factory: pytest.TempPathFactory) -> Observed:
    """A life with two cameras under strace, from the start through every kind of event to an orderly stop."""
    folder = tmp_path_factory.mktemp("observed")
    cameras = [program.camera(name, zones=program.ZONES, **program.LOOP) for name in ("left", "right")]
    with running_broker(folder) as broker, listening(broker.port) as listener:
        agent = program.Agent(folder, *cameras, mqtt={"url": broker.url})
        command = [sys.executable, "-X", "importtime", "-m", "edge_agent", "run", "-c", str(agent.config)]
        strace = traced(command, folder, innocent_environment(folder / "home"))
        try:
            until(lambda: enough_happened(listener), "hardly anything happened", within_s=60)
            children = Path(f"/proc/{strace.pid}/task/{strace.pid}/children").read_text(encoding="ascii").split()
            os.kill(int(children[0]), 15)
            assert strace.wait(20) == 0, (folder / "traced.log").read_text(encoding="utf-8")
        finally:
            strace.kill()
            strace.wait()
        until(lambda: listener.payloads(f"{program.ROOT}/status")[-1] == b"offline")
        state = agent.outbox.parent
        return Observed(
            calls=list(calls(folder)), heard=tuple(listener.heard), broker_port=broker.port, state=state, cwd=folder
        )


def enough_happened(listener: Listener) -> bool:
    """Whether it lived long enough: onnxruntime's own reports, if there were any, come after some seconds."""
    events = program.events_in(listener.heard)
    return {"new", "update", "end"} <= {event["event_type"] for event in events} and len(events) > ENOUGH_EVENTS


ENOUGH_EVENTS = 60


@needs_mosquitto
@needs_strace
def test_the_agent_speaks_to_its_broker_only_and_writes_into_its_state_folder_only(observed: Observed) -> None:
    assert observed.offences == []
    # And the judge has seen what it judges: the connection to the broker, the messages, and the outbox being written.
    assert any(
        call.name == "connect" and (LOOPBACK, observed.broker_port) in _addresses(call) for call in observed.calls
    )
    assert any(call.name == "sendto" and "camera/left/event" in call.line for call in observed.calls)
    assert any(call.name == "openat" and str(observed.state) in call.line for call in observed.calls)
    assert {path.name for path in observed.state.iterdir()} == {
        "outbox.db",
        "outbox.db.ballast",
        "outbox.db.lock",
        "nuisance.json",
        "trail",
    }
    assert list((observed.cwd / "home").iterdir()) == []


@needs_mosquitto
@needs_strace
def test_no_module_that_draws_or_encodes_pictures_is_loaded_by_the_running_agent(observed: Observed) -> None:
    lines = (observed.cwd / "traced.log").read_text(encoding="utf-8").splitlines()
    loaded = {line.rpartition("|")[2].strip() for line in lines if line.startswith("import time:")}
    assert "edge_agent.app" in loaded
    assert "edge_agent.edges.inference" in loaded
    assert not [name for name in loaded if name.startswith(("edge_agent.tools.annotate", *PICTURE_LIBRARIES))]


PICTURE_LIBRARIES = ("PIL", "imageio", "matplotlib")

PICTURES = {
    "JPEG": (b"\xff\xd8\xff", b"/9j/"),
    "PNG": (b"\x89PNG", b"iVBORw0KGgo"),
    "GIF": (b"GIF8", b"R0lGOD"),
    "WebP": (b"WEBP", b"UklGR"),
    "BMP or TIFF": (b"BM6", b"II*\x00", b"SUkqA"),
    "MP4 or H.264": (b"ftyp", b"\x00\x00\x00\x01", b"AAAAIGZ0eX"),
}
"""How pictures and films begin, and how that looks in base64."""

LONGEST_WORD = 64  # the sha256 of the model, in capabilities


@needs_mosquitto
@needs_strace
def test_no_message_holds_a_picture_or_anything_that_could_be_one(observed: Observed) -> None:
    assert len(observed.heard) > ENOUGH_EVENTS
    program.check_messages(observed.heard)
    for heard in observed.heard:
        assert not looks_like_a_picture(heard.payload), heard


def looks_like_a_picture(payload: bytes) -> bool:
    """Whether a payload holds the beginning of a picture, bytes that are no text, or a word as long as only data is."""
    longest = max(map(len, re.findall(rb"[A-Za-z0-9+/=_]+", payload)), default=0)
    begins = any(sign in payload for signs in PICTURES.values() for sign in signs)
    return begins or not payload.isascii() or longest > LONGEST_WORD


@pytest.mark.parametrize(
    "payload",
    [
        b"\xff\xd8\xff\xe0\x00\x10JFIF",
        b'{"thumbnail":"/9j/4AAQSkZJRg=="}',
        b'{"crop":"iVBORw0KGgoAAAANSUhEUg=="}',
        b'{"embedding":"' + b"q1w2" * 40 + b'"}',
    ],
)
def test_a_picture_in_a_message_would_be_noticed(payload: bytes) -> None:
    assert looks_like_a_picture(payload)


CULPRITS = {
    "asks a name server": "import socket; socket.getaddrinfo('telemetry.example.com', 443)",
    "connects elsewhere": f"import socket; socket.socket().connect_ex(('{LOOPBACK}', {SOME_PORT}))",
    "sends a datagram": "import socket; socket.socket(type=socket.SOCK_DGRAM)"
    f".sendto(b'x', ('{LOOPBACK}', {SOME_PORT}))",
    "writes a file at home": "import pathlib; pathlib.Path.home().joinpath('device-id').write_text('x')",
    "makes a folder": "import os; os.mkdir(os.path.expanduser('~/.cache'))",
    "moves a file out": "import os; open('state/x', 'w').close(); os.rename('state/x', 'x')",
    "starts a program": "import subprocess; subprocess.run(['true'])",
    "listens to everybody": f"import socket; socket.socket().bind(('0.0.0.0', {free_port()}))",
}


@needs_strace
@pytest.mark.parametrize("script", CULPRITS.values(), ids=list(CULPRITS))
def test_a_program_that_does_what_it_must_not_is_caught(script: str, tmp_path: Path) -> None:
    assert judged(script, tmp_path)


@needs_strace
def test_a_program_that_keeps_to_its_state_folder_is_not_accused(tmp_path: Path) -> None:
    assert judged("open('state/x', 'w').close(); open('/dev/null', 'w').close()", tmp_path) == []


@needs_strace
def test_onnxruntime_without_the_switch_would_be_caught(tmp_path: Path) -> None:
    version = subprocess.run(
        [sys.executable, "-c", "import onnxruntime; print(onnxruntime.__version__)"],
        env=program.environment(ORT_DISABLE_TELEMETRY="1"),
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    if tuple(map(int, version.split(".")[:2])) < (1, 29):
        pytest.skip(f"onnxruntime {version.strip()} does not report to its maker yet")
    assert judged("import onnxruntime", tmp_path)


def judged(script: str, folder: Path) -> list[str]:
    """The offences of a small Python program."""
    state = folder / "state"
    state.mkdir()
    with traced([sys.executable, "-c", script], folder, innocent_environment(folder / "home")) as strace:
        strace.wait(30)
    found = list(calls(folder))
    assert found
    return offences(found, broker_port=BROKER_PORT, state=state, cwd=folder)
