"""Nothing is lost: the agent is killed and the broker stopped, and every event that was ever kept arrives."""

from __future__ import annotations

import json
import os
import random
import signal
import sqlite3
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import program
import pytest
import videos
from brokers import Heard, Mosquitto, listening, needs_mosquitto, until
from figures import FIGURES

from edge_agent.clips import PEDESTRIANS
from edge_agent.edges.clock import SystemClock
from edge_agent.edges.outbox import Outbox, OutboxReader, OutboxSettings

SEED = int(os.environ.get("EDGE_AGENT_SEED", "20261122"))
KILLS = 10
LATE_AFTER_S = 5.0
ARRIVAL_S = 4.0
"""How much later than it is sent a message may arrive here: this subscriber, too, has to find the broker again."""

CLOCK_S = 0.01
"""An event tells its time to the millisecond, cut off."""

_LEDGER = (
    "CREATE TABLE ledger (id INTEGER PRIMARY KEY, put_utc_ns INTEGER, payload BLOB)",
    *(  # the names of the outbox's tables stand in these, nothing else does
        f"CREATE TRIGGER note_{table} AFTER INSERT ON {table} "  # noqa: S608
        "BEGIN INSERT INTO ledger VALUES (NEW.id, NEW.put_utc_ns, NEW.payload); END"
        for table in ("lasting", "passing")
    ),
)
"""SQLite itself writes down every event that is ever committed, in the same transaction."""


@dataclass(frozen=True)
class Plan:
    """When to pull which plug, in seconds from the start."""

    kills: tuple[float, ...]
    outages: tuple[tuple[float, float], ...]
    length_s: float


def plan(*, quick: bool) -> Plan:
    """Ten kills at random moments, whatever happens just then, and two long outages of the broker."""
    outage_s, length_s = (5.0, 50.0) if quick else (30.0, 110.0)
    chance = random.Random(SEED)  # noqa: S311 - not a secret
    kills = tuple(sorted(chance.uniform(2.0, length_s - 2.0) for _ in range(KILLS)))
    starts = (0.15 * length_s, 0.6 * length_s)
    return Plan(kills=kills, outages=tuple((start, start + outage_s) for start in starts), length_s=length_s)


@dataclass(frozen=True, kw_only=True)
class Kept:
    """An event that was committed to the outbox."""

    payload: bytes
    put_utc_s: float

    @property
    def event(self) -> dict[str, Any]:
        """What it says."""
        event: dict[str, Any] = json.loads(self.payload)
        return event


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """All that was kept, in the order of the ledger, and all that was heard, in the order of arrival."""

    kept: Sequence[Kept]
    heard: Sequence[Heard]

    @property
    def kept_ids(self) -> list[str]:
        """The ids of all events ever committed."""
        return [kept.event["event_id"] for kept in self.kept]

    @property
    def heard_ids(self) -> list[str]:
        """The id of each event that arrived, repeats included."""
        return [json.loads(heard.payload)["event_id"] for heard in self.heard]


def faults(evidence: Evidence) -> list[str]:
    """Everything that is wrong with a delivery; nothing when every event came, unchanged, in order, where it should."""
    return [
        *_lost_or_invented(evidence),
        *_changed(evidence),
        *_gaps(evidence),
        *_out_of_order(evidence),
        *_ends_without_new(evidence),
        *_on_the_wrong_topic(evidence),
    ]


def _lost_or_invented(evidence: Evidence) -> list[str]:
    kept, heard = set(evidence.kept_ids), set(evidence.heard_ids)
    return [f"{event_id} is lost" for event_id in sorted(kept - heard)] + [
        f"{event_id} was never in the outbox" for event_id in sorted(heard - kept)
    ]


def _changed(evidence: Evidence) -> list[str]:
    kept = {item.event["event_id"]: item.payload for item in evidence.kept}
    arrived = zip(evidence.heard_ids, evidence.heard, strict=True)
    return [
        f"{event_id} arrived with another payload"
        for event_id, heard in arrived
        if heard.payload != kept.get(event_id, heard.payload)
    ]


def _gaps(evidence: Evidence) -> list[str]:
    seqs = _by_line([item.event for item in evidence.kept])
    return [f"{line} has the numbers {found}" for line, found in seqs.items() if found != list(range(len(found)))]


def _out_of_order(evidence: Evidence) -> list[str]:
    first_arrivals = {json.loads(heard.payload)["event_id"]: heard for heard in reversed(evidence.heard)}
    in_order = sorted(first_arrivals.values(), key=evidence.heard.index)
    seqs = _by_line([json.loads(heard.payload) for heard in in_order])
    return [f"{line} arrived in the order {found}" for line, found in seqs.items() if found != sorted(found)]


