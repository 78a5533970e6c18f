"""What is documented is what there is."""

from __future__ import annotations

import argparse
import importlib
import itertools
import json
import re
import shlex
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import av
import jsonschema
import pytest
from pydantic_core import PydanticUndefined
from settings_tables import table
from test_architecture import MAY_IMPORT

import edge_agent
from edge_agent import clips, config, records
from edge_agent.cli.main import COMMANDS, main
from edge_agent.config import dialect
from edge_agent.config.tree import Fault, Node
from edge_agent.edges.sources import SOURCES
from edge_agent.edges.sources.supervised import State
from edge_agent.edges.triggers.trigger import TriggerState
from edge_agent.errors import ConfigError
from edge_agent.settings import Section
from edge_agent.stages.encode.channels import CHANNELS
from edge_agent.tools import contract

ROOT = Path(__file__).parent.parent.parent
CONFIG_PAGE = (ROOT / "docs" / "config.md").read_text()
EXAMPLE = ROOT / "configs" / "example.yaml"
SECTIONS: dict[str, type[Section]] = {}
"""Each by its place; one that may stand at several, such as a schedule, by the first."""
for place, section in config.sections():
    if section not in SECTIONS.values():
        SECTIONS[place] = section

# What every box has of its own; all else in configs/example.yaml is the default.
OWN = {
    "device.id", "cameras", "cameras[].id", "cameras[].source", "cameras[].zones", "cameras[].zones{}.polygon",
    "cameras[].lines", "cameras[].lines{}.from", "cameras[].lines{}.to", "cameras[].rules",
    "cameras[].rules[zone].zone", "cameras[].rules[zone].name", "cameras[].rules[dwell].name",
    "cameras[].rules[dwell].zone", "cameras[].rules[dwell].after_s", "cameras[].rules[occupancy].name",
    "cameras[].rules[occupancy].at_least", "cameras[].ground.corners", "cameras[].ground.width_m",
    "cameras[].ground.length_m", "cameras[].lines{}.schedule", "cameras[].rules[still].name",
    "cameras[].rules[still].after_s", "cameras[].rules[left_behind].name", "cameras[].rules[left_behind].labels",
    "cameras[].rules[left_behind].after_s", "cameras[].rules[removed].name", "cameras[].rules[removed].after_s",
    "cameras[].rules[speed].name", "cameras[].rules[speed].over_kmh",
    "cameras[].triggers[mqtt].topic", "cameras[].triggers[gpio].line", "cameras[].detect.filters",
}  # fmt: skip


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
    assert list(shown.keys) == list(SECTIONS[place].by_key())
    assert not faults


@pytest.mark.parametrize("place", SECTIONS)
def test_the_example_shows_the_defaults(place: str) -> None:
    section = _settings_at(config.load(EXAMPLE, {}), place)
    for (name, field), called in zip(SECTIONS[place].model_fields.items(), SECTIONS[place].by_key(), strict=True):
        key = f"{place}.{called}".removeprefix(".")
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


def test_the_configuration_page_has_a_row_for_each_kind_of_source() -> None:
    addresses = [code for row in rows(part(CONFIG_PAGE, "Sources")) for code in codes(row[0])]
    assert {address.partition(":")[0] for address in addresses} == set(SOURCES)


def _steps(place: str) -> list[str]:
    return re.findall(r"\[\w*\]|\{\}|[^.\[{]+", place)


def _at(root: Node, place: str) -> Node:
    """The first value at `cameras[].zones{}`, or at `cameras[].triggers[mqtt]` the first of that kind."""
    return next(_below(root, _steps(place), lambda node: node.entries or tuple(node.keys.values()), _child_of_node))


def _child_of_node(node: Node, key: str) -> Any:
    child = node.keys.get(key)
    return child.text if child and key == "kind" else child


def _settings_at(settings: Any, place: str) -> Any:
    def children(value: Any) -> tuple[Any, ...]:
        return tuple(value.values()) if isinstance(value, dict) else tuple(value)

    return next(_below(settings, _steps(place), children, lambda value, key: getattr(value, key, None)))


def _below(
    value: Any, steps: list[str], children: Callable[[Any], tuple[Any, ...]], child: Callable[[Any, str], Any]
) -> Iterator[Any]:
    """Everything that some steps lead to."""
    if not steps:
        yield value
        return
    step, *others = steps
    if step[0] in "[{":
        of_kind = [one for one in children(value) if step in {"[]", "{}", f"[{child(one, 'kind')}]"}]
        for one in of_kind:
            yield from _below(one, others, children, child)
    elif (found := child(value, step)) is not None:
        yield from _below(found, others, children, child)


# The other pages

