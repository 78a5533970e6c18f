"""Let cameras fail at random for minutes, and print how soon each streams again and what the others noticed of it.

The test `tests/flow/test_chaos.py` is the same for half a minute, with faults that are chosen.
"""

from __future__ import annotations

import argparse
import itertools
import random
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

import faults
from brokers import until

MORE_BYTES = 16 * 2**20
"""What the agent may hold more of in the second half than in the first."""


def main() -> int:
    """Run, print the tables, and say whether every bound was kept."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--cameras", type=int, default=6)
    parser.add_argument("--seed", type=int, default=1, help="of the faults and rests")
    args = parser.parse_args()
    lots = random.Random(args.seed)  # noqa: S311 - faults are no secret
    over_s = time.monotonic() + 60.0 * args.minutes
    with tempfile.TemporaryDirectory() as folder, faults.trial(Path(folder), args.cameras) as chaos:
        chaos.wait_streaming()
        # The last camera is disturbed by nobody.
        plans = {victim.name: _at_random(random.Random(lots.random()), over_s) for victim in chaos.victims[:-1]}  # noqa: S311
        chaos.run(plans, rest_s=lambda: lots.uniform(1.0, 10.0))
        until(lambda: all(chaos.statuses(name)[-1] == "online" for name in chaos.record.frames))
        told = {name: chaos.statuses(name) for name in chaos.record.frames}
    print(faults.table(chaos.record))
    return int(not all(_kept(chaos.record, told)))


_AT_ONCE = (
    faults.changed,
    faults.changed_unseen,
    faults.reset,
    faults.truncated,
    faults.swallowed,
    faults.went_black,
)


def _at_random(lots: random.Random, over_s: float) -> Iterator[faults.Fault]:
    while time.monotonic() < over_s:
        kind = lots.choice([faults.killed, faults.frozen, faults.frozen_and_restarted, faults.stalled, None])
        if kind is None:
            yield lots.choice(_AT_ONCE)
        else:
            yield kind(lots.uniform(0.5, 15.0))


def _kept(record: faults.Record, told: dict[str, list[str]]) -> Iterator[bool]:
    half = len(record.threads) // 2
    latest_s = max(each.back_s for each in record.suffered)
    longest_s = max(map(record.undisturbed_gap_s, record.frames))
    yield _said(f"streams again within {faults.BACK_S:g} s", kept=latest_s <= faults.BACK_S)
    yield _said(f"no undisturbed gap above {faults.LONGEST_GAP_S:g} s", kept=longest_s <= faults.LONGEST_GAP_S)
    yield _said("no more threads", kept=max(record.threads[half:]) <= max(record.threads[:half]))
    more_bytes = max(record.rss_bytes[half:]) - max(record.rss_bytes[:half])
    yield _said("no more memory", kept=more_bytes <= MORE_BYTES)
    in_turn = all(before != after for words in told.values() for before, after in itertools.pairwise(words))
    yield _said("online and offline in turn", kept=in_turn)


def _said(bound: str, *, kept: bool) -> bool:
    print(f"{bound}: {'kept' if kept else 'BROKEN'}")
    return kept


if __name__ == "__main__":
    sys.exit(main())