def _by_line(events: Sequence[Mapping[str, Any]]) -> dict[str, list[int]]:
    """The numbers of the events of each run and camera."""
    seqs: dict[str, list[int]] = defaultdict(list)
    for event in events:
        seqs[f"{event['run_id']}/{event['camera']}"].append(event["seq"])
    return seqs


def _ends_without_new(evidence: Evidence) -> list[str]:
    events = [item.event for item in evidence.kept]
    began, ended = (program.objects(events, event_type) for event_type in ("new", "end"))
    twice = [f"{name} ended twice" for name in set(ended) if ended.count(name) > 1]
    return twice + [f"{name} ended and never began" for name in set(ended) - set(began)]


def _on_the_wrong_topic(evidence: Evidence) -> list[str]:
    put_utc_s = {item.event["event_id"]: item.put_utc_s for item in evidence.kept}
    wrong = []
    for event_id, heard in zip(evidence.heard_ids, evidence.heard, strict=True):
        happened = datetime.fromisoformat(json.loads(heard.payload)["time"].replace("Z", "+00:00")).timestamp()
        waited_s = heard.at_utc_s - put_utc_s.get(event_id, heard.at_utc_s)
        if is_late(heard) and heard.at_utc_s - happened < LATE_AFTER_S - CLOCK_S:
            wrong.append(f"{event_id} came as late after {heard.at_utc_s - happened:.1f} s")
        if not is_late(heard) and waited_s > LATE_AFTER_S + ARRIVAL_S:
            wrong.append(f"{event_id} came as news after {waited_s:.1f} s")
    return wrong


def is_late(heard: Heard) -> bool:
    return heard.topic.endswith("/late")


