"""Commands as they are read: every one that there is, and of all others a reason that repeats nothing of them."""

from __future__ import annotations

import json
import re
import shlex
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from edge_agent.records import InForce
from edge_agent.stages.commands import answer_topic, changes, reading
from edge_agent.stages.commands.bucket import Bucket
from edge_agent.stages.commands.changes import Change
from edge_agent.stages.commands.command import NAMES, SETTING_NAMES, Command, Refusal, told
from edge_agent.stages.commands.reading import MOST_BYTES, read_command, read_setting
from edge_agent.stages.encode.topics import Topics, split_set

CAMERAS = ("front", "back")
TOPICS = Topics(prefix="site/edge", device="pi")


def asked(**content: Any) -> Command | Refusal:
    return read_command(json.dumps(content).encode(), CAMERAS)


def why(found: Command | Refusal) -> str:
    assert isinstance(found, Refusal), found
    return found.reason


ID_WANTED = "id: must be text of 1 to 64 letters (a-z), digits, `_`, `.`, `:` or `-`"
SECONDS_WANTED = "args.for_s: must be a number of seconds, more than 0 and at most 31622400"
SCORE_WANTED = "args.value: must be a number, more than 0 and at most 1, or null"
SCORE_MISSING = "args.value: it is missing, and must be a number, more than 0 and at most 1, or null"
RATE_WANTED = "args.value: must be a number, more than 0 and at most 60, or null"
RATE = b'{"name": "rate_hz", "args": {"camera": "front", "value": %s}}'


# --- P/command ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["ping", "resync", "reload", "pause", "resume"])
def test_a_command_needs_its_name_alone_where_it_is_about_everything(name: Any) -> None:
    assert asked(name=name) == Command(name=name)
    assert asked(name=name, args={}, id=None) == Command(name=name)


@pytest.mark.parametrize(
    ("name", "args", "command"),
    [
        ("restart_camera", {"camera": "front"}, Command(name="restart_camera", id="7", camera="front")),
        ("pause", {"camera": "back"}, Command(name="pause", id="7", camera="back")),
        ("pause", {"for_s": 90}, Command(name="pause", id="7", for_s=90.0)),
        ("pause", {"for_s": 0.5, "camera": "back"}, Command(name="pause", id="7", camera="back", for_s=0.5)),
        ("resume", {"camera": "back"}, Command(name="resume", id="7", camera="back")),
        ("detect", {"camera": "front", "value": "ON"}, Command(name="detect", id="7", camera="front", value=True)),
        ("detect", {"camera": "front", "value": "OFF"}, Command(name="detect", id="7", camera="front", value=False)),
        ("detect", {"camera": "front", "value": None}, Command(name="detect", id="7", camera="front", value=None)),
        ("threshold", {"camera": "front", "value": 0.3}, Command(name="threshold", id="7", camera="front", value=0.3)),
        ("threshold", {"camera": "front", "value": 1}, Command(name="threshold", id="7", camera="front", value=1.0)),
        ("rate_hz", {"camera": "front", "value": 60}, Command(name="rate_hz", id="7", camera="front", value=60.0)),
    ],
)
def test_arguments_are_read_with_their_types(name: str, args: dict[str, Any], command: Command) -> None:
    assert asked(id="7", name=name, args=args) == command


