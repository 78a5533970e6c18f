"""A tree of texts that knows where in the file each key and each value stands, and what is said about them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

KeyPath = tuple[str | int, ...]
"""The keys and list indexes that lead to a value."""


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Place:
    """A line and a column of the file, each counted from 1."""

    line: int
    column: int


START = Place(line=1, column=1)
"""Where a file begins, for what is wrong with all of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One thing wrong: where, in which setting, and what."""

    place: Place
    path: KeyPath
    what: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """One value of the file.

    Attributes:
        value: its text, its entries, or None where nothing stands.
        place: where it begins.
        key_place: where its key begins; where it begins itself when it has none.
        path: what leads to it.
        written: its text as it stands in the file, before variables are replaced.
    """

    value: str | tuple[Node, ...] | Mapping[str, Node] | None
    place: Place
    key_place: Place
    path: KeyPath
    written: str = ""

    @property
    def text(self) -> str | None:
        """Its text; None when it is none."""
        return self.value if isinstance(self.value, str) else None

    @property
    def entries(self) -> tuple[Node, ...]:
        """The entries of a list; none when it is no list."""
        return self.value if isinstance(self.value, tuple) else ()

    @property
    def keys(self) -> Mapping[str, Node]:
        """The values of a mapping by their keys; empty when it is no mapping."""
        return self.value if isinstance(self.value, Mapping) else {}

    def find(self, path: KeyPath) -> Node | None:
        """The value that `path` leads to from here; None when there is none."""
        if not path:
            return self
        step, rest = path[0], path[1:]
        if isinstance(step, str):
            child = self.keys.get(step)
        else:
            child = self.entries[step] if step < len(self.entries) else None
        return child.find(rest) if child else None

    def fault(self, what: str) -> Fault:
        """Say what is wrong with this value."""
        return Fault(place=self.place, path=self.path, what=what)

    def key_fault(self, what: str) -> Fault:
        """Say what is wrong with this value's key, or with its being here."""
        return Fault(place=self.key_place, path=self.path, what=what)


def is_text(text: str) -> bool:
    """Whether it can be written to a file, and to the system as a path."""
    return "\0" not in text and not any("\ud800" <= sign <= "\udfff" for sign in text)
