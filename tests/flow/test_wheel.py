"""The wheel holds everything that the program needs, and what was installed from it runs anywhere."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import program
import pytest

ROOT = program.PACKAGE.parent

pytestmark = [
    pytest.mark.skipif(not (ROOT / "pyproject.toml").exists(), reason="this is no checkout: there is nothing to build"),
    pytest.mark.skipif(
        importlib.util.find_spec("hatchling") is None,
        reason="hatchling is not installed, and is not downloaded for a test",
    ),
]

CONTENT = (
    "py.typed",
    "clips/pedestrians.mp4",
    "clips/pedestrians.md",
    "schemas/event.schema.json",
    "schemas/examples/event/new.json",
    "schemas/examples/status/online.txt",
    "models/manifest.json",
    "models/coco80.txt",
    "models/coco91.txt",
    "models/nanodet_g_coco_int8.onnx",
    "models/ssdlite_mnv2_coco_int8.onnx",
    "models/default.md",
    "models/ssdlite.md",
    "cli/main.py",
    "tools/annotate.py",
)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    pip("wheel", str(ROOT), "--no-deps", "--no-build-isolation", "--wheel-dir", str(folder))
    (built,) = folder.glob("edge_agent-*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that holds what the wheel brings and nothing else; its dependencies are those of this interpreter."""
    folder = tmp_path_factory.mktemp("installed")
    pip("install", "--no-deps", "--no-index", "--no-compile", "--target", str(folder), str(wheel))
    return folder


def pip(*arguments: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pip", "--disable-pip-version-check", *arguments],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def run_installed(installed: Path, cwd: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the script that was installed, with nothing of the checkout in sight."""
    return subprocess.run(
        [str(installed / "bin" / "edge-agent"), *arguments],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(installed)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_the_wheel_holds_models_clip_schema_licences_and_types(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        metadata = archive.read(next(name for name in names if name.endswith(".dist-info/METADATA"))).decode()
    assert not {f"edge_agent/{name}" for name in CONTENT} - set(names)
    modules = {str(path.relative_to(ROOT)) for path in program.PACKAGE.rglob("*.py")}
    assert not modules - set(names)
    licences = [name for name in names if ".dist-info/licenses/" in name]
    assert any(name.endswith("/LICENSE") for name in licences)
    assert any(name.endswith("/NOTICE") for name in licences)
    models = {path.name for path in (program.PACKAGE / "models" / "licences").iterdir()}
    assert models <= {Path(name).name for name in licences}
    assert "License-Expression: Apache-2.0" in metadata
    assert not [name for name in names if not name.startswith("edge_agent")], "it brings more than the package"


def test_what_was_installed_knows_its_models_and_replays_its_clip_from_an_empty_folder(
    installed: Path, tmp_path: Path
) -> None:
    verified = run_installed(installed, tmp_path, "models", "verify")
    assert (verified.returncode, verified.stdout, verified.stderr) == (0, "default: ok\nssdlite: ok\n", "")
    clip = installed / "edge_agent" / "clips" / "pedestrians.mp4"
    program.write_config(tmp_path / "config.yaml", {"device": {"id": "box"}, "cameras": [program.camera(clip=clip)]})
    replayed = run_installed(installed, tmp_path, "replay", str(clip), "-c", "config.yaml")
    assert (replayed.returncode, replayed.stderr) == (0, "")
    events = [json.loads(line)["payload"] for line in replayed.stdout.splitlines()]
    assert len(program.objects(events, "new")) >= 5


def test_what_runs_is_what_was_installed(installed: Path, tmp_path: Path) -> None:
    found = subprocess.run(
        [sys.executable, "-c", "import edge_agent; print(edge_agent.__file__)"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(installed)},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert Path(found.strip()).is_relative_to(installed)
