"""Reading a configuration: what is read as what, and every problem at once, each in its place and in plain words."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edge_agent import config
from edge_agent.config import checks, dialect, loading, wording
from edge_agent.edges.sources import SOURCES
from edge_agent.errors import ConfigError, Problem

KEYS = "`device`, `mqtt`, `commands`, `model`, `cameras`, `webhook`, `outbox`, `homeassistant` and `explain`"

CONFIGS = Path(__file__).parent.parent / "configs"
EXAMPLE = (CONFIGS / "example.yaml").read_text()
ENVIRON = {"CAMERA_PASSWORD": "hunter2", "MQTT_PASSWORD": "hunter3"}
BOX = "device: {id: box}\ncameras: [{id: a, source: 'file://a.mp4'}]\n"
CAMERA = "device: {id: box}\ncameras:\n  - id: a\n    source: file://a.mp4\n"

A_DURATION = "must be a number of seconds or one like 500ms, 30s, 5m, 2h, 7d"
KINDS = (
    "rtsp://, rtsps://, http://, https://, rtmp://, rtmps://, srt://, v4l2://, csi://, gstreamer:, pipe://, watch://, "
    "file:// or images://"
)

ALL, LEFT = "[[0, 0], [1, 0], [1, 1], [0, 1]]", "[[0, 0], [0.5, 0], [0.5, 1], [0, 1]]"
RIGHT = "[[0.5, 0], [1, 0], [1, 1], [0.5, 1]]"
FLAT = "[[0, 0], [0.5, 0.5], [1, 1]]"
FILTERS = [
    (
        "min_area: 0.3, max_area: 0.2",
        43,
        "min_area: no box passes: `min_area` is 0.3 and `max_area` 0.2; it must be less",
    ),
    ("max_ratio: 1, min_ratio: 1", 58, "min_ratio: no box passes: `min_ratio` is 1 and `max_ratio` 1; it must be less"),
    ("min_height: 1", 45, "min_height: no box passes: `min_height` is 1 and `max_height` 1; it must be less"),
    (
        "min_area: 0.3, max_height: 0.2",
        43,
        "min_area: no box passes: one that is at most 0.2 high (`max_height`) takes up less than 0.3",
    ),
    (f"within: [{FLAT}]", 42, "within[0]: has no area: its corners lie on one line"),
    (f"without: [{LEFT}, {FLAT}]", 81, "without[1]: has no area: its corners lie on one line"),
    (f"without: [{ALL}]", 42, "without: no box passes: it covers the whole picture"),
    (f"within: [{LEFT}], without: [{ALL}]", 41, "within: no box passes: all of it lies in `without`"),
]
"""Box filters of a person, where what is said of them stands, and what."""

# hypothesis writes each example to the same file; nothing is left over between two of them.
EVERY_TIME = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def load(folder: Path, text: str | bytes, environ: Mapping[str, str] = ENVIRON) -> config.Settings:
    file = folder / "c.yaml"
    file.write_bytes(text.encode() if isinstance(text, str) else text)
    return config.load(file, environ)


def problems(folder: Path, text: str | bytes, environ: Mapping[str, str] = ENVIRON) -> tuple[Problem, ...]:
    try:
        load(folder, text, environ)
    except ConfigError as error:
        return error.problems
    return ()


def lines(folder: Path, text: str | bytes, environ: Mapping[str, str] = ENVIRON) -> list[str]:
    """The problems as they are printed, without the folder."""
    return [str(problem).removeprefix(f"{folder}/") for problem in problems(folder, text, environ)]


@pytest.mark.parametrize(
    ("device", "expected"),
    [
        ("timezone: Europe/Berlin, location: [52.5, 13.4]", []),
        ("timezone: UTC", []),
        ("timezone: null", []),
        ("timezone: Europe/Berlim", ['there is no time zone "Europe/Berlim"; did you mean `Europe/Berlin`?']),
        (
            "timezone: ../../etc/passwd",
            ['there is no time zone "../../etc/passwd"; they are called as in `Europe/Berlin`'],
        ),
        ("timezone: Europe", ['there is no time zone "Europe"; did you mean `Europe/Rome`?']),
        ("location: [91, 0]", ["is 91, must be at most 90"]),
        ("location: [0, 181]", ["is 181, must be at most 180"]),
        ("location: [52.5]", ["must have 2 entries, has 1"]),
    ],
)
def test_a_device_stands_somewhere_on_earth(tmp_path: Path, device: str, expected: list[str]) -> None:
    text = f"device: {{id: box, {device}}}\ncameras: [{{id: a, source: 'file://a.mp4'}}]\n"
    assert [problem.what for problem in problems(tmp_path, text)] == expected


GROUND = "    ground: {corners: [[0, 0], [1, 0], [1, 1], [0, 1]], width_m: 4, length_m: 10}\n"
ROAD = "    ground: {corners: [[0, 0.7], [1, 0.7], [0.7, 0.4], [0.3, 0.4]], width_m: 8, length_m: 12}\n"
FAST = "    rules: [{name: r, kind: speed, over_kmh: 30, zone: far}]\n"
WITH_BAGS = "    detect: {labels: [person, suitcase]}\n    rules: [{name: r, kind: left_behind, after_s: 60, "


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # Schedules, alone and in a list
        ("    lines: {a: {from: [0, 0.5], to: [1, 0.5], schedule: {from: '22:00', to: '6:00'}}}\n", []),
        ("    rules: [{name: r, kind: dwell, after_s: 1, schedule: [{days: [mon]}, {to: '6:00'}]}]\n", []),
        (
            "    lines: {a: {from: [0, 0.5], to: [1, 0.5], schedule: {from: sunset-1h}}}\n",
            [
                (
                    '5:64: cameras[0].lines.a.schedule.from: is "sunset-1h", which needs `device.location`, degrees '
                    "north and degrees east"
                )
            ],
        ),
        (
            "    rules: [{name: r, kind: dwell, after_s: 1, schedule: [{days: [mon]}, {to: sunrise}]}]\n",
            [
                (
                    '5:79: cameras[0].rules[0].schedule[1].to: is "sunrise", which needs `device.location`, degrees '
                    "north and degrees east"
                )
            ],
        ),
        (
            "    rules: [{name: r, kind: dwell, after_s: 1, schedule: []}]\n",
            ["5:58: cameras[0].rules[0].schedule: must have at least 1 entry, has 0"],
        ),
        (
            "    rules: [{name: r, kind: dwell, after_s: 1, schedule: {}}]\n",
            ["5:58: cameras[0].rules[0].schedule: must have `days`, `from` or `to`; leave the schedule out for always"],
        ),
        (
            "    rules: [{name: r, kind: dwell, after_s: 1, schedule: {days: [mon, thur]}}]\n",
            ['5:71: cameras[0].rules[0].schedule.days[1]: is "thur", must be mon, tue, wed, thu, fri, sat or sun'],
        ),
        (
            "    rules: [{name: r, kind: dwell, after_s: 1, schedule: {from: 22}}]\n",
            [
                (
                    "5:65: cameras[0].rules[0].schedule.from: is 22, must be a time of day, such as `22:00`, "
                    "`sunrise`, or up to 6h from the sun, such as `sunset-30m`"
                )
            ],
        ),
        (
            "    rules: [{name: r, kind: dwell, after_s: 1, schedule: [{day: [mon], to: '6:00'}]}]\n",
            ["5:60: cameras[0].rules[0].schedule[0].day: unknown key; did you mean `days`?"],
        ),
        (
            "    lines: {a: {from: [0, 0.5], to: [1, 0.5], schedule: {day: [mon], to: '6:00'}}}\n",
            ["5:58: cameras[0].lines.a.schedule.day: unknown key; did you mean `days`?"],
        ),
        (
            "    rules: [{name: r, kind: dwell, after_s: 1, schedule: {from: '6:00', to: '6:00'}}]\n",
            [
                (
                    "5:58: cameras[0].rules[0].schedule: must not begin and end at the same time; leave both out for "
                    "the whole day"
                )
            ],
        ),
        # Speed
        (GROUND + "    rules: [{name: r, kind: speed, over_kmh: 30}]\n", []),
        (
            "    rules: [{name: r, kind: speed, over_kmh: 30}]\n",
            [
                (
                    "5:29: cameras[0].rules[0].kind: needs the camera's `ground`; without it nobody knows how fast "
                    "anything moves"
                )
            ],
        ),
        (
            GROUND.replace("[1, 0], [1, 1]", "[1, 1], [1, 0]"),
            [
                (
                    "5:23: cameras[0].ground.corners: must be four corners in the order in which one walks around "
                    "them, none bent inwards"
                )
            ],
        ),
        (
            GROUND.replace(", [0, 1]]", "]"),
            ["5:23: cameras[0].ground.corners: must have 4 entries, has 3"],
        ),
        # The horizon of this road is y = 0.2, its far edge at y = 0.4, so half as far away again is y = 0.333.
        (ROAD + "    zones: {far: {polygon: [[0, 0], [1, 0], [1, 0.36], [0, 0.36]]}}\n" + FAST, []),
        (
            ROAD + "    zones: {far: {polygon: [[0, 0], [1, 0], [1, 0.32], [0, 0.32]]}}\n" + FAST,
            [
                (
                    '7:56: cameras[0].rules[0].zone: zone "far" lies farther away than speeds are known, by the '
                    "camera's `ground`"
                )
            ],
        ),
        (ROAD + "    zones: {far: {anchor: top, polygon: [[0, 0], [1, 0], [1, 0.32], [0, 0.32]]}}\n" + FAST, []),
        # Left behind
        (WITH_BAGS + "labels: [suitcase]}]\n", []),
        (
            WITH_BAGS + "labels: [suitcase], people: [persons]}]\n",
            [
                (
                    '6:84: cameras[0].rules[0].people[0]: this camera does not look for "persons", so nothing is ever '
                    'seen to have company; did you mean "person"?'
                )
            ],
        ),
        (
            WITH_BAGS.replace("person, ", "") + "labels: [suitcase]}]\n",
            [
                (
                    '6:13: cameras[0].rules[0]: `people` is "person" when left out, whom this camera does not look '
                    "for; see `detect.labels`"
                )
            ],
        ),
        (
            WITH_BAGS + "labels: [backpack]}]\n",
            [
                (
                    '6:64: cameras[0].rules[0].labels[0]: this camera does not look for "backpack", so this rule never '
                    'speaks of it; `detect.labels` holds "person" and "suitcase"'
                )
            ],
        ),
        (WITH_BAGS + "}]\n", ["6:13: cameras[0].rules[0].labels: is missing"]),
    ],
)
def test_what_a_schedule_or_a_rule_about_things_lacks_is_said_in_its_place(
    tmp_path: Path, text: str, expected: list[str]
) -> None:
    assert lines(tmp_path, CAMERA + text) == [f"c.yaml:{line}" for line in expected]


def test_a_schedule_by_the_sun_needs_to_know_where(tmp_path: Path) -> None:
    rule = "    rules: [{name: r, kind: dwell, after_s: 1, schedule: {from: sunset, to: sunrise}}]\n"
    somewhere = CAMERA.replace("{id: box}", "{id: box, location: [52.5, 13.4]}")
    assert (len(lines(tmp_path, CAMERA + rule)), lines(tmp_path, somewhere + rule)) == (2, [])


def test_six_different_mistakes_give_six_lines_in_the_order_of_the_file(tmp_path: Path) -> None:
    text = """\
