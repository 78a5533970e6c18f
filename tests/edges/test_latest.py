"""One slot between two threads: the newest value wins, and what is lost is counted."""

from __future__ import annotations

import threading

from edge_agent.edges.latest import Latest


def test_a_value_is_taken_once() -> None:
    latest: Latest[str] = Latest()
    latest.put("a")
    assert latest.take(timeout_s=0.0) == "a"
    assert latest.take(timeout_s=0.0) is None
    assert latest.dropped == 0


def test_a_newer_value_replaces_an_unread_one_and_the_loss_is_counted() -> None:
    latest: Latest[str] = Latest()
    for value in "abc":
        latest.put(value)
    assert latest.take(timeout_s=0.0) == "c"
    assert latest.dropped == 2


def test_whoever_waits_is_woken_by_a_value() -> None:
    latest: Latest[str] = Latest()
    writer = threading.Thread(target=latest.put, args=("a",))
    writer.start()
    assert latest.take(timeout_s=60.0) == "a"
    writer.join()


def test_whoever_waits_is_woken_by_the_close() -> None:
    latest: Latest[str] = Latest()
    closer = threading.Thread(target=latest.close)
    closer.start()
    assert latest.take(timeout_s=60.0) is None
    assert latest.closed
    closer.join()


def test_what_lies_there_at_the_close_can_still_be_taken() -> None:
    latest: Latest[str] = Latest()
    latest.put("a")
    latest.close()
    assert not latest.closed
    assert latest.take(timeout_s=0.0) == "a"
    assert latest.closed


def test_a_value_after_the_close_is_lost_and_counted() -> None:
    latest: Latest[str] = Latest()
    latest.close()
    latest.put("a")
    assert latest.closed
    assert latest.dropped == 1


def test_a_patient_value_waits_until_the_one_before_is_taken() -> None:
    latest: Latest[str] = Latest()
    latest.put("a")
    writer = threading.Thread(target=latest.put, args=("b", 60.0))
    writer.start()
    assert [latest.take(timeout_s=60.0), latest.take(timeout_s=60.0)] == ["a", "b"]
    writer.join()
    assert latest.dropped == 0


def test_patience_ends_with_its_time_and_with_the_close() -> None:
    latest: Latest[str] = Latest()
    latest.put("a")
    latest.put("b", 0.01)
    assert latest.dropped == 1
    writer = threading.Thread(target=latest.put, args=("c", 60.0))
    writer.start()
    latest.close()
    writer.join(60.0)
    assert not writer.is_alive()
    assert latest.take(timeout_s=0.0) == "b"


def test_between_two_threads_every_value_is_taken_or_counted() -> None:
    latest: Latest[int] = Latest()

    def write() -> None:
        for value in range(10_000):
            latest.put(value)
        latest.close()

    writer = threading.Thread(target=write)
    writer.start()
    taken = []
    while not latest.closed:
        value = latest.take(timeout_s=60.0)
        if value is not None:
            taken.append(value)
    writer.join()
    assert taken == sorted(taken)
    assert taken[-1] == 9_999
    assert len(taken) + latest.dropped == 10_000
