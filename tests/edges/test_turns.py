"""Turns at the model: who is served first, that nobody waits for ever or in vain, and what is given up meanwhile."""

from __future__ import annotations

import itertools
import math
import queue
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest
from builders import frame_of
from fakes import FakeClock
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.edges import turns as turns_module
from edge_agent.edges.turns import LONGEST_WAIT_S, REFRESH_WAITS_S, Looks, LooksStatus, Turns, places_for
from edge_agent.records import Frame, Look, Motion
from edge_agent.stages.gate.pace import Pace

PATIENCE_S = 60.0
"""For what happens at once, unless something is broken."""


@dataclass(eq=False)
class Looker:
    """Somebody who takes a turn in a thread of its own, and holds the place until told to leave."""

    turns: Turns
    came_out: queue.Queue[Looker]
    name: str = ""
    at_s: float = 0.0
    is_active: bool = True
    weight: float = 1.0
    is_there: threading.Event = field(default_factory=threading.Event)
    may_leave: threading.Event = field(default_factory=threading.Event)
    beats: int = 0
    has_place: bool | None = None

    def start(self) -> None:
        """Come, and be in a place or wait when this returns."""
        self.thread = threading.Thread(target=self._look, daemon=True)
        self.thread.start()
        assert self.is_there.wait(PATIENCE_S)

    def leave(self) -> None:
        self.may_leave.set()
        self.thread.join(PATIENCE_S)
        assert not self.thread.is_alive()

    def _look(self) -> None:
        turn = self.turns.turn(self.at_s, is_active=self.is_active, weight=self.weight, beat=self._beat)
        with turn as self.has_place:
            self.came_out.put(self)
            self.is_there.set()
            self.may_leave.wait(PATIENCE_S)  # some tests end before anybody leaves

    def _beat(self) -> None:
        self.beats += 1
        self.is_there.set()


class Model:
    """Turns on a clock that tests move by hand, and those who want one."""

    def __init__(self, places: int = 1) -> None:
        self.clock = FakeClock(monotonic_s=100.0)
        self.turns = Turns(places, self.clock)
        self.running: list[Looker] = []
        self.waiting: list[Looker] = []
        self._came_out: queue.Queue[Looker] = queue.Queue()

    def comes(self, name: str = "", *, age_s: float = 0.0, is_active: bool = True, weight: float = 1.0) -> Looker:
        """Somebody comes, and is in a place or waits when this returns."""
        at_s = self.clock.now_s - age_s
        looker = Looker(self.turns, self._came_out, name, at_s, is_active=is_active, weight=weight)
        looker.start()
        if looker.has_place is None:
            self.waiting.append(looker)
        else:
            assert self._came_out.get(timeout=PATIENCE_S) is looker
            self.running.append(looker)
        return looker

    def leaves(self, looker: Looker) -> Looker | None:
        """Somebody leaves; who has the place now, if anybody waited?"""
        self.running.remove(looker)
        looker.leave()
        return self.comes_out() if self.waiting else None

    def comes_out(self) -> Looker:
        """Somebody who waited does no longer."""
        looker = self._came_out.get(timeout=PATIENCE_S)
        self.waiting.remove(looker)
        self.running.append(looker)
        return looker

    def served(self) -> list[str]:
        """Let one after the other leave until nobody is there, and say who was served in which order."""
        names = [looker.name for looker in self.running]
        while self.running:
            following = self.leaves(self.running[0])
            names += [following.name] if following else []
        return names


@pytest.fixture
def model() -> Model:
    return Model()


def test_who_finds_a_free_place_does_not_wait() -> None:
    model = Model(places=2)
    lookers = [model.comes("a"), model.comes("b")]
    assert [looker.beats for looker in lookers] == [0, 0]
    assert model.served() == ["a", "b"]


