"""The command line's front door: finds the command, runs it, and turns errors into one line each and an exit code."""

from __future__ import annotations

import argparse
import contextlib
import errno
import importlib
import io
import logging
import os
import sys
import threading
import traceback
from collections.abc import Sequence
from typing import NoReturn

import edge_agent
from edge_agent.cli.stopping import Terminated
from edge_agent.errors import AgentError, ConfigError, FatalError, StorageError

COMMANDS = {
    "run": "the daemon",
    "check": "every problem of a configuration file, with its place",
    "replay": "a recorded clip through the same stages, as fast as it goes",
    "demo": "the main job with nothing else installed",
    "watch": "live table of events and states from a broker",
    "probe": "how a camera's stream is built, what it costs, and what to change there",
    "doctor": "what this machine has for capturing",
    "eval": "how good detector, tracker or events are, against what is known to be there",
    "bench": "what each stage costs on this machine",
    "models": "the built-in models",
    "quantize": "an INT8 model from a float one, with its loss and speed measured",
    "tune": "the size, form, threads and provider of the model that suit this machine",
    "explain": "why an event was said, or why none was",
    "nuisance": "places that cry wolf again and again, and the lines that leave them out",
    "outbox": "what waits for the broker",
    "schema": "the contract: topics, JSON Schemas, AsyncAPI, and whether messages keep to it",
    "ghosts": "what a renamed or retired device has left on its broker, and clearing it",
    "ha": "what Home Assistant is told, and taking it back",
}
"""Each is the module of that name beside this one, with `arguments(parser)` and `run(args)`."""

EXIT_FAILED = 1
EXIT_UNAVAILABLE = 69  # EX_UNAVAILABLE of sysexits.h
EXIT_CONFIG = 78  # EX_CONFIG
_CANNOT_WRITE = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO}
_BLAS_THREADS = ("OPENBLAS_NUM_THREADS", "1")
"""The agent's own matrices are small: threads for them would only spin, waiting for each other."""

_EXIT_INTERRUPTED = 130  # 128 + SIGINT, as a shell has it
_EXIT_TERMINATED = 143  # the same of SIGTERM


def program() -> NoReturn:
    """`edge-agent` itself: run the command that was asked for, and end the process."""
    try:
        code = main()
    except Exception:  # noqa: BLE001  (a fault of ours: told as Python would, and ended as everything is)
        traceback.print_exc()
        code = EXIT_FAILED
    if threading.active_count() > 1:
        _leave(code)
    sys.exit(code)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; return the exit code."""
    front = argparse.ArgumentParser(
        prog="edge-agent",
        description=edge_agent.__doc__,
        epilog="commands:\n" + "\n".join(f"  {name:9}{does}" for name, does in COMMANDS.items()),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    front.add_argument("--version", action="version", version=f"edge-agent {edge_agent.__version__}")
    front.add_argument(
        "command", nargs="?", choices=COMMANDS, metavar="COMMAND", help="one of the below; COMMAND --help tells more"
    )
    front.add_argument("rest", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    chosen = front.parse_args(argv)
    if chosen.command is None:
        front.error("the following arguments are required: COMMAND")
    os.environ.setdefault(*_BLAS_THREADS)  # before numpy is imported, which reads it then
    # Only the chosen command is imported: `check` must be quick on a Pi, and work without a runtime for models.
    command = importlib.import_module(f"edge_agent.cli.{chosen.command}")
    parser = argparse.ArgumentParser(prog=f"edge-agent {chosen.command}", description=command.__doc__)
    command.arguments(parser)
    args = parser.parse_args(chosen.rest)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a terminal that cannot show an ellipsis is no reason to end
    try:
        code = int(command.run(args))
        sys.stdout.flush()  # here, where a full disk can still be told
    except BrokenPipeError:  # whoever read our output has enough: `edge-agent replay … | head`
        _forget_output()
        return 0
    except OSError as error:
        if error.errno not in _CANNOT_WRITE:
            raise
        _forget_output()
        _complain(StorageError(f"the output cannot be written: {error.strerror}"))
        return EXIT_UNAVAILABLE
    except AgentError as error:
        _complain(error)
        return EXIT_CONFIG if isinstance(error, FatalError) else EXIT_UNAVAILABLE
    except Terminated:
        return _EXIT_TERMINATED
    except KeyboardInterrupt:
        return _EXIT_INTERRUPTED
    return code


def _leave(code: int) -> NoReturn:
    """End the process while a thread still hangs in a library, in a camera's stream for instance.

    What an orderly end would take apart, that thread may be using: now and then the process crashed there.
    """
    logging.shutdown()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):  # whoever read it has gone
            stream.flush()
    os._exit(code)


def _forget_output() -> None:
    """Python tries to write what is left at its end, and would complain once more."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _complain(error: AgentError) -> None:
    """One line a problem; a place in a file begins the line, so that editors can jump to it."""
    has_places = isinstance(error, ConfigError) and error.problems
    prefix = "" if has_places else "edge-agent: "
    for line in str(error).splitlines():
        print(f"{prefix}{line}", file=sys.stderr)
