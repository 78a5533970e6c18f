"""The notebook: what was learnt outlives a restart, is written rarely, and a damaged file counts as none."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from fakes import FakeClock

from edge_agent.edges.notebook import EVERY_S, Notebook, Page
from edge_agent.errors import StorageError

CONTENT = {"front": {"grid": [1, 2]}, "back": []}


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "nuisance.json"


def test_what_is_written_is_read_again_with_the_time(path: Path, clock: FakeClock) -> None:
    assert Notebook(path, clock).read() == {}
    Notebook(path, clock).keep(1, lambda: CONTENT, at_once=True)
    assert Notebook(path, clock).read() == {
        camera: Page(utc_ns=clock.now_utc_ns, content=content) for camera, content in CONTENT.items()
    }
    assert [file.name for file in path.parent.iterdir()] == ["nuisance.json"]


def test_it_is_written_when_something_was_added_and_the_last_time_is_long_ago(path: Path, clock: FakeClock) -> None:
    notebook, asked = Notebook(path, clock), []

    def contents() -> dict[str, int]:
        asked.append(clock.now_s)
        return {"front": len(asked)}

    start_s = clock.now_s
    for second in range(3 * int(EVERY_S)):
        notebook.keep(min(second, 700) // 7, contents)  # something every 7 s, the hundredth and last at 700 s
        clock.advance(1.0)
    assert [at_s - start_s for at_s in asked] == [EVERY_S, 2 * EVERY_S]
    notebook.keep(100, contents, at_once=True)
    assert len(asked) == 2
    notebook.keep(101, contents, at_once=True)
    assert len(asked) == 3
    assert Notebook(path, clock).read()["front"].content == 3


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "7",
        "null",
        '{"schema": 1}',
        '{"schema": 1, "cameras": []}',
        '{"schema": 1, "cameras": {"front": 7}}',
        '{"schema": 1, "cameras": {"front": {"utc_ns": "x", "content": {}}}}',
        '{"schema": 1, "cameras": {"front": {"utc_ns": Infinity, "content": {}}}}',
        '{"schema": 1, "cameras": {"front": {"utc_ns": 1}}}',
        "[" * 100_000,
        "\udcff",
    ],
)
def test_a_damaged_file_is_said_and_counts_as_empty_and_is_written_over(
    path: Path, clock: FakeClock, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    path.parent.mkdir()
    path.write_bytes(text.encode(errors="surrogateescape"))
    notebook = Notebook(path, clock)
    assert notebook.read() == {}
    assert f"{path} is not understood, and counts as empty" in caplog.text
    notebook.keep(1, lambda: CONTENT, at_once=True)
    assert set(notebook.read()) == set(CONTENT)


def test_a_file_of_a_later_version_counts_as_empty(path: Path, clock: FakeClock) -> None:
    path.parent.mkdir()
    path.write_text(json.dumps({"schema": 2, "pages": 7}))
    assert Notebook(path, clock).read() == {}


def test_where_it_cannot_be_written_it_says_so_and_waits_before_it_tries_again(path: Path, clock: FakeClock) -> None:
    path.parent.write_text("no folder")
    notebook = Notebook(path, clock)
    clock.advance(EVERY_S)
    with pytest.raises(StorageError, match=r"nuisance\.json cannot be written: "):
        notebook.keep(1, lambda: CONTENT)
    clock.advance(EVERY_S - 1)
    notebook.keep(2, lambda: CONTENT)
    path.parent.unlink()
    clock.advance(1)
    notebook.keep(2, lambda: CONTENT)
    assert set(notebook.read()) == set(CONTENT)
