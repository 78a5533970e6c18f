"""The hand-over from the pipelines to the delivery thread: a SQLite file that no event leaves unacknowledged."""

from edge_agent.edges.outbox.editor import OutboxEditor
from edge_agent.edges.outbox.outbox import Outbox, OutboxSettings
from edge_agent.edges.outbox.reader import Dead, OutboxReader
from edge_agent.edges.outbox.rows import Entry
from edge_agent.edges.outbox.stats import FileStats, OutboxStats

__all__ = ["Dead", "Entry", "FileStats", "Outbox", "OutboxEditor", "OutboxReader", "OutboxSettings", "OutboxStats"]
