"""What was changed by commands, and what is therefore in force: the hand that was last at it wins.

A change holds until it is undone, over restarts too, unless the value in the configuration has been changed since: then
whoever wrote that was last.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator

from edge_agent.records import InForce
from edge_agent.settings import Identifier, RateHz, Threshold
from edge_agent.stages.commands.command import SettingName

SCHEMA = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One setting of a camera that is not as it is configured.

    Attributes:
        camera: its id.
        name: which setting.
        value: what it is.
        configured: what the configuration said when it was changed.
        since_utc_ns: when it was changed.
        until_utc_ns: when it ends by itself; None for never.
    """

    camera: str
    name: SettingName
    value: bool | float
    configured: bool | float
    since_utc_ns: int
    until_utc_ns: int | None = None


def in_force(configured: InForce, camera: str, changes: Iterable[Change]) -> InForce:
    """What a camera goes by, with what was changed of it."""
    changed: dict[str, Any] = {change.name: change.value for change in changes if change.camera == camera}
    return replace(configured, **changed)


def with_change(changes: Iterable[Change], change: Change) -> tuple[Change, ...]:
    """Also this change, instead of an earlier one of the same; one to what is configured is none at all."""
    others = without(changes, change.camera, change.name)
    return others if change.value == change.configured else (*others, change)


def without(changes: Iterable[Change], camera: str, name: SettingName) -> tuple[Change, ...]:
    """All but one."""
    return tuple(change for change in changes if (change.camera, change.name) != (camera, name))


def still_valid(changes: Iterable[Change], configured: Mapping[str, InForce]) -> tuple[Change, ...]:
    """Those of cameras that are there, and of which the configuration says the same as then."""
    return tuple(
        change
        for change in changes
        if change.camera in configured and getattr(configured[change.camera], change.name) == change.configured
    )


def to_json(changes: Sequence[Change]) -> dict[str, Any]:
    """As it is kept."""
    return {"schema": SCHEMA, "changes": [asdict(change) for change in changes]}


def from_json(content: object) -> tuple[Change, ...]:
    """What was kept.

    Raises:
        ValueError: it is not what `to_json` makes; one line.
    """
    try:
        book = _Book.model_validate(content)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        raise ValueError(f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from None
    found = {(one.camera, one.name): Change(**one.model_dump()) for one in book.changes}
    return tuple(found.values())


class _Kept(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)


class _Change(_Kept):
    camera: Identifier
    name: SettingName
    value: bool | float
    configured: bool | float
    since_utc_ns: int
    until_utc_ns: int | None

    @model_validator(mode="after")
    def _fits(self) -> _Change:
        _VALUES[self.name].validate_python(self.value, strict=True)
        return self


_VALUES: dict[SettingName, TypeAdapter[Any]] = {
    "detect": TypeAdapter(bool),
    "threshold": TypeAdapter(Threshold),
    "rate_hz": TypeAdapter(RateHz),
}


class _Book(_Kept):
    model_config = ConfigDict(extra="forbid", strict=True)

    schema_: Annotated[Literal[1], Field(alias="schema")]
    changes: list[_Change]