device:
  id: gate pi
mqtt:
  keepalive_s: soon
cameras:
  - id: front
    zone:
      porch: {polygon: [[0, 0], [1, 1]]}
    detect: {rate_hz: 100}
    zones:
      porch: {polygon: [[0, 0], [1, 1]]}
"""
    assert lines(tmp_path, text) == [
        'c.yaml:2:7: device.id: is "gate pi", must be 1 to 64 letters (a-z), digits, `-` or `_`',
        f'c.yaml:4:16: mqtt.keepalive_s: is "soon", {A_DURATION}',
        "c.yaml:6:5: cameras[0].source: is missing",
        "c.yaml:7:5: cameras[0].zone: unknown key; did you mean `zones` or `cameras[].rules[].zone`?",
        "c.yaml:9:23: cameras[0].detect.rate_hz: is 100, must be at most 60",
        "c.yaml:11:24: cameras[0].zones.porch.polygon: must have at least 3 different corners, has 2",
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "1:1: is empty"),
        ("# nothing\n", "1:1: is empty"),
        ("---\n", "2:1: has no value, must be a mapping of settings"),
        ("- a\n", "1:1: is a list, must be a mapping of settings"),
        ("word\n", '1:1: is "word", must be a mapping of settings'),
        ("a: [1\nb: 2\n", "2:2: a `,` or the closing `]` is missing"),
        ("a: {b: ${c}}\n", "1:9: a `{` inside a text; ${NAME} needs quotes between `{ }` or `[ ]`"),
        ("a: {b: 1\n", "1:4: a `,` or the closing `}` is missing"),
        ('a: "b\n', "1:4: a quote is opened here and never closed"),
        ('a: "\\d"\n', "1:6: an unknown escape; in double quotes write \\\\ for a backslash, or use single quotes"),
        (
            'a: "\\UFFFFFFFF"\n',
            "1:2: an unknown escape; in double quotes write \\\\ for a backslash, or use single quotes",
        ),
        ("a: b: c\n", "1:5: a second `:` or a wrong indentation; text that holds `: ` needs quotes"),
        ("a: 1\n  b: 2\n", "2:4: a second `:` or a wrong indentation; text that holds `: ` needs quotes"),
        ("a: 1\nb\n", "2:1: a key without a `:`"),
        ("a:\n  b: 1\n c: 2\n", "3:2: is indented differently from the lines above"),
        ("a:\n\tb: 1\n", "2:1: a tab; indent with spaces"),
        ("a: @b\n", "1:4: text that begins with such a sign needs quotes"),
        ("a: 1\x07\n", "1:5: a control character, which is no text"),
        ("a: !b!c d\n", "1:4: tags such as !name are not read; put text that begins with ! in quotes"),
        ("a: *b\n", "1:4: a: no value above is marked `&` with this name"),
        ("a: &b [*b]\n", "1:8: a[0]: no value above is marked `&` with this name"),
        ("[a]: b\n", "1:1: a key must be a word"),
        ("a: 1\n---\nb: 2\n", "2:1: a second document begins; a file holds one"),
        ("%FOO\n%YAML 1.1\n---\n", "4:1: has no value, must be a mapping of settings"),
        ("a: " + "[" * 40, "1:36: lies deeper than 32 lists and mappings"),
        (b"device: {id: b\xff}", "1:15: is not UTF-8 text"),
        (b"a: 1\nb: \xc3", "2:4: is not UTF-8 text"),
        ("a: 1\n".encode("utf-16"), "1:1: is not UTF-8 text"),
    ],
)
def test_what_is_no_yaml_is_said_in_one_line(tmp_path: Path, text: str | bytes, expected: str) -> None:
    assert lines(tmp_path, text) == [f"c.yaml:{expected}"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("modle: {}\n", ["1:1: modle: unknown key; did you mean `model`?"]),
        (
            "banana: 1\n",
            [f"1:1: banana: unknown key; known here: {KEYS}"],
        ),
        (
            "banana:\n",
            [f"1:1: banana: unknown key; known here: {KEYS}"],
        ),
        ("zones: {}\n", ["1:1: zones: unknown key; did you mean `cameras[].zones`?"]),
        ("mqtt: {'a b': 1}\n", None),
        ("mqtt: {<<: {window: 5}}\n", ['1:8: mqtt."<<": merge keys are not read; write `key: *name` for each section']),
        ("mqtt: {window: 5, window: 6}\n", ["1:19: mqtt.window: stands twice, first in line 1"]),
        ('mqtt: {username: "\\ud800"}\n', ["1:18: mqtt.username: holds an escape that is no text"]),
        (
            "mqtt: {username: !b c}\n",
            ["1:18: mqtt.username: tags such as !name are not read; put text that begins with ! in quotes"],
        ),
        ("mqtt: off\n", ['1:7: mqtt: is "off", must be a mapping of settings']),
        ("mqtt: {window: 4.5}\n", ["1:16: mqtt.window: is 4.5, must be a whole number"]),
        ("mqtt: {window: many}\n", ['1:16: mqtt.window: is "many", must be a whole number']),
        ("mqtt: {window: 0}\n", ["1:16: mqtt.window: is 0, must be at least 1"]),
        ("mqtt: {window: [5]}\n", ["1:16: mqtt.window: is a list, must be a whole number"]),
        ("mqtt: {window: {a: 5}}\n", ["1:16: mqtt.window: is a mapping, must be a whole number"]),
        ("mqtt: {protocol: 4}\n", ["1:18: mqtt.protocol: is 4, must be 5 or 3"]),
        ("mqtt: {url: 192.0.2.2}\n", ["1:13: mqtt.url: must begin with mqtt:// or mqtts://"]),
        ("mqtt: {url: 'mqtt://'}\n", None),
        ("mqtt: {url: 'mqtt://h:99999'}\n", None),
        ("mqtt: {url: 'mqtt://[h'}\n", None),
        ("mqtt: {url: 'mqtt://h/topic'}\n", None),
        (
            "mqtt: {url: 'mqtt://a:hunter2@h'}\n",
            ["1:13: mqtt.url: holds a user or a password; write `username` and `password_file` instead"],
        ),
        ("mqtt: {password: [hunter2]}\n", ["1:18: mqtt.password: is a list, must be text"]),
        (
            "mqtt: {username: edge, password: hunter2, password_file: f}\n",
            ["1:43: mqtt.password_file: stands beside `password` (line 1); only one of them may"],
        ),
        ("mqtt: {username: edge, password: hunter2, password_file: }\n", []),
        (
            "mqtt: {password: hunter2}\n",
            ["1:8: mqtt.password: needs `username` beside it; without one no password is sent"],
        ),
        (
            "mqtt: {username: , password_file: f}\n",
            ["1:20: mqtt.password_file: needs `username` beside it; without one no password is sent"],
        ),
        (
            "mqtt: {cert_file: c, url: 'mqtts://h'}\n",
            ["1:8: mqtt.cert_file: needs `key_file` beside it"],
        ),
        ("model: {anchors: a.npy}\n", ["1:9: model.anchors: needs `path` beside it"]),
        (
            "model: {path: m.onnx, anchor_form: xywh}\n",
            ["1:23: model.anchor_form: needs `anchors` beside it"],
        ),
        (
            "model: {box_scales: [10, 10, 5, 5], activation: softmax}\n",
            [
                "1:9: model.box_scales: needs `path` beside it",
                "1:37: model.activation: needs `path` beside it",
            ],
        ),
        ("mqtt: {key_file: c}\n", ["1:8: mqtt.key_file: needs `cert_file` beside it"]),
        ("mqtt: {cert_file: c, key_file: k, ca_file: a, url: 'mqtts://h:8883/'}\n", []),
        (
            "mqtt: {ca_file: a}\n",
            ["1:8: mqtt.ca_file: has no effect without TLS; `url` must begin with mqtts://"],
        ),
        ("mqtt: {prefix: a//b}\n", None),
        ("mqtt: {urls: ['mqtt://b', 'mqtt://[::1]:1884']}\n", []),
        ("mqtt: {url: 'mqtts://a', urls: ['mqtts://b'], ca_file: a}\n", []),
        (
            "mqtt: {urls: ['mqtt://b', 'mqtt://u:hunter2@c', 'mqtt://']}\n",
            [
                "1:27: mqtt.urls[1]: holds a user or a password; write `username` and `password_file` instead",
                "1:49: mqtt.urls[2]: must be mqtt://HOST, mqtt://HOST:PORT or the same with mqtts://",
            ],
        ),
        ("mqtt: {urls: ['http://hunter2']}\n", ["1:15: mqtt.urls[0]: must begin with mqtt:// or mqtts://"]),
        (
            "mqtt: {url: 'mqtts://a', urls: ['mqtt://b']}\n",
            ["1:33: mqtt.urls[0]: must begin with mqtts:// like the others; else the password can be read on its way"],
        ),
        (
            "mqtt: {protocol: 3, expiry_s: 1d, will_delay_s: 5}\n",
            [
                "1:21: mqtt.expiry_s: has no effect with `protocol: 3`; MQTT 3.1.1 knows no such thing",
                "1:35: mqtt.will_delay_s: has no effect with `protocol: 3`; MQTT 3.1.1 knows no such thing",
            ],
        ),
        ("mqtt: {expiry_s: 0}\n", None),
        ("mqtt: {ack_timeout_s: -1}\n", ["1:23: mqtt.ack_timeout_s: is -1, must be more than 0"]),
        ("mqtt: {user_timeout_s: -3s}\n", ['1:24: mqtt.user_timeout_s: is "-3s", must be at least 1']),
        ("mqtt: {expiry_s: -1}\n", ["1:18: mqtt.expiry_s: is -1, must be at least 1"]),
        ("mqtt: {will_delay_s: -1}\n", ["1:22: mqtt.will_delay_s: is -1, must be at least 0"]),
        ("mqtt: {keepalive_s: 400d}\n", ['1:21: mqtt.keepalive_s: is "400d", must be at most 3600']),
        ("mqtt: {late_after_s: 400d}\n", ['1:22: mqtt.late_after_s: is "400d", must be at most 366d']),
        (
            "mqtt: {urls: ['mqtt://b:1883', 'mqtt://c', 'mqtt://B/']}\n",
            ["1:44: mqtt.urls[2]: is the broker in line 1 again; each may stand there once"],
        ),
        (
            "mqtt: {urls: ['mqtt://127.0.0.1', 'mqtt://127.0.0.1:1884', 'mqtt://[::1]', 'mqtt://localhost']}\n",
            ["1:15: mqtt.urls[0]: is the broker of `url`, which it is when left out; each may stand there once"],
        ),
        (
            "mqtt: {prefix: homeassistant}\n",
            ["1:16: mqtt.prefix: is that of `homeassistant.prefix`, too; the two must not mix"],
        ),
        (
            "mqtt: {prefix: a/b}\nhomeassistant: {prefix: a/b}\n",
            ["2:25: homeassistant.prefix: is that of `mqtt.prefix`, too; the two must not mix"],
        ),
        ("mqtt: {prefix: a}\nhomeassistant: {prefix: a/b}\n", []),
        ("mqtt: {retry_first_s: 1m}\n", ["1:23: mqtt.retry_first_s: `retry_first_s` is longer than `retry_cap_s`"]),
        ("mqtt: {retry_cap_s: 0.5}\n", ["1:21: mqtt.retry_cap_s: `retry_first_s` is longer than `retry_cap_s`"]),
        ("mqtt: {retry_first_s: 30, retry_cap_s: 0.5m}\n", []),
        (
            "model: {name: a, path: b}\n",
            ["1:18: model.path: stands beside `name` (line 1); only one of them may"],
        ),
        ("model: {threshold: -1}\n", ["1:20: model.threshold: is -1, must be more than 0"]),
        ("model: {threshold: 0}\n", ["1:20: model.threshold: is 0, must be more than 0"]),
        ("model: {threshold: 40%}\n", ['1:20: model.threshold: is "40%", must be a number']),
        ("model: {threshold: .nan}\n", ['1:20: model.threshold: is ".nan", must be a number']),
        ("model: {threshold: inf}\n", ['1:20: model.threshold: is "inf", must be a finite number']),
        ("model: {threshold: true}\n", ['1:20: model.threshold: is "true", must be a number']),
        ("model: {input: [320]}\n", ["1:16: model.input: must have 2 entries, has 1"]),
        ("model: {input: [320, 320, 3]}\n", ["1:16: model.input: must have at most 2 entries, has 3"]),
        ("outbox: {max_bytes: 5}\n", ["1:21: outbox.max_bytes: is 5, must be at least 1048576"]),
        ("outbox: {max_bytes: big}\n", None),
        ("outbox: {max_age: '${AGE}'}\n", ["1:19: outbox.max_age: the variable AGE is not set"]),
        (
            "outbox: {max_age: '${AGE}${SIZE}'}\n",
            ["1:19: outbox.max_age: the variable AGE is not set", "1:19: outbox.max_age: the variable SIZE is not set"],
        ),
        (
            "outbox: {max_age: '${A-B}'}\n",
            ["1:19: outbox.max_age: a variable is written ${NAME}; for the signs themselves write $${"],
        ),
        (
            "outbox: {max_age: '${MQTT_PASSWORD}'}\n",
            [f'1:19: outbox.max_age: is "${{MQTT_PASSWORD}}", {A_DURATION}'],
        ),
    ],
)
def test_a_mistake_is_said_in_its_place(tmp_path: Path, text: str, expected: list[str] | None) -> None:
    found = lines(tmp_path, text + BOX)
    if expected is None:
        assert len(found) == 1
    else:
        assert found == [f"c.yaml:{line}" for line in expected]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("    detekt: {}\n", ["5:5: cameras[0].detekt: unknown key; did you mean `detect`?"]),
        (
            "    detect: {threshold: 0.5}\n",
            [
                (
                    "5:14: cameras[0].detect.threshold: unknown key; did you mean `thresholds`, `model.threshold` or "
                    "`cameras[].gate.threshold`?"
                )
            ],
        ),
        ("    detect: {labels: []}\n", ["5:22: cameras[0].detect.labels: must have at least 1 entry, has 0"]),
        ("    detect: {labels: person}\n", ['5:22: cameras[0].detect.labels: is "person", must be a list']),
        ("    detect: {labels: [null]}\n", ["5:23: cameras[0].detect.labels[0]: has no value, must be text"]),
        (
            "    detect: {labels: [person, car], thresholds: {cat: 0.5}}\n",
            [
                '5:50: cameras[0].detect.thresholds.cat: this camera does not look for "cat"; did you mean "car"?',
            ],
        ),
        (
            "    detect: {filters: {persn: {}}}\n",
            ['5:24: cameras[0].detect.filters.persn: this camera does not look for "persn"; did you mean "person"?'],
        ),
        ("    detect: {filters: {person: {min_aria: 0.1}}}\n", None),
        ("    detect: {filters: {person: {max_height: 0}}}\n", None),
        ("    detect: {filters: {person: {min_height: 2, max_height: 0.1}}}\n", None),
        *[
            (
                f"    detect: {{filters: {{person: {{{asked}}}}}}}\n",
                [f"5:{place}: cameras[0].detect.filters.person.{says}"],
            )
            for asked, place, says in FILTERS
        ],
        *[
            (
                (
                    f"    zones: {{z: {{polygon: {RIGHT}{more}}}}}\n"
                    f"    detect: {{labels: [person, car], filters: {{person: {{{asked}}}{other}}}}}\n"
                ),
                [
                    (
                        "5:26: cameras[0].zones.z.polygon: nothing that counts in it may stand there, "
                        "by `within` and `without` of its filters"
                    )
                ]
                if is_wrong
                else [],
            )
            for asked, more, other, is_wrong in (
                (f"within: [{LEFT}]", ", labels: [person]", "", True),
                (f"without: [{RIGHT}]", ", labels: [person]", "", True),
                (f"within: [{LEFT}]", "", f", car: {{without: [{RIGHT}]}}", True),
                (f"within: [{LEFT}]", "", "", False),  # a car may
                (f"within: [{LEFT}]", ", labels: [car]", "", False),
                (f"within: [{LEFT}, {RIGHT}]", ", labels: [person]", "", False),
                (f"without: [{LEFT}]", ", labels: [person]", "", False),
                (f"within: [{LEFT}]", ", labels: [person], anchor: top", "", False),
            )
        ],
        (
            "    zones: {z: {polygon: [[0, 0], [0, 1], [1, 1]], labels: [person, truck]}}\n",
            [
                (
                    '5:69: cameras[0].zones.z.labels[1]: this camera does not look for "truck", '
                    'so it never counts here; `detect.labels` holds "person"'
                )
            ],
        ),
        (
            "    zones: {a b: {polygon: [[0, 0], [0, 1], [1, 1]]}}\n",
            ['5:13: cameras[0].zones."a b": the name must be 1 to 64 letters (a-z), digits, `-` or `_`'],
        ),
        ("    zones: {z: }\n", ["5:15: cameras[0].zones.z: has no value, must be a mapping of settings"]),
        ("    zones: {z: {polygon: }}\n", ["5:17: cameras[0].zones.z.polygon: has no value, and must have one"]),
        ("    zones: {z: {}}\n", ["5:13: cameras[0].zones.z.polygon: is missing"]),
        ("    zones: [z]\n", ["5:12: cameras[0].zones: is a list, must be a mapping of names to values"]),
        ("    mask: [[[0, 0], [0, 1.5], [1, 1]]]\n", ["5:25: cameras[0].mask[0][1][1]: is 1.5, must be at most 1"]),
        (
            "    gate: {mode: pixel}\n",
            ['5:18: cameras[0].gate.mode: is "pixel", must be auto, packets, pixels, external or off'],
        ),
        ("    capture: {loop: ja}\n", ['5:21: cameras[0].capture.loop: is "ja", must be true or false']),
        ("    capture: {retry_first_s: 40}\n", None),
        ("  - id: b\n", ["5:5: cameras[1].source: is missing"]),
        ("  -\n", ["5:4: cameras[1]: has no value, must be a mapping of settings"]),
        (
            "  - {id: a, source: 'file://b.mp4'}\n",
            ["5:10: cameras[1].id: the camera in line 3 has the same id"],
        ),
    ],
)
def test_a_mistake_in_a_camera_is_said_in_its_place(tmp_path: Path, text: str, expected: list[str] | None) -> None:
    found = lines(tmp_path, CAMERA + text)
    if expected is None:
        assert len(found) == 1
    else:
        assert found == [f"c.yaml:{line}" for line in expected]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("''", "must not be empty"),
        ("clip.mp4", "a file is written file://PATH"),
        ("/srv/clips/a", "a file is written file://PATH"),
        ("there", "a file is written file://PATH"),
        ("folder", "a folder of pictures is written images://FOLDER"),
        ("/dev/video0", "a camera of this machine is written v4l2:///dev/video0"),
        ("0", "a camera of this machine is written v4l2:///dev/video0"),
        ("camera", "must begin with " + KINDS),
        ("a" * 300, "must begin with " + KINDS),
        ("rstp://a:hunter2@h/1", "begins with an unknown scheme; did you mean rtsp://?"),
        ("gopher://a:hunter2@h/1", "begins with an unknown scheme; known are " + KINDS),
        ("rtsp://", "nothing stands after rtsp://"),
        ("'gstreamer:'", "nothing stands after gstreamer:"),
        ("gstreamer://", "nothing stands after gstreamer:"),
        ("csi://left", "must be the camera's number, such as csi://0"),
        ("csi:0", "must begin with " + KINDS),
        ("gstreamr://videotestsrc", "begins with an unknown scheme; did you mean gstreamer:?"),
        ("pipe:///run/a", "a pipe needs `picture: {size: [WIDTH, HEIGHT]}`, that of the frames in it"),
        ("[a]", "is a list, must be text"),
    ],
)
def test_a_source_that_is_none_is_told_how_it_is_written(tmp_path: Path, source: str, expected: str) -> None:
    (tmp_path / "there").touch()
    (tmp_path / "folder").mkdir()
    text = f"device: {{id: box}}\ncameras:\n  - id: a\n    source: {source}\n"
    assert lines(tmp_path, text) == [f"c.yaml:4:13: cameras[0].source: {expected}"]


def test_what_is_missing_is_said_where_it_belongs(tmp_path: Path) -> None:
    assert lines(tmp_path, "mqtt:\n") == ["c.yaml:1:1: device: is missing", "c.yaml:1:1: cameras: is missing"]


def test_a_problem_in_a_repeated_value_names_the_setting_and_the_place_where_it_is_written(tmp_path: Path) -> None:
    text = f"{CAMERA}    gate: &gate {{mode: none}}\n  - {{id: b, source: 'file://b.mp4', gate: *gate}}\n"
    assert lines(tmp_path, text) == [
        'c.yaml:5:24: cameras[0].gate.mode: is "none", must be auto, packets, pixels, external or off',
        'c.yaml:5:24: cameras[1].gate.mode: is "none", must be auto, packets, pixels, external or off',
    ]


@pytest.mark.parametrize("text", ["", "c.yaml"])
def test_a_file_that_cannot_be_read_is_one_problem(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        config.load(tmp_path / text, {})
    what = "Is a directory" if text == "" else "No such file or directory"
    assert str(caught.value) == f"{tmp_path / text}:1:1: cannot be read: {what}"


def test_a_file_too_large_for_a_configuration_is_not_read(tmp_path: Path) -> None:
    assert lines(tmp_path, b"#" * (loading.MAX_BYTES + 1)) == [
        "c.yaml:1:1: cannot be read: it is larger than 256 KiB, which is no configuration"
    ]


def test_aliases_that_multiply_are_stopped(tmp_path: Path) -> None:
    bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n"
    for step in range(1, 20):
        bomb += f"a{step}: &a{step} [{', '.join([f'*a{step - 1}'] * 9)}]\n"
    assert lines(tmp_path, bomb) == [
        "c.yaml:2:25: more than 20000 values, repeated ones counted each time",
    ]


def test_the_largest_file_is_read_without_hanging(tmp_path: Path) -> None:
    for sign in ("[", "{a: ", "? ", "- ", "&a ", "!a ", "*a ", "'", "a", "\n"):
        assert problems(tmp_path, sign * (loading.MAX_BYTES // len(sign)))


def test_the_setting_decides_what_a_value_is(tmp_path: Path) -> None:
    read = load(
        tmp_path,
        """\
