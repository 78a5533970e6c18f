"""From the bytes of a command to what is to be done, or to why it is not: whatever the bytes are.

A reason never repeats what somebody sent: it goes back over the broker, and into the log of who asked.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from edge_agent.settings import YEAR_S, Identifier, RateHz, Threshold
from edge_agent.stages.commands.command import NAMES, SETTING_NAMES, Command, Name, Refusal, SettingName

MOST_BYTES = 4096
"""A longer command is refused unread."""

DEFAULT = "DEFAULT"
"""What is set to this is as the configuration says again."""

_MOST_WORD_BYTES = 64
_ID = re.compile(r"[a-zA-Z0-9_.:-]{1,64}")
_NUMBER = re.compile(r"[-+]?[0-9]{1,15}(\.[0-9]{0,15})?([eE][-+]?[0-9]{1,3})?")
_FIELDS = {"id", "name", "args", "camera", "value", "for_s"}
_SWITCH = {"ON": True, "OFF": False}
_UNKNOWN_CAMERA = "there is no camera of that name"


class _Closed(BaseModel):
    """An object without any other field, in which a number is no text."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False, hide_input_in_errors=True)


class _Envelope(_Closed):
    id: Annotated[str, Field(pattern=f"^{_ID.pattern}$")] | None = None
    name: str
    args: dict[str, Any] = Field(default_factory=dict)


class _Nothing(_Closed):
    pass


class _OneCamera(_Closed):
    camera: Identifier


class _SomeCamera(_Closed):
    camera: Identifier | None = None


class _Pause(_SomeCamera):
    for_s: Annotated[float, Field(gt=0, le=YEAR_S)] | None = None


class _Detect(_OneCamera):
    value: Literal["ON", "OFF"] | None


class _LeastScore(_OneCamera):
    value: Threshold | None


class _Looks(_OneCamera):
    value: RateHz | None


_ARGUMENTS: Mapping[Name, type[_Closed]] = {
    "ping": _Nothing,
    "resync": _Nothing,
    "reload": _Nothing,
    "restart_camera": _OneCamera,
    "pause": _Pause,
    "resume": _SomeCamera,
    "detect": _Detect,
    "threshold": _LeastScore,
    "rate_hz": _Looks,
}
_OBJECT: TypeAdapter[dict[str, Any]] = TypeAdapter(dict[str, Any])


def read_command(payload: bytes, cameras: Collection[str]) -> Command | Refusal:
    """Read what came on the topic of commands, `{"id": …, "name": …, "args": {…}}`.

    Args:
        payload: any bytes.
        cameras: ids of those that there are.
    """
    if len(payload) > MOST_BYTES:
        return Refusal(reason=f"it is longer than {MOST_BYTES} bytes")
    try:
        content = _OBJECT.validate_json(payload)
    except ValidationError as error:
        return Refusal(reason=_in_words(error, ""))
    known_id, known_name = _readable_id(content), _readable_name(content)
    try:
        asked = _Envelope.model_validate(content)
    except ValidationError as error:
        return Refusal(reason=_in_words(error, ""), id=known_id, name=known_name)
    if known_name is None:
        return Refusal(reason=f"name: must be one of {', '.join(NAMES)}", id=asked.id)
    return _command(known_name, asked.id, asked.args, cameras)


def read_setting(camera: str, name: str, payload: bytes, cameras: Collection[str]) -> Command | Refusal:
    """Read what came on the topic of a setting: a word or a number.

    Args:
        camera: as the topic has it.
        name: of the setting, as the topic has it.
        payload: any bytes.
        cameras: ids of those that there are.
    """
    known_name = next((one for one in SETTING_NAMES if one == name), None)
    if known_name is None:
        return Refusal(reason=f"only {', '.join(SETTING_NAMES)} can be set")
    if camera not in cameras:
        return Refusal(reason=_UNKNOWN_CAMERA, name=known_name)
    wanted = "must be ON or OFF" if known_name == "detect" else "must be a number"
    value = _word(payload, known_name)
    if isinstance(value, _Unreadable):
        return Refusal(reason=f"{wanted}, or {DEFAULT}", name=known_name, camera=camera)
    return _command(known_name, None, {"camera": camera, "value": value}, cameras, "payload")


def is_empty(payload: bytes) -> bool:
    """Whether it is nothing at all: so the broker passes it on when somebody clears a retained command."""
    return not payload


class _Unreadable:
    """Neither a word nor a number that we know."""


def _word(payload: bytes, name: SettingName) -> str | float | _Unreadable | None:
    try:
        text = payload.decode("ascii").strip() if len(payload) <= _MOST_WORD_BYTES else ""
    except UnicodeDecodeError:
        return _Unreadable()
    if text.upper() == DEFAULT:
        return None
    if name == "detect":
        return text.upper() if text.upper() in _SWITCH else _Unreadable()
    return float(text) if _NUMBER.fullmatch(text) else _Unreadable()


def _command(
    name: Name, command_id: str | None, args: Mapping[str, Any], cameras: Collection[str], where: str = "args"
) -> Command | Refusal:
    try:
        read = _ARGUMENTS[name].model_validate(args)
    except ValidationError as error:
        camera = args.get("camera")
        known = camera if isinstance(camera, str) and camera in cameras else None
        return Refusal(reason=_in_words(error, where), id=command_id, name=name, camera=known)
    camera, value = getattr(read, "camera", None), getattr(read, "value", None)
    if camera is not None and camera not in cameras:
        return Refusal(reason=_UNKNOWN_CAMERA, id=command_id, name=name)
    return Command(
        name=name,
        id=command_id,
        camera=camera,
        value=_SWITCH[value] if isinstance(value, str) else value,
        for_s=getattr(read, "for_s", None),
    )


def _readable_id(content: Mapping[str, Any]) -> str | None:
    there = content.get("id")
    return there if isinstance(there, str) and _ID.fullmatch(there) else None


def _readable_name(content: Mapping[str, Any]) -> Name | None:
    return next((name for name in NAMES if name == content.get("name")), None)


def _in_words(error: ValidationError, within: str) -> str:
    """The first thing that is wrong, without anything of what was sent."""
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    path = [part if part in _FIELDS else "a field" for part in first["loc"]]
    if within == "payload":  # of a setting: it has but one value, which has no name
        path = []
    elif within:
        path = [within, *path]
    what = _WORDS.get(first["type"]) or re.sub(r"^(Input|String) should", "must", first["msg"])
    return f"{'.'.join(map(str, path))}: {what}" if path else what


_WORDS = {
    "json_invalid": "it is no JSON",
    "dict_type": "must be a JSON object",
    "extra_forbidden": "there is no such field",
    "missing": "it is missing",
}
