"""Run the daemon: cameras in, events out, until told to stop; SIGHUP has it read its configuration anew."""

from __future__ import annotations

import argparse
import functools
import logging
import os
import signal
import sys
import threading
from pathlib import Path
from types import FrameType

from edge_agent import app
from edge_agent.cli.files import load_settings


def arguments(parser: argparse.ArgumentParser) -> None:
    """Say what can be asked."""
    parser.add_argument("-c", "--config", type=Path, required=True, help="the YAML file")
    parser.add_argument("--log-level", choices=("debug", "info", "warning"), default="info", help="how much to say")


def run(args: argparse.Namespace) -> int:
    """Run until told to stop."""
    settings = load_settings(args.config)
    set_up_log(args.log_level)
    stop = threading.Event()
    for signal_number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(signal_number, functools.partial(_stop, stop))
    reload = app.Reload(load=functools.partial(load_settings, args.config))
    if not os.isatty(sys.stdin.fileno() if sys.stdin else -1):  # in a terminal it means that this is closed
        signal.signal(signal.SIGHUP, functools.partial(_hang_up, reload))
    app.run(settings, stop, reload)
    return 0


def _hang_up(reload: app.Reload, _signal_number: int, _frame: FrameType | None) -> None:
    """Ask for another configuration; noticed within a second."""
    reload.hung_up = True


def _stop(stop: threading.Event, signal_number: int, _frame: FrameType | None) -> None:
    """Ask for an orderly stop; whoever asks twice gets it at once."""
    stop.set()
    signal.signal(signal_number, signal.SIG_DFL)


def set_up_log(level: str) -> None:
    """Log to standard error; without the time where the journal adds its own."""
    time = "" if "JOURNAL_STREAM" in os.environ else "%(asctime)s "
    logging.basicConfig(format=f"{time}%(levelname)s %(message)s", level=level.upper())
