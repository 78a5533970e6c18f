"""What is documented is what there is."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from pydantic_core import PydanticUndefined
from settings_tables import table

from edge_agent import config
from edge_agent.config import dialect
from edge_agent.config.tree import Fault, Node
from edge_agent.errors import ConfigError
from edge_agent.settings import Section

ROOT = Path(__file__).parent.parent.parent
CONFIG_PAGE = (ROOT / "docs" / "config.md").read_text()
EXAMPLE = ROOT / "configs" / "example.yaml"
SECTIONS = dict(config.sections())

# What every box has of its own; all else in configs/example.yaml is the default.
OWN = {"device.id", "cameras", "cameras[].id", "cameras[].source", "cameras[].zones", "cameras[].zones{}.polygon"}


@pytest.mark.parametrize("place", SECTIONS)
def test_the_configuration_page_says_of_each_setting_what_its_class_says(place: str) -> None:
    heading = f"`{place}`" if place else "The file"
    part = CONFIG_PAGE.partition(f"\n### {heading}\n")[2].partition("\n### ")[0]
    assert table(SECTIONS[place]) in part


def test_the_configuration_page_speaks_of_no_section_that_is_gone() -> None:
    assert re.findall("^### `(.*)`$", CONFIG_PAGE, re.MULTILINE) == [place for place in SECTIONS if place]


@pytest.mark.parametrize("place", SECTIONS)
def test_the_example_shows_each_setting(place: str) -> None:
    faults: list[Fault] = []
    root = dialect.read(EXAMPLE.read_bytes(), faults)
    assert root is not None
    shown = _at(root, place)
    assert list(shown.keys) == list(SECTIONS[place].model_fields)
    assert not faults


@pytest.mark.parametrize("place", SECTIONS)
def test_the_example_shows_the_defaults(place: str) -> None:
    section = _settings_at(config.load(EXAMPLE, {}), place)
    for name, field in SECTIONS[place].model_fields.items():
        key = f"{place}.{name}".removeprefix(".")
        value = getattr(section, name)
        if key not in OWN and not isinstance(value, Section):
            assert field.get_default(call_default_factory=True) in (value, PydanticUndefined), key


def test_the_mistakes_on_the_configuration_page_give_the_lines_printed_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    example = CONFIG_PAGE.partition("`gate.yaml`:")[2]
    [text] = re.findall("```yaml\n(.*?)```", example, re.DOTALL)
    [printed] = re.findall("```text\n(.*?)```", example, re.DOTALL)
    monkeypatch.chdir(tmp_path)
    Path("gate.yaml").write_text(text)
    with pytest.raises(ConfigError) as caught:
        config.load(Path("gate.yaml"), {})
    assert f"{caught.value}\n" == printed


def _steps(place: str) -> list[str]:
    return re.findall(r"\[\]|\{\}|[^.\[{]+", place)


def _at(root: Node, place: str) -> Node:
    """The first value at `cameras[].zones{}`."""
    for step in _steps(place):
        if step == "[]":
            root = root.entries[0]
        elif step == "{}":
            root = next(iter(root.keys.values()))
        else:
            root = root.keys[step]
    return root


def _settings_at(settings: Any, place: str) -> Any:
    for step in _steps(place):
        if step == "[]":
            settings = settings[0]
        elif step == "{}":
            settings = next(iter(settings.values()))
        else:
            settings = getattr(settings, step)
    return settings
