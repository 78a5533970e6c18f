"""The shape of every settings class, and the units that people write: `30s`, `64MiB`, `[[0.1, 0.2], …]`.

Settings live beside the code that reads them; this module only gives them one base and one set of types, so that a
stage needs to know nothing of YAML. A check says what is wanted (`must be …`) and never what stands there: that may be
a secret.
"""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator
from pydantic.fields import FieldInfo

_SECONDS_IN = {"": 1.0, "ms": 0.001, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
_BYTES_IN = {"": 1, "B": 1, "kB": 10**3, "KiB": 2**10, "MB": 10**6, "MiB": 2**20, "GB": 10**9, "GiB": 2**30}
_QUANTITY = re.compile(r"\s*([-+]?[0-9]{1,15}(?:\.[0-9]{0,15})?)\s*([A-Za-z]*)\s*")  # 15: no more fit into a float
_POLYGON_CORNERS = 3
YEAR_S = 366 * 86400.0
"""The longest duration that can be written."""


class Section(BaseModel):
    """A part of the configuration: frozen, unknown keys are refused, and a key without a value counts as left out."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        allow_inf_nan=False,
        coerce_numbers_to_str=True,  # a camera may be called 7
        hide_input_in_errors=True,  # it may be a password
    )

    @model_validator(mode="before")
    @classmethod
    def _leave_out_empty(cls, values: Any) -> Any:
        if not isinstance(values, dict):
            return values
        return {key: value for key, value in values.items() if value is not None or key not in cls.by_key()}

    @classmethod
    def by_key(cls) -> dict[str, FieldInfo]:
        """Its settings as a file calls them: `from`, say, which is no name in Python."""
        return {field.alias or name: field for name, field in cls.model_fields.items()}


def parse_seconds(value: object) -> object:
    """Turn `30s`, `5m` or `7d` into seconds; leave anything else to the type check."""
    return _parse_quantity(value, _SECONDS_IN, "must be a number of seconds or one like 500ms, 30s, 5m, 2h, 7d")


def parse_bytes(value: object) -> object:
    """Turn `64MiB` or `500kB` into bytes; leave anything else to the type check."""
    parsed = _parse_quantity(value, _BYTES_IN, "must be a number of bytes or one like 500kB, 64MiB, 1GiB")
    return round(parsed) if isinstance(parsed, float) else parsed


def _parse_quantity(value: object, units: dict[str, float] | dict[str, int], wanted: str) -> object:
    if not isinstance(value, str):
        return value
    match = _QUANTITY.fullmatch(value)
    if match is None or match[2] not in units:
        raise ValueError(wanted)
    return float(match[1]) * units[match[2]]


def _has_corners(polygon: tuple[UnitPoint, ...]) -> tuple[UnitPoint, ...]:
    if len(set(polygon)) < _POLYGON_CORNERS:
        raise ValueError(f"must have at least {_POLYGON_CORNERS} different corners, has {len(set(polygon))}")
    return polygon


Seconds = Annotated[float, BeforeValidator(parse_seconds), Field(ge=0, le=YEAR_S)]
"""A duration, in seconds; at most a year."""

Bytes = Annotated[int, BeforeValidator(parse_bytes), Field(gt=0)]
"""A size, in bytes."""

Ratio = Annotated[float, Field(ge=0, le=1)]
"""A part of a whole, 0..1."""

Threshold = Annotated[Ratio, Field(gt=0)]
"""Least score of a detection; at 0 everything would be one."""

RateHz = Annotated[float, Field(gt=0, le=60)]
"""How often to look, a second."""

Identifier = Annotated[str, Field(pattern=r"^[a-zA-Z0-9_-]{1,64}$")]
"""A name that may stand in an MQTT topic."""

Label = Annotated[str, Field(pattern=r"^[a-zA-Z0-9_ -]{1,32}$")]
"""What a model calls a thing."""

UnitPoint = tuple[Ratio, Ratio]
"""x and y in 0..1 of the frame's width and height, from its top left."""

Polygon = Annotated[tuple[UnitPoint, ...], AfterValidator(_has_corners)]
"""A closed area by its corners, in order."""