@pytest.mark.parametrize(
    ("command", "line"),
    [
        (Command(name="resume"), "resume"),
        (Command(name="restart_camera", camera="front"), "restart_camera of front"),
        (Command(name="pause", camera="front", for_s=90.0), "pause of front: for 90 s"),
        (Command(name="detect", camera="front", value=False), "detect of front: OFF"),
        (Command(name="threshold", camera="front", value=0.55), "threshold of front: 0.55"),
        (Command(name="rate_hz", camera="front"), "rate_hz of front: as configured"),
    ],
)
def test_the_log_tells_what_was_set_to_which_value(command: Command, line: str) -> None:
    assert told(command) == line


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b"", "it is no JSON"),
        (b"ping", "it is no JSON"),
        (b"\xff\xfe", "it is no JSON"),
        (b'{"name": "ping"', "it is no JSON"),
        (b'{"name": "ping"} {}', "it is no JSON"),
        (b'{"name": "\\ud800"}', "it is no JSON"),
        (b"[" * 2000, "it is no JSON"),
        (b'{"name":' * 400 + b"1" + b"}" * 400, "it is no JSON"),
        (b"[]", "must be a JSON object"),
        (b'"ping"', "must be a JSON object"),
        (b"1e999", "must be a JSON object"),
        (b"{}", f"name: it is missing, and must be one of {', '.join(NAMES)}"),
        (b'{"name": 1}', f"name: must be one of {', '.join(NAMES)}"),
        (b'{"name": "reboot"}', f"name: must be one of {', '.join(NAMES)}"),
        (b'{"name": "PING"}', f"name: must be one of {', '.join(NAMES)}"),
        (b'{"name": "ping", "secret-words": 1}', "a field: there is no such field; a command has id, name, args"),
        (b'{"name": "ping", "arg": {}}', "arg: there is no such field; a command has id, name, args"),
        (b'{"name": "ping", "' + b"x" * 33 + b'": 1}', "a field: there is no such field; a command has id, name, args"),
        (b'{"name": "ping", "id": 7}', ID_WANTED),
        (b'{"name": "ping", "id": ""}', ID_WANTED),
        (b'{"name": "ping", "args": []}', "args: must be a JSON object"),
        (b'{"name": "ping", "args": null}', "args: must be a JSON object"),
        (b'{"name": "ping", "args": {"camera": "front"}}', "args.camera: there is no such field; ping takes none"),
        (
            b'{"name": "pause", "args": {"secret-words": 1}}',
            "args.a field: there is no such field; pause takes camera, for_s",
        ),
        (
            b'{"name": "pause", "args": {"minutes": 5}}',
            "args.minutes: there is no such field; pause takes camera, for_s",
        ),
        (
            b'{"name": "detect", "args": {"camera": "front", "value": "ON", "for_s": 5}}',
            "args.for_s: there is no such field; detect takes camera, value",
        ),
        (b'{"name": "pause", "args": {"for_s": 0}}', SECONDS_WANTED),
        (b'{"name": "pause", "args": {"for_s": "2s"}}', SECONDS_WANTED),
        (b'{"name": "pause", "args": {"for_s": 1e300}}', SECONDS_WANTED),
        (b'{"name": "pause", "args": {"for_s": true}}', SECONDS_WANTED),
        (b'{"name": "pause", "args": {"for_s": "60"}}', SECONDS_WANTED),
        (b'{"name": "pause", "args": {"for_s": NaN}}', SECONDS_WANTED),
        (b'{"name": "restart_camera"}', "args.camera: it is missing, and must be the id of a camera"),
        (b'{"name": "restart_camera", "args": {"camera": null}}', "args.camera: must be the id of a camera"),
        (b'{"name": "restart_camera", "args": {"camera": "cellar"}}', "args.camera: there is no camera of that name"),
        (b'{"name": "threshold", "args": {"camera": "front"}}', SCORE_MISSING),
        (b'{"name": "threshold", "args": {"camera": "front", "value": 0}}', SCORE_WANTED),
        (
            b'{"name": "threshold", "args": {"camera": "front", "value": 1.1}}',
            SCORE_WANTED,
        ),
        (
            b'{"name": "threshold", "args": {"camera": "front", "value": Infinity}}',
            SCORE_WANTED,
        ),
        (RATE % (b"9" * 20), RATE_WANTED),
        (RATE % (b"9" * 400), RATE_WANTED),  # more than fits into one
        (b'{"name": "detect", "args": {"camera": "front", "value": true}}', "args.value: must be ON or OFF, or null"),
    ],
)
def test_what_is_wrong_with_a_command_is_said_without_repeating_it(payload: bytes, reason: str) -> None:
    assert why(read_command(payload, CAMERAS)) == reason


