"""Sentences in what is published: one line, no longer than the schema allows, whatever they were made of."""

from __future__ import annotations

MAX_SENTENCE = 300
"""Characters of a reason or a why, as the schemas have it."""

MAX_NAME = 128
"""Characters of a name that somebody else gave, such as a file's."""

_CUT = "…"


def one_line(text: str, most: int = MAX_SENTENCE) -> str:
    """The text on one line of at most so many characters, without anything that is not printed.

    What does not fit is cut at the end and says so. A name of a file may hold bytes that are no text: they become `?`.
    """
    text = text.encode("utf-8", "replace").decode()
    printed = "".join(character if character.isprintable() else " " for character in text)
    line = " ".join(printed.split())
    return line if len(line) <= most else line[: most - len(_CUT)].rstrip() + _CUT
