"""What a command is, what a refusal is, and who may ask for what."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal, get_args

from pydantic import Field

from edge_agent.settings import Section

Name = Literal["ping", "resync", "reload", "restart_camera", "pause", "resume", "detect", "threshold", "rate_hz"]
NAMES: tuple[Name, ...] = get_args(Name)

SettingName = Literal["detect", "threshold", "rate_hz"]
SETTING_NAMES: tuple[SettingName, ...] = get_args(SettingName)
"""What can be set while the agent runs."""


class CommandsSettings(Section):
    """What others may ask of the running agent over MQTT; [commands.md](commands.md) has the commands."""

    enabled: bool = True
    """Whether to listen at all; what was set by commands before does not count then either."""

    allow: tuple[Name, ...] = NAMES
    """The commands that are done; any other is refused."""

    per_minute: Annotated[int, Field(ge=1, le=6000)] = 60
    """So many commands are read in a minute, and in one go after a quiet one; the others are refused unread."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """Something to do.

    Attributes:
        name: what.
        id: comes back in the answer; None when whoever asked gave none.
        camera: with which one; None for all of them.
        value: of `detect` whether to look, of the others the number; None for what the configuration says.
        for_s: of `pause`, for how long; None until resumed.
    """

    name: Name
    id: str | None = None
    camera: str | None = None
    value: bool | float | None = None
    for_s: float | None = None


def told(command: Command) -> str:
    """A command for the log: what, with which camera, to which value, for how long."""
    what = f"{command.name} of {command.camera}" if command.camera else command.name
    if command.name in SETTING_NAMES:
        return f"{what}: {'as configured' if command.value is None else value_text(command.value)}"
    return what if command.for_s is None else f"{what}: for {command.for_s:g} s"


def value_text(value: bool | float) -> str:  # noqa: FBT001
    """What a setting is, for people: `ON`, `OFF` or the number."""
    return ("ON" if value else "OFF") if isinstance(value, bool) else f"{value:g}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """Something that will not be done.

    Attributes:
        reason: why not, one line in our own words.
        id: that of the command, where it could be read.
        name: the same.
        camera: the same.
    """

    reason: str
    id: str | None = None
    name: Name | None = None
    camera: str | None = None