device: {id: 0123, name: no}
model: {threads: "2", threshold: "${THRESHOLD}"}
mqtt: {username: 1e5, password: 0777}
cameras:
  - id: on
    source: file://clip.mp4
    capture: {loop: yes}
    detect: {labels: [no, yes, 7], rate_hz: 5}
    zones: {off: {polygon: [[0, 0], [0, 1], [1, 1]]}, 12: {polygon: [[0, 0], [0, 1], [1, 1]]}}
""",
        {"THRESHOLD": "0.25"},
    )
    camera = read.cameras[0]
    assert (read.device.id, read.device.name, camera.id) == ("0123", "no", "on")
    assert (read.model.threads, read.model.threshold) == (2, 0.25)
    assert (read.mqtt.username, read.mqtt.password and read.mqtt.password.get_secret_value()) == ("1e5", "0777")
    assert camera.capture.loop is True
    assert camera.detect.labels == ("no", "yes", "7")
    assert list(camera.zones) == ["off", "12"]


def test_an_empty_section_counts_as_left_out(tmp_path: Path) -> None:
    assert load(tmp_path, "mqtt:\nmodel: ~\noutbox: null\n" + BOX) == load(tmp_path, BOX)


def test_variables_are_replaced_in_texts_and_not_in_keys(tmp_path: Path) -> None:
    text = BOX + "mqtt: {username: 'a ${A}${B} $${A} $A', prefix: $$}\n"
    assert lines(tmp_path, text, {"A": "${B}", "B": ""})[0].startswith("c.yaml:3:49: mqtt.prefix")
    read = load(tmp_path, text.replace(", prefix: $$", ""), {"A": "${B}", "B": ""})
    assert read.mqtt.username == "a ${B} ${A} $A"
    assert lines(tmp_path, "${A}: 1\n" + BOX, {"A": "model"})[0].startswith('c.yaml:1:1: "${A}": unknown key')


@pytest.mark.parametrize("value", ["a\0b", "a\udcff"])
def test_a_variable_that_holds_no_text_is_named(tmp_path: Path, value: str) -> None:
    text = "mqtt: {username: '${A}'}\n" + BOX
    assert lines(tmp_path, text, {"A": value}) == ["c.yaml:1:18: mqtt.username: the variable A holds what is no text"]


def test_paths_are_taken_from_the_folder_of_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "etc").mkdir()
    text = """\
