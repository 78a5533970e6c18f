"""Killed at any instruction, on a disk that fails in any call, damaged anywhere: what can be kept is there."""

from __future__ import annotations

import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

import outbox_worker
import pytest
from brokers import until
from fakes import FakeClock
from program import environment

from edge_agent.edges.outbox import Outbox, OutboxReader, OutboxSettings

WORKER = Path(outbox_worker.__file__)
STRACE = shutil.which("strace")
WRITES = "pwrite64,fdatasync,fsync,ftruncate,unlink,fallocate"


def may_trace() -> bool:
    """Whether this user may trace a process here; in some containers nobody may."""
    if STRACE is None:
        return False
    done = subprocess.run([STRACE, "-o", "/dev/null", "true"], check=False, capture_output=True)
    return done.returncode == 0


needs_strace = pytest.mark.skipif(not may_trace(), reason="strace is not installed, or not allowed")


def worker(folder: Path, steps: int, *before: str) -> subprocess.Popen[bytes]:
    command = [*before, sys.executable, str(WORKER), str(folder / "outbox.db"), str(folder / "ledger"), str(steps)]
    return subprocess.Popen(command, env=environment(), stderr=subprocess.PIPE)


def injected(folder: Path, steps: int, fault: str) -> tuple[int, str]:
    """Run the worker with a fault in one of its calls to the system; its exit code and what it complained of."""
    assert STRACE
    trace = ["-f", "-o", "/dev/null", "-e", f"trace={WRITES}", "-e", f"inject={fault}"]
    process = worker(folder, steps, STRACE, *trace)
    _, complaint = process.communicate(timeout=60)
    return process.returncode, complaint.decode()


def check(folder: Path) -> None:
    """Hold what is in the outbox against what the worker has written down."""
    steps: dict[str, list[list[int]]] = {word: [] for word in ("try", "put", "acking", "acked", "burying", "buried")}
    for line in (folder / "ledger").read_text().splitlines():
        word, *numbers = line.split()
        steps[word].append(list(map(int, numbers)))
    done = {word: {number for group in groups for number in group} for word, groups in steps.items()}
    with closing(Outbox(OutboxSettings(path=folder / "outbox.db"), FakeClock())) as outbox:
        entries = outbox.peek(100_000)
        given_up = outbox.stats().given_up
    with closing(OutboxReader(folder / "outbox.db")) as reader:
        dead = {one.message.utc_ns for one in reader.dead(100_000) if one.message}
    waiting = [entry.message.utc_ns for entry in entries]
    assert [entry.message for entry in entries] == [outbox_worker.message(number) for number in waiting]
    assert waiting == sorted(set(waiting))
    assert done["put"] - done["acking"] <= set(waiting) | dead, "lost"
    assert set(waiting) <= done["try"] - done["acked"] - done["buried"], "back from the dead"
    assert done["buried"] <= dead <= done["burying"]
    for frame in steps["try"]:  # what was put together is there together or not at all
        left = set(frame) - done["acking"] - done["burying"]
        assert left <= set(waiting) or not left & set(waiting), frame
    assert given_up == 0
    assert list(folder.glob("*.damaged*")) == []


# --- killed ---------------------------------------------------------------------------------------------------------


def test_whatever_it_was_doing_when_it_was_killed_all_that_was_put_is_there(tmp_path: Path) -> None:
    chance = random.Random(20261126)  # noqa: S311 - no secret
    ledger = tmp_path / "ledger"
    for _ in range(12):
        before = ledger.stat().st_size if ledger.exists() else 0
        process = worker(tmp_path, 10**9)
        until(lambda before=before: ledger.exists() and ledger.stat().st_size > before)  # type: ignore[misc]
        time.sleep(chance.uniform(0.0, 0.3))
        process.kill()
        process.communicate()
        check(tmp_path)


@needs_strace
@pytest.mark.parametrize(
    ("call", "points"),
    [
        ("pwrite64", (1, 2, 3, 5, 8, 12, 20, 54)),  # the first ones lay the file out
        ("fdatasync", (1, 2, 3, 9)),
        ("ftruncate", (1,)),
        ("unlink", (1,)),
        ("fallocate", (1,)),
    ],
)
def test_killed_at_any_call_to_the_disk_all_that_was_put_is_there(
    tmp_path: Path, call: str, points: tuple[int, ...]
) -> None:
    killed = 0
    for point in points:
        for before in ("", "error=EIO:"):  # after the call, and instead of it
            code, _ = injected(tmp_path, 40, f"{call}:{before}signal=KILL:when={point}")
            killed += code == -signal.SIGKILL
            check(tmp_path)
    assert killed >= len(points)


# --- a disk that fails ----------------------------------------------------------------------------------------------


