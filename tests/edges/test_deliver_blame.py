"""What is given up when connections break: a message that is to blame, and never one that is not."""

from __future__ import annotations

from pathlib import Path

import brokers
import pytest
from brokers import Mosquitto, until
from fakes import FakeClock
from proxy import Proxy, proxy_of
from test_deliver import EVENT, ONLINE, STATUS, Bench, bench, bench_with, brisk, broker, event, payloads

from edge_agent.edges.deliver.blame import Blame
from edge_agent.edges.deliver.flight import AnswerId, Key, Sent
from edge_agent.records import Message

__all__ = ["bench", "brisk", "broker"]

HEALTH = Message(topic="edge/pi/health", payload=b"{}", kind="state")
STATES = (ONLINE, HEALTH)
HERE = "mqtt://here:1883"


def sent(key: Key) -> Sent:
    return Sent(key=key, topic="x", at_s=0.0)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def blame(clock: FakeClock) -> Blame:
    blame = Blame(clock)
    blame.begin(HERE)
    return blame


def break_on(blame: Blame, key: Key, times: int = 1) -> Key | None:
    for _ in range(times - 1):
        assert blame.broke(sent(key)).guilty is None
        blame.begin(HERE)
    guilty = blame.broke(sent(key)).guilty
    blame.begin(HERE)
    return guilty


# --- the rules ------------------------------------------------------------------------------------------------------


def test_an_event_is_guilty_at_the_third_time_if_another_event_got_through_meanwhile(blame: Blame) -> None:
    assert break_on(blame, 7) is None
    blame.passed(8)
    assert break_on(blame, 7) is None
    assert break_on(blame, 7) == 7
    assert blame.left_out is None


@pytest.mark.parametrize("key", ["edge/pi/status", AnswerId(1)])
def test_that_a_state_or_an_answer_got_through_tells_nothing_of_events(blame: Blame, key: Key) -> None:
    for _ in range(20):
        blame.passed(key)
        assert break_on(blame, 7) is None


def test_that_anything_got_through_tells_of_states_and_answers(blame: Blame) -> None:
    for suspect, other in (("a", "b"), ("a", 3), ("a", AnswerId(1)), (AnswerId(2), "b")):
        assert break_on(blame, suspect, 2) is None
        blame.passed(other)
        assert break_on(blame, suspect) == suspect


def test_what_got_through_before_tells_nothing(blame: Blame) -> None:
    blame.passed(6)
    assert break_on(blame, 7, 3) is None


def test_where_nothing_else_got_through_the_suspect_is_left_out_and_tried_once_more_after_another(blame: Blame) -> None:
    assert break_on(blame, 7, 3) is None
    assert blame.left_out == sent(7)
    blame.passed("edge/pi/status")
    assert blame.left_out == sent(7)
    blame.passed(8)
    assert blame.left_out is None
    assert break_on(blame, 7) == 7


def test_who_gets_through_when_tried_once_more_is_suspected_no_longer(blame: Blame) -> None:
    assert break_on(blame, 7, 3) is None
    blame.passed(8)
    blame.passed(7)
    assert break_on(blame, 7, 2) is None


def test_when_the_connection_breaks_on_another_event_too_all_of_them_wait_longer_each_time(
    blame: Blame, clock: FakeClock
) -> None:
    waits = []
    for _ in range(8):
        assert break_on(blame, 7, 1 if waits else 3) is None
        assert blame.left_out == sent(7)
        assert break_on(blame, 8) is None
        assert blame.left_out is None
        began_s = clock.monotonic_s()
        while blame.events_wait:
            clock.now_s += 1
        waits.append(clock.monotonic_s() - began_s)
    assert waits == [120, 480, 900, 900, 900, 900, 900, 900]
    blame.passed(7)
    assert break_on(blame, 9, 2) is None
    assert not blame.events_wait


def test_that_a_state_broke_connections_before_is_nothing_against_an_event(blame: Blame) -> None:
    assert break_on(blame, "edge/pi/health", 3) is None
    assert blame.left_out == sent("edge/pi/health")
    assert blame.broke(sent(7)).words == ""
    assert not blame.events_wait
    assert break_on(blame, 7) is None
    assert blame.left_out is None
    assert break_on(blame, 7) is None
    assert blame.left_out == sent(7)  # at the third time, as any


def test_an_event_that_is_alone_is_tried_again_after_a_while(blame: Blame, clock: FakeClock) -> None:
    assert break_on(blame, 7, 3) is None
    clock.now_s += 59
    assert blame.left_out == sent(7)
    clock.now_s += 1
    assert blame.left_out is None
    assert break_on(blame, 7) is None
    clock.now_s += 119
    assert blame.left_out == sent(7)
    clock.now_s += 1
    assert blame.left_out is None


def test_another_broker_knows_nothing_of_what_was_on_this_one(blame: Blame) -> None:
    assert break_on(blame, 7, 2) is None
    blame.passed(8)
    blame.begin("mqtt://there:1883")
    assert blame.broke(sent(7)).guilty is None
    assert break_on(blame, 7) is None


def test_what_the_broker_refuses_in_words_is_not_suspected(blame: Blame) -> None:
    assert break_on(blame, 7, 2) is None
    blame.refused(7)
    blame.passed(8)
    assert break_on(blame, 7) is None


