"""What pydantic finds wrong, in words that a person understands: what stands there, and what is wanted."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, get_args

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from edge_agent.config.public import without_secrets
from edge_agent.config.schema import sections
from edge_agent.config.tree import Fault, KeyPath, Node
from edge_agent.settings import YEAR_S

_WANTED = {
    "string_type": "must be text",
    "string_too_long": "must have at most {max_length} characters",
    "string_too_short": "must not be empty",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_parsing_size": "must be a smaller number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "finite_number": "must be a finite number",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "greater_than": "must be more than {gt}",
    "greater_than_equal": "must be at least {ge}",
    "less_than": "must be less than {lt}",
    "less_than_equal": "must be at most {le}",
    "path_type": "must be a path",
    "tuple_type": "must be a list",
    "dict_type": "must be a mapping of names to values",
    "model_type": "must be a mapping of settings",
    "model_attributes_type": "must be a mapping of settings",
    "value_error": "{error}",
}
_LENGTHS = {
    "too_short": "must have at least {min_length} {entries}",
    "too_long": "must have at most {max_length} {entries}",
}
PATTERNS = {
    r"^[a-zA-Z0-9_-]{1,64}$": "must be 1 to 64 letters (a-z), digits, `-` or `_`",
    r"^[a-zA-Z0-9_ -]{1,32}$": "must be 1 to 32 letters (a-z), digits, spaces, `-` or `_`",
    r"^(([^+#/]*|\+)/)*([^+#/]*|\+|#)$": "must be a topic, with `+` for any one level and `#` at its end for "
    "all further ones",
    r"^[a-z0-9_]{1,32}$": "must be 1 to 32 small letters (a-z), digits or `_`: `auto`, `software` or what FFmpeg calls "
    "the hardware",
    r"^(none|[1-4]x[1-4])$": "must be `none` or a grid of 1 to 4 tiles beside and below each other, such as `2x2`",
    r"^(([01]?[0-9]|2[0-3]):[0-5][0-9]|24:00|(sunrise|sunset)([+-]([0-9]{1,2}m|[1-6]h))?)$": "must be a time of day, "
    "such as `22:00`, `sunrise`, or up to 6h from the sun, such as `sunset-30m`",
    r"^(mqtt|mqtts)://": "must begin with mqtt:// or mqtts://",
    r"^[a-zA-Z0-9_-]{1,64}(/[a-zA-Z0-9_-]{1,64}){0,7}$": "must be 1 to 8 names of letters, digits, `-` or `_`, with "
    "`/` between them",
}
"""What each pattern of a setting means."""

_FIELDS = {place: section.by_key() for place, section in sections()}
_KEYS = {place: tuple(fields) for place, fields in _FIELDS.items()}
_PLACE_STEP = re.compile(
    r"\[\w*\]|\{\}|[^.\[{]+"
)  # of a place such as `cameras[].zones{}` or `cameras[].triggers[mqtt]`
_KIND = "kind"
_BOUNDS = {"gt": "greater_than", "ge": "greater_than_equal", "lt": "less_than", "le": "less_than_equal"}
_SECRET_KEYS = {"password", "source", "url", "urls"}
_SHOWN_CHARACTERS = 40
_PLAIN_KEY = re.compile(r"[A-Za-z0-9_-]{1,64}")
_NUMBER = re.compile(r"[-+]?[0-9.]+")


def faults_of(error: ValidationError, root: Node) -> list[Fault]:
    """Put everything that pydantic found into words, each with its place in the tree that was validated."""
    details = error.errors(include_url=False, include_input=False)
    return [_fault(detail, root) for detail in details if not _follows_from_others(detail, root)]


def key_path(path: KeyPath) -> str:
    """Write a path as `cameras[0].detect.rate_hz`."""
    written = ""
    for step in path:
        if isinstance(step, int):
            written += f"[{step}]"
        else:
            written += f".{step}" if _PLAIN_KEY.fullmatch(step) else f".{shown(step)}"
    return written.removeprefix(".")


def shown(text: str) -> str:
    """Write a text of the file into a message: on one line, not too long, and without what looks like a password."""
    if "://" in text:
        text = without_secrets(text)
    elif "@" in text:
        text = f"…@{text.rpartition('@')[2]}"
    if len(text) > _SHOWN_CHARACTERS:
        text = f"{text[:_SHOWN_CHARACTERS]}…"
    return text if _NUMBER.fullmatch(text) else json.dumps(text, ensure_ascii=not text.isprintable())


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known word that was probably meant; None when none is near."""
    return next(iter(difflib.get_close_matches(word.lower(), list(known), n=1)), None)


