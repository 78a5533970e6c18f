"""The agent's tracker through a benchmark: sequences in, figures and result files out."""

from __future__ import annotations

from pathlib import Path

from edge_agent.errors import ConfigError
from edge_agent.tools.tracking.motchallenge import find_sequences, read_sequence, write_results
from edge_agent.tools.tracking.overlap import require_assignment
from edge_agent.tools.tracking.rows import Sequence
from edge_agent.tools.tracking.run import run_tracker
from edge_agent.tools.tracking.score import Score, combined, evaluate

__all__ = ["combined", "measure", "read"]


def read(folder: Path, every: int = 1) -> list[Sequence]:
    """Read all sequences of a folder, with frames 1, 1 + every, … only.

    Raises:
        RuntimeMissingError: scipy, which the figures need, is not installed.
        SourceError: there is no sequence, or a file of one is missing.
        ConfigError: a file is not understood, or nothing in all of the truth counts.
    """
    require_assignment()
    sequences = [read_sequence(path).every(every) for path in find_sequences(folder)]
    if not any(sequence.truth.counts.any() for sequence in sequences):
        raise ConfigError(f"{folder}: nothing in its truth counts: no pedestrian that is not marked 0")
    return sequences


def measure(sequence: Sequence, results: Path | None = None) -> Score:
    """Track a sequence and compare; where a folder is given for it, also write what the tracker says.

    Raises:
        StorageError: that cannot be written.
    """
    said = run_tracker(sequence)
    if results is not None:
        write_results(results / f"{sequence.name}.txt", said)
    return evaluate(sequence.truth, said)