def test_a_suspect_that_is_not_there_any_more_is_forgotten(blame: Blame) -> None:
    assert break_on(blame, 7) is None
    for key in range(100, 1099):
        blame.passed(key)
    assert blame.suspects
    blame.passed("edge/pi/status")
    assert not blame.suspects


# --- with a proxy before a real broker ------------------------------------------------------------------------------


@pytest.fixture
def picky(broker: Mosquitto) -> Proxy:
    with proxy_of(broker.port) as proxy:
        yield proxy


def through(proxy: Proxy) -> str:
    return f"mqtt://127.0.0.1:{proxy.port}"


@brokers.needs_mosquitto
def test_a_proxy_that_hangs_up_on_whatever_is_published_costs_nothing(
    bench: Bench, broker: Mosquitto, picky: Proxy, caplog: pytest.LogCaptureFixture
) -> None:
    picky.hang_up_on = b"edge/pi/"
    bench.outbox.put([*STATES, *(event(number) for number in range(4))])
    with brokers.listening(broker.port) as listener, bench.delivering(through(picky)) as deliverer:
        until(lambda: deliverer.counters.connects > 20)
        picky.hang_up_on = None
        listener.wait_for(EVENT, *payloads(0, 1, 2, 3))
        until(lambda: listener.payloads(HEALTH.topic) and listener.payloads(STATUS)[-1:] == [ONLINE.payload])
        bench.wait_empty()
    assert (bench.dead(), deliverer.counters.refused) == ([], 0)
    assert "not sent for" not in caplog.text


@brokers.needs_mosquitto
def test_an_answer_that_was_left_out_is_sent_once_something_else_got_through(
    bench: Bench, broker: Mosquitto, picky: Proxy
) -> None:
    answer = Message(topic="edge/pi/command/result", payload=b"{}", kind="answer")
    picky.hang_up_on = answer.topic.encode()
    bench.outbox.put([answer])
    with brokers.listening(broker.port) as listener, bench.delivering(through(picky)) as deliverer:
        until(lambda: deliverer.counters.connects > 3 and deliverer.connected)
        picky.hang_up_on = None
        bench.outbox.put([HEALTH])
        listener.wait_for(answer.topic, b"{}")
    assert bench.outbox.stats().answers_lost == 0


@brokers.needs_mosquitto
@pytest.mark.usefixtures("brisk")
def test_a_proxy_that_hangs_up_on_every_event_costs_none_and_states_go_on(
    tmp_path: Path, broker: Mosquitto, picky: Proxy, caplog: pytest.LogCaptureFixture
) -> None:
    picky.hang_up_on = EVENT.encode()
    clock = FakeClock()
    with bench_with(clock, tmp_path / "outbox.db") as bench, brokers.listening(broker.port) as listener:
        bench.outbox.put([*STATES, *(event(number) for number in range(4))])
        with bench.delivering(through(picky), late_after_s=3600) as deliverer:
            until(lambda: "connections break on one event like on another; all of them wait for" in caplog.text)
            bench.outbox.put([Message(topic=HEALTH.topic, payload=b'{"n":1}', kind="state")])
            until(lambda: listener.payloads(HEALTH.topic)[-1:] == [b'{"n":1}'])
            connects = deliverer.counters.connects
            picky.hang_up_on = None
            assert listener.payloads(EVENT) == []
            clock.advance(120)
            until(lambda: listener.payloads(EVENT)[-1:] == [b"3"])
        assert (bench.dead(), deliverer.counters.refused, bench.outbox.stats().waiting) == ([], 0, 0)
    assert connects >= 4
    assert list(dict.fromkeys(listener.payloads(EVENT))) == payloads(0, 1, 2, 3)


@brokers.needs_mosquitto
def test_one_event_on_which_a_proxy_hangs_up_does_not_block_the_others_of_any_camera(
    bench: Bench, broker: Mosquitto, picky: Proxy
) -> None:
    picky.hang_up_on = b"poison"
    other = "edge/pi/camera/b/event"
    bench.outbox.put([*STATES, event(0), Message(topic=EVENT, payload=b"poison", kind="new"), event(1)])
    bench.outbox.put([Message(topic=other, payload=b"b", kind="new")])
    with brokers.listening(broker.port) as listener, bench.delivering(through(picky)) as deliverer:
        bench.wait_empty()
        until(lambda: b"b" in listener.payloads(other))  # perhaps twice: a connection broke before it was confirmed
        assert list(dict.fromkeys(listener.payloads(EVENT))) == payloads(0, 1)
    assert [payload for payload, _ in bench.dead()] == [b"poison"]
    assert deliverer.counters.refused == 1


@brokers.needs_mosquitto
def test_a_single_event_on_which_a_proxy_hangs_up_waits_until_another_one_tells_whose_fault_it_is(
    bench: Bench, broker: Mosquitto, picky: Proxy, caplog: pytest.LogCaptureFixture
) -> None:
    picky.hang_up_on = b"poison"
    bench.outbox.put([*STATES, Message(topic=EVENT, payload=b"poison", kind="new")])
    with brokers.listening(broker.port) as listener, bench.delivering(through(picky)) as deliverer:
        until(lambda: "connections break on an event; another one is tried first, or in 60 s the same" in caplog.text)
        until(lambda: deliverer.connected)
        assert bench.dead() == []
        assert bench.outbox.stats().waiting == 1
        bench.outbox.put([event(1)])
        listener.wait_for(EVENT, b"1")
        bench.wait_empty()
    assert [payload for payload, _ in bench.dead()] == [b"poison"]