def in_a_row(words: Iterable[str], last: str) -> str:
    """Write words as `a, b or c`."""
    *first, final = words
    return f"{', '.join(first)} {last} {final}" if first else final


def _fault(detail: ErrorDetails, root: Node) -> Fault:
    kind, context = detail["type"], detail.get("ctx", {})
    path = _in_file(detail["loc"], root)
    if kind == "missing":
        return _missing(path, root)
    if kind in {"union_tag_not_found", "union_tag_invalid"}:
        return _kind(path, context, root)
    if path[-1:] == ("[key]",):
        node = _deepest(root, path[:-1])
        return node.key_fault(f"the name {_wanted(kind, context)}")
    node = _deepest(root, path)
    if kind == "extra_forbidden":
        return node.key_fault(_unknown_key(str(path[-1]), _place_of(detail["loc"])))
    return node.fault(_about(node, *_narrowest(kind, context, detail["loc"])))


def _about(node: Node, kind: str, context: Mapping[str, Any]) -> str:
    """What is wrong with a value that may stand where it stands."""
    if kind in _LENGTHS:
        return _wanted_length(kind, context, len(node.entries))
    if kind == "value_error" and node.text is None:
        return _wanted(kind, context)
    return ", ".join(filter(None, [_found(node), _wanted(kind, context)]))


def _narrowest(kind: str, context: Mapping[str, Any], loc: KeyPath) -> tuple[str, Mapping[str, Any]]:
    """The narrowest bound on the side where a value lies outside: its type has wider ones, which are checked first."""
    side = next((side for side in (("gt", "ge"), ("lt", "le")) if kind in {_BOUNDS[name] for name in side}), ())
    field = _FIELDS[_place_of(loc)].get(str(loc[-1])) if side else None
    bounds = [
        (getattr(bound, name), name)
        for bound in _metadata(field)
        for name in side
        if isinstance(getattr(bound, name, None), int | float)
    ]
    if not bounds:
        return kind, context
    # Of two that are equal the one that the value may not reach.
    value, name = (
        max(bounds, key=lambda one: (one[0], one[1] == "gt"))
        if "gt" in side
        else min(bounds, key=lambda one: (one[0], one[1] == "le"))
    )
    return _BOUNDS[name], {name: value}


def _metadata(part: Any) -> Iterator[Any]:
    """What the annotations of a setting say beside its type, however deep."""
    for one in getattr(part, "metadata", getattr(part, "__metadata__", ())):
        yield one
        yield from _metadata(one)
    for inner in get_args(getattr(part, "annotation", part)):
        yield from _metadata(inner)


def _follows_from_others(detail: ErrorDetails, root: Node) -> bool:
    """Whether a list is only too short because some of its entries are wrong, each of which is said by itself."""
    return (
        detail["type"] == "too_short"
        and len(_deepest(root, _in_file(detail["loc"], root)).entries) >= detail["ctx"]["min_length"]
    )


def _in_file(loc: KeyPath, root: Node) -> KeyPath:
    """A path as it is in the file.

    pydantic names the kind after the number of an entry whose class is told apart by it, as in `("cameras", 0,
    "triggers", 1, "mqtt", "topic")`, and the number 0 where one entry stands without a list around it.
    """
    path: KeyPath = ()
    node: Node | None = root
    for step, before in zip(loc, (None, *loc), strict=False):
        if isinstance(step, int) and node is not None and node.keys:
            continue
        if isinstance(before, int) and node is not None and step == _text_of(node, _KIND):
            continue
        path += (step,)
        node = node.find((step,)) if node else None
    return path