@needs_strace
@pytest.mark.parametrize(
    "fault",
    [
        "pwrite64:error=ENOSPC:when=30..110",
        "pwrite64:error=ENOSPC:when=31+3",  # each third one until the end
        "pwrite64:error=EIO:when=40..60",
        "fdatasync:error=EIO:when=8..16",
        "fdatasync:error=EIO:when=9+4",
        "ftruncate:error=EIO:when=1",  # of the lock file
        "ftruncate:error=EIO:when=3+",
        "fallocate:error=ENOSPC:when=1+",
        "unlink:error=EACCES:when=1+",
    ],
)
def test_whatever_the_disk_refuses_for_a_while_nothing_is_lost_and_nothing_raised(tmp_path: Path, fault: str) -> None:
    worker(tmp_path, 1).communicate()  # the file is laid out
    code, complaint = injected(tmp_path, 80, fault)
    assert (code, [line for line in complaint.splitlines() if "Traceback" in line]) == (0, []), complaint
    assert (tmp_path / "ledger").read_text().count("try ") == 81
    if "are lost" not in complaint:  # it was closed while the disk took nothing
        check(tmp_path)
    else:
        assert "events in memory are lost" in complaint


# --- damage ---------------------------------------------------------------------------------------------------------

COUNT = 120


def filled(folder: Path, *, in_log: bool) -> Path:
    """An outbox with events as a power cut leaves it, either all in the log or all in the file itself."""
    source = folder / "source" / "outbox.db"
    with closing(Outbox(OutboxSettings(path=source), FakeClock())) as outbox:
        for number in range(COUNT):
            outbox.put([outbox_worker.message(number)])
        if in_log:
            shutil.copytree(source.parent, folder / "cut")
    if not in_log:
        shutil.copytree(source.parent, folder / "cut")
    return folder / "cut" / "outbox.db"


def survivors(path: Path, caplog: pytest.LogCaptureFixture, *, announced: bool) -> list[int]:
    """What is left in a damaged outbox: whole, in order, with a warning when something is missing; and it works on."""
    caplog.clear()
    with closing(Outbox(OutboxSettings(path=path), FakeClock())) as outbox:
        entries = outbox.peek(1000)
        numbers = [entry.message.utc_ns for entry in entries]
        assert [entry.message for entry in entries] == [outbox_worker.message(number) for number in numbers]
        assert numbers == sorted(set(numbers))
        assert not announced or len(numbers) == COUNT or "damaged" in caplog.text
        outbox.put([outbox_worker.message(COUNT)])
        assert [entry.message.utc_ns for entry in outbox.peek(1000)] == [*numbers, COUNT]
    return numbers


def copies(path: Path, count: int) -> Iterable[Path]:
    """The same outbox again and again, to be damaged."""
    for number in range(count):
        folder = path.parent.with_name(f"copy-{number}")
        shutil.copytree(path.parent, folder)
        yield folder / path.name
        shutil.rmtree(folder)


def test_of_a_log_whose_end_is_lost_the_beginning_is_there(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = filled(tmp_path, in_log=True)
    size = Path(f"{path}-wal").stat().st_size
    found = []
    for lost, copy in zip(range(0, size, size // 25), copies(path, 26), strict=False):
        with Path(f"{copy}-wal").open("r+b") as log:
            log.truncate(size - lost)
        left = survivors(copy, caplog, announced=False)  # who has lost the end of a log cannot know that there was one
        found.append(len(left))
        assert left == list(range(len(left)))
    assert found == sorted(found, reverse=True)
    assert found[0] == COUNT > found[1]


@pytest.mark.parametrize("in_log", [False, True])
def test_a_byte_that_flips_costs_no_more_than_what_hangs_on_it(
    tmp_path: Path,
    in_log: bool,  # noqa: FBT001 - pytest calls by name
    caplog: pytest.LogCaptureFixture,
) -> None:
    path = filled(tmp_path, in_log=in_log)
    chance = random.Random(7)  # noqa: S311 - no secret
    found = []
    for copy in copies(path, 60):
        victim = Path(f"{copy}-wal") if in_log else copy
        content = bytearray(victim.read_bytes())
        content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
        victim.write_bytes(content)
        found.append(len(survivors(copy, caplog, announced=not in_log)))
    if not in_log:
        assert sum(found) > 60 * COUNT * 0.9


def test_of_a_file_with_a_page_of_zeros_the_others_are_read(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = filled(tmp_path, in_log=False)
    pages = path.stat().st_size // 4096
    found = []
    for page, copy in enumerate(copies(path, pages)):
        with copy.open("r+b") as file:
            file.seek(page * 4096)
            file.write(bytes(4096))
        found.append(len(survivors(copy, caplog, announced=True)))
    # The first page names the tables, and each table has one page that names its others.
    assert sorted(found)[4] > COUNT // 2
    assert sum(found[10:]) > (pages - 10) * (COUNT - 8)


def test_of_a_file_that_was_cut_off_what_is_there_is_read(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = filled(tmp_path, in_log=False)
    size = path.stat().st_size
    found = []
    for part, copy in enumerate(copies(path, 20)):
        with copy.open("r+b") as file:
            file.truncate(size * (20 - part) // 20 - part % 3 * 1000)
        found.append(len(survivors(copy, caplog, announced=True)))
    assert found[0] == COUNT > found[1] > COUNT * 0.7
    assert found[10] > COUNT * 0.2