ORDERS: dict[str, tuple[list[dict[str, float | str | bool]], list[str]]] = {
    "who came first when all else is equal": (
        [{"name": "a", "age_s": 1}, {"name": "b", "age_s": 1}, {"name": "c", "age_s": 1}],
        ["a", "b", "c"],
    ),
    "the oldest frame": (
        [{"name": "a", "age_s": 0.1}, {"name": "b", "age_s": 0.3}, {"name": "c", "age_s": 0.2}],
        ["b", "c", "a"],
    ),
    "what moves before what is only looked at again": (
        [{"name": "a", "age_s": 9, "is_active": False}, {"name": "b"}, {"name": "c", "age_s": 1}],
        ["c", "b", "a"],
    ),
    "age times weight: 1, 1.5, 0.9": (
        [{"name": "a", "age_s": 1}, {"name": "b", "age_s": 0.3, "weight": 5}, {"name": "c", "age_s": 9, "weight": 0.1}],
        ["b", "a", "c"],
    ),
    "refreshes among themselves by the same rule": (
        [{"name": "a", "is_active": False, "age_s": 1}, {"name": "b", "is_active": False, "age_s": 1, "weight": 2}],
        ["b", "a"],
    ),
    "an age of nothing, for a frame from the future": (
        [{"name": "a", "age_s": -1, "weight": 10}, {"name": "b", "age_s": -1}, {"name": "c", "age_s": 1}],
        ["c", "a", "b"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", ORDERS)
def test_served_first_is(model: Model, case: str) -> None:
    looks, expected = ORDERS[case]
    model.comes("holder")
    for look in looks:
        model.comes(**look)  # type: ignore[arg-type]
    assert model.served() == ["holder", *expected]


@pytest.mark.parametrize(
    ("waited_s", "expected"),
    [(REFRESH_WAITS_S - 0.01, ["active", "refresh"]), (REFRESH_WAITS_S, ["refresh", "active"])],
)
def test_a_refresh_that_has_waited_is_as_urgent_as_any_other(
    model: Model, waited_s: float, expected: list[str]
) -> None:
    model.comes("holder")
    model.comes("refresh", is_active=False)
    model.clock.advance(waited_s)
    model.comes("active", age_s=0.5)
    assert model.served() == ["holder", *expected]


@pytest.mark.parametrize(
    ("waited_s", "expected"),
    [(LONGEST_WAIT_S - 0.01, ["heavy", "first", "second"]), (LONGEST_WAIT_S + 1, ["first", "second", "heavy"])],
)
def test_who_has_waited_long_goes_first_whatever_its_weight(model: Model, waited_s: float, expected: list[str]) -> None:
    model.comes("holder")
    model.comes("first", weight=0.1)
    model.clock.advance(0.5)
    model.comes("second", weight=0.2 if waited_s > LONGEST_WAIT_S else 0.1)
    model.clock.advance(waited_s - 0.5)
    model.comes("heavy", age_s=0.5, weight=10)
    assert model.served() == ["holder", *expected]


@pytest.mark.parametrize("places", [1, 2])
def test_a_light_refresh_is_served_although_heavy_active_looks_never_end(places: int) -> None:
    model, run_s, waited_s = Model(places), 0.25, 0.0
    for _ in range(places):
        model.comes(weight=10)
    refresh = model.comes(is_active=False, weight=0.1)
    for _ in range(2):
        model.comes(weight=10)
    while refresh.has_place is None:
        model.clock.advance(run_s / places)
        waited_s += run_s / places
        model.leaves(model.running[0])
        model.comes(age_s=0.1, weight=10)  # its next look, at a newer frame
    # Among heavy ones that wait two runs at most, nobody has waited longer than it when its time has come.
    assert waited_s == pytest.approx(LONGEST_WAIT_S)
    model.turns.close()


def test_a_place_that_becomes_free_is_not_taken_by_who_comes_just_then(model: Model) -> None:
    holder, waiting = model.comes(), model.comes()
    holder.leave()
    newcomer = Looker(model.turns, queue.Queue(), at_s=0.0)
    newcomer.start()
    assert newcomer.has_place is None
    assert model.comes_out() is waiting
    model.turns.close()


def test_who_waits_beats_again_and_again(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns_module, "BEAT_S", 0.001)
    beats = itertools.count()
    model.comes()

    def beat() -> None:
        if next(beats) == 3:
            model.turns.close()

    with model.turns.turn(0.0, is_active=True, weight=1.0, beat=beat) as has_place:
        assert not has_place


def test_at_the_close_who_waits_comes_out_without_a_place_and_who_has_one_keeps_it() -> None:
    model = Model(places=2)
    running = [model.comes(), model.comes()]
    waiting = [model.comes(), model.comes(is_active=False)]
    model.turns.close()
    assert {model.comes_out(), model.comes_out()} == set(waiting)
    assert [looker.has_place for looker in (*running, *waiting)] == [True, True, False, False]
    assert not model.comes().has_place, "both places are still taken"
    running[0].leave()
    assert model.comes().has_place, "nobody has to wait for this one"


def test_who_fails_gives_its_place_back(model: Model) -> None:
    def fail() -> None:
        with model.turns.turn(0.0, is_active=True, weight=1.0, beat=lambda: None):
            raise ArithmeticError

    for _ in range(2):
        with pytest.raises(ArithmeticError):
            fail()
    assert model.comes().has_place


def test_it_adds_up_for_how_long_places_were_taken() -> None:
    model = Model(places=2)
    model.clock.advance(10)
    first = model.comes()
    model.clock.advance(3)
    second, third = model.comes(), model.comes()
    model.clock.advance(4)
    assert model.turns.taken_s() == 3 + 2 * 4
    assert model.leaves(first) is third
    model.clock.advance(1)
    model.leaves(second)
    model.leaves(third)
    model.clock.advance(100)
    assert model.turns.taken_s() == 3 + 2 * 4 + 2 * 1


def test_there_are_as_many_places_as_the_cores_bear_and_at_least_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _pid: set(range(6)))
    assert [places_for(threads) for threads in (1, 2, 4, 6, 64)] == [6, 3, 1, 1, 1]


# What holds always

STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("comes"), st.floats(-1, 10), st.booleans(), st.sampled_from([0.1, 1.0, 10.0])),
        st.tuples(st.just("leaves"), st.integers(0, 7)),
        st.tuples(st.just("passes"), st.floats(0, 3)),
    ),
    max_size=30,
)