device: {id: box}
model: {path: models/a.onnx, labels: /srv/labels.txt}
mqtt: {username: box, password_file: ../secret}
outbox: {path: outbox.db}
cameras:
  - {id: a, source: "file://clips/a.mp4"}
  - {id: b, source: "images:///srv/b"}
  - {id: c, source: "v4l2:///dev/video0"}
  - {id: d, source: "watch://uploads"}
  - {id: e, source: "pipe://e.fifo", picture: {size: [64, 48]}}
  - {id: f, source: "gstreamer:filesrc location=a://b"}
"""
    (tmp_path / "etc" / "c.yaml").write_text(text)
    monkeypatch.chdir(tmp_path)
    read = config.load(Path("etc/c.yaml"), {})
    etc = tmp_path / "etc"
    assert (read.model.path, read.model.labels) == (etc / "models/a.onnx", Path("/srv/labels.txt"))
    assert (read.mqtt.password_file, read.outbox.path) == (etc / "../secret", etc / "outbox.db")
    assert [camera.source for camera in read.cameras] == [
        f"file://{etc}/clips/a.mp4",
        "images:///srv/b",
        "v4l2:///dev/video0",
        f"watch://{etc}/uploads",
        f"pipe://{etc}/e.fifo",
        "gstreamer:filesrc location=a://b",
    ]


@pytest.mark.parametrize("file", sorted(CONFIGS.glob("*.yaml")), ids=lambda file: file.name)
def test_every_configuration_that_is_given_along_is_right(file: Path) -> None:
    config.load(file, ENVIRON)


@pytest.mark.parametrize("name", ["example.yaml", "replay.yaml", "raspberry-pi.yaml"])
def test_a_configuration_to_begin_with_needs_no_environment(name: str) -> None:
    config.load(CONFIGS / name, {})


def test_problems_can_be_written_as_json(tmp_path: Path) -> None:
    [problem] = problems(tmp_path, "mqtt: {window: 0}\n" + BOX)
    assert (problem.line, problem.column, problem.key) == (1, 16, "mqtt.window")
    assert problem.file == str(tmp_path / "c.yaml")


SECRETIVE = """\
device: {id: box}
mqtt: {url: "mqtt://h:1", username: u, password: "${MQTT_PASSWORD}"}
cameras:
  - {id: a, source: "rtsp://me:${CAMERA_PASSWORD}@h:554/s?token=${CAMERA_PASSWORD}"}
  - {id: b, source: "http://h/${CAMERA_PASSWORD}"}
  - {id: c, source: "rtsp://me:a/b@${CAMERA_PASSWORD}@h/s"}
  - {id: d, source: "https://h"}
  - {id: e, source: "file:///clips/e.mp4"}
  - {id: g, source: "gstreamer:rtspsrc user-pw=${CAMERA_PASSWORD} location=rtsp://h/s ! decodebin"}
  - {id: h, source: "srt://h:9000?passphrase=${CAMERA_PASSWORD}"}
  - {id: i, source: "rtmp://h/live/${CAMERA_PASSWORD}"}
