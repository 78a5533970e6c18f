"""Judging: which objects are real, and which have gone."""

from __future__ import annotations

import numpy as np

from edge_agent.records import BoolArray, FloatArray
from edge_agent.stages.track.memory import Lives

_UNCONFIRMED_PART = 0.25
"""An object that is not confirmed yet is forgotten after this part of the memory."""

_DISTURBED_PART = 0.2
"""What is left of the memory of what is stationary once something has moved where it stands."""

_SURE_AT_ONCE = 0.8
"""Of a score like this, one look is enough to follow an object as a thing of its own."""

_ESTABLISHED_HITS = 2
"""Of a lower one it takes two."""

_TINY_S = 1e-9
"""Sums of misses are not exact."""


def confirm(
    lives: Lives, at_s: float, *, hits: int, long_s: float, least_median: FloatArray, least_top: FloatArray
) -> None:
    """Confirm what was found often, long and well enough, last in this look; what is confirmed stays so.

    What is out of sight is not: it would be reported where it is no more.

    Args:
        lives: of the N objects.
        at_s: the time of this look.
        hits: how often.
        long_s: how long.
        least_median: (L,) how well, of each label.
        least_top: (L,) how well once.
    """
    confirmed, established = lives.flags("is_confirmed"), lives.flags("is_established")
    if np.count_nonzero(confirmed) == len(lives):
        return
    found, labels = lives.counts("hits"), lives.label_ids
    well = (lives.of("top_score") >= least_top.take(labels)) & ~confirmed
    if not np.count_nonzero(well):
        return
    established |= well & ((found >= _ESTABLISHED_HITS) | (lives.of("first_score") >= _SURE_AT_ONCE))
    often = found >= hits * lives.counts("hits_wanted")
    usually_well = lives.of("median_score") >= least_median[labels]
    long = at_s - lives.of("first_s") >= long_s
    confirmed |= well & often & usually_well & long & (lives.of("seen_s") == at_s)
    established |= confirmed


def over(lives: Lives, *, memory_s: float, stationary_memory_s: float) -> BoolArray:
    """Which objects were missed for so long that they have gone, (N,)."""
    missed_s = lives.of("missed_s")
    if not np.count_nonzero(missed_s >= _UNCONFIRMED_PART * memory_s - _TINY_S):  # nothing is forgotten sooner
        return np.zeros(len(lives), np.bool_)
    confirmed = lives.flags("is_confirmed")
    memories_s = np.where(confirmed, memory_s, _UNCONFIRMED_PART * memory_s)
    stationary = lives.flags("is_stationary") & confirmed
    if np.count_nonzero(stationary):
        stood_s = np.minimum(lives.of("seen_s") - lives.of("still_since_s"), _DISTURBED_PART * stationary_memory_s)
        longer_s = np.where(lives.flags("is_undisturbed"), stationary_memory_s, stood_s)
        memories_s[stationary] = np.maximum(longer_s, memories_s)[stationary]
    gone: BoolArray = missed_s >= memories_s - _TINY_S
    return gone
