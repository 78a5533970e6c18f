"""What Home Assistant shows of one camera: events, motion, who is where, lines, and what may be set."""

from __future__ import annotations

from collections.abc import Iterator

from edge_agent.records import RuleKind
from edge_agent.stages.encode.homeassistant.box import Numbers
from edge_agent.stages.encode.homeassistant.parts import CONFIG, DIAGNOSTIC, MEASURED, SURELY, Part, Parts, title, words
from edge_agent.stages.encode.homeassistant.shown import Setting, ShownCamera, ShownRule
from edge_agent.stages.encode.topics import Topics, level

EVENT_TYPES = ("new", "update", "end")
STATES = ("connecting", "streaming", "asleep", "stalled", "backoff", "failed", "disabled", "ended", "stopped")
"""What a camera's `state` in health may be."""

ONLINE = "{{ 'online' if value == 'online' else 'offline' }}"
"""A camera that is `disabled` is not there, which Home Assistant would not conclude from a third word."""

_IS_SOMEBODY = "{{ 'ON' if value | int(0) > 0 else 'OFF' }}"

_EVENT = (
    "{% set e = value_json %}{% set r = e.rule | default({}) %}"
    "{% if e.run_id != this.attributes.get('run_id') or e.seq > this.attributes.get('seq', -1) %}"
    "{{ dict(e.object | default({}), event_type=e.event_type, reason=e.reason, event_id=e.event_id, run_id=e.run_id,"
    " seq=e.seq, rule=r.name | default(''), rule_kind=r.kind | default(''), direction=r.direction | default(''),"
    " count=r.count | default(none), active=r.active | default(none), time=e.time, duration_s=e.duration_s)"
    " | to_json }}{% endif %}"
)
"""The event's own fields, the object's and the rule's on one level. Repeats of a delivery make nothing of it, so that
it fires once an event: within a run `seq` only grows."""

_RULE = "(value_json.rule | default({}))"

_SPEAKS: dict[RuleKind, str] = {
    "dwell": "dwells",
    "still": "stands still",
    "left_behind": "left behind",
    "removed": "removed",
    "speed": "speeding",
}
"""What the rules say that have but one thing to say."""


def parts(camera: ShownCamera, topics: Topics, settable: frozenset[Setting]) -> dict[str, Part]:
    """A camera's entities and triggers by their paths, what is needed most first."""
    found = Parts(topics.device, camera.id)
    agent = {"availability": [{"topic": topics.status}]}
    _events(found, camera, topics, agent)
    _state(found, camera, topics, agent)
    _settings(found, camera, topics, settable, agent)
    for label in camera.labels:
        _presence(found, camera, topics, None, label)
    for line, labels in camera.lines.items():
        for label in labels:
            _crossings(found, camera, topics, line, label)
    _triggers(found, camera, topics)
    for zone, labels in camera.zones.items():
        for label in labels:
            _presence(found, camera, topics, zone, label)
    return found.by_path


def _events(found: Parts, camera: ShownCamera, topics: Topics, agent: Part) -> None:
    found.entity(
        "event",
        "event",
        name="Event",
        icon="mdi:cctv",
        state_topic=topics.event(camera.id),
        event_types=list(EVENT_TYPES),
        value_template=_EVENT,
        **agent,  # what ends because the camera is gone is said when it is gone
        **SURELY,
    )


def _state(found: Parts, camera: ShownCamera, topics: Topics, agent: Part) -> None:
    """Whether something moves, and whether the camera is there and well."""
    found.entity("binary_sensor", "motion", device_class="motion", state_topic=topics.motion(camera.id))
    found.entity(
        "binary_sensor",
        "status",
        device_class="connectivity",
        state_topic=topics.camera_status(camera.id),
        value_template="{{ 'ON' if value == 'online' else 'OFF' }}",
        **agent,
        **DIAGNOSTIC,
    )
    own = f"value_json.cameras['{camera.id}']"
    found.entity(
        "binary_sensor",
        "problem",
        device_class="problem",
        state_topic=topics.health,
        value_template=(
            f"{{{{ 'ON' if {own}.state in ['stalled', 'backoff', 'failed']"
            f" or {own}.triggers.state in ['partly', 'blind'] else 'OFF' }}}}"
        ),
        json_attributes_topic=topics.health,
        json_attributes_template=(
            f"{{{{ {{'reason': {own}.reason, 'since': {own}.since, 'triggers': {own}.triggers.reason}} | to_json }}}}"
        ),
        **agent,
        **DIAGNOSTIC,
    )
    found.entity(
        "sensor",
        "state",
        name="State",
        device_class="enum",
        options=list(STATES),
        state_topic=topics.health,
        value_template=f"{{{{ {own}.state }}}}",
        **agent,
        **DIAGNOSTIC,
    )
    Numbers(found, topics.health).add(
        "fps", f"{own}.fps", unit="fps", digits=1, icon="mdi:filmstrip", name="Frame rate"
    )


