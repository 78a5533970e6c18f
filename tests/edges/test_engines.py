"""Engines in the state folder: which are removed, which never, and what is said of it."""

from __future__ import annotations

import errno
import logging
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from edge_agent.edges.inference import engines

MINE, OTHER = "a" * 64, "0123456789abcdef" * 4
ENGINE_BYTES = 1_500_000


def engine(state: Path, sha256: str, version: str) -> Path:
    """A folder of engines as it is left behind, with one in it."""
    folder = engines.of_version(engines.folder_of(state, sha256), version)
    folder.mkdir(parents=True)
    (folder / "graph_sm87.engine").write_bytes(bytes(ENGINE_BYTES))
    return folder


def removed(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno == logging.INFO]


def test_engines_of_other_models_and_other_versions_go_and_the_own_ones_stay(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    used = engine(tmp_path, MINE, "1.32.0")
    gone = [engine(tmp_path, MINE, "1.31.0"), engine(tmp_path, OTHER, "1.32.0"), engine(tmp_path, OTHER, "1.31.0")]
    engines.prune(tmp_path, used)
    assert (used / "graph_sm87.engine").is_file()
    assert not any(folder.exists() for folder in gone)
    assert not engines.folder_of(tmp_path, OTHER).exists()
    line = f"removed 3 folder(s) of engines of other models or versions from {tmp_path}/engines: 4.5 MB"
    assert removed(caplog) == [line]
    engines.prune(tmp_path, used)
    assert len(removed(caplog)) == 1  # nothing is left to say


def test_a_runtime_without_engines_has_no_use_for_any(tmp_path: Path) -> None:
    folder = engine(tmp_path, MINE, "1.32.0")
    engines.prune(tmp_path, None)
    assert not folder.exists()


def test_what_is_no_folder_of_engines_is_left_alone(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    elsewhere = engine(tmp_path / "another", OTHER, "1.31.0").parent
    model = engines.folder_of(tmp_path, OTHER)
    others = [model / "notes", model.parent / "timing", model.parent / "A-name-of-a-model", tmp_path / "outbox"]
    for folder in others:
        folder.mkdir(parents=True)
    (model / "onnxruntime-1.31.0").symlink_to(elsewhere)
    (model.parent / MINE).symlink_to(elsewhere)
    (model / "onnxruntime-1.30.0").touch()
    engines.prune(tmp_path, None)
    assert all(folder.is_dir() for folder in others)
    assert (elsewhere / "onnxruntime-1.31.0" / "graph_sm87.engine").is_file()
    assert len(list(model.iterdir())) == 3
    assert not caplog.records


def test_without_a_folder_there_is_nothing_to_do(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    engines.prune(tmp_path / "state", None)
    (tmp_path / "engines").touch()
    engines.prune(tmp_path, None)
    assert not caplog.records


def test_what_another_program_holds_stays_until_it_ends(tmp_path: Path) -> None:
    folder = engine(tmp_path, OTHER, "1.32.0")
    hold = "import sys; from pathlib import Path; from edge_agent.edges.inference.engines import hold; "
    wait = "hold(Path(sys.argv[1])); print('held', flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", hold + wait, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout
        assert other.stdout.readline() == "held\n"
        engines.prune(tmp_path, None)
        assert (folder / "graph_sm87.engine").is_file()
        other.kill()
    engines.prune(tmp_path, None)
    assert not folder.exists()


def test_a_folder_that_is_removed_while_it_is_being_held_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "engines" / MINE / "onnxruntime-1.32.0"
    real_open, opened = os.open, []

    def removed_meanwhile(path: Path, flags: int) -> int:
        opened.append(path)
        if len(opened) == 1:
            folder.parent.rename(tmp_path / "gone before it was opened")
        found = real_open(path, flags)
        if len(opened) == 2:
            folder.parent.rename(tmp_path / "gone before it was held")
        return found

    monkeypatch.setattr(os, "open", removed_meanwhile)
    engines.hold(folder)
    monkeypatch.undo()
    assert len(opened) == 3
    engines.prune(tmp_path, None)
    assert folder.is_dir()
    engines.hold(folder)  # already held


def test_what_cannot_be_removed_is_said_once_and_the_rest_goes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    stuck, gone = engine(tmp_path, MINE, "1.31.0"), engine(tmp_path, OTHER, "1.31.0")
    real_rmtree = shutil.rmtree

    def rmtree(path: Path) -> None:
        if path == stuck:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        real_rmtree(path)

    monkeypatch.setattr(shutil, "rmtree", rmtree)
    engines.prune(tmp_path, None)
    assert stuck.is_dir()
    assert not gone.exists()
    [warning] = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert warning == f"{stuck} is of no use any more and cannot be removed: Permission denied"
