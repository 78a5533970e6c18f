"""The command line: what each command prints, for people and as JSON, and how it ends."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import program
import pytest
import videos
from brokers import DEADLINE_S, needs_mosquitto, until
from brokers import running as running_broker
from paho.mqtt import publish
from program import run_program, write_config

import edge_agent
from edge_agent.cli.main import COMMANDS, EXIT_UNAVAILABLE, main
from edge_agent.clips import PEDESTRIANS
from edge_agent.edges.clock import SystemClock
from edge_agent.edges.outbox import Outbox, OutboxSettings
from edge_agent.records import Message, MessageKind
from edge_agent.tools import bench_report

TOPIC = f"{program.ROOT}/camera/front/event"


def printed(cwd: Path, *arguments: str | Path) -> str:
    """What a command prints that goes well and has nothing to complain about."""
    done = run_program(*arguments, cwd=cwd)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_the_help_names_every_command(tmp_path: Path) -> None:
    text = printed(tmp_path, "--help")
    lines = {line.split()[0]: line for line in text.splitlines() if line.startswith("  ")}
    for name, does in COMMANDS.items():
        assert lines[name].endswith(does)
    assert printed(tmp_path, "-h") == text


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_has_a_help_of_its_own(command: str, tmp_path: Path) -> None:
    text = printed(tmp_path, command, "--help")
    assert text.startswith(f"usage: edge-agent {command} ")
    assert "show this help message" in text


def test_the_version_is_the_package_s(tmp_path: Path) -> None:
    assert printed(tmp_path, "--version") == f"edge-agent {edge_agent.__version__}\n"


@pytest.mark.parametrize("thread", ["", "threading.Thread(target=time.sleep, args=(60,), daemon=True).start()"])
def test_a_process_in_which_a_thread_hangs_ends_without_taking_python_apart(thread: str, tmp_path: Path) -> None:
    imports = "import atexit, threading, time; from edge_agent.cli.main import program"
    script = f"{imports}\natexit.register(print, 'apart')\n{thread}\nprogram()"
    asked = [sys.executable, "-c", script, "outbox", "stats", "--path", "absent.db"]
    done = subprocess.run(asked, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=DEADLINE_S)
    assert done.returncode == EXIT_UNAVAILABLE
    assert done.stderr == run_program("outbox", "stats", "--path", "absent.db", cwd=tmp_path).stderr
    assert done.stdout == ("" if thread else "apart\n")


def test_models_are_listed_described_and_verified(tmp_path: Path) -> None:
    known = json.loads(printed(tmp_path, "models", "list", "--json"))
    listed = [model for model in known if model["built_in"]]
    assert [model["name"] for model in listed] == ["default", "ssdlite"]
    _head, *lines = printed(tmp_path, "models", "list").partition("\n\n")[0].splitlines()
    for model, line in zip(known, lines, strict=True):
        assert line.startswith(f"{model['name']} ")
        assert line.endswith(f" {model['title']}  ({model['licence']})")
        assert (" to pull " in line) == (not model["built_in"])
    for model, line in zip(listed, lines[: len(listed)], strict=True):
        width, height = model["input"]
        assert f" {width}x{height} " in line
        assert "person" in model["labels"]
        assert printed(tmp_path, "models", "info", model["name"]).startswith("# ")
        assert json.loads(printed(tmp_path, "models", "info", model["name"], "--json")) == model
        assert printed(tmp_path, "models", "verify", model["name"]) == f"{model['name']}: ok\n"
    assert printed(tmp_path, "models", "info") == printed(tmp_path, "models", "info", "default")
    assert printed(tmp_path, "models", "verify") == "default: ok\nssdlite: ok\n"
    assert json.loads(printed(tmp_path, "models", "verify", "--json")) == {"default": "ok", "ssdlite": "ok"}


def test_check_says_ok_or_every_problem_with_its_place_as_json_too(tmp_path: Path) -> None:
    write_config(
        tmp_path / "good.yaml", {"device": {"id": "box"}, "cameras": [program.camera("a"), program.camera("b")]}
    )
    assert printed(tmp_path, "check", "good.yaml") == "good.yaml: ok, 2 camera(s): a, b\n"
    good = json.loads(printed(tmp_path, "check", "good.yaml", "--json"))
    assert (good["ok"], good["problems"]) == (True, [])
    assert [camera["id"] for camera in good["settings"]["cameras"]] == ["a", "b"]

    (tmp_path / "bad.yaml").write_text("device: {id: box}\ncameras: []\nmodle: {}\n", encoding="utf-8")
    as_text = run_program("check", "bad.yaml", cwd=tmp_path)
    as_json = run_program("check", "bad.yaml", "--json", cwd=tmp_path)
    assert (as_text.returncode, as_text.stdout) == (78, "")
    assert (as_json.returncode, as_json.stderr) == (78, "")
    bad = json.loads(as_json.stdout)
    assert bad["ok"] is False
    problems = [
        f"{problem['file']}:{problem['line']}:{problem['column']}: {problem['key']}: {problem['what']}"
        for problem in bad["problems"]
    ]
    assert problems == as_text.stderr.splitlines()
    assert [(problem["line"], problem["key"]) for problem in bad["problems"]] == [(2, "cameras"), (3, "modle")]


def event(seq: int, kind: MessageKind) -> Message:
    """An event as far as the outbox cares."""
    content = {"seq": seq, "event_type": kind}
    return Message(topic=TOPIC, late_topic=f"{TOPIC}/late", payload=json.dumps(content).encode(), kind=kind, utc_ns=seq)


@pytest.fixture
def outbox(tmp_path: Path) -> Iterator[Path]:
    """An outbox with three events that wait and one that was set aside, in use by somebody."""
    path = tmp_path / "outbox.db"
    with closing(Outbox(OutboxSettings(path=path), SystemClock())) as box:
        box.put([event(0, "new"), event(1, "new"), event(2, "update"), event(3, "end")])
        box.bury(box.peek(1)[0].id, "the broker refuses it")
        yield path


def test_the_outbox_shows_what_waits_while_it_is_in_use_and_changes_nothing(outbox: Path, tmp_path: Path) -> None:
    before = sorted(path.name for path in tmp_path.iterdir())
    stats = json.loads(printed(tmp_path, "outbox", "stats", "--path", outbox, "--json"))
    assert {name: stats[name] for name in ("waiting", "given_up", "dead", "oldest_utc_ns")} == {
        "waiting": 3,
        "given_up": 0,
        "dead": 1,
        "oldest_utc_ns": 1,
    }
    lines = printed(tmp_path, "outbox", "stats", "--path", outbox).splitlines()
    assert lines.pop() == "  1 dead: the broker refuses it"
    assert stats.pop("dead_reasons") == {"the broker refuses it": 1}
    assert {name: value for name, value in map(str.split, lines) if name != "bytes"} == {
        "waiting": "3",
        "given_up": "0",
        "dead": "1",
        "oldest": "1970-01-01T00:00:00Z",
    }
    listed = json.loads(printed(tmp_path, "outbox", "list", "--path", outbox, "--json"))
    assert [(line["topic"], line["payload"]["seq"]) for line in listed] == [(TOPIC, 1), (TOPIC, 2), (TOPIC, 3)]
    as_text = printed(tmp_path, "outbox", "list", "--path", outbox).splitlines()
    assert [json.loads(line.removeprefix(f"{TOPIC} ")) for line in as_text] == [line["payload"] for line in listed]
    first = json.loads(printed(tmp_path, "outbox", "list", "--path", outbox, "--json", "--limit", "1"))
    assert first == listed[:1]
    assert sorted(path.name for path in tmp_path.iterdir()) == before


def test_the_outbox_is_found_through_the_configuration(outbox: Path, tmp_path: Path) -> None:
    settings = {"device": {"id": "box"}, "cameras": [program.camera()], "outbox": {"path": outbox.name}}
    config = write_config(tmp_path / "config.yaml", settings)
    by_config = printed(tmp_path, "outbox", "list", "-c", config)
    assert by_config == printed(tmp_path, "outbox", "list", "--path", outbox)


@contextmanager
def watching(folder: Path, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "edge_agent", "watch", *arguments]
    with (
        (folder / "watch.out").open("wb") as out,
        (folder / "watch.err").open("wb") as err,
        subprocess.Popen(command, cwd=folder, env=program.environment(), stdout=out, stderr=err, text=True) as process,
    ):
        try:
            yield process
        finally:
            process.kill()


def full_event(seq: int) -> dict[str, Any]:
    """An event with what the table of `watch` shows of it."""
    seen = {"id": "front-1", "label": "person", "score": 0.8, "zones": ["porch"]}
    return {
        "event_type": "new",
        "reason": ["appeared"],
        "run_id": "abc123",
        "camera": "front",
        "seq": seq,
        "object": seen,
        "time": "2026-11-22T13:45:01.250Z",
    }


@needs_mosquitto
@pytest.mark.parametrize("as_json", [True, False])
def test_watch_prints_what_is_published_until_it_is_interrupted(tmp_path: Path, *, as_json: bool) -> None:
    out, err = tmp_path / "watch.out", tmp_path / "watch.err"
    with running_broker(tmp_path) as broker:

        def say(topic: str, payload: str, *, retain: bool = False) -> None:
            publish.single(topic, payload, qos=1, retain=retain, hostname="127.0.0.1", port=broker.port)

        say(f"{program.ROOT}/status", "online", retain=True)
        with watching(tmp_path, "--broker", broker.url, *(["--json"] if as_json else [])) as process:
            until(lambda: "edge/#" in broker.log.read_text(encoding="utf-8"))  # it has subscribed
            say(TOPIC, json.dumps(full_event(7)))
            say("other/topic", "nobody asked for this")
            say(f"{TOPIC}/late", json.dumps(full_event(8)))
            until(lambda: len(out.read_text(encoding="utf-8").splitlines()) == (3 if as_json else 2))
            process.send_signal(signal.SIGINT)
            assert process.wait(DEADLINE_S) == 130
    assert err.read_text(encoding="utf-8") == ""
    lines = out.read_text(encoding="utf-8").splitlines()
    if as_json:
        said = [json.loads(line) for line in lines]
        assert said[0] == {"topic": f"{program.ROOT}/status", "payload": "online"}
        assert [(line["topic"], json.loads(line["payload"])["seq"]) for line in said[1:]] == [
            (TOPIC, 7),
            (f"{TOPIC}/late", 8),
        ]
    else:
        assert [line.split() for line in lines] == [
            ["13:45:01.250", "front", "new", "front-1", "person", "0.80", "porch", "appeared"]
        ] * 2


@needs_mosquitto
def test_watch_says_so_when_the_broker_goes_away(tmp_path: Path) -> None:
    with running_broker(tmp_path) as broker, watching(tmp_path, "--broker", broker.url) as process:
        until(lambda: "edge/#" in broker.log.read_text(encoding="utf-8"))
        broker.stop()
        assert process.wait(DEADLINE_S) == 69
    said = (tmp_path / "watch.err").read_text(encoding="utf-8")
    assert said == f"edge-agent: broker {broker.url}: the connection broke\n"


@needs_mosquitto
def test_watch_survives_messages_that_no_agent_sent(tmp_path: Path) -> None:
    out = tmp_path / "watch.out"
    strange = ("no JSON", "[]", "{}", '{"event_type": "new"}', b"\xff\xfe", "")
    with running_broker(tmp_path) as broker, watching(tmp_path, "--broker", broker.url) as process:
        until(lambda: "edge/#" in broker.log.read_text(encoding="utf-8"))
        for payload in (*strange, json.dumps(full_event(1))):
            publish.single(TOPIC, payload, qos=1, hostname="127.0.0.1", port=broker.port)
        until(lambda: process.poll() is not None or "front-1" in out.read_text(encoding="utf-8"))
        assert (tmp_path / "watch.err").read_text(encoding="utf-8") == ""
        assert process.poll() is None


def test_a_reader_who_has_enough_ends_a_replay_without_a_complaint(tmp_path: Path) -> None:
    config = write_config(tmp_path / "config.yaml", {"device": {"id": "box"}, "cameras": [program.camera()]})
    command = [sys.executable, "-m", "edge_agent", "replay", str(PEDESTRIANS), "-c", str(config)]
    with subprocess.Popen(
        command, cwd=tmp_path, env=program.environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        assert process.stderr
        assert json.loads(process.stdout.readline())["payload"]["seq"] == 0
        process.stdout.close()
        assert process.wait(30) == 0
        assert process.stderr.read() == ""


def test_bench_tells_what_each_stage_costs_as_a_table_and_as_json(tmp_path: Path) -> None:
    clip = videos.excerpt(PEDESTRIANS, tmp_path / "short.mp4", last_s=3.0)
    measured = json.loads(printed(tmp_path, "bench", clip, "--rounds", "1", "--json"))
    assert measured["frames"] == 30
    assert 0 < measured["looks"] <= 30
    assert list(measured["stages"]) == ["decode", "gate", "detect", "track", "rules", "encode"]
    assert measured["stages"]["detect"]["calls"] == measured["looks"] == measured["runs"]
    assert measured["model"]["calls"] == measured["runs"]
    detect = measured["stages"]["detect"]["cpu_ms_a_frame"]
    assert 0 < measured["model"]["cpu_ms_a_frame"] < detect
    assert measured["beside_model_cpu_ms_a_frame"] == pytest.approx(
        detect - measured["model"]["cpu_ms_a_frame"], abs=1e-3
    )
    assert measured["ratio"] > 0
    table = printed(tmp_path, "bench", clip, "--rounds", "1", "--model", "ssdlite").splitlines()
    assert table[0].startswith("short.mp4, model ssdlite: 30 frames, ")
    assert [line.split()[0] for line in table[3:11]] == [
        "decode", "gate", "detect", "model", "beside", "track", "rules", "encode",
    ]  # fmt: skip
    assert sum(": ratio " in line for line in table) == 2


def report_with(**changes: Any) -> bench_report.Report:
    stages = {"decode": {"cpu_ms_a_frame": 1.0}, "detect": {"cpu_ms_a_frame": 4.0}}
    figures = {"ratio": 1.2, "warm_ratio": 1.3, "whole_cpu_ms_a_frame": 6.0, "limit_cpu_ms_a_frame": 5.0}
    same = dict.fromkeys(bench_report.MEASURED_ON, "same")
    return {**same, **figures, "schema": 1, "stages": stages, "peak_rss_bytes": 2**30, **changes}


def test_two_reports_are_compared_figure_by_figure_and_what_was_not_the_same_is_said() -> None:
    now = report_with(ratio=1.8, peak_rss_bytes=2**29, clip="other", cores=2)
    now["stages"] = {**now["stages"], "encode": {"cpu_ms_a_frame": 0.5}}
    lines = list(bench_report.compared(report_with(), now))
    assert [line.split() for line in lines[:3]] == [
        ["before", "now", "ratio"],
        ["whole", "to", "the", "limit", "1.200", "1.800", "1.50"],
        ["to", "the", "warm", "limit", "1.300", "1.300", "1.00"],
    ]
    assert lines[7].split()[-3:] == ["0.000", "0.500", "-"]  # a stage that was not there
    assert lines[8:] == [
        f"{'peak RSS, MiB':24} {1024:10.3f} {512:10.3f} {0.5:7.2f}",
        "",
        "not the same clip: same, now other",
        "not the same cores: same, now 2",
        "another machine: only the ratios to the limit can be compared",
    ]


def test_bench_compares_with_what_it_has_printed_before_and_takes_a_configuration(tmp_path: Path) -> None:
    clip = videos.excerpt(PEDESTRIANS, tmp_path / "short.mp4", last_s=3.0)
    (tmp_path / "base.json").write_text(printed(tmp_path, "bench", clip, "--rounds", "1", "--json"))
    config = write_config(
        tmp_path / "config.yaml", {"device": {"id": "box"}, "cameras": [program.camera(detect={"rate_hz": 2})]}
    )
    lines = printed(tmp_path, "bench", clip, "-c", config, "--rounds", "1", "--compare", "base.json").splitlines()
    looks = re.fullmatch(r"short.mp4, model default: 30 frames, (\d+) looks", lines[0])
    assert looks
    assert 0 < int(looks[1]) <= 7
    assert lines[-1] == "not the same rate_hz: 5.0, now 2.0"
    tiled = program.camera(detect={"rate_hz": 2, "tile": "2x2"})
    config = write_config(tmp_path / "tiled.yaml", {"device": {"id": "box"}, "cameras": [tiled]})
    measured = json.loads(printed(tmp_path, "bench", clip, "-c", config, "--rounds", "1", "--json"))
    assert (measured["looks"], measured["runs"]) == (int(looks[1]), 5 * int(looks[1]))
    assert f"{'':24} {'before':>10} {'now':>10} {'ratio':>7}" in lines


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--compare", "absent.json"), "--compare absent.json: cannot be read: No such file or directory"),
        (("--compare", "text"), "--compare text: is no report of `edge-agent bench --json` of this version"),
        (("--compare", "list"), "--compare list: is no report of `edge-agent bench --json` of this version"),
        (("--compare", "other"), "--compare other: is no report of `edge-agent bench --json` of this version"),
        (("-c", "c.yaml", "--rate-hz", "2"), "--rate-hz: c.yaml says how often to look; leave one of the two out"),
    ],
)
def test_bench_says_in_a_line_what_it_cannot_use(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, arguments: Any, said: str
) -> None:
    for name, text in {"text": "no JSON", "list": "[1]", "other": '{"schema": 1, "ratio": 1}'}.items():
        (tmp_path / name).write_text(text)
    monkeypatch.chdir(tmp_path)
    assert main(["bench", *arguments]) == 78
    assert capsys.readouterr() == ("", f"edge-agent: {said}\n")