@given(places=st.integers(1, 4), steps=STEPS)
def test_places_are_full_while_somebody_waits_and_nobody_is_lost(
    places: int, steps: list[tuple[float | str | bool, ...]]
) -> None:
    model = Model(places)
    for kind, *values in steps:
        if kind == "comes":
            age_s, is_active, weight = values
            model.comes(age_s=float(age_s), is_active=bool(is_active), weight=float(weight))
        elif kind == "leaves" and model.running:
            model.leaves(model.running[int(values[0]) % len(model.running)])
        elif kind == "passes":
            model.clock.advance(float(values[0]))
        assert len(model.running) == min(places, len(model.running) + len(model.waiting))
    model.served()
    assert not model.waiting


@given(places=st.integers(1, 3), cameras=st.integers(1, 8), is_closed=st.booleans())
def test_threads_that_race_are_never_more_than_there_are_places_and_all_come_out(
    places: int, cameras: int, *, is_closed: bool
) -> None:
    turns = Turns(places, FakeClock())
    lock, running, most, served = threading.Lock(), 0, 0, 0

    def look(number: int) -> None:
        nonlocal running, most, served
        for index in range(20):
            with turns.turn(index, is_active=index % 3 > 0, weight=number + 1, beat=lambda: None) as has_place:
                if not has_place:
                    continue
                with lock:
                    running, served = running + 1, served + 1
                    most = max(most, running)
                with lock:
                    running -= 1
            if is_closed and index == 10:
                turns.close()

    threads = [threading.Thread(target=look, args=(number,), daemon=True) for number in range(cameras)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE_S)
    assert not any(thread.is_alive() for thread in threads)
    assert most <= places
    assert served == 20 * cameras or is_closed


