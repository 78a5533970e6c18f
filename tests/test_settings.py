"""The types that settings are made of: units that people write, and what a section makes of its keys."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from edge_agent.settings import Bytes, Identifier, Label, Polygon, Ratio, Seconds, Section, parse_bytes, parse_seconds


class Sample(Section):
    """One setting of each type."""

    wait_s: Seconds = 1.0
    size: Bytes = 1
    part: Ratio = 0.5
    name: Identifier = "name"
    label: Label = "person"
    area: Polygon = ((0.0, 0.0), (1.0, 0.0), (1.0, 1.0))
    comment: str | None = None


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        ("500ms", 0.5),
        ("30", 30.0),
        ("30s", 30.0),
        ("1.5 m", 90.0),
        ("5min", 300.0),
        ("2h", 7200.0),
        ("7d", 604800.0),
        (0, 0.0),
        (2.5, 2.5),
    ],
)
def test_a_duration_is_written_with_or_without_a_unit(written: object, seconds: float) -> None:
    assert Sample.model_validate({"wait_s": written}).wait_s == seconds


@pytest.mark.parametrize(
    ("written", "size"),
    [("1", 1), ("500kB", 500_000), ("1.5KiB", 1536), ("64MiB", 67_108_864), ("1 GB", 10**9), ("2GiB", 2**31)],
)
def test_a_size_is_written_with_or_without_a_unit(written: object, size: int) -> None:
    assert Sample.model_validate({"size": written}).size == size


@pytest.mark.parametrize("written", ["", "s", "5 weeks", "1:30", "1e3", "inf", "nan", "٣s", "9" * 400])
def test_what_is_no_duration_is_refused_without_repeating_it(written: str) -> None:
    with pytest.raises(ValueError, match=r"^must be a number of seconds or one like 500ms, 30s, 5m, 2h, 7d$"):
        parse_seconds(written)


@pytest.mark.parametrize(
    "wrong",
    [
        {"wait_s": -1},
        {"wait_s": "-1s"},
        {"wait_s": float("inf")},
        {"size": 0},
        {"size": "0.4"},
        {"part": 1.01},
        {"part": -0.01},
        {"part": float("nan")},
        {"name": ""},
        {"name": "a" * 65},
        {"name": "a b"},
        {"name": "a\n"},
        {"name": "ä"},
        {"label": "a" * 33},
        {"label": "a/b"},
        {"area": [[0, 0], [1, 1]]},
        {"area": [[0, 0], [1, 1], [0, 0]]},
        {"area": [[0, 0], [1, 1], [0, 2]]},
        {"area": [[0, 0], [1, 1], [0]]},
        {"unknown": None},
    ],
)
def test_what_lies_outside_a_range_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Sample.model_validate(wrong)


@pytest.mark.parametrize(
    "right",
    [
        {"wait_s": 0},
        {"part": 0},
        {"part": 1},
        {"name": "a" * 64},
        {"label": "traffic light"},
        {"area": [[0, 0], [1, 0], [1, 1]]},
    ],
)
def test_the_ends_of_a_range_belong_to_it(right: dict[str, object]) -> None:
    Sample.model_validate(right)


def test_a_key_without_a_value_counts_as_left_out() -> None:
    assert Sample.model_validate({"wait_s": None, "comment": None}) == Sample()


def test_a_name_may_be_a_number() -> None:
    assert Sample.model_validate({"name": 7}).name == "7"


def test_a_section_cannot_be_changed() -> None:
    with pytest.raises(ValidationError):
        Sample().wait_s = 2.0  # type: ignore[misc]


def test_an_error_does_not_repeat_what_was_given() -> None:
    with pytest.raises(ValidationError) as caught:
        Sample.model_validate({"wait_s": "hunter2"})
    assert "hunter2" not in str(caught.value)


@given(st.text())
def test_no_text_breaks_the_reading_of_a_quantity(text: str) -> None:
    for parse in (parse_seconds, parse_bytes):
        try:
            parsed = parse(text)
        except ValueError as error:
            assert str(error).startswith("must be a number of")  # noqa: PT017 - most texts raise, some do not
        else:
            assert isinstance(parsed, float | int)
