"""Sentences that are published are one line, and bounded, whatever they were made of."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.stages.encode.words import MAX_SENTENCE, one_line


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", ""),
        ("connection refused", "connection refused"),
        ("two\nlines\r\n and\ta tab", "two lines and a tab"),
        ("a bell \x07 and a null \x00", "a bell and a null"),
        ("NEL \x85, a line separator \u2028, an override \u202e.", "NEL , a line separator , an override ."),
        ("Küche 1", "Küche 1"),
        ("/media/b\udcfchne.mp4", "/media/b?hne.mp4"),  # a file name that is no UTF-8, as Python reads it
    ],
)
def test_what_is_not_printed_does_not_come_through(text: str, line: str) -> None:
    assert one_line(text) == line


@pytest.mark.parametrize(
    ("text", "line"),
    [("x" * 10, "x" * 10), ("x" * 11, "x" * 9 + "…"), ("words and words", "words and…"), (" " * 99 + "x", "x")],
)
def test_what_is_too_long_is_cut_and_says_so(text: str, line: str) -> None:
    assert one_line(text, 10) == line


@given(st.text(), st.integers(1, 400))
def test_it_always_fits_and_is_always_text(text: str, most: int) -> None:
    line = one_line(text, most)
    assert len(line) <= most <= 400 or most > MAX_SENTENCE
    assert len(line.splitlines()) <= 1
    assert line.isprintable()
    json.dumps(line).encode("ascii")
    line.encode("utf-8")


@given(st.text())
def test_what_is_a_line_already_stays_as_it_is(text: str) -> None:
    assert one_line(one_line(text)) == one_line(text)