# What a camera's looks cost others, and what is given up


def motion_of(look: Look = "active") -> Motion:
    return Motion(moving=True, changed=False, look=look, regions=None, scene_changed=False)


@dataclass(kw_only=True)
class Camera:
    """A camera that gives frames at a steady rate, and a pipeline that takes the newest, by a clock of the test."""

    fps: float
    rate_hz: float
    took_s: Callable[[int], float]
    latency_s: float = 0.0
    turns: Turns | None = None

    def __post_init__(self) -> None:
        """Begin with no frame taken."""
        self.clock = FakeClock(monotonic_s=1000.0)
        self._taken = 0
        self._next = 0
        self.looks = Looks(
            turns=self.turns or Turns(1, self.clock),
            clock=self.clock,
            rate_hz=self.rate_hz,
            weight=1.0,
            dropped=self._dropped,
            beat=lambda: None,
        )
        self.looked = 0

    def run(self, seconds: float, look: Look = "active") -> LooksStatus:
        """Take the newest frame when there is one, and look at it when that is due."""
        detect, pace = self.looks.in_turn(self.detect), Pace(self.rate_hz)
        until_s = self.clock.now_s + seconds
        while self.clock.now_s < until_s:
            if self._came() == self._next:  # the next one
                self.clock.now_s = 1000.0 + self._next / self.fps + 1e-6
            newest = self._came() - 1
            self._next, self._taken = newest + 1, self._taken + 1
            at_s = 1000.0 + newest / self.fps - self.latency_s
            if pace.is_due(at_s):
                pace.take(at_s)
                assert detect(frame_of(at_s), motion_of(look)) == "found"
        return self.looks.status()

    def _came(self) -> int:
        return math.floor((self.clock.now_s - 1000.0) * self.fps) + 1

    def _dropped(self) -> int:
        lies_there = self._came() > self._next
        return self._came() - self._taken - lies_there

    def detect(self, _frame: Frame, _motion: Motion) -> str:
        self.clock.advance(self.took_s(self.looked))
        self.looked += 1
        return "found"


@pytest.mark.parametrize("latency_s", [0.0, 0.7])
@pytest.mark.parametrize(
    ("fps", "rate_hz", "took_s", "wanted_hz"),
    [
        (25, 5, 0.01, 5),  # a fast camera of which most frames are nobody's business
        (25, 5, 0.15, 5),
        (5, 5, 0.15, 5),
        (2, 5, 0.3, 2),  # a slow camera is looked at frame by frame, and wants no more
        (25, 5, 0.3, 5),  # too slow from here on
        (25, 5, 0.39, 5),
        (25, 5, 0.5, 5),
        (10, 10, 0.35, 10),
        (30, 1, 4.0, 1),
        (2, 5, 1.7, 2),
        (12.5, 5, 2.3, 5),
    ],
)
def test_what_is_given_up_is_what_was_wanted_less_what_was_looked_at(
    fps: float, rate_hz: float, took_s: float, wanted_hz: float, latency_s: float
) -> None:
    camera = Camera(fps=fps, rate_hz=rate_hz, took_s=lambda _: took_s, latency_s=latency_s)
    status = camera.run(200)
    assert status.wanted == camera.looked + status.given_up
    assert status.wanted == pytest.approx(200 * wanted_hz, rel=0.03)
    assert (status.given_up > 0) is (1 / took_s < wanted_hz)