"""


def test_what_is_shown_of_settings_holds_no_secret(tmp_path: Path) -> None:
    public = config.to_public(load(tmp_path, SECRETIVE))
    assert "hunter" not in json.dumps(public)
    assert [camera["source"] for camera in public["cameras"]] == [
        "rtsp://h:554/…",
        "http://h/…",
        "rtsp://…",
        "https://h",
        "file:///clips/e.mp4",
        "gstreamer:…",
        "srt://…",
        "rtmp://h/…",
    ]
    assert public["mqtt"]["username"] == "u"
    assert public["outbox"]["max_age"] == 604800


def test_the_fingerprint_is_the_same_in_another_folder_and_with_other_passwords(tmp_path: Path) -> None:
    text = SECRETIVE + '  - {id: f, source: "file://f.mp4"}\nmodel: {path: m.onnx}\n'
    (tmp_path / "b").mkdir()
    one, other = load(tmp_path, text), load(tmp_path / "b", text, dict.fromkeys(ENVIRON, "other"))
    assert one != other
    assert config.fingerprint(one) == config.fingerprint(other)
    assert re.fullmatch("[0-9a-f]{64}", config.fingerprint(one))


@pytest.mark.parametrize(
    ("before", "after"), [("id: a", "id: x"), ("h:554", "h:555"), ("e.mp4", "x.mp4"), ("username: u", "username: v")]
)
def test_the_fingerprint_differs_when_a_setting_differs(tmp_path: Path, before: str, after: str) -> None:
    one, other = load(tmp_path, SECRETIVE), load(tmp_path, SECRETIVE.replace(before, after))
    assert config.fingerprint(one) != config.fingerprint(other)


EXTERNAL = "    gate: {mode: external}\n    triggers:\n"
MQTT_OF_PIR = "      - {kind: mqtt, topic: home/pir, payload: true, path: occupancy}\n"
ALL_KINDS = f"{EXTERNAL}{MQTT_OF_PIR}      - kind: webhook\n      - {{kind: gpio, line: 17}}\n"


def test_a_trigger_is_one_of_its_kind(tmp_path: Path) -> None:
    [camera] = load(tmp_path, CAMERA + ALL_KINDS).cameras
    message, webhook, line = camera.triggers
    assert message.model_dump() == {"kind": "mqtt", "topic": "home/pir", "payload": "true", "path": "occupancy"}
    assert webhook.model_dump() == {"kind": "webhook"}
    assert line.model_dump() == {"kind": "gpio", "chip": Path("/dev/gpiochip0"), "line": 17, "edge": "rising"}


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        (ALL_KINDS, None),
        (EXTERNAL, "5:18: cameras[0].gate.mode: is external, and the camera has no `triggers` to go by"),
        (
            "    gate: {mode: external}\n",
            "5:18: cameras[0].gate.mode: is external, and the camera has no `triggers` to go by",
        ),
        (
            f"    triggers:\n{MQTT_OF_PIR}",
            "5:5: cameras[0].triggers: have no effect without `gate: {mode: external}`",
        ),
        (
            f"    gate: {{mode: auto}}\n    triggers:\n{MQTT_OF_PIR}",
            "6:5: cameras[0].triggers: have no effect without `gate: {mode: external}`",
        ),
        (
            f"{EXTERNAL}      - {{kind: mqtt, topic: a, path: b}}\n",
            "7:32: cameras[0].triggers[0].path: needs `payload` beside it: what must stand there",
        ),
        (
            f"{EXTERNAL}      - {{kind: mqt, topic: a}}\n",
            '7:16: cameras[0].triggers[0].kind: is "mqt", must be mqtt, webhook or gpio',
        ),
        (f"{EXTERNAL}      - {{topic: a}}\n", "7:9: cameras[0].triggers[0].kind: is missing"),
        (f"{EXTERNAL}      - mqtt\n", '7:9: cameras[0].triggers[0]: is "mqtt", must be a mapping of settings'),
        (f"{EXTERNAL}      - {{kind: mqtt}}\n", "7:9: cameras[0].triggers[0].topic: is missing"),
        (
            f"{EXTERNAL}      - {{kind: webhook, topc: a}}\n",
            "7:25: cameras[0].triggers[0].topc: unknown key; known here: `kind`",
        ),
        (
            f"{EXTERNAL}      - {{kind: mqtt, topc: a}}\n",
            "7:22: cameras[0].triggers[0].topc: unknown key; did you mean `topic`?",
        ),
        (
            f"{EXTERNAL}      - {{kind: gpio, line: x}}\n",
            '7:28: cameras[0].triggers[0].line: is "x", must be a whole number',
        ),
        (
            f"{EXTERNAL}      - {{kind: gpio, line: 1, edge: up}}\n",
            '7:37: cameras[0].triggers[0].edge: is "up", must be rising, falling or both',
        ),
    ],
)
def test_a_mistake_in_a_trigger_is_said_in_its_place(tmp_path: Path, more: str, expected: str | None) -> None:
    found = lines(tmp_path, CAMERA + more)
    assert (f"c.yaml:{expected}" in found) if expected else not found


@pytest.mark.parametrize(
    ("topic", "fits"),
    [
        ("a", True), ("a/b c/ü", True), ("/a/", True), ("+/b/+", True), ("a/#", True), ("#", True), ("+", True),
        ("a#", False), ("a+/b", False), ("#/a", False), ("a/#/b", False), ("", False), ("a/b+", False),
    ],
)  # fmt: skip
def test_a_topic_is_one_that_can_be_subscribed_to(tmp_path: Path, topic: str, *, fits: bool) -> None:
    found = problems(tmp_path, f'{CAMERA}{EXTERNAL}      - {{kind: mqtt, topic: "{topic}"}}\n')
    assert (not found) is fits


@pytest.mark.parametrize(
    ("source", "decoder", "expected"),
    [
        ("rtsp://h/s", "auto", None),
        ("rtsp://h/s", "vaapi", None),  # whether it is there is known where the agent runs
        ("srt://h:1", "v4l2m2m", None),
        ("file://a", "auto", None),
        ("csi://0", "software", None),
        (
            "file://a",
            "cuda",
            "5:15: capture.decoder: has no effect on file://, only on {streams}",
        ),
        (
            "rtsp://h/s",
            "VA-API",
            '5:24: capture.decoder: is "VA-API", must be {wanted}',
        ),
    ],
)
def test_a_decoder_is_one_that_ffmpeg_might_know_and_for_a_stream(
    tmp_path: Path, source: str, decoder: str, expected: str | None
) -> None:
    streams = "rtsp://, rtsps://, http://, https://, rtmp://, rtmps:// and srt://"
    wanted = "1 to 32 small letters (a-z), digits or `_`: `auto`, `software` or what FFmpeg calls the hardware"
    text = f"device: {{id: box}}\ncameras:\n  - id: a\n    source: {source}\n    capture: {{decoder: {decoder}}}\n"
    if expected is None:
        load(tmp_path, text)
    else:
        place, _, what = expected.partition(": ")
        what = what.format(streams=streams, wanted=wanted)
        assert lines(tmp_path, text) == [f"c.yaml:{place}: cameras[0].{what}"]


@pytest.mark.parametrize(
    ("source", "picture", "expected"),
    [
        ("v4l2:///dev/video0", "{size: [1280, 720], rate_hz: 10, format: mjpeg, controls: {brightness: 3}}", None),
        ("csi://0", "{size: [1280, 720], rate_hz: 10, controls: {ExposureTime: 8000}}", None),
        ("pipe:///run/a", "{size: [640, 480], format: nv12}", None),
        ("rtsp://h/s", "{size: null, rate_hz: null, format: auto, controls: {}}", None),
        ('gstreamer:"videotestsrc ! queue"', "{}", None),
        ("watch://in", "{}", None),
        (
            "rtsp://h/s",
            "{size: [640, 480]}",
            "5:15: picture.size: has no effect on rtsp://, only on v4l2://, csi:// and pipe://",
        ),
        (
            "gstreamer:a",
            "{rate_hz: 5}",
            "5:15: picture.rate_hz: has no effect on gstreamer:, only on v4l2:// and csi://",
        ),
        ("csi://0", "{format: nv12}", "5:15: picture.format: has no effect on csi://, only on v4l2:// and pipe://"),
        (
            "file://a",
            "{controls: {a: 1}}",
            "5:15: picture.controls: has no effect on file://, only on v4l2:// and csi://",
        ),
        (
            "pipe:///run/a",
            "{size: [640, 480], format: mjpeg}",
            "5:41: picture.format: must be a raw format: nothing in a pipe tells where a picture ends",
        ),
        ("pipe:///run/a", "{size: 640x480}", '5:21: picture.size: is "640x480", must be a list'),
        (
            "csi://0",
            "{size: [641, 480]}",
            "5:21: picture.size: must be two even numbers, as every camera's are",
        ),
    ],
)
def test_what_is_asked_of_a_camera_must_be_what_its_kind_can_do(
    tmp_path: Path, source: str, picture: str, expected: str | None
) -> None:
    text = f"device: {{id: box}}\ncameras:\n  - id: a\n    source: {source}\n    picture: {picture}\n"
    if expected is None:
        load(tmp_path, text)
    else:
        place, _, what = expected.partition(": ")
        assert lines(tmp_path, text) == [f"c.yaml:{place}: cameras[0].{what}"]


def test_the_schemes_that_are_known_are_those_that_can_be_opened() -> None:
    assert set(checks.SCHEMES) == set(SOURCES)


def test_checking_a_configuration_loads_no_library_for_pictures_or_models() -> None:
    code = "import sys, edge_agent.config; print({'av', 'cv2', 'onnxruntime'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


# ------------------------------------------------------------------------------------------- whatever the file holds


def assert_places_lie_within(text: str, found: tuple[Problem, ...]) -> None:
    file = re.split("\r\n|[\r\n\x85\u2028\u2029]", text)
    for problem in found:
        assert 1 <= problem.line <= len(file)
        assert 1 <= problem.column <= len(file[problem.line - 1]) + 1
        assert str(problem).isprintable()


@EVERY_TIME
@given(data=st.binary(max_size=200))
def test_no_bytes_raise_anything_but_a_config_error(tmp_path: Path, data: bytes) -> None:
    assert problems(tmp_path, data)


@EVERY_TIME
@given(text=st.text(st.sampled_from("ab:-?,[]{}&*!|>'\"%@`#~<0 \n\t\\$\r\x85\u2028ä\ufeff"), max_size=60))
def test_no_text_raises_anything_but_a_config_error_with_places_in_the_file(tmp_path: Path, text: str) -> None:
    found = problems(tmp_path, text)
    assert found
    assert_places_lie_within(text, found)


KEYS = sorted({key for _, section in config.sections() for key in section.by_key()})
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10)
TREES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(KEYS) | st.text(max_size=5), inner),
    max_leaves=20,
)


@EVERY_TIME
@given(tree=TREES)
def test_no_yaml_raises_anything_but_a_config_error_with_places_in_the_file(tmp_path: Path, tree: object) -> None:
    text = yaml.safe_dump(tree, allow_unicode=True)
    assert_places_lie_within(text, problems(tmp_path, text))


@EVERY_TIME
@given(data=st.data())
def test_no_change_to_the_example_raises_anything_but_a_config_error(tmp_path: Path, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(EXAMPLE)))
    end = data.draw(st.integers(start, min(start + 20, len(EXAMPLE))))
    put = data.draw(
        st.sampled_from(["", " ", "\t", ":", "- ", "\n", "[", "}", "'", "&a ", "*a ", "null", "-1", "x: 1"])
    )
    text = EXAMPLE[:start] + put + EXAMPLE[end:]
    assert_places_lie_within(text, problems(tmp_path, text))


VALUES = re.compile(r"(?<=[a-z]: )[^#\n]+$", re.MULTILINE)
SECRET = "correct-horse:battery@staple/13"  # noqa: S105 - the secret that must not be seen


@pytest.mark.parametrize("value", [SECRET, "${SECRET}", "rtsp://u:${SECRET}@h", f"rtsp://u:{SECRET}@h", "@${SECRET}"])
@pytest.mark.parametrize("form", ['"{}"', '["{}"]', '{{"{}": "{}"}}', '{{a: ["{}"]}}', "!{}", "*{}", "{}: {}", "'{}"])
def test_no_message_shows_a_secret_wherever_it_stands(tmp_path: Path, value: str, form: str) -> None:
    text = VALUES.sub(form.format(value, value), EXAMPLE)
    found = "\n".join(lines(tmp_path, text, {"SECRET": SECRET}))
    assert found
    assert "horse" not in found
    assert "battery" not in found


@pytest.mark.parametrize("wrong", ["[{a: b}]", "{a: [b]}", "-7", "1e99", '"ü/"', '""', "[[[-1, 2, 3]]]"])
def test_every_setting_says_in_plain_words_what_it_wants(tmp_path: Path, wrong: str) -> None:
    found = problems(tmp_path, VALUES.sub(wrong, EXAMPLE))
    assert len(found) > 20
    assert not [problem for problem in found if "something else" in problem.what or "another form" in problem.what]


def test_the_limits_of_the_dialect_are_those_of_the_documentation() -> None:
    text = (CONFIGS.parent / "docs" / "config.md").read_text()
    stated = f"{loading.MAX_BYTES >> 10} KiB, {dialect.MAX_VALUES:_} values".replace("_", " ")
    assert stated in text
    assert f"{dialect.MAX_DEPTH} levels" in text


def test_every_pattern_of_a_setting_has_words() -> None:
    schema = json.dumps(config.Settings.model_json_schema())
    patterns = {json.loads(f'"{found}"') for found in re.findall(r'"pattern": "((?:[^"\\]|\\.)*)"', schema)}
    assert patterns <= set(wording.PATTERNS)


# Zones, lines and rules that could never speak

PORCH = "    zones: {porch: {polygon: [[0.4, 0.1], [0.9, 0.1], [0.9, 0.9], [0.4, 0.9]], labels: [person]}}\n"
CARS = "    detect: {labels: [person, car]}\n"
A_LINE = "from: [0.1, 0.5], to: [0.9, 0.5]"
NO_CATS = 'this camera does not look for "cat"'
ONLY_PERSONS = '`detect.labels` holds "person"'
NO_ROOM = "the picture ends beside the line within its hysteresis, 0.01: nothing can cross it"
A_RULE = "name: r, kind: dwell, after_s: 3"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # Names
        (
            f"    lines: {{r: {{{A_LINE}}}}}\n    rules: [{{{A_RULE}}}]\n",
            "6:20: cameras[0].rules[0].name: the line in line 5 has the same name",
        ),
        (
            f"    rules:\n      - {{{A_RULE}}}\n      - {{{A_RULE}}}\n",
            "7:16: cameras[0].rules[1].name: the rule in line 6 has the same name",
        ),
        # The zone of a rule
        (
            f"{PORCH}    rules: [{{{A_RULE}, zone: prch}}]\n",
            '6:54: cameras[0].rules[0].zone: there is no zone "prch"; did you mean "porch"?',
        ),
        (
            f"{PORCH}    rules: [{{{A_RULE}, zone: yard}}]\n",
            '6:54: cameras[0].rules[0].zone: there is no zone "yard"; the camera\'s zones are "porch"',
        ),
        (
            f"    rules: [{{{A_RULE}, zone: yard}}]\n",
            '5:54: cameras[0].rules[0].zone: there is no zone "yard"; the camera has no `zones`',
        ),
        (
            (
                "    zones: {all: {polygon: [[0, 0], [1, 0], [1, 1], [0, 1]]}}\n"
                "    rules: [{name: r, kind: zone, zone: all, on: leave}]\n"
            ),
            '6:50: cameras[0].rules[0].on: zone "all" is the whole picture, so nothing ever leaves it',
        ),
        # Labels
        (
            f"    rules: [{{{A_RULE}, labels: [cat]}}]\n",
            f"5:57: cameras[0].rules[0].labels[0]: {NO_CATS}, so this rule never speaks of it; {ONLY_PERSONS}",
        ),
        (
            f"{CARS}{PORCH}    rules: [{{{A_RULE}, zone: porch, labels: [person, car]}}]\n",
            '7:78: cameras[0].rules[0].labels[1]: zone "porch" does not count "car", so this rule never speaks of it',
        ),
        (
            f"    lines: {{l: {{{A_LINE}, labels: [cat]}}}}\n",
            f"5:60: cameras[0].lines.l.labels[0]: {NO_CATS}, so it never counts here; {ONLY_PERSONS}",
        ),
        (  # said once, though the zone does not count it either
            f"{PORCH}    rules: [{{{A_RULE}, zone: porch, labels: [cat]}}]\n",
            f"6:70: cameras[0].rules[0].labels[0]: {NO_CATS}, so this rule never speaks of it; {ONLY_PERSONS}",
        ),
        # Zones
        (
            "    zones: {z: {polygon: [[0.1, 0.3], [0.2, 0.6], [0.3, 0.9]]}}\n",
            "5:26: cameras[0].zones.z.polygon: all corners lie on one line, so nothing is ever in it",
        ),
        (
            f"    mask: [[[0.3, 0], [0.7, 0], [0.7, 1], [0.3, 1]], [[0.6, 0], [1, 0], [1, 1], [0.6, 1]]]\n{PORCH}",
            "6:30: cameras[0].zones.porch.polygon: lies wholly under the camera's `mask`, so nothing is ever in it",
        ),
        # Lines
        (
            "    lines: {l: {from: [0.1, 0.5], to: [0.1, 0.5]}}\n",
            "5:39: cameras[0].lines.l.to: is the same place as `from`, so the line has no length",
        ),
        (
            "    lines: {l: {from: [0.1, 0.5], to: [0.1, 0.52], hysteresis: 0.05}}\n",
            "5:64: cameras[0].lines.l.hysteresis: the line is no longer than its hysteresis, 0.05",
        ),
        (
            "    lines: {l: {from: [0, 1], to: [1, 0.995]}}\n",
            f"5:16: cameras[0].lines.l: {NO_ROOM}",
        ),
        (
            "    lines: {l: {from: [0.002, 0], to: [0.002, 1]}}\n",  # at most 0.008 of the height from the edge
            f"5:16: cameras[0].lines.l: {NO_ROOM}",
        ),
        (
            f"    mask: [[[0, 0.4], [1, 0.4], [1, 0.6], [0, 0.6]]]\n    lines: {{l: {{{A_LINE}}}}}\n",
            "6:13: cameras[0].lines.l: lies wholly under the camera's `mask`, so nothing crosses it",
        ),
        ("    lines: {l: {start: [0, 0], to: [1, 1]}}\n", None),
        ("    lines: {l: {from: , to: [1, 1]}}\n", "5:17: cameras[0].lines.l.from: has no value, and must have one"),
        (
            "    rules: [{name: r, kind: dwel}]\n",
            (
                '5:29: cameras[0].rules[0].kind: is "dwel", must be zone, dwell, occupancy, still, left_behind, '
                "removed or speed"
            ),
        ),
        ("    rules: [{name: r, kind: dwell}]\n", "5:13: cameras[0].rules[0].after_s: is missing"),
        ("    rules: [{name: r, kind: zone}]\n", "5:13: cameras[0].rules[0].zone: is missing"),
        (
            "    rules: [{name: r, kind: occupancy, at_least: 0}]\n",
            "5:50: cameras[0].rules[0].at_least: is 0, must be at least 1",
        ),
        (
            f"    rules: [{{{A_RULE}, on: enter}}]\n",
            "5:48: cameras[0].rules[0].on: unknown key; did you mean `zone` or `cameras[].rules[].on`?",
        ),
    ],
)
def test_a_rule_that_could_never_speak_is_a_mistake(tmp_path: Path, text: str, expected: str | None) -> None:
    found = lines(tmp_path, CAMERA + text)
    if expected is None:
        assert len(found) == 2  # a key too many, and one that is missing
    else:
        assert found == [f"c.yaml:{expected}"]


@pytest.mark.parametrize(
    "text",
    [
        f"{PORCH}    lines: {{porch: {{{A_LINE}}}}}\n    rules: [{{{A_RULE}, zone: porch}}]\n",  # as the zone
        "    lines: {l: {from: [0.006, 0], to: [0.006, 1]}}\n",  # 0.024 of the height in a picture four times as wide
        f"    mask: [[[0, 0.4], [0.8, 0.4], [0.8, 0.6], [0, 0.6]]]\n    lines: {{l: {{{A_LINE}}}}}\n",
        f"{CARS}{PORCH}    rules: [{{{A_RULE}, zone: porch}}, {{name: s, kind: dwell, after_s: 1, labels: [car]}}]\n",
        f"{PORCH}    rules: [{{name: r, kind: zone, zone: porch, on: leave}}]\n",
        f"    lines: {{l: {{{A_LINE}, hysteresis: 0}}}}\n",
    ],
)
def test_a_rule_that_may_speak_is_none(tmp_path: Path, text: str) -> None:
    assert load(tmp_path, CAMERA + text).cameras[0].id == "a"


def test_a_line_is_shown_as_it_is_written(tmp_path: Path) -> None:
    settings = load(tmp_path, CAMERA + f"    lines: {{l: {{{A_LINE}}}}}\n")
    assert (settings.cameras[0].lines["l"].start, settings.cameras[0].lines["l"].end) == ((0.1, 0.5), (0.9, 0.5))
    assert config.to_public(settings)["cameras"][0]["lines"]["l"]["from"] == [0.1, 0.5]
