"""The hand-over from the pipelines to the delivery thread: a SQLite file that no event leaves unacknowledged."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field

from edge_agent.settings import Bytes, Seconds, Section


class OutboxSettings(Section):
    """Where events wait for the broker, and how many may."""

    path: Path = Path("/var/lib/edge-agent/outbox.db")
    """The file; its folder must be writable."""

    max_bytes: Annotated[Bytes, Field(ge=1 << 20)] = 64 << 20
    """Bound of the file; when it is full, `update` events go first, then the oldest, counted."""

    max_age: Annotated[Seconds, Field(gt=0)] = 7 * 86400.0
    """Events older than this are given up, counted."""