def _text_of(node: Node, key: str) -> str | None:
    return node.keys[key].text if key in node.keys else None


def _place_of(loc: KeyPath) -> str:
    """The place whose settings a path of pydantic's leads into, such as `cameras[].triggers[mqtt]`."""
    return next((place for place in _KEYS if _leads_to(loc[:-1], place)), "")


def _kind(path: KeyPath, context: Mapping[str, Any], root: Node) -> Fault:
    """Say that an entry is of no kind that there is."""
    node = root.find((*path, _KIND))
    if node is None or node.value is None:
        return _missing((*path, _KIND), root)
    kinds = [word.strip("' ") for word in context.get("expected_tags", "").split(",")]
    return node.fault(", ".join(filter(None, [_found(node), f"must be {in_a_row(kinds, 'or')}"])))


def _deepest(root: Node, path: KeyPath) -> Node:
    """The value at a path, or the nearest one around it."""
    while (node := root.find(path)) is None:
        path = path[:-1]
    return node


def _missing(path: KeyPath, root: Node) -> Fault:
    around = _deepest(root, path[:-1])
    empty = root.find(path)
    if empty is not None:
        return empty.key_fault("has no value, and must have one")
    if isinstance(path[-1], int):
        return around.fault(f"must have {path[-1] + 1} entries, has {len(around.entries)}")
    return Fault(place=around.key_place, path=path, what="is missing")


def _found(node: Node) -> str:
    """What stands there, as far as it may be shown."""
    if node.value is None:
        return "has no value"
    if node.entries or node.value == ():
        return "is a list"
    if node.text is None:
        return "is a mapping"
    return "" if _SECRET_KEYS.intersection(map(str, node.path)) else f"is {shown(node.written)}"


def _wanted(kind: str, context: Mapping[str, Any]) -> str:
    if kind == "string_pattern_mismatch":
        return PATTERNS.get(context["pattern"], "must be of another form")
    if kind == "literal_error":
        return f"must be {context['expected']}".replace("'", "")
    plain = {name: _plain(value) for name, value in context.items()}
    return _WANTED.get(kind, "must be something else").format_map(plain)


def _plain(value: object) -> object:
    """A bound without digits that say nothing; the longest duration as people write it."""
    if value == YEAR_S:
        return f"{YEAR_S / 86400:g}d"
    return f"{value:g}" if isinstance(value, float) else value


def _wanted_length(kind: str, context: Mapping[str, Any], length: int) -> str:
    bound = context.get("min_length", context.get("max_length"))
    entries = "entry" if bound == 1 else "entries"
    return f"{_LENGTHS[kind].format_map({**context, 'entries': entries})}, has {length}"


def _unknown_key(word: str, here: str) -> str:
    """Say which key was probably meant: a similar one of the same section, or the same one of another."""
    near = nearest(word, _KEYS[here])
    candidates = [near] if near else []
    candidates += [f"{place}.{word}".removeprefix(".") for place, keys in _KEYS.items() if word in keys]
    if candidates:
        of_any_kind = dict.fromkeys(re.sub(r"\[\w+\]", "[]", candidate) for candidate in candidates)
        return f"unknown key; did you mean {_keys_in_a_row(of_any_kind, 'or')}?"
    return f"unknown key; known here: {_keys_in_a_row(_KEYS[here], 'and')}"


def _leads_to(loc: KeyPath, place: str) -> bool:
    """Whether `("cameras", 0, "rules", 1, "dwell")` leads to `cameras[].rules[dwell]`."""
    steps = [part for step in _PLACE_STEP.findall(place) for part in _parts(step)]
    return len(steps) == len(loc) and all(
        step == "[]" if isinstance(key, int) else step in {key, "{}"} for key, step in zip(loc, steps, strict=True)
    )


def _parts(step: str) -> tuple[str, ...]:
    return ("[]", step[1:-1]) if step.startswith("[") and step != "[]" else (step,)


def _keys_in_a_row(keys: Iterable[str], last: str) -> str:
    return in_a_row([f"`{key}`" for key in keys], last)
