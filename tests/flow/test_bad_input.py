"""What a person reads when something is wrong: one line a problem that says what to do, an exit code, no traceback."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import program
import pytest
import videos
from brokers import needs_mosquitto, until
from brokers import running as running_broker
from ports import free_port
from program import ROOT, SOON_S, camera, run_program, write_config

from edge_agent.clips import PEDESTRIANS

DONE, USAGE, UNAVAILABLE, WRONG = 0, 2, 69, 78
"""Exit codes: all is well; wrong usage; something does not answer; configuration or model is wrong."""

SECRET = "geheim"  # noqa: S105 - the very thing that must never be shown

SIX_MISTAKES = f"""\
device: {{id: my box}}
mqtt:
  url: http://broker
  keepalive_s: 1
cameras:
  - id: front
    source: rtsp://user:{SECRET}@192.0.2.20/stream
    detect: {{rate: 5}}
    zones:
      porch: {{polygon: [[0, 0], [2, 0], [1, 1]]}}
  - id: front
    source: file://clip.mp4
"""
SIX_LINES = r"""six\.yaml:1:14: device\.id: is "my box", must be 1 to 64 letters \(a-z\), digits, `-` or `_`
six\.yaml:3:8: mqtt\.url: must begin with mqtt:// or mqtts://
six\.yaml:4:16: mqtt\.keepalive_s: is 1, must be at least 5
six\.yaml:8:14: cameras\[0\]\.detect\.rate: unknown key; did you mean `rate_hz`\?
six\.yaml:10:34: cameras\[0\]\.zones\.porch\.polygon\[1\]\[0\]: is 2, must be at most 1
six\.yaml:11:9: cameras\[1\]\.id: the camera in line 6 has the same id"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Everything that is wrong in the table below, under the names that stand there."""
    here = tmp_path_factory.mktemp("wrong")
    write(here, "config.yaml")
    write(here, "model-name.yaml", model={"name": "defualt"})
    write(here, "model-missing.yaml", model={"path": "none.onnx"})
    write(here, "model-random.yaml", model={"path": "random.onnx"})
    write(here, "label.yaml", camera(detect={"labels": ["persn"]}))
    write(here, "below-a-file.yaml", outbox={"path": "text.mp4/outbox.db"})
    (here / "empty.yaml").touch()
    (here / "six.yaml").write_text(SIX_MISTAKES, encoding="utf-8")
    (here / "tabs.yaml").write_text("device:\n\tid: box\n", encoding="utf-8")
    (here / "random.onnx").write_bytes(bytes(index * 37 % 251 for index in range(5000)))
    (here / "empty.mp4").touch()
    (here / "text.mp4").write_text("This is no film.\n" * 100, encoding="utf-8")
    (here / "no-pictures").mkdir()
    (here / "no-pictures" / "notes.txt").touch()
    (here / "broken-pictures").mkdir()
    (here / "broken-pictures" / "1.jpg").write_bytes(b"no picture")
    whole = videos.write_clip(here / "index-at-the-end.mp4").read_bytes()
    (here / "without-index.mp4").write_bytes(whole[: len(whole) // 2])
    return here


def write(folder: Path, name: str, *cameras: Mapping[str, Any], **sections: Any) -> None:
    defaults = {"device": {"id": "box"}, "outbox": {"path": "state/outbox.db"}, "cameras": cameras or [camera()]}
    write_config(folder / name, defaults | sections)


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Attributes:
        situation: what is wrong.
        command: what the person types.
        code: the exit code.
        said: a pattern for the whole of standard error.
    """

    situation: str
    command: str
    code: int
    said: str


CANNOT_BE_READ = r"missing\.yaml:1:1: cannot be read: No such file or directory"
NO_VIDEO = "cannot be opened: not a video, or cut off or damaged"
NO_MODEL = r"model 'none' is not built in; there are: default, ssdlite"
USAGE_LINES = r"usage: edge-agent.*\n(?: .*\n)*edge-agent"

TABLE = [
    Row("a good file", "check config.yaml", DONE, ""),
    Row("no file (check)", "check missing.yaml", WRONG, CANNOT_BE_READ),
    Row("no file (run)", "run -c missing.yaml", WRONG, CANNOT_BE_READ),
    Row("no file (replay)", f"replay {PEDESTRIANS} -c missing.yaml", WRONG, CANNOT_BE_READ),
    Row("no file (outbox)", "outbox stats -c missing.yaml", WRONG, CANNOT_BE_READ),
    Row("no file (watch)", "watch -c missing.yaml", WRONG, CANNOT_BE_READ),
    Row("a folder as file", "check no-pictures", WRONG, r"no-pictures:1:1: cannot be read: Is a directory"),
    Row("an empty file", "run -c empty.yaml", WRONG, r"empty\.yaml:1:1: is empty"),
    Row("a film as file", "check empty.mp4", WRONG, r"empty\.mp4:1:1: is empty"),
    Row("tabs", "check tabs.yaml", WRONG, r"tabs\.yaml:2:1: a tab; indent with spaces"),
    Row("six mistakes (check)", "check six.yaml", WRONG, SIX_LINES),
    Row("six mistakes (run)", "run -c six.yaml", WRONG, SIX_LINES),
    Row(
        "a model that is not built in",
        "run -c model-name.yaml",
        WRONG,
        r'model-name\.yaml:\d+:\d+: model\.name: .*"?defualt"?.*default.*',
    ),
    Row(
        "a model file that is not there",
        "run -c model-missing.yaml",
        WRONG,
        r"edge-agent: model file /.*/none\.onnx cannot be read: No such file or directory; check model\.path",
    ),
    Row(
        "a model file of random bytes",
        "run -c model-random.yaml",
        WRONG,
        r"edge-agent: model /.*/random\.onnx: onnxruntime cannot load it: .*",
    ),
    Row("a label that no model knows", "run -c label.yaml", WRONG, r".*persn.*person.*"),
    Row(
        "an outbox below a file",
        "run -c below-a-file.yaml",
        UNAVAILABLE,
        r"edge-agent: outbox /.*/text\.mp4/outbox\.db: it cannot be opened for writing \(.*\); "
        r"make its folder writable for this user, or set outbox\.path",
    ),
    Row(
        "a clip that is not there",
        "replay none.mp4 -c config.yaml",
        UNAVAILABLE,
        r"edge-agent: file://none\.mp4 cannot be opened: no such file",
    ),
    Row("an empty clip", "replay empty.mp4 -c config.yaml", UNAVAILABLE, rf"edge-agent: file://empty\.mp4 {NO_VIDEO}"),
    Row("a text as clip", "replay text.mp4 -c config.yaml", UNAVAILABLE, rf"edge-agent: file://text\.mp4 {NO_VIDEO}"),
    Row(
        "a clip without its index",
        "replay without-index.mp4 -c config.yaml",
        UNAVAILABLE,
        r"edge-agent: file://without-index\.mp4 has no video stream: only sound, or cut off",
    ),
    Row(
        "a folder without pictures",
        "replay no-pictures -c config.yaml",
        UNAVAILABLE,
        r"edge-agent: images://no-pictures holds no picture \(\.bmp .*\)",
    ),
    Row(
        "a folder of broken pictures",
        "replay broken-pictures -c config.yaml",
        UNAVAILABLE,
        r"broken-pictures/1\.jpg cannot be read as a picture; left out\n"
        r"edge-agent: images://broken-pictures: not one of 1 pictures can be read",
    ),
    Row("a camera as clip", "replay rtsp://192.0.2.1/x -c config.yaml", UNAVAILABLE, r"edge-agent: .*"),
    Row(
        "a camera of another name",
        f"replay {PEDESTRIANS} -c config.yaml --camera back",
        WRONG,
        r"edge-agent: --camera back: no such camera; there are: front",
    ),
    Row(
        "no folder for the events",
        f"replay {PEDESTRIANS} -c config.yaml --events none/events.jsonl",
        UNAVAILABLE,
        r"edge-agent: cannot write none/events\.jsonl: No such file or directory; .*",
    ),
    Row(
        "no folder for the drawing",
        f"replay {PEDESTRIANS} -c config.yaml --events events.jsonl --annotate none/out.mp4",
        UNAVAILABLE,
        r"edge-agent: cannot write none/out\.mp4: .*",
    ),
    Row(
        "a drawing that is no film",
        f"replay {PEDESTRIANS} -c config.yaml --events events.jsonl --annotate out.txt",
        UNAVAILABLE,
        r"edge-agent: cannot write out\.txt: .*",
    ),
    Row("a file as folder of the demo", "demo --out text.mp4", UNAVAILABLE, r"edge-agent: .*text\.mp4.*"),
    Row(
        "no broker",
        "watch --broker mqtt://127.0.0.1:1",
        UNAVAILABLE,
        r"edge-agent: broker mqtt://127\.0\.0\.1:1: nobody listens there; check the port, and that the broker runs",
    ),
    Row(
        "no address of a broker",
        "watch --broker localhost",
        WRONG,
        r"edge-agent: --broker must be mqtt://host:port or mqtts://host:port",
    ),
    Row(
        "no outbox",
        "outbox stats --path none.db",
        UNAVAILABLE,
        r"edge-agent: outbox none\.db: there is no such file; has the agent run with this configuration yet\?",
    ),
    Row(
        "no outbox (list)",
        "outbox list -c config.yaml",
        UNAVAILABLE,
        r"edge-agent: outbox /.*/state/outbox\.db: there is no such file; .*",
    ),
    Row(
        "an outbox that is none",
        "outbox stats --path text.mp4",
        UNAVAILABLE,
        r"edge-agent: outbox text\.mp4: file is not a database",
    ),
    Row("another model (info)", "models info none", WRONG, f"edge-agent: {NO_MODEL}"),
    Row("another model (verify)", "models verify none", WRONG, f"edge-agent: {NO_MODEL}"),
    Row("another model (bench)", "bench --model none", WRONG, f"edge-agent: {NO_MODEL}"),
    Row(
        "no clip (bench)",
        "bench none.mp4",
        UNAVAILABLE,
        r"edge-agent: file://none\.mp4 cannot be opened: no such file",
    ),
    Row("not one round (bench)", "bench --rounds 0", USAGE, rf"{USAGE_LINES} bench: error: argument --rounds: .*"),
    Row("no command", "", USAGE, rf"{USAGE_LINES}: error: the following arguments are required: COMMAND.*"),
    Row(
        "an unknown command",
        "fly",
        USAGE,
        rf"{USAGE_LINES}: error: argument COMMAND: invalid choice: 'fly' \(choose from .*run.*\)",
    ),
    Row(
        "a missing argument",
        "run",
        USAGE,
        rf"{USAGE_LINES} run: error: the following arguments are required: -c/--config",
    ),
    Row(
        "an unknown argument",
        "models list --fast",
        USAGE,
        rf"{USAGE_LINES} models: error: unrecognized arguments: --fast",
    ),
    Row(
        "neither of two",
        "outbox stats",
        USAGE,
        rf"{USAGE_LINES} outbox: error: one of the arguments -c/--config --path is required",
    ),
]


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.situation)
def test_what_is_wrong_is_said_in_one_line_a_problem_with_its_exit_code(row: Row, folder: Path) -> None:
    done = run_program(*row.command.split(), cwd=folder)
    assert no_traceback(done)
    assert done.returncode == row.code, done.stderr
    assert re.fullmatch(row.said, done.stderr.rstrip("\n")), done.stderr
    assert done.stdout == "" or row.code == DONE
    assert SECRET not in done.stderr


def no_traceback(done: subprocess.CompletedProcess[str]) -> bool:
    return "Traceback" not in done.stdout + done.stderr


def test_a_built_in_model_with_one_changed_byte_is_refused(tmp_path: Path) -> None:
    shutil.copytree(program.PACKAGE, tmp_path / "edge_agent", ignore=shutil.ignore_patterns("__pycache__"))
    model = tmp_path / "edge_agent" / "models" / "nanodet_g_coco_int8.onnx"
    content = bytearray(model.read_bytes())
    content[len(content) // 2] ^= 1
    model.write_bytes(content)
    write(tmp_path, "config.yaml")
    changed = program.environment(PYTHONPATH=str(tmp_path))
    refused = r"model 'default': .*nanodet_g_coco_int8\.onnx has sha256 [0-9a-f]{16}…, the manifest says .*again"
    run = run_program("run", "-c", "config.yaml", cwd=tmp_path, env=changed)
    assert run.returncode == WRONG
    assert re.fullmatch(f"edge-agent: {refused}\n", run.stderr), run.stderr
    verify = run_program("models", "verify", cwd=tmp_path, env=changed)
    assert verify.returncode == 1
    assert re.fullmatch(f"default: {refused}\nssdlite: ok\n", verify.stdout), verify.stdout


def test_of_a_film_that_is_cut_off_what_can_be_read_is_read(folder: Path) -> None:
    whole = PEDESTRIANS.read_bytes()
    (folder / "cut.mp4").write_bytes(whole[: len(whole) // 2])
    done = run_program("replay", "cut.mp4", "-c", "config.yaml", cwd=folder)
    assert done.returncode == DONE
    said = re.fullmatch(r"file://cut\.mp4: 1 packets could not be decoded, (\d+) frames could\n", done.stderr)
    assert said, done.stderr
    assert 100 < int(said[1]) < 150  # about half of 250
    events = [json.loads(line)["payload"] for line in done.stdout.splitlines()]
    assert sorted(program.objects(events, "new")) == sorted(program.objects(events, "end"))
    assert events


@pytest.mark.parametrize(
    "command",
    [f"replay {PEDESTRIANS} -c config.yaml", "models list", "check config.yaml --json"],
    ids=["replay", "models", "check"],
)
def test_a_full_disk_behind_the_standard_output_is_said_in_one_line(command: str, folder: Path) -> None:
    with Path("/dev/full").open("w", encoding="ascii") as full:
        done = subprocess.run(
            [sys.executable, "-m", "edge_agent", *command.split()],
            cwd=folder,
            env=program.environment(),
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert re.fullmatch(r"edge-agent: .*No space left on device.*\n", done.stderr), done.stderr
    assert done.returncode == UNAVAILABLE


@needs_mosquitto
@pytest.mark.parametrize(
    ("source", "why"),
    [
        ("file://none.mp4", r"file:///.*/none\.mp4 cannot be opened: no such file"),
        ("file://text.mp4", rf"file:///.*/text\.mp4 {NO_VIDEO}"),
        ("images://none", r"images:///.*/none cannot be listed: No such file or directory"),
        ("v4l2:///dev/video99", r"v4l2:///dev/video99 cannot be opened: no such device; .*"),
        ("rtsp://127.0.0.1:PORT/x", r"rtsp://127\.0\.0\.1:\d+/… cannot be opened: connection refused; .*"),
        ("http://127.0.0.1:PORT/x", r"http://127\.0\.0\.1:\d+/… cannot be opened: connection refused; .*"),
    ],
    ids=["no clip", "no film", "no folder", "no device", "no RTSP camera", "no HTTP camera"],
)
def test_a_camera_that_is_not_there_is_tried_again_and_again_while_the_rest_goes_on(
    source: str, why: str, tmp_path: Path
) -> None:
    (tmp_path / "text.mp4").write_text("no film", encoding="utf-8")
    source = source.replace("PORT", str(free_port()))
    front = {"id": "front", "source": source, "capture": {"retry_first_s": 0.2, "retry_cap_s": 0.5}}
    with (
        running_broker(tmp_path) as broker,
        program.hearing(broker.port) as news,
        program.running(tmp_path, front, mqtt={"url": broker.url}) as agent,
    ):
        warning = re.compile(rf'WARNING camera "front": {why}; next try in \d+ s$', re.MULTILINE)
        until(lambda: warning.search(agent.log), f"it does not say {why}", within_s=SOON_S)
        news.wait_for(f"{ROOT}/camera/front/status", b"offline")
        news.wait_for(f"{ROOT}/status", b"online")
        assert agent.alive
        if source == "file://none.mp4":  # it is tried again and again, and so it comes
            shutil.copy(PEDESTRIANS, tmp_path / "none.mp4")
            until(lambda: news.payloads(f"{ROOT}/camera/front/status") == [b"offline", b"online"])
        assert len(warning.findall(agent.log)) == 1  # the same line once a minute at most
        assert agent.stop() == 0


@needs_mosquitto
@pytest.mark.parametrize("mqtt", [{"password": "${MQTT_PASSWORD}"}, {"password_file": "password"}])
def test_a_password_is_shown_nowhere(mqtt: dict[str, str], tmp_path: Path) -> None:
    port = free_port()
    cameras = [
        {"id": "user", "source": f"rtsp://viewer:{SECRET}@127.0.0.1:{port}/x"},
        {"id": "query", "source": f"http://127.0.0.1:{port}/x?user=a&password={SECRET}"},
        {"id": "variable", "source": f"rtsp://viewer:${{CAMERA_PASSWORD}}@127.0.0.1:{port}/x"},
    ]
    (tmp_path / "password").write_text(f"{SECRET}\n", encoding="utf-8")
    environment = program.environment(CAMERA_PASSWORD=f"{SECRET}@2", MQTT_PASSWORD=SECRET)
    with running_broker(tmp_path, anonymous=False) as broker:
        settings = {"url": broker.url, "username": "box", **mqtt}
        with program.running(tmp_path, *cameras, mqtt=settings, env=environment) as agent:
            refused = f"broker {broker.url}: refuses the connection: .*; check mqtt.username and its password"
            until(lambda: re.search(refused, agent.log), "it is not refused", within_s=SOON_S)
            every = "not every camera was tried"
            until(lambda: agent.log.count("connection refused") == len(cameras), every, within_s=SOON_S)
            assert agent.stop() == 0
        shown = [agent.log]
        for command in (f"check {agent.config}", f"check {agent.config} --json", f"watch -c {agent.config}"):
            done = run_program(*command.split(), cwd=tmp_path, env=environment)
            assert no_traceback(done)
            shown += [done.stdout, done.stderr]
    assert not [text for text in shown if SECRET in text]
