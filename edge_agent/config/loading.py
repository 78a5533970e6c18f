"""Reading a configuration file: all the steps in their order, and every problem of all of them."""

from __future__ import annotations

import errno
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from edge_agent.config import checks, dialect, variables, wording
from edge_agent.config.checks import BuiltIn
from edge_agent.config.schema import CameraSettings, Settings
from edge_agent.config.tree import START, Fault, Node
from edge_agent.errors import ConfigError, Problem
from edge_agent.settings import Section

MAX_BYTES = 256 << 10
"""A larger file is no configuration: a camera takes about 1 KiB."""

_FILE_SCHEMES = ("file", "images", "pipe", "watch")
_WHOLE_NUMBER = re.compile(r"0|-?[1-9][0-9]{0,17}")  # the same when it is written back as text


def load(path: Path, environ: Mapping[str, str], built_in: BuiltIn | None = None) -> Settings:
    """Read, check and complete a configuration.

    Args:
        path: the YAML file; paths in it are relative to its folder and absolute in what is returned.
        environ: what `${NAME}` in it is replaced with.
        built_in: the labels of each built-in model by its name; models and labels are not checked without.

    Raises:
        ConfigError: with every problem that can be found, in the order of the file.
    """
    faults: list[Fault] = []
    settings = _settings(path, environ, built_in or {}, faults)
    if settings is None or faults:
        raise ConfigError(_problems(faults, str(path)))
    return _absolute(settings, path.absolute().parent)


def _settings(path: Path, environ: Mapping[str, str], built_in: BuiltIn, faults: list[Fault]) -> Settings | None:
    """Read a file as far as it can be read, and note what is wrong."""
    try:
        data = _bytes(path)
    except OSError as error:
        faults.append(Fault(place=START, path=(), what=f"cannot be read: {error.strerror}"))
        return None
    tree = dialect.read(data, faults)
    if tree is None:
        return None
    missing: list[Fault] = []
    root = variables.fill(tree, environ, missing)
    _add(faults, missing)
    _add(faults, checks.check(root, path.parent, built_in))
    try:
        return Settings.model_validate(_plain(root))
    except ValidationError as error:
        _add(faults, wording.faults_of(error, root))
        return None


def _bytes(path: Path) -> bytes:
    with path.open("rb") as file:
        data = file.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise OSError(errno.EFBIG, f"it is larger than {MAX_BYTES >> 10} KiB, which is no configuration")
    return data


def _add(faults: list[Fault], later: Iterable[Fault]) -> None:
    """Add what a later step found, except about values of which an earlier one said already that they are wrong."""
    named = {(fault.place, fault.path) for fault in faults}
    faults += [fault for fault in later if (fault.place, fault.path) not in named]


def _problems(faults: Iterable[Fault], file: str) -> tuple[Problem, ...]:
    ordered = sorted(faults, key=lambda fault: fault.place)
    return tuple(
        Problem(
            file=file,
            line=fault.place.line,
            column=fault.place.column,
            key=wording.key_path(fault.path),
            what=fault.what,
        )
        for fault in ordered
    )


def _plain(node: Node) -> Any:
    """The tree as pydantic wants it: text that it makes numbers of where a setting is a number."""
    if isinstance(node.value, tuple):
        return [_plain(entry) for entry in node.value]
    if isinstance(node.value, Mapping):
        return {key: _plain(value) for key, value in node.value.items()}
    if node.value is not None and _WHOLE_NUMBER.fullmatch(node.value):
        return int(node.value)  # a choice such as `protocol: 5` is not made from text
    return node.value


def _absolute(value: Any, folder: Path) -> Any:
    """Copy settings with every path in them taken from `folder`."""
    if isinstance(value, Path):
        return folder / value
    if isinstance(value, tuple):
        return tuple(_absolute(entry, folder) for entry in value)
    if isinstance(value, dict):
        return {key: _absolute(entry, folder) for key, entry in value.items()}
    if not isinstance(value, Section):
        return value
    changed = {name: _absolute(getattr(value, name), folder) for name in type(value).model_fields}
    if isinstance(value, CameraSettings):
        changed["source"] = _absolute_source(value.source, folder)
    return value.model_copy(update=changed)


def _absolute_source(source: str, folder: Path) -> str:
    scheme, _, place = source.partition("://")
    return f"{scheme}://{folder / place}" if scheme in _FILE_SCHEMES else source