def test_a_command_may_have_4_kib_and_not_a_byte_more() -> None:
    fits = b'{"name": "ping"}'.ljust(MOST_BYTES)
    assert read_command(fits, CAMERAS) == Command(name="ping")
    assert why(read_command(fits + b" ", CAMERAS)) == "it is longer than 4096 bytes"


def test_a_refusal_still_says_which_command_it_is_where_that_can_be_read() -> None:
    assert asked(id="a1", name="ping", more=1) == Refusal(
        reason="more: there is no such field; a command has id, name, args", id="a1", name="ping"
    )
    found = asked(id="a1", name="threshold", args={"camera": "back", "value": 2})
    assert isinstance(found, Refusal)
    assert (found.id, found.name, found.camera) == ("a1", "threshold", "back")
    assert asked(id=7, name="ping") == Refusal(reason=ID_WANTED, name="ping")


# --- P/camera/{camera}/set/{setting} --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "payload", "value"),
    [
        ("detect", b"ON", True),
        ("detect", b"off", False),
        ("detect", b" OFF\n", False),
        ("detect", b"DEFAULT", None),
        ("threshold", b"0.35", 0.35),
        ("threshold", b"1", 1.0),
        ("threshold", b"1e-3", 0.001),
        ("threshold", b"default", None),
        ("rate_hz", b"60.0", 60.0),
        ("rate_hz", b"+2", 2.0),
    ],
)
def test_a_setting_takes_a_word_or_a_number(name: Any, payload: bytes, value: object) -> None:
    assert read_setting("front", name, payload, CAMERAS) == Command(name=name, camera="front", value=value)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("camera", "name", "payload", "reason"),
    [
        ("front", "detect", b"1", "must be ON or OFF, or DEFAULT"),
        ("front", "detect", b"", "must be ON or OFF, or DEFAULT"),
        ("front", "threshold", b"nan", "must be a number, more than 0 and at most 1, or DEFAULT"),
        ("front", "threshold", b"inf", "must be a number, more than 0 and at most 1, or DEFAULT"),
        ("front", "threshold", b"0,5", "must be a number, more than 0 and at most 1, or DEFAULT"),
        ("front", "threshold", b"0x1", "must be a number, more than 0 and at most 1, or DEFAULT"),
        (
            "front",
            "threshold",
            "\u0661".encode(),
            "must be a number, more than 0 and at most 1, or DEFAULT",
        ),  # an Arabic one
        ("front", "threshold", b"\xff", "must be a number, more than 0 and at most 1, or DEFAULT"),
        ("front", "threshold", b"0." + b"1" * 5000, "must be a number, more than 0 and at most 1, or DEFAULT"),
        ("front", "threshold", b"0", "must be a number, more than 0 and at most 1, or DEFAULT"),
        ("front", "threshold", b"1.01", "must be a number, more than 0 and at most 1, or DEFAULT"),
        ("front", "rate_hz", b"60.1", "must be a number, more than 0 and at most 60, or DEFAULT"),
        ("front", "rate_hz", b"1e999", "must be a number, more than 0 and at most 60, or DEFAULT"),
        ("front", "rate_hz", b"-1", "must be a number, more than 0 and at most 60, or DEFAULT"),
        ("cellar", "rate_hz", b"1", "there is no camera of that name"),
        ("front", "labels", b"person", "only detect, threshold, rate_hz can be set"),
    ],
)
def test_what_is_wrong_with_a_setting_is_said(camera: str, name: str, payload: bytes, reason: str) -> None:
    assert why(read_setting(camera, name, payload, CAMERAS)) == reason


@pytest.mark.parametrize(
    ("topic", "found"),
    [
        (TOPICS.set_detect("front"), ("front", "detect")),
        (TOPICS.set_threshold("cellar"), ("cellar", "threshold")),
        (TOPICS.set_rate_hz("a-b_C"), ("a-b_C", "rate_hz")),
        ("site/edge/pi/camera/front/set/anything", ("front", "anything")),
        ("site/edge/pi/camera//set/", ("", "")),
        (TOPICS.command, None),
        (TOPICS.detect("front"), None),
        ("site/edge/other/camera/front/set/detect", None),
        ("site/edge/pi/camera/front/set/detect/more", None),
        ("site/edge/pi/camera/a/b/set/detect", None),
        ("camera/front/set/detect", None),
        ("", None),
    ],
)
def test_a_topic_says_which_setting_of_which_camera(topic: str, found: tuple[str, str] | None) -> None:
    assert split_set(TOPICS, topic) == found


