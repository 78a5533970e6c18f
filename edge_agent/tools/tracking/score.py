"""All figures of a tracker: of a sequence, and of several together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from edge_agent.tools.tracking import clear, hota, identity
from edge_agent.tools.tracking.clear import Clear
from edge_agent.tools.tracking.hota import Hota
from edge_agent.tools.tracking.identity import Identity
from edge_agent.tools.tracking.rows import Identified, Truth
from edge_agent.tools.tracking.scene import compare


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """What each metric counted."""

    hota: Hota
    clear: Clear
    identity: Identity

    def figures(self) -> dict[str, float | int]:
        """By the metrics' usual names in lower case: parts 0..1 (`mota` may be less), and `idsw`, a number."""
        return {
            "hota": self.hota.hota,
            "deta": self.hota.det_a,
            "assa": self.hota.ass_a,
            "mota": self.clear.mota,
            "idf1": self.identity.idf1,
            "idsw": self.clear.switches,
        }


def evaluate(truth: Truth, said: Identified) -> Score:
    """Compare a tracker's answer with the truth.

    Raises:
        RuntimeMissingError: scipy is not installed.
    """
    scene = compare(truth, said)
    return Score(hota=hota.measure(scene), clear=clear.measure(scene), identity=identity.measure(scene))


def combined(scores: Sequence[Score]) -> Score:
    """Of several sequences together, at least one, as TrackEval does it: what is counted is added up."""
    return Score(
        hota=hota.combined([score.hota for score in scores]),
        clear=clear.combined([score.clear for score in scores]),
        identity=identity.combined([score.identity for score in scores]),
    )