PAGES = sorted(
    path for folder in (".", "docs", "docs/adr", "benchmarks", "recipes") for path in (ROOT / folder).glob("*.md")
) + sorted((ROOT / "edge_agent").glob("*/*.md"))
EVENTS_PAGE = (ROOT / "docs" / "events.md").read_text()
README = (ROOT / "README.md").read_text()
SCHEMA = contract.schema("event")
SOURCE_TEXT = "".join(path.read_text() for path in sorted((ROOT / "edge_agent").rglob("*.py")))

NOT_FOR_PAGES = re.compile(
    r"(?<![\w.])/(?:work|tmp|home|root)/|pypi\.org|pythonhosted|npmjs|deb\.debian\.org|\bTODO\b|\bFIXME\b"
)
"""Places on somebody's machine, hosts of registries, and what is not finished."""

EXCERPT_PACKETS = 12


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


@dataclass(frozen=True)
class Fence:
    """A fenced block: the words after the fence, the lines inside, without their common indentation."""

    info: str
    lines: tuple[str, ...]

    @property
    def text(self) -> str:
        return "".join(f"{line}\n" for line in self.lines)


def fences(text: str) -> Iterator[Fence]:
    lines = iter(text.splitlines())
    for line in lines:
        if line.lstrip().startswith("```"):
            indent = len(line) - len(line.lstrip())
            inside = itertools.takewhile(lambda inner: inner.strip() != "```", lines)
            yield Fence(line.strip("` "), tuple(inner[indent:] for inner in inside))


def without_fences(text: str) -> str:
    return re.sub(r"^( *)```.*?^\1```$", "", text, flags=re.MULTILINE | re.DOTALL)


def part(text: str, heading: str) -> str:
    """What stands below a heading, up to the next one of any level."""
    found = re.search(rf"^#+ {re.escape(heading)}$(.*?)(?=^#+ |\Z)", text, re.MULTILINE | re.DOTALL)
    assert found, heading
    return found[1]


def rows(text: str) -> Iterator[tuple[str, ...]]:
    """The cells of every table row but heads and rules; a bar behind a backslash is no end of a cell."""
    lines = text.splitlines()
    for line, below in zip(lines, [*lines[1:], ""], strict=True):
        if line.startswith("|") and not line.startswith("|---") and not below.startswith("|---"):
            yield tuple(cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1])