# --- as the page shows them -----------------------------------------------------------------------------------------

PAGE = (Path(__file__).parents[2] / "docs" / "commands.md").read_text()
SHOWN = [shlex.split(line) for line in re.findall(r"^mosquitto_(?:pub|rr) .*$", PAGE, re.MULTILINE)]


@pytest.mark.parametrize("line", SHOWN, ids=" ".join)
def test_each_command_on_the_page_is_one(line: list[str]) -> None:
    topics = Topics(prefix="edge", device="gate-pi")
    topic = line[line.index("-t") + 1]
    where = split_set(topics, topic)
    if "-n" in line:
        assert (where, "-r" in line) == (("front", "detect"), True)  # it clears
        return
    payload = line[line.index("-m") + 1].encode()
    found = read_setting(*where, payload, CAMERAS) if where else read_command(payload, CAMERAS)
    assert isinstance(found, Command)
    assert where or topic == topics.command


def test_the_page_has_a_row_for_each_command_with_its_arguments() -> None:
    rows = dict(re.findall(r"^\| `(\w+)` \| ((?:`\w+`(?:, )?)*) ?\|", PAGE.split("## Anything else")[1], re.MULTILINE))
    told = {name: set(re.findall(r"\w+", args)) for name, args in rows.items() if name in NAMES}
    assert told == {name: set(model.model_fields) for name, model in reading._ARGUMENTS.items()}  # noqa: SLF001


# --- whatever may come ----------------------------------------------------------------------------------------------

