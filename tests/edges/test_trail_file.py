"""Trails on the disk: bounded in bytes and age whatever is put in, seldom written, and readable whatever breaks."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from fakes import FakeClock
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edge_agent.edges.trail import EVERY_S, SOON_S, ExplainSettings, TrailFiles, files_in, read_lines
from edge_agent.errors import StorageError

MIB = 1 << 20
DAY_S = 86_400.0


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "state" / "trail"


def trail(folder: Path, clock: FakeClock, **changes: object) -> TrailFiles:
    return TrailFiles(folder, ExplainSettings.model_validate(changes), clock)


def line(number: int, size: int = 20) -> str:
    return f"{number:0{size - 1}d}\n"


def numbers(folder: Path) -> list[int]:
    return [int(text) for text in read_lines(folder)]


def size_of(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.iterdir())


def test_what_is_put_in_is_read_again_in_its_order(folder: Path, clock: FakeClock) -> None:
    files = trail(folder, clock)
    files.put([line(1), line(2)])
    files.put([line(3)])
    files.write(at_once=True)
    files.put([line(4)])
    files.write(at_once=True)
    assert numbers(folder) == [1, 2, 3, 4]
    assert len(files_in(folder)) == 1


def test_it_is_written_once_a_minute_and_ten_seconds_after_what_is_asked_about(folder: Path, clock: FakeClock) -> None:
    files, written = trail(folder, clock), []
    for second in range(200):
        if second % 5 == 0:
            files.put([line(second)], soon=second == 150)
        before = size_of(folder) if folder.is_dir() else 0
        files.write()
        if folder.is_dir() and size_of(folder) != before:
            written.append(second)
        clock.advance(1.0)
    assert written == [60, 120, 150]  # the last was 30 s after the one before: SOON_S is over at once
    assert (EVERY_S, SOON_S) == (60, 10)


def test_nothing_is_written_while_there_is_nothing_to_write(folder: Path, clock: FakeClock) -> None:
    files = trail(folder, clock)
    for _ in range(500):
        files.write()
        clock.advance(10.0)
    files.write(at_once=True)
    assert not folder.exists()


def test_the_oldest_go_when_the_bytes_are_used_up(folder: Path, clock: FakeClock) -> None:
    files = trail(folder, clock, max_bytes=MIB)
    noise = os.urandom(3 * MIB).hex()  # hex of noise is compressed to a half
    for at in range(0, len(noise), 1000):
        files.put([f"{at:08d}{noise[at : at + 1000]}\n"])
        files.write(at_once=True)
        if at % 100_000 == 0:
            assert size_of(folder) <= MIB
    kept = [int(text[:8]) for text in read_lines(folder)]
    assert kept == list(range(kept[0], len(noise), 1000))  # the newest, without a gap
    assert kept[0] > 0
    assert size_of(folder) > MIB // 2
    assert {path.suffix for path in files_in(folder)[:-1]} == {".gz"}


def test_what_is_too_old_is_gone_within_a_minute_though_nothing_new_comes(folder: Path, clock: FakeClock) -> None:
    files = trail(folder, clock, max_age=DAY_S)
    for hour in range(48):
        files.put([line(hour)])
        files.write(at_once=True)
        clock.advance(3600.0)
    assert numbers(folder)[-1] == 47
    assert min(numbers(folder)) in range(24, 28)  # a file spans three hours: nothing is older than a day
    clock.advance(DAY_S + EVERY_S)
    files.write()
    assert numbers(folder) == []


def test_a_clock_that_was_never_set_removes_nothing_and_begins_no_file_after_file(
    folder: Path, clock: FakeClock
) -> None:
    files = trail(folder, clock)
    files.put([line(1)])
    files.write(at_once=True)
    clock.now_utc_ns = 0
    for number in range(2, 9):
        files.put([line(number)])
        files.write(at_once=True)
        clock.advance(EVERY_S)
    assert numbers(folder) == list(range(1, 9))
    assert len(files_in(folder)) == 1


def test_a_file_from_the_future_of_a_wrong_clock_is_removed_by_the_right_one(folder: Path, clock: FakeClock) -> None:
    now_ns = clock.now_utc_ns
    clock.now_utc_ns = now_ns + 400 * 86_400 * 10**9
    files = trail(folder, clock)
    files.put([line(1)])
    files.write(at_once=True)
    clock.now_utc_ns = now_ns
    clock.advance(EVERY_S)
    files.write()
    assert numbers(folder) == []


@pytest.mark.parametrize("torn", [b"0000000000000000", b"\x00" * 512, b"\xff\xfe{", b'{"kind":'])
def test_a_line_that_a_power_cut_tore_spoils_no_other(folder: Path, clock: FakeClock, torn: bytes) -> None:
    files = trail(folder, clock)
    files.put([line(1)])
    files.write(at_once=True)
    [path] = files_in(folder)
    with path.open("ab") as file:
        file.write(torn)
    again = trail(folder, clock)
    again.put([line(2)])
    again.write(at_once=True)
    lines = list(read_lines(folder))
    assert (lines[0], lines[-1]) == (line(1).strip().encode(), line(2).strip().encode())
    assert lines[1:-1] == [torn]


def test_a_damaged_compressed_file_gives_what_comes_before_the_damage(folder: Path, clock: FakeClock) -> None:
    files = trail(folder, clock, max_bytes=4 * MIB)
    noise = os.urandom(MIB).hex()
    for at in range(0, len(noise), 500):
        files.put([f"{noise[at : at + 500]}\n"])
        files.write(at_once=True)
    first = files_in(folder)[0]
    assert first.suffix == ".gz"
    whole = list(read_lines(first))
    data = bytearray(first.read_bytes())
    data[len(data) * 3 // 4] ^= 0xFF
    first.write_bytes(bytes(data))
    assert whole[: len(whole) // 4] == list(read_lines(first))[: len(whole) // 4]
    first.write_bytes(bytes(data[: len(data) // 2]))
    assert whole[: len(whole) // 4] == list(read_lines(first))[: len(whole) // 4]
    first.write_bytes(b"")
    assert list(read_lines(first)) == []
    assert len(list(read_lines(folder))) > len(whole)  # the other files are there


def test_a_disk_that_takes_nothing_is_said_and_what_waits_is_written_later(tmp_path: Path, clock: FakeClock) -> None:
    folder = tmp_path / "trail"
    folder.write_text("a file where the folder should be")
    files = trail(folder, clock)
    files.put([line(1)])
    with pytest.raises(StorageError, match="cannot be written"):
        files.write(at_once=True)
    files.put([line(2)])
    folder.unlink()
    files.write(at_once=True)
    assert numbers(folder) == [1, 2]


def test_what_waits_for_a_disk_is_bounded_and_the_newest_stays(
    tmp_path: Path, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "trail"
    folder.write_text("")
    files = trail(folder, clock, max_bytes=MIB)
    for number in range(10_000):
        files.put([line(number)])
        if number % 2500 == 0:
            with pytest.raises(StorageError):
                files.write(at_once=True)
    folder.unlink()
    files.write(at_once=True)
    kept = numbers(folder)
    assert kept == list(range(10_000 - MIB // 16 // 20, 10_000))  # 20 bytes each, a sixteenth of the bytes
    assert "entries were left out" in caplog.text


def test_all_of_it_is_removed_when_it_is_turned_off(folder: Path, clock: FakeClock) -> None:
    files = trail(folder, clock)
    files.put([line(1)])
    files.write(at_once=True)
    (folder / "note.txt").write_text("somebody's own")
    files.remove()
    assert [path.name for path in folder.iterdir()] == ["note.txt"]


def test_what_is_not_there_is_said_in_a_line(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"trail cannot be read: no such file"):
        list(read_lines(tmp_path / "trail"))


def test_many_cameras_put_at_once_and_nothing_is_lost_or_mixed(folder: Path, clock: FakeClock) -> None:
    files = trail(folder, clock)
    stop = threading.Event()

    def write() -> None:
        while not stop.is_set():
            files.write(at_once=True)

    writer = threading.Thread(target=write)
    writer.start()
    threads = [
        threading.Thread(target=lambda first=first: [files.put([line(first + at)]) for at in range(500)])
        for first in range(0, 8000, 1000)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    stop.set()
    writer.join()
    files.write(at_once=True)
    assert sorted(numbers(folder)) == [first + at for first in range(0, 8000, 1000) for at in range(500)]


KILLED = """
import sys
from pathlib import Path
from edge_agent.edges.clock import SystemClock
from edge_agent.edges.trail import ExplainSettings, TrailFiles
files = TrailFiles(Path(sys.argv[1]), ExplainSettings(max_bytes=1 << 20), SystemClock())
number = 0
while True:
    files.put([f"{number:0199d}\\n" for number in range(number, number + 50)])
    number += 50
    files.write(at_once=True)
    print(number, flush=True)