def codes(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


def anchors(text: str) -> set[str]:
    """The anchors that a forge gives to a page's headings."""
    headings = re.findall(r"^#+ (.*)$", without_fences(text), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_link_leads_somewhere(page: Path) -> None:
    broken = []
    for target in re.findall(r"\]\(([^)\s]+)\)", without_fences(page.read_text())):
        place, _, anchor = target.partition("#")
        if "://" in place:
            continue
        file = (page.parent / place).resolve() if place else page
        is_there = file.is_relative_to(ROOT) and file.exists()
        if not is_there or (anchor and anchor not in anchors(file.read_text())):
            broken.append(target)
    assert broken == []


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_file_of_ours_that_a_page_names_is_there(page: Path) -> None:
    named = re.findall(r"`((?:tests|edge_agent|configs|recipes|scripts|systemd|docs)/[\w./-]+\.\w+)`", page.read_text())
    assert [name for name in named if not (ROOT / name).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_a_page_names_no_place_that_only_its_writer_has(page: Path) -> None:
    assert NOT_FOR_PAGES.findall(page.read_text()) == []


def test_every_page_of_the_docs_can_be_reached_from_the_readme() -> None:
    seen: set[Path] = set()
    waiting = [ROOT / "README.md"]
    while waiting:
        page = waiting.pop()
        seen.add(page)
        linked = re.findall(r"\]\(([^)\s#]+\.md)", without_fences(page.read_text()))
        waiting += {(page.parent / target).resolve() for target in linked if "://" not in target} - seen
    assert {page for page in PAGES if page.is_relative_to(ROOT / "docs")} <= seen


def test_the_picture_of_the_readme_is_small() -> None:
    [picture] = re.findall(r"!\[.+\]\((.+)\)", README)
    assert (ROOT / picture).stat().st_size <= 250_000


# The command line


def test_the_readme_has_a_row_for_each_command_in_the_order_of_the_help() -> None:
    assert [codes(row[0])[0].split()[0] for row in rows(part(README, "Commands"))] == list(COMMANDS)


def parser_of(command: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=command, exit_on_error=False)
    importlib.import_module(f"edge_agent.cli.{command}").arguments(parser)
    return parser


def agent_commands(line: str) -> Iterator[list[str]]:
    """The arguments of each `edge-agent` on a line, with `$`, sudo, variables or a folder before it."""
    for simple in re.split(r"&&|;|\|", line.partition("#")[0]):
        words = itertools.dropwhile(lambda word: word in {"$", "sudo"} or "=" in word, shlex.split(simple))
        if next(words, "").rpartition("/")[2] == "edge-agent":
            yield list(words)


def test_a_command_is_found_in_a_line() -> None:
    assert list(
        agent_commands(
            "sudo /opt/e/bin/edge-agent check a && $ A=1 edge-agent run -c b && cd edge-agent # edge-agent x"
        )
    ) == [
        ["check", "a"],
        ["run", "-c", "b"],
    ]


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_the_command_line_understands_each_command_of_a_page(page: Path) -> None:
    lines = [line for fence in fences(page.read_text()) if fence.info in {"sh", "console"} for line in fence.lines]
    for command, *arguments in itertools.chain.from_iterable(map(agent_commands, lines)):
        assert command in COMMANDS, command
        parser_of(command).parse_args(arguments)


@dataclass(frozen=True)
class Typed:
    """A command of a `console` block: its variables and arguments, its exit code, and what it prints."""

    variables: dict[str, str]
    arguments: list[str]
    exit_code: int
    printed: str


def typed(fence: Fence) -> Iterator[Typed]:
    starts = [place for place, line in enumerate(fence.lines) if line.startswith("$ ")]
    assert starts[:1] == [0], fence.text
    for start, end in zip(starts, [*starts[1:], len(fence.lines)], strict=True):
        line, _, comment = fence.lines[start].removeprefix("$ ").partition("#")
        words = shlex.split(line)
        variables = dict(word.split("=", 1) for word in itertools.takewhile(lambda word: "=" in word, words))
        program, *arguments = words[len(variables) :]
        assert program == "edge-agent", line
        code = re.fullmatch(r"\s*exit (\d+)\s*", comment)
        yield Typed(
            variables, arguments, int(code[1]) if code else 0, "".join(f"{x}\n" for x in fence.lines[start + 1 : end])
        )


def write_excerpt(path: Path) -> None:
    """The first second or so of the built-in clip, as it is."""
    with av.open(str(clips.PEDESTRIANS)) as source, av.open(str(path), "w") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in itertools.islice(source.demux(video=0), EXCERPT_PACKETS):
            packet.stream = stream
            target.mux(packet)


PAGES_WITH_COMMANDS = [page for page in PAGES if "```console" in page.read_text()]


@pytest.mark.parametrize("page", PAGES_WITH_COMMANDS, ids=name_of)
def test_what_a_page_shows_of_a_terminal_is_what_happens(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(ROOT / "configs", tmp_path / "configs")
    write_excerpt(tmp_path / "clip.mp4")
    monkeypatch.chdir(tmp_path)
    for fence in fences(page.read_text()):
        if title := re.fullmatch(r"yaml title=(\S+)", fence.info):
            (tmp_path / title[1]).write_text(fence.text)
        elif fence.info == "console":
            for one in typed(fence):
                with monkeypatch.context() as environment:
                    for name, value in one.variables.items():
                        environment.setenv(name, value)
                    assert main(one.arguments) == one.exit_code, one.arguments
                out, err = capsys.readouterr()
                wanted = re.escape(one.printed).replace("…\\\n", r"(?:.*\n)*")
                assert re.fullmatch(wanted, out + err), out + err


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_each_configuration_with_a_name_is_right(page: Path, tmp_path: Path) -> None:
    for fence in fences(page.read_text()):
        if fence.info.startswith("yaml title="):
            file = tmp_path / fence.info.partition("=")[2]
            file.write_text(fence.text)
            config.load(file, dict.fromkeys(re.findall(r"\$\{(\w+)\}", fence.text), "x"))


def test_a_camera_of_ones_own_takes_five_lines() -> None:
    [fence] = [fence for fence in fences(README) if fence.info.startswith("yaml title=")]
    assert len(fence.lines) == 5


# Events


def fields_of(schema: dict[str, Any], part: dict[str, Any] | None = None, prefix: str = "") -> Iterator[str]:
    """The fields of a payload as its page names them, with braces where users give names."""
    part = schema if part is None else part
    if "$ref" in part and "properties" in (meant := schema["$defs"][part["$ref"].removeprefix("#/$defs/")]):
        part = meant
    named = NAMED_BY_USERS.get(prefix.rstrip("."))
    if named:
        yield from fields_of(schema, part["additionalProperties"], f"{prefix}{{{named}}}.")
    elif "properties" in part:
        for name, child in part["properties"].items():
            yield from fields_of(schema, child, f"{prefix}{name}.")
    else:
        yield prefix.rstrip(".")


NAMED_BY_USERS = {
    "cameras": "camera",
    "cameras.{camera}.filtered": "label",
    "cameras.{camera}.filtered.{label}": "condition",
    "cameras.{camera}.stages": "stage",
}


def test_the_events_page_has_a_row_for_each_field_of_an_event() -> None:
    table_rows = list(rows(part(EVENTS_PAGE, "An event")))
    assert [codes(row[0])[0] for row in table_rows] == list(fields_of(SCHEMA))


def test_the_events_page_names_each_type_and_reason() -> None:
    fields = {codes(row[0])[0]: row[1] + row[2] for row in rows(part(EVENTS_PAGE, "An event"))}
    assert {*get_args(records.EventType)} <= {*codes(fields["event_type"])}
    assert {*codes(fields["reason"])} == {*get_args(records.Reason)}
    assert {*SCHEMA["properties"]["reason"]["items"]["enum"]} == {*get_args(records.Reason)}
    assert [codes(row[0]) for row in rows(part(EVENTS_PAGE, "When what is sent"))] == [
        [event_type] for event_type in get_args(records.EventType)
    ]


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_the_payloads_on_a_page_are_valid(page: Path) -> None:
    validators = [jsonschema.Draft202012Validator(contract.schema(name)) for name in contract.schema_names()]
    for fence in fences(page.read_text()):
        if fence.info == "json":
            payload = json.loads(fence.text)
            assert any(validator.is_valid(payload) for validator in validators), fence.text


def test_the_events_page_has_a_row_for_each_topic_and_says_whether_it_is_retained() -> None:
    documented = {codes(row[0])[0]: row[1].startswith("yes") for row in rows(part(EVENTS_PAGE, "Topics"))}
    assert documented == {
        channel.at(prefix="p", discovery_prefix="homeassistant").replace("p/{device}", "P", 1): channel.retained
        for channel in CHANNELS.values()
    }


@pytest.mark.parametrize(("heading", "name"), [("Health", "health"), ("Capabilities", "capabilities")])
def test_the_events_page_has_a_row_for_each_field_of_a_report(heading: str, name: str) -> None:
    # Each field is needed, and no other may stand there: `tests/test_contract.py`.
    documented = [field for row in rows(part(EVENTS_PAGE, heading)) for field in codes(row[0])]
    assert sorted(documented) == sorted(fields_of(contract.schema(name)))


def test_the_events_page_names_each_state_of_a_camera_and_of_its_triggers() -> None:
    fields = {codes(row[0])[0]: codes(row[1]) for row in rows(part(EVENTS_PAGE, "Health"))}
    assert fields["cameras.{camera}.state"] == list(get_args(State))
    assert fields["cameras.{camera}.triggers.state"] == list(get_args(TriggerState))


# Words, rooms, decisions


def test_the_glossary_knows_the_words_of_the_code() -> None:
    words = re.findall(r"^\| \*(.+?)\* \|", (ROOT / "docs" / "glossary.md").read_text(), re.MULTILINE)
    assert len(words) == len(set(words))
    assert {*get_args(records.EventType), *get_args(State)} <= set(words)
    spoken = {"frame", "motion", "detection", "track", "event", "count", "message"}  # records.Frame and so on
    assert spoken <= set(words)
    assert [word for word in words if word not in SOURCE_TEXT.lower()] == []


def test_the_glossary_knows_each_reason() -> None:
    [row] = [row for row in rows((ROOT / "docs" / "glossary.md").read_text()) if row[0] == "*reason*"]
    assert codes(row[1]) == list(get_args(records.Reason))


def test_the_architecture_page_has_the_table_that_the_imports_are_held_to() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text()
    documented = {
        codes(room)[0]: {"" if name == "edge_agent" else name for name in codes(may)}
        for room, may in rows(part(page, "Who may import whom"))
    }
    documented[""] = documented.pop("edge_agent")
    assert documented == MAY_IMPORT


def test_decisions_are_numbered_and_listed_and_say_what_was_dropped() -> None:
    folder = ROOT / "docs" / "adr"
    pages = sorted(folder.glob("[0-9]*.md"))
    assert [int(page.name[:4]) for page in pages] == list(range(1, len(pages) + 1))
    assert re.findall(r"^\| \[\d+\]\((.+)\)", (folder / "README.md").read_text(), re.MULTILINE) == [
        page.name for page in pages
    ]
    for page in pages:
        text = page.read_text()
        assert text.startswith(f"# {page.name[:4]} ")
        assert re.findall(r"^\*\*(\w+)\.\*\*", text, re.MULTILINE) == [
            "Context", "Decision", "Consequences", "Dropped",
        ], page.name  # fmt: skip


def test_the_changelog_speaks_of_this_version() -> None:
    assert f"## [{edge_agent.__version__}]" in (ROOT / "CHANGELOG.md").read_text()


def test_the_notice_names_every_file_that_others_made() -> None:
    notice = (ROOT / "NOTICE").read_text()
    shipped = [*(ROOT / "edge_agent" / "models").glob("*.onnx"), *(ROOT / "edge_agent" / "clips").glob("*.mp4")]
    assert [path.name for path in shipped if name_of(path) not in notice] == []