WORDS = [*NAMES, *CAMERAS, "ON"]
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=9)
    | st.sampled_from([*NAMES, *CAMERAS, "ON"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=5,
)
NEARLY = st.fixed_dictionaries(
    {},
    optional={
        "id": st.text(max_size=70) | JSON,
        "name": st.sampled_from(NAMES) | JSON,
        "args": st.fixed_dictionaries(
            {},
            optional={"camera": st.sampled_from(CAMERAS) | JSON, "value": JSON, "for_s": JSON, "more": JSON},
        )
        | JSON,
        "more": JSON,
    },
)
"""Commands of which anything may be wrong, or nothing."""

PAYLOADS = (
    st.binary(max_size=60)
    | st.text(max_size=30).map(lambda text: text.encode(errors="surrogatepass"))
    | (JSON | NEARLY).map(lambda content: json.dumps(content).encode())
    | st.integers(1, 2000).map(lambda depth: b"[" * depth + b"]" * depth)
    | st.integers(1, 600).map(lambda depth: b'{"args":' * depth + b"1" + b"}" * depth)
    | st.integers(1, 4500).map(
        lambda digits: b'{"name":"rate_hz","args":{"camera":"front","value":%s}}' % (b"9" * digits)
    )
)
LEVELS = st.text(max_size=20) | st.sampled_from([*CAMERAS, *SETTING_NAMES])


UNKNOWN = re.compile(r"(args\.)?([a-z][a-z0-9_]{0,31}|a field): there is no such field; [a-z_, ]+")
ONE_OF = f"one of {', '.join(NAMES)}"
VALUES = ("ON or OFF", "a number, more than 0 and at most 1", "a number, more than 0 and at most 60")
KNOWN = {
    "it is no JSON",
    "it is longer than 4096 bytes",
    "must be a JSON object",
    "args: must be a JSON object",
    ID_WANTED,
    SECONDS_WANTED,
    f"name: must be {ONE_OF}",
    f"name: it is missing, and must be {ONE_OF}",
    "args.camera: must be the id of a camera",
    "args.camera: it is missing, and must be the id of a camera",
    "args.camera: there is no camera of that name",
    "there is no camera of that name",
    "only detect, threshold, rate_hz can be set",
    *(f"must be {value}, or DEFAULT" for value in VALUES),
    *(f"args.value: must be {value}, or null" for value in VALUES),
    *(f"args.value: it is missing, and must be {value}, or null" for value in VALUES),
}
"""Every reason that names no unknown field."""


def judge(found: Command | Refusal, sent: bytes) -> None:
    """Hold what was read against what may be done, or may be said."""
    if isinstance(found, Refusal):
        assert found.reason.isprintable()
        assert len(found.reason) <= 300
        assert found.reason in KNOWN or UNKNOWN.fullmatch(found.reason)
        assert found.name is None or found.name in NAMES
        assert found.camera is None or found.camera in CAMERAS
        return
    assert found.name in NAMES
    assert found.camera is None or found.camera in CAMERAS
    if found.name == "detect":
        assert found.value in {True, False, None}
    if found.name in {"threshold", "rate_hz"}:
        assert found.value is None or 0 < found.value <= (1 if found.name == "threshold" else 60)
    assert found.for_s is None or 0 < found.for_s <= 366 * 86400
    assert len(sent) <= MOST_BYTES


@pytest.mark.timeout(400)
@settings(max_examples=6000, deadline=None)
@given(payload=PAYLOADS)
@example(payload=b'{"name":"ping","name":"reload"}')
def test_nothing_that_comes_as_a_command_does_any_harm(payload: bytes) -> None:
    judge(read_command(payload, CAMERAS), payload)


@pytest.mark.timeout(400)
@settings(max_examples=4000, deadline=None)
@given(camera=LEVELS, name=LEVELS, payload=PAYLOADS | st.floats().map(lambda number: str(number).encode()))
def test_nothing_that_comes_as_a_setting_does_any_harm(camera: str, name: str, payload: bytes) -> None:
    judge(read_setting(camera, name, payload, CAMERAS), payload[:MOST_BYTES])
    split_set(TOPICS, f"{TOPICS.root}/camera/{camera}/set/{name}")


# --- where answers go -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("topic", "may"),
    [
        ("reply/7f3a", True),
        ("clients/app-1/responses", True),
        (TOPICS.command_result, True),
        (f"{TOPICS.command_result}/app-1", True),
        ("a" * 256, True),
        ("", False),
        ("a" * 257, False),
        ("reply/+", False),
        ("reply/#", False),
        ("reply/\x00", False),
        ("reply/\n", False),
        ("reply/\x85", False),
        ("$SYS/broker", False),
        (TOPICS.command, False),
        (TOPICS.status, False),
        (TOPICS.set_detect("front"), False),
        ("site/edge", False),
        ("site/edge/another/command", False),  # another agent
        ("site/edge/another/command/result", False),
        ("homeassistant/switch/x/config", False),
        ("zigbee2mqtt/lamp/set", False),
        ("zigbee2mqtt/lamp/SET/brightness", False),
        ("cmnd/plug/POWER", False),
        ("shellies/plug/relay/0/command", False),
    ],
)
def test_nobody_can_have_the_agent_speak_where_others_take_orders(topic: str, *, may: bool) -> None:
    said = answer_topic.why_not(topic, result=TOPICS.command_result, closed=("site/edge", "homeassistant"))
    assert (said is None) is may
    assert said is None or topic == "" or topic not in said


@settings(max_examples=1000, deadline=None)
@given(topic=st.text(max_size=300))
def test_any_topic_for_an_answer_is_judged(topic: str) -> None:
    said = answer_topic.why_not(topic, result=TOPICS.command_result, closed=("site/edge",))
    assert said is None or said.isprintable()


# --- how often ------------------------------------------------------------------------------------------------------


def test_as_many_a_minute_as_allowed_and_as_many_at_once_after_a_quiet_one() -> None:
    bucket = Bucket(6, 100.0)
    assert [bucket.take(100.0) for _ in range(7)] == [True] * 6 + [False]
    assert not bucket.take(109.0)  # one drop in ten seconds
    assert bucket.take(110.0)
    assert not bucket.take(110.0)
    assert [bucket.take(10_000.0) for _ in range(7)] == [True] * 6 + [False]


