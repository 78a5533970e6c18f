"""The rooms of the house: who may import whom, who may touch the world, and how files are called."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

import edge_agent

PACKAGE = Path(edge_agent.__file__).parent
OURS = "edge_agent"

PURE = {"records", "geometry", "errors", "settings", "pixels"}
"""What every stage may use."""

MAY_IMPORT: dict[str, set[str]] = {
    "": set(),
    "__main__": {"cli"},
    "errors": set(),
    "records": {"errors"},
    "geometry": {"records"},
    "runtimes": {"errors"},
    "pixels": {"records", "runtimes"},
    "settings": set(),
    "health": set(),
    "clips": set(),
    "schemas": set(),
    "models": set(),
    "stages": PURE,
    "edges": {"records", "errors", "settings", "runtimes", "edges.clock"},
    "config": {"records", "geometry", "errors", "settings"},
    "pipeline": {"records", "stages"},
    "labels": {"edges.catalogue"},
    "vision": {
        "edges.anchors",
        "edges.catalogue",
        "edges.host",
        "edges.inference",
        "labels",
        "stages.detect",
        "records",
        "errors",
        "settings",
    },
    "reports": {
        "",
        "config",
        "edges",
        "health",
        "records",
        "stages.encode",
        "stages.nuisance",
        "stages.track",
        "vision",
    },
    "commands": {"camera_line", "config", "edges", "errors", "records", "stages.commands", "stages.encode"},
    "camera_line": {"config", "edges", "health", "pipeline", "records", "reports", "stages"},
    "supervise": {
        "camera_line",
        "commands",
        "config",
        "edges",
        "errors",
        "health",
        "reports",
        "stages.commands",
        "stages.encode",
        "vision",
    },
    "tools": PURE | {"stages", "edges", "labels", "vision", "pipeline", "runtimes"},
    "cli": {"", "app", "tools", "config", "errors", "records", "pipeline", "vision", "clips"},
}
"""What each room may import of ours beside itself; `app` may import everything. "" is the package itself."""

MAY_IMPORT_SETTINGS = {"config", "cli"}
"""Rooms that may also take classes named `…Settings` from where they live, and nothing else from there."""

STAGE_LIBRARIES = {"numpy", "pydantic"}
"""Beside the standard library; OpenCV comes to stages by `pixels` alone."""

PURE_STANDARD_LIBRARY = {
    "__future__", "bisect", "collections", "dataclasses", "datetime", "enum", "functools", "heapq", "itertools", "json",
    "math", "operator", "re", "statistics", "typing",
}  # fmt: skip

TOUCHES_THE_WORLD = {"app", "cli", "edges", "tools"}
"""Rooms that may read clocks, files and the environment, draw lots and print."""

MAY_TOUCH = {
    "edge_agent": {"os.environ"},  # says no to onnxruntime's telemetry before anything can import it
    "edge_agent.config.loading": {".open"},  # reads the one file it is given
}
"""Those elsewhere that may, and what."""

NAMES_THAT_SAY_NOTHING = {"utils", "util", "helpers", "helper", "common", "base", "manager", "core", "misc"}


@dataclass(frozen=True)
class Import:
    """One name that a module imports: from which module, and under which name there ("" for the module itself)."""

    module: str
    name: str
    line: int


@dataclass(frozen=True)
class Module:
    """A source file and what stands in it."""

    name: str
    path: Path
    tree: ast.Module

    @property
    def place(self) -> str:
        """Its dotted name within the package."""
        return self.name.removeprefix(OURS).removeprefix(".")

    @property
    def room(self) -> str:
        """The first part of its place."""
        return self.place.partition(".")[0]

    @property
    def is_package(self) -> bool:
        return self.path.name == "__init__.py"

    @property
    def imports(self) -> tuple[Import, ...]:
        """Everything it imports, inside functions too."""
        return tuple(imports_in(self.tree))


def imports_in(tree: ast.AST) -> Iterator[Import]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (Import(alias.name, "", node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            yield from (Import(node.module or "", alias.name, node.lineno) for alias in node.names)


def read_modules() -> Iterator[Module]:
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
        yield Module(".".join(part for part in parts if part != "__init__"), path, ast.parse(path.read_bytes()))


MODULES = tuple(read_modules())
NAMES = {module.name for module in MODULES}


def target(one: Import) -> str:
    """The place of ours that an import leads to: `from edge_agent.edges import mqtt` leads to `edges.mqtt`."""
    whole = f"{one.module}.{one.name}" if f"{one.module}.{one.name}" in NAMES else one.module
    return whole.removeprefix(OURS).removeprefix(".")


def lies_in(place: str, room: str) -> bool:
    return place == room or (bool(room) and place.startswith(f"{room}."))


def home(module: Module) -> str:
    """The folder that a module may import from at will: a stage's and an edge's own, or its room."""
    parts = module.place.split(".")
    if module.room in {"stages", "edges"}:
        depth = 2 if module.is_package or len(parts) > 2 else len(parts)
        return ".".join(parts[:depth])
    return module.room


def is_allowed(module: Module, one: Import) -> bool:
    place = target(one)
    if module.room == "app" or lies_in(place, home(module)):
        return True
    if module.room in MAY_IMPORT_SETTINGS and one.name.endswith("Settings"):
        return True
    return any(lies_in(place, room) for room in MAY_IMPORT[module.room])


def of_ours(one: Import) -> bool:
    return one.module.partition(".")[0] == OURS


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.name)
def test_a_module_imports_only_what_its_room_may(module: Module) -> None:
    wrong = [
        f"{module.path.name}:{one.line} imports {one.module} {one.name}"
        for one in module.imports
        if of_ours(one) and not is_allowed(module, one)
    ]
    assert wrong == []


def test_every_room_stands_in_the_table() -> None:
    assert {module.room for module in MODULES} - {"app"} <= MAY_IMPORT.keys()
    assert {"stages", "edges", "config", "tools", "cli", "pipeline", "vision"} <= {module.room for module in MODULES}


def a_module(name: str, source: str) -> Module:
    return Module(name, PACKAGE / "made_up.py", ast.parse(source))


@pytest.mark.parametrize(
    ("name", "source", "allowed"),
    [
        ("edge_agent.stages.gate.motion", "from edge_agent.records import Frame", True),
        ("edge_agent.stages.gate.motion", "from edge_agent import geometry", True),
        ("edge_agent.stages.gate.motion", "from edge_agent.stages.track import kalman", False),  # another stage
        ("edge_agent.stages.track.tracker", "from edge_agent.stages.track import kalman", True),
        ("edge_agent.stages.detect.detector", "from edge_agent.stages.detect.families import recognise", True),
        ("edge_agent.stages.detect.detector", "from edge_agent.edges.inference import ModelSettings", False),
        (
            "edge_agent.stages.detect.detector",
            "def late():\n    from edge_agent import app",
            False,
        ),  # in a function too
        ("edge_agent.stages.rules.zone", "from edge_agent.config import Settings", False),
        ("edge_agent.edges.mqtt", "from edge_agent.edges.clock import Clock", True),
        ("edge_agent.edges.mqtt", "from edge_agent.edges import outbox", False),  # another edge
        ("edge_agent.edges.mqtt", "from edge_agent.stages.encode import native", False),
        ("edge_agent.edges.sources.video", "from edge_agent.edges.sources.source import Source", True),
        ("edge_agent.config.schema", "from edge_agent.stages.gate.settings import GateSettings", True),
        ("edge_agent.config.schema", "from edge_agent.stages.gate.motion import Gate", False),  # behaviour
        ("edge_agent.pipeline", "from edge_agent.edges.clock import Clock", False),
        ("edge_agent.pipeline", "from edge_agent.stages.gate.motion import Gate", True),
        ("edge_agent.tools.bench", "from edge_agent.app import run", False),
        ("edge_agent.cli.run", "from edge_agent.stages.gate.motion import Gate", False),
        ("edge_agent.cli.run", "from edge_agent import app", True),
        ("edge_agent.health", "from edge_agent.records import Frame", False),
        ("edge_agent.records", "from edge_agent.errors import AgentError", True),
        ("edge_agent.records", "from edge_agent.geometry import iou", False),
        ("edge_agent.vision", "from edge_agent.edges import catalogue", True),
        ("edge_agent.vision", "from edge_agent.edges import mqtt", False),
        ("edge_agent.vision", "from edge_agent.stages.track.tracker import Tracker", False),
        ("edge_agent.app", "from edge_agent.edges import mqtt", True),
    ],
)
def test_the_table_is_read_as_it_is_meant(name: str, source: str, *, allowed: bool) -> None:
    module = a_module(name, source)
    assert all(is_allowed(module, one) for one in module.imports) is allowed


@pytest.mark.parametrize("module", [m for m in MODULES if m.room == "stages"], ids=lambda module: module.name)
def test_a_stage_uses_arithmetic_and_nothing_of_the_world(module: Module) -> None:
    libraries = {one.module.partition(".")[0] for one in module.imports if not of_ours(one)}
    assert libraries <= STAGE_LIBRARIES | PURE_STANDARD_LIBRARY
    assert "logging" not in libraries


@pytest.mark.parametrize(
    ("room", "libraries"),
    [
        ("settings", {"pydantic"}),
        ("records", {"numpy"}),
        ("geometry", {"numpy"}),
        ("errors", set()),
        ("pixels", {"numpy"}),
    ],
)
def test_the_rooms_that_all_may_use_need_next_to_nothing(room: str, libraries: set[str]) -> None:
    module = next(module for module in MODULES if module.place == room)
    used = {one.module.partition(".")[0] for one in module.imports if not of_ours(one)}
    assert used <= libraries | PURE_STANDARD_LIBRARY


WORLD_MODULES = {
    "time",
    "random",
    "secrets",
    "socket",
    "subprocess",
    "tempfile",
    "shutil",
    "sqlite3",
    "io",
    "glob",
    "uuid",
}
WORLD_CALLS = {"open", "print", "input", "__import__", "exec", "eval"}
WORLD_METHODS = {
    "open", "read_text", "write_text", "read_bytes", "write_bytes", "mkdir", "unlink", "now", "utcnow", "today",
    "default_rng",
}  # fmt: skip


def touches(tree: ast.AST) -> Iterator[str]:
    """What in a module reads or changes the world outside."""
    yield from (name for one in imports_in(tree) if (name := one.module.partition(".")[0]) in WORLD_MODULES)
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in WORLD_CALLS:
            yield node.func.id
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in WORLD_METHODS:
            yield f".{node.func.attr}"
        elif isinstance(node, ast.Attribute) and node.attr in {"environ", "getenv", "random"}:
            yield f"{ast.unparse(node.value)}.{node.attr}"


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.name)
def test_only_edges_tools_app_and_the_command_line_touch_the_world(module: Module) -> None:
    if module.room not in TOUCHES_THE_WORLD:
        assert set(touches(module.tree)) <= MAY_TOUCH.get(module.name, set())


@pytest.mark.parametrize(
    "source",
    [
        "import time",
        "from random import choice",
        "open('x')",
        "path.read_text()",
        "print('x')",
        "import os\nos.environ['X']",
        "import os\nos.getenv('X')",
        "datetime.now()",
        "np.random.default_rng()",
        "def late():\n    import time",
    ],
)
def test_touching_the_world_is_noticed(source: str) -> None:
    assert list(touches(ast.parse(source)))


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.name)
def test_a_module_says_what_it_is_about_in_its_name_and_its_docstring(module: Module) -> None:
    assert not NAMES_THAT_SAY_NOTHING & set(module.place.split("."))
    docstring = ast.get_docstring(module.tree)
    assert docstring
    first = docstring.partition("\n\n")[0].replace("\n", " ")
    assert first.endswith((".", "?", ":"))


@pytest.mark.parametrize("name", ["edge_agent", "edge_agent.config", "edge_agent.cli.main", "edge_agent.pipeline"])
def test_what_is_large_or_may_be_absent_is_not_loaded_before_it_is_needed(name: str) -> None:
    ask = f"import sys, {name}; print(*{{'cv2', 'onnxruntime', 'av'}} & sys.modules.keys())"
    loaded = subprocess.run([sys.executable, "-W", "error", "-c", ask], capture_output=True, text=True, check=True)
    assert loaded.stdout.split() == []


def test_onnxruntime_is_told_to_keep_quiet_before_anything_can_load_it() -> None:
    ask = "import os, edge_agent; print(os.environ['ORT_DISABLE_TELEMETRY'])"
    told = subprocess.run([sys.executable, "-c", ask], capture_output=True, text=True, check=True, env={})
    assert told.stdout.split() == ["1"]


def test_no_two_files_of_tests_have_one_name() -> None:
    names = [path.name for path in Path(__file__).parents[1].rglob("test_*.py")]
    assert sorted(names) == sorted(set(names))  # pytest would collect only one of them
