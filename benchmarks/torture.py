"""Kill the agent, stop the broker, cut the network and fill the disk for minutes, and print what was lost: nothing.

The test `tests/flow/test_torture.py` is the same for a minute.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

import torture


def main() -> int:
    """Run, print the table, and say whether all is as it must be."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=5000, help="how many to commit, from 4 cameras")
    parser.add_argument("--rate-hz", type=float, default=20.0, help="how many a second")
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--outages", type=int, default=5)
    parser.add_argument("--cuts", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    the_plan = torture.plan(
        seed=args.seed,
        events=args.events,
        rate_hz=args.rate_hz,
        kills=args.kills,
        outages=args.outages,
        cuts=args.cuts,
        outage_s=6.0,
        long_outage_s=30.0,
    )
    with tempfile.TemporaryDirectory() as folder:
        evidence = torture.run(the_plan, Path(folder))
    outcome = torture.judge(evidence)
    print(torture.table(the_plan, evidence, outcome))
    wrong = [*outcome.lost, *outcome.invented, *outcome.changed, *outcome.disordered]
    for line in wrong[:20]:
        print(f"  {line}", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