# --- what was changed -----------------------------------------------------------------------------------------------

OFF = False
AS_CONFIGURED = InForce(detect=True, threshold=0.4, rate_hz=5.0)


def change(name: Any, value: Any, *, camera: str = "front", configured: Any = None, until: int | None = None) -> Change:
    if configured is None:
        configured = getattr(AS_CONFIGURED, name)
    return Change(camera=camera, name=name, value=value, configured=configured, since_utc_ns=1, until_utc_ns=until)


def test_what_is_in_force_is_what_is_configured_with_what_was_changed() -> None:
    made = (change("threshold", 0.6), change("detect", OFF), change("rate_hz", 1.0, camera="back"))
    assert changes.in_force(AS_CONFIGURED, "front", made) == InForce(detect=False, threshold=0.6, rate_hz=5.0)
    assert changes.in_force(AS_CONFIGURED, "back", made) == InForce(detect=True, threshold=0.4, rate_hz=1.0)
    assert changes.in_force(AS_CONFIGURED, "side", made) == AS_CONFIGURED


def test_a_change_replaces_the_one_before_and_one_to_what_is_configured_is_none() -> None:
    made = changes.with_change((), change("threshold", 0.6))
    made = changes.with_change(made, change("rate_hz", 1.0))
    made = changes.with_change(made, change("threshold", 0.7))
    assert made == (change("rate_hz", 1.0), change("threshold", 0.7))
    assert changes.with_change(made, change("threshold", 0.4)) == (change("rate_hz", 1.0),)
    assert changes.without(made, "front", "rate_hz") == (change("threshold", 0.7),)


def test_a_change_ends_with_its_camera_and_when_the_configuration_says_something_else() -> None:
    made = (
        change("threshold", 0.6),
        change("rate_hz", 1.0, configured=10.0),  # the file said 10 then and says 5 now
        change("threshold", 0.6, camera="gone"),
        change("detect", OFF),
    )
    kept = changes.still_valid(made, {"front": AS_CONFIGURED})
    assert kept == (change("threshold", 0.6), change("detect", OFF))


def test_what_is_kept_comes_back_as_it_was() -> None:
    made = (change("threshold", 1 / 3), change("detect", OFF, until=2**62), change("rate_hz", 1.0, camera="back"))
    assert changes.from_json(json.loads(json.dumps(changes.to_json(made)))) == made
    assert changes.from_json(changes.to_json(())) == ()


def kept_with(**fields: Any) -> object:
    content = changes.to_json([change("threshold", 0.6)])
    content["changes"][0].update(fields)
    return content


@pytest.mark.parametrize(
    "content",
    [
        None,
        [],
        {},
        {"schema": 2, "changes": []},
        {"schema": 1, "changes": [], "more": 1},
        {"schema": 1, "changes": {}},
        {"schema": 1, "changes": [1]},
        kept_with(camera="../etc"),
        kept_with(camera=7),
        kept_with(name="labels"),
        kept_with(value=0),
        kept_with(value=1.5),
        kept_with(value=True),
        kept_with(value="0.5"),
        kept_with(value=float("nan")),
        kept_with(name="rate_hz", value=61),
        kept_with(name="detect", value=1.0),
        kept_with(since_utc_ns=1.5),
        kept_with(until_utc_ns="never"),
        kept_with(more=1),
    ],
)
def test_a_file_that_holds_anything_else_is_not_believed(content: object) -> None:
    with pytest.raises(ValueError, match=r"^.*: \S"):
        changes.from_json(content)


@settings(max_examples=500, deadline=None)
@given(content=JSON | st.fixed_dictionaries({"schema": st.just(1), "changes": st.lists(JSON, max_size=3)}))
def test_no_file_does_any_harm(content: object) -> None:
    with suppress(ValueError):  # and nothing else
        changes.from_json(content)
