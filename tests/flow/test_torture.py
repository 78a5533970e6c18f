"""A minute of all bad days at once: nothing that was committed is lost, and each camera's events keep their order."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
import torture
import torture_agent
from brokers import Heard, needs_mosquitto
from figures import FIGURES
from torture import CUTS, Evidence, judge, plan

PLAN = plan(
    seed=6, events=800, rate_hz=20.0, kills=5, outages=2, cuts=len(CUTS), outage_s=3.0, long_outage_s=12.0
)  # the long one is longer than `torture_agent.LATE_AFTER_S`


@pytest.fixture(autouse=True, scope="module")
def _every_message_keeps_to_the_contract() -> None:
    """Not here: these payloads are made up, with a checksum of their own."""


@needs_mosquitto
@pytest.mark.timeout(240)
def test_nothing_is_lost_and_each_camera_keeps_its_order_while_everything_fails(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    evidence = torture.run(PLAN, tmp_path)
    outcome = judge(evidence)
    record_property(FIGURES, torture.table(PLAN, evidence, outcome))
    assert outcome.lost == []
    assert outcome.disordered == []
    assert outcome.invented == outcome.changed == []
    assert outcome.committed >= PLAN.events
    assert outcome.late > 0, "the long outage made no event late"
    assert "Traceback" not in evidence.log


def test_the_plan_pulls_every_plug() -> None:
    assert len(PLAN.kills) == 5
    assert max(to_s - from_s for from_s, to_s in PLAN.outages) > torture_agent.LATE_AFTER_S
    spans = sorted([*PLAN.outages, PLAN.full])
    assert all(before[1] < after[0] for before, after in pairwise(spans))
    assert spans[-1][1] < PLAN.length_s


# The judge itself is judged: a fault that it would not see would make the test above worth nothing.


def heard(name: str, *, late: bool = False, payload: bytes | None = None) -> Heard:
    topic = f"edge/torture/camera/{name.split('/')[1]}/event{'/late' if late else ''}"
    return Heard(topic=topic, payload=payload or torture_agent.payload(name), retain=False, at_utc_s=0.0)


def good() -> Evidence:
    """Two lives and two cameras; an event of the first life was under way when it ended."""
    names = ["1/0/0", "1/1/0", "1/0/1", "2/1/0", "2/0/0"]
    return Evidence(
        tried=[*names, "1/1/1"],
        on_disk=names[:-1],
        in_memory=names[-1:],
        heard=[*map(heard, names), heard("1/1/0"), heard("2/0/0", late=True)],
        log="",
        disk="",
    )


def test_the_judge_finds_nothing_wrong_with_a_good_delivery_and_counts_repeats() -> None:
    outcome = judge(good())
    assert (outcome.committed, outcome.in_memory, outcome.vanished) == (4, 1, 0)
    assert (outcome.received, outcome.repeats, outcome.late) == (5, 2, 0)
    assert outcome.lost == outcome.invented == outcome.changed == outcome.disordered == []


@pytest.mark.parametrize(
    ("spoilt", "fault"),
    [
        (replace(good(), heard=good().heard[1:]), {"lost": ["1/0/0"]}),
        (replace(good(), heard=[*good().heard, heard("1/0/7")]), {"invented": ["1/0/7"]}),
        (
            replace(good(), heard=[*good().heard, heard("1/0/0", payload=b'{"event_id": "1/0/0"}')]),
            {"changed": ["1/0/0"]},
        ),
        (replace(good(), heard=[heard("1/0/1"), *good().heard]), {"disordered": ["1/0/0 after (1, 1)"]}),
        (replace(good(), heard=[heard("2/1/0"), *good().heard]), {"disordered": ["1/1/0 after (2, 0)"]}),
        (replace(good(), heard=[heard("1/1/1", late=True), *good().heard[:4]]), {"vanished": 1, "late": 1}),
    ],
)
def test_the_judge_finds_what_is_wrong(spoilt: Evidence, fault: dict[str, object]) -> None:
    outcome = judge(spoilt)
    assert {name: getattr(outcome, name) for name in fault} == fault