def _settings(found: Parts, camera: ShownCamera, topics: Topics, settable: frozenset[Setting], agent: Part) -> None:
    """What may be set, whether the camera is there or not."""
    slider = {"min": 0.01, "max": 1.0, "step": 0.01, "mode": "slider"}
    box = {"min": 0.1, "max": 60.0, "step": 0.1, "mode": "box", "unit_of_measurement": "Hz"}
    switch = {"name": "Detection", "icon": "mdi:eye"}
    threshold = {"name": "Threshold", "icon": "mdi:tune-variant", **slider, **CONFIG}
    rate = {"name": "Looks a second", "device_class": "frequency", **box, **CONFIG}
    there_are: tuple[tuple[Setting, str, str, str, Part], ...] = (
        ("detect", "switch", topics.detect(camera.id), topics.set_detect(camera.id), switch),
        ("threshold", "number", topics.threshold(camera.id), topics.set_threshold(camera.id), threshold),
        ("rate_hz", "number", topics.rate_hz(camera.id), topics.set_rate_hz(camera.id), rate),
    )
    for which, platform, state_topic, command_topic, options in there_are:
        if which in settable:
            where = {"state_topic": state_topic, "command_topic": command_topic}
            found.entity(platform, which, **where, **options, **agent, **SURELY)


def _presence(found: Parts, camera: ShownCamera, topics: Topics, zone: str | None, label: str) -> None:
    """Whether there are any, and how many, in a zone or in the whole view."""
    place = () if zone is None else ("zone", zone)
    called = title(" ".join((*place[1:], label)))
    topic = topics.count(camera.id, zone, label)
    found.entity(
        "binary_sensor",
        *place,
        "occupancy",
        level(label),
        name=f"{called} occupancy",
        device_class="occupancy",
        state_topic=topic,
        value_template=_IS_SOMEBODY,
    )
    found.entity(
        "sensor",
        *place,
        "count",
        level(label),
        name=f"{called} count",
        icon="mdi:counter",
        state_topic=topic,
        unit_of_measurement="objects",
        **MEASURED,
    )


def _crossings(found: Parts, camera: ShownCamera, topics: Topics, line: str, label: str) -> None:
    for direction in ("in", "out"):
        found.entity(
            "sensor",
            "line",
            line,
            level(label),
            direction,
            name=f"{title(line)} {words(label)} {direction}",
            icon="mdi:login" if direction == "in" else "mdi:logout",
            state_topic=topics.crossings(camera.id, line, label, direction),
            unit_of_measurement="crossings",
            state_class="total_increasing",
            suggested_display_precision=0,
        )


def _triggers(found: Parts, camera: ShownCamera, topics: Topics) -> None:
    """What automations may begin with: somebody appears, a line is crossed, a rule speaks."""

    def trigger(*path: str, kind: str, subject: str, template: str, payload: str) -> None:
        topic = topics.event(camera.id)
        found.trigger(*path, kind=kind, subject=subject, topic=topic, template=template, payload=payload)

    for label in camera.labels:
        trigger("appeared", level(label), kind="appeared", subject=label, template=_WHO_IS_NEW, payload=label)
    for line in camera.lines:
        for way in ("in", "out"):
            said = f"{line} {way}"
            trigger("crossed", line, way, kind=f"crossed {way}", subject=line, template=_WHICH_WAY, payload=said)
    for rule in camera.rules:
        for ending, kind, template, payload in _says(rule):
            trigger("rule", rule.name, *ending, kind=kind, subject=rule.name, template=template, payload=payload)


_WHO_IS_NEW = "{{ value_json.object.label if value_json.event_type == 'new' else '' }}"
_WHICH_RULE = f"{{{{ {_RULE}.name | default('') }}}}"
_WHICH_WAY = f"{_WHICH_RULE} {{{{ {_RULE}.direction | default('') }}}}"
_ACTIVE = f"{_WHICH_RULE} {{{{ 'on' if {_RULE}.active | default(false) else 'off' }}}}"


def _says(rule: ShownRule) -> Iterator[tuple[tuple[str, ...], str, str, str]]:
    """What a rule may say: the end of the trigger's path, in words, by which template, and what that makes of it."""
    if rule.kind == "occupancy":
        yield ("on",), "reached", _ACTIVE, f"{rule.name} on"
        yield ("off",), "no longer reached", _ACTIVE, f"{rule.name} off"
    elif rule.kind == "zone":
        yield (), "left" if rule.leaves else "entered", _WHICH_RULE, rule.name
    else:
        yield (), _SPEAKS[rule.kind], _WHICH_RULE, rule.name
