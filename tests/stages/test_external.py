"""Looking when something outside says so, on triggers and packets made by hand."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import pytest
from builders import frame_of
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.records import Packet, Verdict
from edge_agent.stages.gate.external import Attention, ExternalGate
from edge_agent.stages.gate.gops import UNKNOWN
from edge_agent.stages.gate.motion import Gate
from edge_agent.stages.gate.settings import GateSettings

RATE_HZ = 10
GROUP_S = 2.0
KEY_BYTES, OTHER_BYTES = 20_000, 1_000
GROUP_BYTES = KEY_BYTES + 19 * OTHER_BYTES


def settings_of(**settings: float) -> GateSettings:
    values = {"trigger_s": 10, "preroll_s": 5, "cooldown_s": 0, "refresh_s": 10, **settings}
    return GateSettings.model_validate({"mode": "external", **values})


def looks(triggers_s: Sequence[float], *, until_s: float = 60.0, **settings: float) -> list[tuple[float, float]]:
    """From when to when it looks, asked each second, each trigger being there from the moment it comes."""
    came: list[float] = []
    attention = Attention(settings_of(**settings), lambda: came)
    held = []
    for at_s in range(round(until_s)):
        came[:] = [trigger_s for trigger_s in triggers_s if trigger_s <= at_s]
        if attention.holds(at_s):
            held.append(at_s)
    return _stretches(held)


def _stretches(seconds: Sequence[int]) -> list[tuple[float, float]]:
    groups = itertools.groupby(enumerate(seconds), lambda pair: pair[1] - pair[0])
    stretches = [[at_s for _, at_s in group] for _, group in groups]
    return [(stretch[0], stretch[-1]) for stretch in stretches]


@pytest.mark.parametrize(
    ("triggers_s", "settings", "expected"),
    [
        ([], {}, []),
        ([20], {}, [(20, 30)]),  # what came before is over already, for whoever asks as time goes on
        ([20, 25], {}, [(20, 35)]),  # 25 + 10
        ([20, 25, 30, 40], {}, [(20, 50)]),  # the one at 30 comes in the last moment, and so does that at 40
        ([20, 33], {}, [(20, 30), (33, 43)]),
        ([20, 31], {"cooldown_s": 5}, [(20, 30)]),  # within 30..35
        ([20, 34.9, 35], {"cooldown_s": 5}, [(20, 30), (35, 45)]),
        ([20, 29, 43], {"cooldown_s": 5}, [(20, 39)]),  # 29 + 10 + 5 = 44
        ([20, 29, 44], {"cooldown_s": 5}, [(20, 39), (44, 54)]),
        ([0], {}, [(0, 10)]),
    ],
)
def test_a_trigger_opens_another_prolongs_and_a_cooldown_ignores(
    triggers_s: list[float], settings: dict[str, float], expected: list[tuple[float, float]]
) -> None:
    assert looks(triggers_s, **settings) == expected


@pytest.mark.parametrize("preroll_s", [0, 5])
def test_of_frames_that_are_late_those_since_the_pre_roll_are_looked_at(preroll_s: float) -> None:
    attention = Attention(settings_of(preroll_s=preroll_s), lambda: [100.0])
    held = [at_s for at_s in range(80, 130) if attention.holds(at_s)]
    assert (held[0], held[-1]) == (100 - preroll_s, 110)


def test_frames_that_are_so_late_that_the_next_trigger_has_come_are_judged_by_the_one_before() -> None:
    attention = Attention(settings_of(), lambda: [100.0, 140.0])
    held = [at_s for at_s in range(80, 170) if attention.holds(at_s)]
    assert _stretches(held) == [(95, 110), (135, 150)]


@given(st.lists(st.floats(0, 100), max_size=8).map(sorted), st.floats(0, 20))
def test_how_late_frames_are_does_not_change_which_are_looked_at(triggers_s: list[float], cooldown_s: float) -> None:
    settings = settings_of(cooldown_s=cooldown_s)
    came: list[float] = []
    late, prompt = Attention(settings, lambda: triggers_s), Attention(settings, lambda: came)
    for at_s in range(130):
        came[:] = [trigger_s for trigger_s in triggers_s if trigger_s <= at_s + settings.preroll_s]
        assert late.holds(at_s) is prompt.holds(at_s)


# The motion gate


def test_the_motion_gate_looks_at_its_rate_after_a_trigger_and_each_refresh_s_whatever_moves() -> None:
    gate = Gate(settings_of(refresh_s=30, preroll_s=2), 5.0, (), lambda: [40.0])
    looks = {at_s: look for i in range(900) if (look := gate.observe(frame_of(at_s := i / RATE_HZ)).look)}
    looked_s = list(looks)
    assert {at_s for at_s, look in looks.items() if look == "refresh"} == {0, 30, 80}
    before = [at_s for at_s in looked_s if at_s < 38]
    within = [at_s for at_s in looked_s if 38 <= at_s <= 50]
    assert before == [0, 30]
    assert within == pytest.approx([38 + i / 5 for i in range(61)])
    assert [at_s for at_s in looked_s if at_s > 50] == [80]


def test_the_motion_gate_says_what_moves_although_it_does_not_look() -> None:
    gate = Gate(settings_of(refresh_s=1000), 5.0, (), list)
    still, other = frame_of(0.0), frame_of(1.0)
    moved = other.luma.copy()
    moved[30:50, 30:50] = 250
    assert gate.observe(still).moving is False
    seen = gate.observe(frame_of(1.0, luma=moved))
    assert (seen.moving, seen.changed, seen.look) == (True, True, None)


def test_without_anything_that_tells_of_triggers_motion_opens_as_in_a_replay() -> None:
    gate = Gate(settings_of(refresh_s=1000), 5.0)
    frame = frame_of(0.0)
    assert gate.observe(frame).look
    moved = frame.luma.copy()
    moved[30:50, 30:50] = 250
    assert gate.observe(frame_of(20.0, luma=moved)).look


# The packet gate


def packets(until_s: float, *, group_s: float = GROUP_S, key_bytes: int = KEY_BYTES) -> Iterator[Packet]:
    for index in range(round(until_s * RATE_HZ)):
        is_key = index % round(group_s * RATE_HZ) == 0
        size = key_bytes if is_key else OTHER_BYTES
        yield Packet(at_s=index / RATE_HZ, size_bytes=size, wire_bytes=size, is_key=is_key)


@dataclass
class Watched:
    """What a gate said of each packet; a source is played that decodes what it is told to."""

    gate: ExternalGate
    verdicts: list[Verdict] = field(default_factory=list)
    kept: list[Packet] = field(default_factory=list)
    shown_s: list[float] = field(default_factory=list)  # asleep
    woken: list[tuple[float, float]] = field(default_factory=list)  # when, and from when on it decodes
    most_bytes: int = 0

    def take(self, packet: Packet) -> None:
        was_asleep = self.gate.asleep
        verdict = self.gate.observe(packet)
        self.verdicts.append(verdict)
        if packet.is_key and not was_asleep:
            self.kept.clear()
        self.kept.append(packet)
        if verdict == "decode" and was_asleep:
            keys_s = [kept.at_s for kept in self.kept if kept.is_key]
            begin_s = max((key_s for key_s in keys_s if key_s <= self.gate.motion_since_s), default=keys_s[0])
            self.woken.append((packet.at_s, begin_s))
        if verdict == "decode":
            assert self.gate.compare(frame_of(packet.at_s))
            return
        self._forget()
        self.most_bytes = max(self.most_bytes, self._bytes())
        if verdict == "show":
            self.shown_s.append(self.kept[0].at_s)
            assert self.gate.compare(frame_of(self.kept[0].at_s))

    def _forget(self) -> None:
        while len(keys := [i for i, packet in enumerate(self.kept) if packet.is_key]) > 1:
            is_over = self.kept[keys[1]].at_s <= self.gate.motion_since_s
            if not is_over and self._bytes() <= self.gate.buffer_bytes:
                return
            del self.kept[: keys[1]]

    def _bytes(self) -> int:
        return sum(packet.wire_bytes for packet in self.kept)


def watch(found: Iterator[Packet], triggers_s: Sequence[float] = (), **settings: float) -> Watched:
    came: list[float] = []
    watched = Watched(ExternalGate(settings_of(**settings), Attention(settings_of(**settings), lambda: came)))
    for packet in found:
        came[:] = [trigger_s for trigger_s in triggers_s if trigger_s <= packet.at_s]
        watched.take(packet)
    return watched


def test_it_falls_asleep_as_soon_as_it_knows_that_packets_can_be_kept() -> None:
    watched = watch(packets(20))
    first = next(i for i, verdict in enumerate(watched.verdicts) if verdict != "decode")
    assert first / RATE_HZ == pytest.approx(3 * GROUP_S, abs=0.11)  # three whole groups
    assert watched.gate.asleep
    assert watched.gate.basis == "triggers"


@pytest.mark.parametrize("trigger_s", [30.0, 30.5, 31.9, 33.95])
@pytest.mark.parametrize("preroll_s", [0, 3, 5])
def test_a_trigger_wakes_it_and_everything_since_the_pre_roll_can_be_decoded(
    trigger_s: float, preroll_s: float
) -> None:
    [(at_s, begin_s)] = watch(packets(40), [trigger_s], preroll_s=preroll_s).woken
    assert trigger_s <= at_s <= trigger_s + 0.1
    assert trigger_s - preroll_s - GROUP_S < begin_s <= trigger_s - preroll_s


def test_it_stays_awake_for_trigger_s_and_then_sleeps_again() -> None:
    watched = watch(packets(60), [30.0])
    asleep_s = [i / RATE_HZ for i, verdict in enumerate(watched.verdicts) if verdict != "decode"]
    assert not [at_s for at_s in asleep_s if 30.0 <= at_s <= 40.0]
    assert min(at_s for at_s in asleep_s if at_s > 30) == pytest.approx(40.2)  # one packet tells that it is over


def test_asleep_it_shows_a_picture_every_refresh_s_and_none_that_a_pre_roll_might_want() -> None:
    watched = watch(packets(100), [90.0], preroll_s=5, refresh_s=8)
    gaps_s = [later - earlier for earlier, later in itertools.pairwise(watched.shown_s)]
    assert watched.shown_s
    assert set(gaps_s) == {8.0}
    assert max(watched.shown_s) <= 90 - 5
    assert watched.woken[0][1] == 84.0  # the key picture before 85


def test_a_refresh_s_of_an_hour_still_shows_a_picture_every_ten_seconds_so_that_nothing_ends() -> None:
    watched = watch(packets(100), refresh_s=3600)
    assert {later - earlier for earlier, later in itertools.pairwise(watched.shown_s)} == {10.0}


@pytest.mark.parametrize("group_s", [1.0, 3.0, 7.0, 9.0, 11.0])
def test_however_far_apart_key_pictures_are_what_was_shown_last_is_never_so_old_that_the_scene_would_end(
    group_s: float,
) -> None:
    gate = ExternalGate(settings_of(preroll_s=10), Attention(settings_of(preroll_s=10), list))
    watched, ages_s = Watched(gate), []
    for packet in packets(150, group_s=group_s):
        watched.take(packet)
        if gate.asleep and watched.shown_s:
            ages_s.append(packet.at_s - watched.shown_s[-1])
    assert 18 < max(ages_s) < 26


def test_what_it_keeps_is_bounded_by_the_pre_roll_and_by_the_buffer_and_it_says_when_that_is_too_small() -> None:
    roomy = watch(packets(60), preroll_s=4, buffer_bytes=1 << 20)
    assert roomy.most_bytes <= 4 * GROUP_BYTES  # two of pre-roll, one that they begin in, one that grows
    assert roomy.gate.basis == "triggers"
    tight = watch(packets(60, key_bytes=100_000), preroll_s=10, buffer_bytes=1 << 18)
    assert tight.most_bytes <= (1 << 18) + 100_000
    assert tight.gate.asleep
    assert tight.gate.basis == "triggers; gate.buffer_bytes holds less than gate.preroll_s"


@pytest.mark.parametrize(
    ("found", "settings", "why"),
    [
        (packets(5), {}, UNKNOWN),
        (packets(60, group_s=20), {}, "no key picture for 12 s"),
        (packets(60, group_s=0.1), {}, "nearly each is a key picture"),
        (packets(60, key_bytes=200_000), {"buffer_bytes": 1 << 18}, "more than gate.buffer_bytes"),
    ],
)
def test_where_packets_cannot_be_kept_all_are_decoded_and_it_says_why(
    found: Iterator[Packet], settings: dict[str, float], why: str
) -> None:
    watched = watch(found, **settings)
    assert set(watched.verdicts) == {"decode"}
    assert why in watched.gate.basis


def test_when_key_pictures_fail_to_come_it_wakes_up_by_itself_and_keeps_no_more() -> None:
    regular = list(packets(20))
    endless = (
        Packet(at_s=20 + i / RATE_HZ, size_bytes=OTHER_BYTES, wire_bytes=OTHER_BYTES, is_key=False) for i in range(300)
    )
    watched = watch(iter([*regular, *endless]))
    assert not watched.gate.asleep
    assert watched.woken[0][0] == pytest.approx(18 + 12, abs=0.11)  # max_gop_s after the last


def test_the_same_packets_and_triggers_give_the_same_answers() -> None:
    first, second = (watch(packets(60), [30.0, 33.0, 50.0]) for _ in range(2))
    assert first.verdicts == second.verdicts
    assert first.woken == second.woken
