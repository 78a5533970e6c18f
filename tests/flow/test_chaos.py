"""Six cameras fail in every way there is; each streams again, and none is the others' concern."""

from __future__ import annotations

import shutil
from itertools import pairwise
from pathlib import Path

import pytest
from brokers import needs_mosquitto, until
from faults import (
    BACK_S,
    LONGEST_GAP_S,
    SIZES,
    Fault,
    changed,
    changed_unseen,
    frozen,
    frozen_and_restarted,
    killed,
    reset,
    stalled,
    swallowed,
    table,
    trial,
    truncated,
    went_black,
)

PLANS: dict[str, list[Fault]] = {
    "camera-0": [killed(13), reset],
    "camera-1": [frozen(3), frozen_and_restarted(7)],
    "camera-2": [stalled(8), swallowed, went_black],
    "camera-3": [changed, changed_unseen, changed],
    "camera-4": [truncated, reset, truncated],
}
"""`camera-5` is disturbed by nobody."""

MORE_BYTES = 24 * 2**20
"""What the agent may hold more of in the second half: it is young, and other codecs and sizes come."""


@needs_mosquitto
@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="ffmpeg is not installed")
def test_cameras_that_fail_in_every_way_stream_again_and_disturb_no_other(tmp_path: Path) -> None:
    with trial(tmp_path, cameras=6) as chaos:
        for size, victim in zip(SIZES, chaos.victims, strict=True):
            victim.show(h265=victim.name in {"camera-1", "camera-4"}, size=size)
        chaos.wait_streaming()
        chaos.run(PLANS, rest_s=lambda: 2.0)
        record = chaos.record
        print(table(record))  # noqa: T201 - the figures are worth having
        until(lambda: chaos.health("camera-4")[-1]["reconnects"] >= len(PLANS["camera-4"]))
        changes = chaos.victims[3].looks
        last_size = record.frames["camera-3"].sizes[-1]

    assert [each for each in record.suffered if each.back_s > BACK_S] == []
    assert len(record.suffered) == sum(map(len, PLANS.values()))
    gaps_s = {name: record.undisturbed_gap_s(name) for name in record.frames}
    assert {name: gap_s for name, gap_s in gaps_s.items() if gap_s > LONGEST_GAP_S} == {}
    assert last_size == SIZES[changes % len(SIZES)]

    half = len(record.threads) // 2
    assert max(record.threads[half:]) <= max(record.threads[:half])
    assert max(record.rss_bytes[half:]) <= max(record.rss_bytes[:half]) + MORE_BYTES

    for name in record.frames:
        told = chaos.statuses(name)
        assert (told[0], told[-1]) == ("offline", "offline"), name  # before its first frame, and after the stop
        assert all(before != after for before, after in pairwise(told)), name
    assert chaos.statuses("camera-5") == ["offline", "online", "offline"]
    assert _in_order(chaos.states("camera-0"), "connecting", "streaming", "backoff", "failed", "streaming")
    assert chaos.statuses("camera-1") == ["offline", "online", "offline", "online", "offline"]  # 3 s do no harm, 7 s do
    assert _in_order(chaos.states("camera-1"), "streaming", "stalled", "streaming", "stalled", "streaming")
    assert _in_order(chaos.states("camera-2"), "streaming", "stalled", "streaming")
    assert set(chaos.states("camera-5")) <= {"connecting", "streaming", "stopped"}
    assert all(state["replaced"] == 0 for name in record.frames for state in chaos.health(name))
    assert {state["reason"] for state in chaos.health("camera-0") if state["state"] == "failed"} != {""}


def _in_order(states: list[str], *wanted: str) -> bool:
    """Whether these states came in this order, whatever lay between them."""
    left = iter(states)
    return all(state in left for state in wanted)
