"""YAML to a tree of texts.

A smaller YAML than the standard's, so that nothing is ever read as what it does not look like. Every value is text, a
list or a mapping (what a text means, the setting it is for decides: no `no` that turns false, no `0123` that turns 83);
a key stands once; `*name` repeats the value marked `&name`; tags and merge keys are refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import yaml

from edge_agent.config.tree import START, Fault, KeyPath, Node, Place, is_text

MAX_DEPTH = 32
"""How deep lists and mappings may lie in one another; the settings need 6."""

MAX_VALUES = 20_000
"""How many values a file may hold, repeated ones counted each time: a bound on what aliases can blow up."""

_EMPTY = re.compile("|~|null|Null|NULL")
_LINE_BREAK = re.compile("\r\n|[\r\n\x85\u2028\u2029]")  # as PyYAML counts lines
_TAGGED = "tags such as !name are not read; put text that begins with ! in quotes"
_UNKNOWN_ESCAPE = "an unknown escape; in double quotes write \\\\ for a backslash, or use single quotes"

# What PyYAML says, by a part of it, in words for people. Its own may quote the file, and so a secret.
_SYNTAX_WORDS = {
    "found unexpected end of stream": "a quote is opened here and never closed",
    "but got '{'": "a `{` inside a text; ${NAME} needs quotes between `{ }` or `[ ]`",
    "expected ',' or ']'": "a `,` or the closing `]` is missing",
    "expected ',' or '}'": "a `,` or the closing `}` is missing",
    "mapping values are not allowed": "a second `:` or a wrong indentation; text that holds `: ` needs quotes",
    "could not find expected ':'": "a key without a `:`",
    "expected <block end>": "is indented differently from the lines above",
    "found character '\\t'": "a tab; indent with spaces",
    "cannot start any token": "text that begins with such a sign needs quotes",
    "unknown escape": _UNKNOWN_ESCAPE,
    "escape sequence": _UNKNOWN_ESCAPE,
    "special characters": "a control character, which is no text",
    "tag": _TAGGED,
}


def read(data: bytes, faults: list[Fault]) -> Node | None:
    """Read YAML in UTF-8, and note what is wrong; None when there is nothing to go on with. Never raises."""
    try:
        return _Reader(_text(data), faults).document()
    except _UnreadableError as error:
        faults.append(error.fault)
        return None


class _UnreadableError(Exception):
    def __init__(self, place: Place, what: str, path: KeyPath = ()) -> None:
        self.fault = Fault(place=place, path=path, what=what)
        super().__init__(what)


def _text(data: bytes) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = data[: error.start].decode("utf-8-sig", "replace")
        raise _UnreadableError(_place_after(before), "is not UTF-8 text") from error


class _Reader:
    """Recursive descent over PyYAML's events, which come in the order of the file."""

    def __init__(self, text: str, faults: list[Fault]) -> None:
        self._text = text
        self._faults = faults
        self._events: Iterator[yaml.Event] = yaml.parse(text, yaml.SafeLoader)
        self._reached = START
        self._anchors: dict[str, Node] = {}
        self._values = 0

    def document(self) -> Node:
        self._next()  # the stream's start
        if isinstance(self._next(), yaml.StreamEndEvent):
            raise _UnreadableError(START, "is empty")
        root = self._node(self._next(), (), None)
        self._next()  # the document's end
        after = self._next()
        if not isinstance(after, yaml.StreamEndEvent):
            raise _UnreadableError(_start(after), "a second document begins; a file holds one")
        return root

    def _next(self) -> yaml.Event:
        try:
            event = next(self._events)
        except yaml.MarkedYAMLError as error:
            raise _UnreadableError(self._place_of(error), _in_words(error.problem or "")) from error
        except yaml.reader.ReaderError as error:
            raise _UnreadableError(_place_after(self._text[: error.position]), _in_words(error.reason)) from error
        except (ValueError, OverflowError) as error:  # PyYAML lets them through, say for "\UFFFFFFFF"
            raise _UnreadableError(self._reached, _UNKNOWN_ESCAPE) from error
        self._reached = _place(event.end_mark)
        return event

    def _place_of(self, error: yaml.MarkedYAMLError) -> Place:
        """Where it went wrong; where the part began that goes wrong when that shows only at the end of the file."""
        marks: list[Any] = [mark for mark in (error.problem_mark, error.context_mark) if mark is not None]
        if not marks:
            return self._reached
        return _place(marks[0] if self._text[marks[0].index :].strip() else marks[-1])

    def _node(self, event: yaml.Event, path: KeyPath, key_place: Place | None) -> Node:
        """Read the value that begins with `event`."""
        place = _start(event)
        if isinstance(event, yaml.AliasEvent):
            return self._repeated(event, path, key_place or place)
        node = Node(value=None, place=place, key_place=key_place or place, path=path)
        self._count(node)
        if getattr(event, "tag", None) is not None:
            self._faults.append(node.fault(_TAGGED))
        if isinstance(event, yaml.ScalarEvent):
            node = self._scalar(event, node)
        elif isinstance(event, yaml.SequenceStartEvent):
            node = self._sequence(node)
        else:
            node = self._mapping(node)
        anchor = getattr(event, "anchor", None)
        if anchor is not None:
            self._anchors[anchor] = node
        return node

    def _scalar(self, event: yaml.ScalarEvent, node: Node) -> Node:
        text = str(event.value)
        if not is_text(text):
            self._faults.append(node.fault("holds an escape that is no text"))
            text = ""
        plain_and_empty = not event.style and _EMPTY.fullmatch(text)
        return replace(node, value=None if plain_and_empty else text, written=text)

    def _sequence(self, node: Node) -> Node:
        entries: list[Node] = []
        while not isinstance(event := self._next(), yaml.SequenceEndEvent):
            entries.append(self._node(event, (*node.path, len(entries)), None))
        return replace(node, value=tuple(entries))

    def _mapping(self, node: Node) -> Node:
        keys: dict[str, Node] = {}
        while not isinstance(event := self._next(), yaml.MappingEndEvent):
            key = self._key(event, node)
            value = self._node(self._next(), (*node.path, key), _start(event))
            if key in keys:
                self._faults.append(value.key_fault(f"stands twice, first in line {keys[key].key_place.line}"))
            elif key == "<<":
                self._faults.append(value.key_fault("merge keys are not read; write `key: *name` for each section"))
            else:
                keys[key] = value
        return replace(node, value=keys)

    def _key(self, event: yaml.Event, mapping: Node) -> str:
        if not isinstance(event, yaml.ScalarEvent) or not is_text(event.value):
            raise _UnreadableError(_start(event), "a key must be a word", mapping.path)
        return str(event.value)

    def _repeated(self, event: yaml.AliasEvent, path: KeyPath, key_place: Place) -> Node:
        place = _start(event)
        if event.anchor not in self._anchors:
            raise _UnreadableError(place, "no value above is marked `&` with this name", path)
        return self._moved(self._anchors[event.anchor], path, key_place, place)

    def _moved(self, node: Node, path: KeyPath, key_place: Place, place: Place) -> Node:
        """Give a value and all below it a new path; what lies below keeps the places where it is written."""
        moved = replace(node, path=path, key_place=key_place, place=place)
        self._count(moved)
        if isinstance(node.value, tuple):
            entries = enumerate(node.value)
            return replace(moved, value=tuple(self._moved(e, (*path, i), e.key_place, e.place) for i, e in entries))
        if isinstance(node.value, Mapping):
            keys = node.value.items()
            return replace(moved, value={k: self._moved(v, (*path, k), v.key_place, v.place) for k, v in keys})
        return moved

    def _count(self, node: Node) -> None:
        self._values += 1
        if self._values > MAX_VALUES:
            raise _UnreadableError(node.place, f"more than {MAX_VALUES} values, repeated ones counted each time")
        if len(node.path) > MAX_DEPTH:
            raise _UnreadableError(node.place, f"lies deeper than {MAX_DEPTH} lists and mappings")


def _place_after(text: str) -> Place:
    lines = _LINE_BREAK.split(text)
    return Place(line=len(lines), column=len(lines[-1]) + 1)


def _place(mark: Any) -> Place:  # the stubs know two kinds of mark, the SafeLoader only one
    return Place(line=mark.line + 1, column=mark.column + 1)


def _start(event: yaml.Event) -> Place:
    return _place(event.start_mark)


def _in_words(problem: str) -> str:
    return next((words for part, words in _SYNTAX_WORDS.items() if part in problem), "is not YAML")
