"""What there is, in a table: every channel with its schema, for people and as JSON."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from edge_agent.stages.encode.channels import CHANNELS, QOS
from edge_agent.tools.contract.schemas import examples


def listing() -> Iterator[dict[str, Any]]:
    """Each channel in turn."""
    for channel in CHANNELS.values():
        yield {
            "channel": channel.name,
            "address": channel.address,
            "direction": "heard" if channel.heard else "sent",
            "retained": channel.retained,
            "qos": QOS,
            "media_type": channel.media_type,
            "schema": channel.schema,
            "examples": list(examples(channel)),
            "summary": channel.summary,
        }
