"""The tables of docs/config.md as the settings classes themselves would write them."""

from __future__ import annotations

import ast
import inspect
import itertools
import json
import math
import re
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from pydantic import BeforeValidator, SecretStr
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from edge_agent.config.wording import PATTERNS
from edge_agent.settings import Section, UnitPoint, parse_bytes, parse_seconds

HEAD = "| key | meaning | value | default |\n|---|---|---|---|"
_PLAIN_WORDS = {
    bool: "true or false",
    float: "number",
    int: "whole number",
    str: "text",
    Path: "path",
    SecretStr: "text, secret",
}
_BOUNDS = {"gt": "more than", "ge": "at least", "lt": "less than", "le": "at most"}


def table(section: type[Section]) -> str:
    """All settings of a class, a row each."""
    hints = get_type_hints(section, include_extras=True)
    rows = [HEAD]
    for (name, field), key in zip(section.model_fields.items(), section.by_key(), strict=True):
        words = value_words(hints[name])
        rows.append(f"| `{key}` | {meaning(section, name)} | {words} | {default_words(field, words)} |")
    return "\n".join(rows)


def meaning(section: type[Section], name: str) -> str:
    """The docstring below a field, on one line; where the class has the field from another, the one there."""
    if name not in inspect.get_annotations(section):
        return meaning(next(base for base in section.__mro__[1:] if name in inspect.get_annotations(base)), name)
    body = ast.parse(inspect.getsource(section)).body[0].body  # type: ignore[attr-defined]
    for statement, after in itertools.pairwise(body):
        is_field = isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name)
        if is_field and statement.target.id == name and isinstance(after, ast.Expr):
            return " ".join(str(after.value.value).split())  # type: ignore[attr-defined]
    raise AssertionError(f"{section.__name__}.{name} has no docstring")


def default_words(field: FieldInfo, words: str) -> str:
    """A default as one would write it in YAML."""
    default = field.get_default(call_default_factory=True)
    if default is PydanticUndefined:
        return "required"
    if default is None or isinstance(default, Section):
        return ""
    if words.startswith("seconds") and default and default % 86400 == 0:
        return f"`{default / 86400:g}d`"
    if words.startswith("bytes") and default % 2**20 == 0:
        return f"`{default // 2**20}MiB`"
    if isinstance(default, float):
        return f"`{default:g}`"
    return f"`{json.dumps(default, default=str)}`".replace('"', "")


def value_words(annotation: Any) -> str:
    """What may stand there, in words."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _annotated_words(*arguments)
    if origin in {Union, UnionType}:
        return value_words(next(argument for argument in arguments if argument is not type(None)))
    if origin is Literal:
        return ", ".join(f"`{choice}`" for choice in arguments)
    if origin is dict:
        return f"mapping of names to {_plural(value_words(arguments[1]))}"
    if origin is tuple:
        return _tuple_words(annotation)
    return _PLAIN_WORDS.get(annotation, "section")


def _tuple_words(annotation: Any) -> str:
    first, *others = get_args(annotation)
    if annotation == UnitPoint:
        return "`[x, y]`, each 0 to 1"
    if others == [...]:
        return f"list of {_plural(value_words(first))}"
    return f"list of {len(others) + 1}, each a {value_words(first)}"


def _plural(words: str) -> str:
    return re.sub("^(section|number|list)", r"\1s", words)


def _annotated_words(annotation: Any, *metadata: Any) -> str:
    words = value_words(annotation)
    units = {entry.func: entry for entry in metadata if isinstance(entry, BeforeValidator)}
    words = "seconds" if parse_seconds in units else "bytes" if parse_bytes in units else words
    limits: dict[str, Any] = {}
    for field in metadata:
        for limit in getattr(field, "metadata", ()):
            limits |= {name: getattr(limit, name) for name in _LIMITS if getattr(limit, name, None) is not None}
    return ", ".join([words, *_limit_words(limits)])


_LIMITS = (*_BOUNDS, "min_length", "max_length", "pattern")


def _limit_words(limits: dict[str, Any]) -> list[str]:
    if limits.get("gt", -math.inf) < limits.get("ge", -math.inf):
        limits.pop("gt", None)
    elif "gt" in limits:
        limits.pop("ge", None)
    bounds = [f"{_BOUNDS[name]} {limits[name]}" for name in _BOUNDS if name in limits]
    if "ge" in limits and "le" in limits:
        bounds = [f"{limits['ge']} to {limits['le']}"]
    if "pattern" in limits:
        bounds.append(PATTERNS[limits["pattern"]].removeprefix("must be "))
    if "min_length" in limits:
        bounds.append("not empty")
    if "max_length" in limits:
        bounds.append(f"at most {limits['max_length']} long")
    return bounds