"""


def test_a_kill_in_the_midst_of_writing_loses_nothing_that_was_written(folder: Path, clock: FakeClock) -> None:
    for after in (3, 40, 90):  # the later ones in the midst of the second and third file, and of compressing
        for path in folder.iterdir() if folder.is_dir() else ():
            path.unlink()
        child = subprocess.Popen([sys.executable, "-c", KILLED, str(folder)], stdout=subprocess.PIPE, text=True)
        assert child.stdout is not None
        written = 0
        for _ in range(after):
            written = int(child.stdout.readline())
        child.send_signal(signal.SIGKILL)
        rest, _ = child.communicate()
        written = max([written, *(int(text) for text in rest.split())])
        kept = [int(text) for text in read_lines(folder) if len(text) == 199]
        assert kept[:written] == list(range(written))
        again = trail(folder, clock, max_bytes=MIB)
        again.put([line(7, 200)])
        again.write(at_once=True)
        assert int(list(read_lines(folder))[-1]) == 7


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.tuples(st.integers(0, 60_000), st.sampled_from([0.0, 1.0, 61.0, 4000.0, 90_000.0, -3600.0])),
        min_size=1,
        max_size=25,
    )
)
def test_it_never_exceeds_its_bounds_whatever_is_put_in(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[int, float]]
) -> None:
    folder, clock = tmp_path_factory.mktemp("trail"), FakeClock()
    files = trail(folder, clock, max_bytes=MIB, max_age=DAY_S)
    for size, passed_s in steps:
        files.put([f"{clock.now_utc_ns // 10**9:010d}{os.urandom(size // 2).hex()}\n"])
        files.write(at_once=True)
        if passed_s < 0:
            clock.now_utc_ns += int(passed_s * 1e9)
        else:
            clock.advance(passed_s)
        assert size_of(folder) <= MIB
    was_set_back = any(passed_s < 0 for _size, passed_s in steps)
    clock.advance(EVERY_S)
    files.write(at_once=True)
    now_s = clock.now_utc_ns // 10**9
    ages_s = [now_s - int(text[:10]) for text in read_lines(folder)]
    assert was_set_back or all(age_s <= DAY_S + 2 * EVERY_S for age_s in ages_s)
