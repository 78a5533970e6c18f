"""Say what this machine has for capturing, and look shortly at the cameras that are named; nothing is changed."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict

from edge_agent.cli.main import EXIT_FAILED
from edge_agent.cli.probe import address, filled, one_line
from edge_agent.errors import SourceError
from edge_agent.tools.doctor import gather, look_at
from edge_agent.tools.findings import Finding, as_line, judge


def arguments(parser: argparse.ArgumentParser) -> None:
    """Say what can be asked."""
    parser.add_argument("url", nargs="*", type=address, metavar="URL", help="cameras to look at for 3 s each")
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace) -> int:
    """Look, and say what was found; 1 when a camera that was named gives no pictures."""
    urls = [filled(url) for url in args.url]
    findings = list(judge(gather()))
    looks = [look_at(url) for url in urls]
    for found in looks:
        if isinstance(found, SourceError):
            todo = "set its address right, or see to the camera"
            findings.append(Finding(verdict="problem", what="stream", says=str(found), todo=todo))
        else:
            says = f"{found.source}: {one_line(found)}"
            findings.append(Finding(verdict="ok", what="stream", says=says, todo="`edge-agent probe` tells more"))
    all_answer = not any(isinstance(found, SourceError) for found in looks)
    if args.json:
        print(json.dumps({"ok": all_answer, "findings": [asdict(finding) for finding in findings]}, indent=2))
    else:
        print("\n".join(map(as_line, findings)))
    return 0 if all_answer else EXIT_FAILED