@needs_mosquitto
@pytest.mark.timeout(300)
def test_nothing_is_lost_while_the_agent_is_killed_ten_times_and_the_broker_is_away_twice(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    the_plan = plan(quick=os.environ.get("EDGE_AGENT_QUICK") == "1")
    # With `persistence`, the broker brings the subscriber's session over its stops: what it has confirmed, it delivers.
    broker = Mosquitto(tmp_path, "persistence true", f"persistence_location {tmp_path}/")
    broker.start()
    other_part = videos.excerpt(PEDESTRIANS, tmp_path / "other.mp4", first_s=12.0, last_s=25.0)
    cameras = [
        program.camera(name, clip, zones=program.ZONES, **program.LOOP)
        for name, clip in (("left", PEDESTRIANS), ("right", other_part))
    ]
    agent = program.Agent(tmp_path, *cameras, mqtt={"url": broker.url, "late_after_s": LATE_AFTER_S})
    install_ledger(agent.outbox)
    try:
        with listening(broker.port, f"{program.ROOT}/camera/+/event/#", session="archive") as archive:
            live_through(the_plan, agent, broker)
            until(lambda: waiting(agent.outbox) < 3, "the outbox does not drain", within_s=20)
            until(lambda: agent.heeds(signal.SIGTERM), "its last life does not begin", within_s=20)
            assert agent.stop(within_s=20) == 0
            kept = read_ledger(agent.outbox)
            until(lambda: len({heard.payload for heard in archive.heard}) >= len(kept), within_s=10)
            evidence = Evidence(kept=kept, heard=tuple(archive.heard))
    finally:
        agent.kill()
        broker.stop()
    record_property(FIGURES, table(the_plan, evidence))
    assert faults(evidence) == []
    assert any(map(is_late, evidence.heard)), "the outages made no event late"
    assert len({kept.event["run_id"] for kept in evidence.kept}) > KILLS / 3, "hardly any life had something to say"
    assert waiting(agent.outbox) == 0
    assert "Traceback" not in agent.log
    program.check_messages(evidence.heard)


def live_through(the_plan: Plan, agent: program.Agent, broker: Mosquitto) -> None:
    """Start the agent, and pull the plugs when it is time."""

    def kill() -> None:
        assert agent.alive, agent.log
        agent.kill()
        agent.start()

    actions: list[tuple[float, Callable[[], object]]] = [(at_s, kill) for at_s in the_plan.kills]
    for from_s, to_s in the_plan.outages:
        actions += [(from_s, broker.finish), (to_s, broker.start)]
    agent.start()
    start_s = time.monotonic()
    for at_s, act in [*sorted(actions, key=lambda action: action[0]), (the_plan.length_s, lambda: None)]:
        time.sleep(max(0.0, start_s + at_s - time.monotonic()))
        act()


def install_ledger(path: Path) -> None:
    """Begin an outbox in which SQLite keeps the ledger."""
    Outbox(OutboxSettings(path=path), SystemClock()).close()
    with closing(sqlite3.connect(path)) as database:
        for statement in _LEDGER:
            database.execute(statement)
        database.commit()


def read_ledger(path: Path) -> list[Kept]:
    with closing(sqlite3.connect(path)) as database:
        rows = database.execute("SELECT payload, put_utc_ns FROM ledger ORDER BY id").fetchall()
    return [Kept(payload=payload, put_utc_s=put_utc_ns / 1e9) for payload, put_utc_ns in rows]


def waiting(path: Path) -> int:
    with closing(OutboxReader(path)) as outbox:
        return outbox.stats().waiting


def table(the_plan: Plan, evidence: Evidence) -> str:
    late = len({json.loads(heard.payload)["event_id"] for heard in evidence.heard if is_late(heard)})
    rows = {
        "seed": SEED,
        "length": f"{the_plan.length_s:.0f} s",
        "kills of the agent": len(the_plan.kills),
        "outages of the broker": ", ".join(f"{to_s - from_s:.0f} s" for from_s, to_s in the_plan.outages),
        "events committed": len(evidence.kept),
        "events received": len(set(evidence.heard_ids)),
        "repeats": len(evidence.heard) - len(set(evidence.heard_ids)),
        "late": late,
    }
    return "\n".join(f"  {name:22} {value}" for name, value in rows.items())


# The judge itself is judged: a fault that it would not see would make the test above worth nothing.

GOOD_S = 1_800_000_000.0


def good() -> Evidence:
    """Three events of one object, delivered at once."""
    kept = []
    for seq, event_type in enumerate(("new", "update", "end")):
        event = {
            "event_id": f"abc123/front/{seq}",
            "run_id": "abc123",
            "camera": "front",
            "seq": seq,
            "event_type": event_type,
            "object": {"id": "front-1"},
            "time": "2027-01-15T08:00:00.000Z",  # GOOD_S
        }
        kept.append(Kept(payload=json.dumps(event).encode(), put_utc_s=GOOD_S))
    topic = f"{program.ROOT}/camera/front/event"
    heard = [Heard(topic=topic, payload=item.payload, retain=False, at_utc_s=GOOD_S + 0.1) for item in kept]
    return Evidence(kept=kept, heard=heard)


def heard_again(heard: Heard, *, after_s: float, late: bool) -> Heard:
    return replace(heard, at_utc_s=GOOD_S + after_s, topic=f"{heard.topic}{'/late' if late else ''}")


def test_the_judge_finds_nothing_wrong_with_a_good_delivery_nor_with_honest_repeats() -> None:
    evidence = good()
    assert faults(evidence) == []
    repeats = [heard_again(heard, after_s=20, late=True) for heard in evidence.heard]
    assert faults(replace(evidence, heard=[*evidence.heard, *repeats])) == []


@pytest.mark.parametrize(
    ("spoil", "fault"),
    [
        (lambda e: replace(e, heard=e.heard[:2]), "abc123/front/2 is lost"),
        (lambda e: replace(e, kept=e.kept[:2]), "abc123/front/2 was never in the outbox"),
        (
            lambda e: replace(e, heard=[*e.heard, replace(e.heard[0], payload=e.heard[0].payload + b" ")]),
            "abc123/front/0 arrived with another payload",
        ),
        (lambda e: Evidence(kept=e.kept[::2], heard=e.heard[::2]), "abc123/front has the numbers [0, 2]"),
        (lambda e: replace(e, heard=e.heard[::-1]), "abc123/front arrived in the order [2, 1, 0]"),
        (lambda e: Evidence(kept=e.kept[1:], heard=e.heard[1:]), "abc123/front-1 ended and never began"),
        (
            lambda e: replace(e, heard=[*e.heard, heard_again(e.heard[0], after_s=20, late=False)]),
            "abc123/front/0 came as news after 20.0 s",
        ),
        (
            lambda e: replace(e, heard=[*e.heard, heard_again(e.heard[0], after_s=1, late=True)]),
            "abc123/front/0 came as late after 1.0 s",
        ),
    ],
)
def test_the_judge_finds_what_is_wrong(spoil: Callable[[Evidence], Evidence], fault: str) -> None:
    assert fault in faults(spoil(good()))


def test_the_plan_kills_ten_times_and_some_of_it_while_the_broker_is_away() -> None:
    for quick in (True, False):
        the_plan = plan(quick=quick)
        assert len(the_plan.kills) == KILLS
        assert any(from_s < kill < to_s for kill in the_plan.kills for from_s, to_s in the_plan.outages)
