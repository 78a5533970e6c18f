"""The JSON Schemas and the golden payloads that lie in the package."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from importlib import resources
from pathlib import Path
from typing import Any

from edge_agent.stages.encode.channels import CHANNELS, PARAMETERS, Channel

FOLDER = Path(str(resources.files("edge_agent") / "schemas"))

_EXAMPLES = FOLDER / "examples"
SUFFIXES = {"application/json": ".json", "text/plain": ".txt"}


def schema_names(channels: Iterable[Channel] = CHANNELS.values()) -> tuple[str, ...]:
    """Every schema once, in the order of the channels that use them."""
    return tuple(dict.fromkeys(channel.schema for channel in channels))


def schema_text(name: str) -> str:
    """A schema as it lies in the package; `name` is one of `schema_names`."""
    return (FOLDER / f"{name}.schema.json").read_text(encoding="utf-8")


def schema(name: str) -> dict[str, Any]:
    """The same, read."""
    read: dict[str, Any] = json.loads(schema_text(name))
    return read


def examples(channel: Channel) -> dict[str, bytes]:
    """Golden payloads of a channel, by their names in order: what the agent sends, or hears, byte for byte."""
    files = sorted((_EXAMPLES / channel.name).glob(f"*{SUFFIXES[channel.media_type]}"))
    return {path.stem: path.read_bytes() for path in files}


def value_of(channel: Channel, payload: bytes) -> Any:
    """What a payload says, as JSON holds it: a word where it is text.

    Raises:
        ValueError: it is no JSON, or no text.
    """
    text = payload.decode("utf-8")
    return text if channel.media_type == "text/plain" else read_json(text)


def read_json(text: str) -> Any:
    """Read JSON as the standard has it.

    Raises:
        ValueError: it is none, or holds NaN, or is nested deeper than anything of ours.
    """
    try:
        return json.loads(text, parse_constant=_refuse)
    except RecursionError as error:
        raise ValueError("nested too deep") from error


def example_lines() -> Iterator[str]:
    """Every golden payload with a topic that it may come on, as `replay --events` writes messages."""
    values = {name: parameter.example for name, parameter in PARAMETERS.items()}
    for channel in CHANNELS.values():
        topic = channel.at(**values)
        for payload in examples(channel).values():
            shown = json.dumps(payload.decode()) if channel.media_type == "text/plain" else payload.decode()
            yield f'{{"topic":{json.dumps(topic)},"payload":{shown}}}'


def _refuse(constant: str) -> float:
    raise ValueError(f"{constant} is no JSON")
