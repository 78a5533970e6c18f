"""From the bytes of a command to what is to be done, or to why it is not: whatever the bytes are.

A reason says which field is wrong and what may stand there, in our own words. Of what somebody sent it repeats but the
name of a field that there is not, and that only where it is a plain word: a reason goes back over the broker, and into
the log of who asked.
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
_PLAIN_WORD = re.compile(r"[a-z][a-z0-9_]{0,31}")
_SWITCH = {"ON": True, "OFF": False}
_NO_SUCH_CAMERA = "there is no camera of that name"


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

_LEAST_SCORE = "a number, more than 0 and at most 1"
_LOOKS = "a number, more than 0 and at most 60"
_TAKEN: Mapping[str, str] = {
    "": "a JSON object",
    "id": "text of 1 to 64 letters (a-z), digits, `_`, `.`, `:` or `-`",
    "name": f"one of {', '.join(NAMES)}",
    "args": "a JSON object",
    "camera": "the id of a camera",
    "for_s": f"a number of seconds, more than 0 and at most {YEAR_S:.0f}",
}
_VALUE_TAKEN: Mapping[str, str] = {"detect": "ON or OFF", "threshold": _LEAST_SCORE, "rate_hz": _LOOKS}
"""What may stand in a field; of `value` that depends on the command."""


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
        return Refusal(reason="it is no JSON" if _first(error)[0] == "json_invalid" else f"must be {_TAKEN['']}")
    known_id, known_name = _readable_id(content), _readable_name(content)
    try:
        asked = _Envelope.model_validate(content)
    except ValidationError as error:
        return Refusal(reason=_about_envelope(error), id=known_id, name=known_name)
    if known_name is None:
        return Refusal(reason=f"name: must be {_TAKEN['name']}", id=asked.id)
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
        return Refusal(reason=_NO_SUCH_CAMERA, name=known_name)
    value = _word(payload, known_name)
    found = None
    if not isinstance(value, _Unreadable):
        found = _command(known_name, None, {"camera": camera, "value": value}, cameras)
    if isinstance(found, Command):
        return found
    return Refusal(reason=f"must be {_VALUE_TAKEN[known_name]}, or {DEFAULT}", name=known_name, camera=camera)


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
    name: Name, command_id: str | None, args: Mapping[str, Any], cameras: Collection[str]
) -> Command | Refusal:
    try:
        read = _ARGUMENTS[name].model_validate(args)
    except ValidationError as error:
        camera = args.get("camera")
        known = camera if isinstance(camera, str) and camera in cameras else None
        return Refusal(reason=_about_arguments(error, name), id=command_id, name=name, camera=known)
    camera, value = getattr(read, "camera", None), getattr(read, "value", None)
    if camera is not None and camera not in cameras:
        return Refusal(reason=f"args.camera: {_NO_SUCH_CAMERA}", id=command_id, name=name)
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


def _about_envelope(error: ValidationError) -> str:
    """The first thing that is wrong around the arguments: which field, and what may be there."""
    kind, field = _first(error)
    if kind == "extra_forbidden":
        return f"{_called(field)}: there is no such field; a command has {', '.join(_Envelope.model_fields)}"
    return f"{field}: {_found(kind)} {_TAKEN[field]}"


def _about_arguments(error: ValidationError, name: Name) -> str:
    """The first thing that is wrong with the arguments: which field, and what this command takes."""
    kind, field = _first(error)
    if kind == "extra_forbidden":
        taken = ", ".join(_ARGUMENTS[name].model_fields) or "none"
        return f"args.{_called(field)}: there is no such field; {name} takes {taken}"
    return f"args.{field}: {_found(kind)} {_taken(field, name)}"


def _taken(field: str, name: Name) -> str:
    if field == "value":
        return f"{_VALUE_TAKEN[name]}, or null"
    return _TAKEN[field]


def _called(field: str) -> str:
    """The name of a field that is none of ours, where it is written as ours are."""
    return field if _PLAIN_WORD.fullmatch(field) else "a field"


def _found(kind: str) -> str:
    return "it is missing, and must be" if kind == "missing" else "must be"


def _first(error: ValidationError) -> tuple[str, str]:
    """Of the first thing that is wrong, which kind it is, and the field; the whole is no field."""
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    return first["type"], str(next(iter(first["loc"]), ""))