def test_at_another_rate_what_falls_due_is_counted_by_that() -> None:
    camera = Camera(fps=25, rate_hz=0.1, took_s=lambda _: 0.15)
    before = camera.run(100).wanted
    assert before == pytest.approx(10, abs=1)
    camera.looks.set_rate(10)
    camera.rate_hz = 10
    status = camera.run(100)
    assert status.wanted - before == pytest.approx(1000, rel=0.03)
    assert status.wanted == camera.looked + status.given_up
    assert status.given_up > 0


def test_one_look_that_takes_long_gives_up_those_that_fell_due_but_the_last() -> None:
    camera = Camera(fps=25, rate_hz=5, took_s=lambda index: 0.95 if index == 10 else 0.01)
    assert camera.run(20).given_up == 3  # after 0.2, 0.4 and 0.6 s; that after 0.8 s is made up for at once


def test_a_refresh_that_takes_long_gives_up_nothing_for_nothing_moves() -> None:
    assert Camera(fps=25, rate_hz=5, took_s=lambda _: 0.95).run(20, look="refresh").given_up == 0


def test_frames_of_the_past_that_wait_for_each_other_are_no_looks_given_up() -> None:
    camera = Camera(fps=25, rate_hz=5, took_s=lambda _: 0.15)
    detect = camera.looks.in_turn(camera.detect)
    for index in range(20):
        detect(frame_of(990.0 + index / 5), motion_of())
    assert (camera.looks.status().wanted, camera.looks.status().given_up) == (20, 0)


@contextmanager
def taken(turns: Turns) -> Iterator[None]:
    with turns.turn(0.0, is_active=True, weight=1.0, beat=lambda: None):
        yield


def test_a_look_notes_how_long_it_waited_not_how_long_it_took() -> None:
    model = Model()
    clock = model.clock
    camera = Camera(fps=25, rate_hz=5, took_s=lambda _: 0.15, turns=model.turns)
    camera.clock = camera.looks.clock = clock
    waits = threading.Event()
    camera.looks.beat = waits.set
    detect = camera.looks.in_turn(camera.detect)
    detect(frame_of(clock.now_s), motion_of())
    with taken(model.turns):
        thread = threading.Thread(target=detect, args=(frame_of(clock.now_s), motion_of()))
        thread.start()
        assert waits.wait(PATIENCE_S)
        clock.advance(2.0)
    thread.join(PATIENCE_S)
    assert camera.looks.status().waits_s == (0.0, 2.0)


def test_when_there_will_be_no_more_turns_nobody_looked() -> None:
    model = Model()
    camera = Camera(fps=25, rate_hz=5, took_s=lambda _: 0.1, turns=model.turns)
    detect = camera.looks.in_turn(camera.detect)
    with taken(model.turns):
        model.turns.close()
        assert detect(frame_of(1000.0), motion_of()) is None
    assert camera.looked == 0


def test_a_look_that_fails_is_said_and_others_get_the_place() -> None:
    camera = Camera(fps=25, rate_hz=5, took_s=lambda _: 1 / 0)
    detect = camera.looks.in_turn(camera.detect)
    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            detect(frame_of(1000.0), motion_of())


# Who is looked at how often


def shares(*weights: float, rounds: int) -> list[int]:
    """Looks of cameras that always want to be looked at, with one place and 0.1 s a look."""
    model = Model()
    for camera, weight in enumerate(weights):
        model.comes(str(camera), weight=weight)
    served = [0] * len(weights)
    for _ in range(rounds):
        model.clock.advance(0.1)
        [looker] = model.running
        served[int(looker.name)] += 1
        model.leaves(looker)
        model.comes(looker.name, weight=looker.weight)  # with its newest frame
    model.turns.close()
    return served


def test_equal_cameras_are_looked_at_equally_often() -> None:
    served = shares(*[1.0] * 7, rounds=100)
    assert max(served) - min(served) <= 1


def test_with_more_weight_a_camera_is_looked_at_more_often() -> None:
    light, heavy = shares(*[1.0] * 9, 4.0, rounds=300)[-2:]
    assert 2 < heavy / light <= 4
