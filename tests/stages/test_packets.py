"""The packet gate, on made-up streams: packets have sizes, and small pictures stand for what is decoded."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

import numpy as np
import pytest
from builders import frame_of

from edge_agent.records import ByteArray, Frame, Packet
from edge_agent.stages.gate.packets import PacketGate
from edge_agent.stages.gate.settings import GateSettings
from edge_agent.stages.gate.sizes import Sizes

FPS = 10
WIDTH, HEIGHT = 960, 540
RATE_HZ = 5.0
KEY_BYTES = 40_000
LEARNT_S = 12.0
"""By then a still stream with a key picture every 2 s has fallen asleep."""


@dataclass(frozen=True, kw_only=True)
class Stream:
    """What a camera sends.

    Attributes:
        seconds: for how long.
        gop_s: how far key pictures are apart.
        usual: size of the packet at a place after the key picture, before noise.
        spread: of the sizes, as a part of them.
        moving: from when to when something moves in the pictures.
        costly: from when to when packets are larger, and by how many bytes.
        key_until_s: no key pictures come after this.
        bidirectional: every second picture refers forwards, and is a tenth as large.
        odd_keys_s: when key pictures are a fifth smaller.
    """

    seconds: float
    gop_s: float = 2.0
    usual: Callable[[int], float] = lambda place: 900.0 - 10 * place
    spread: float = 0.02
    moving: tuple[float, float] = (np.inf, np.inf)
    costly: tuple[float, float, float] = (np.inf, np.inf, 0.0)
    key_until_s: float = np.inf
    bidirectional: bool = False
    odd_keys_s: tuple[float, ...] = ()

    def packets(self) -> Iterator[Packet]:
        random, place = np.random.default_rng(1), 0
        for number in range(round(self.seconds * FPS)):
            at_s = number / FPS
            is_key = number % round(self.gop_s * FPS) == 0 and at_s <= self.key_until_s
            place = 0 if is_key else place + 1
            is_bidirectional = self.bidirectional and place % 2 == 1
            size = KEY_BYTES if is_key else self.usual(place) * (0.1 if is_bidirectional else 1.0)
            size *= 1 + self.spread * random.normal()
            begins_s, ends_s, extra = self.costly
            if begins_s <= at_s < ends_s and not is_key:
                size += extra
            if is_key and at_s in self.odd_keys_s:
                size *= 0.8
            size = max(size, 20.0)
            yield Packet(
                at_s=at_s,
                size_bytes=round(size),
                wire_bytes=round(size),
                is_key=is_key,
                is_bidirectional=is_bidirectional,
            )

    def picture(self, at_s: float) -> Frame:
        luma: ByteArray = np.full((HEIGHT, WIDTH), 100, np.uint8)
        if self.moving[0] <= at_s < self.moving[1]:
            left = round(120 * (at_s - self.moving[0])) % (WIDTH - 72)
            luma[180:252, left : left + 72] = 200
        return frame_of(at_s, luma=luma)


@dataclass
class Seen:
    """What became of a stream."""

    verdicts: list[tuple[float, str]] = field(default_factory=list)
    shown_s: list[float] = field(default_factory=list)
    woken_s: list[float] = field(default_factory=list)
    motion_since_s: list[float] = field(default_factory=list)
    asleep_s: list[float] = field(default_factory=list)

    def kept(self, begins_s: float, ends_s: float) -> float:
        """Which part of the packets of that time was left undecoded."""
        some = [verdict for at_s, verdict in self.verdicts if begins_s <= at_s < ends_s]
        return some.count("keep") / len(some)


def watch(stream: Stream, gate: PacketGate) -> Seen:
    """Do what the gate says, as a source would, without decoding anything twice."""
    seen = Seen()
    for packet in stream.packets():
        was_asleep = gate.asleep
        verdict = gate.observe(packet)
        seen.verdicts.append((packet.at_s, verdict))
        if verdict != "keep" and gate.compare(stream.picture(packet.at_s)):
            seen.shown_s.append(packet.at_s)
        if was_asleep and not gate.asleep:
            seen.woken_s.append(packet.at_s)
            seen.motion_since_s.append(gate.motion_since_s)
        if gate.asleep:
            seen.asleep_s.append(packet.at_s)
    return seen


def new_gate(mask: tuple[tuple[tuple[float, float], ...], ...] = (), **settings: object) -> PacketGate:
    return PacketGate(GateSettings.model_validate(settings), RATE_HZ, mask)


# Falling asleep


def test_a_still_stream_is_decoded_until_it_is_known_and_then_hardly() -> None:
    gate = new_gate()
    seen = watch(Stream(seconds=120), gate)
    assert 4 * 2.0 <= seen.asleep_s[0] <= LEARNT_S  # three groups tell what is usual, a fourth how far it spreads
    assert seen.kept(20, 120) >= 0.98
    assert gate.basis == "sizes and key pictures"
    assert not seen.woken_s


@pytest.mark.parametrize("hold_s", [1.0, 5.0])
def test_it_does_not_fall_asleep_before_the_motion_gate_behind_it_has_closed(hold_s: float) -> None:
    seen = watch(Stream(seconds=60, moving=(20.0, 25.0), costly=(20.0, 25.0, 1000.0)), new_gate(hold_s=hold_s))
    again_s = next(at_s for at_s in seen.asleep_s if at_s > 25.0)
    assert again_s > 25.0 + hold_s + 1.0 - 0.25  # the last look at motion lies up to a fifth of a second before its end


def test_a_stream_in_which_something_always_moves_is_always_decoded() -> None:
    gate = new_gate()
    seen = watch(Stream(seconds=60, moving=(0.0, 60.0)), gate)
    assert seen.kept(0, 60) == 0
    assert gate.basis == "learning"


@pytest.mark.parametrize("mode", ["pixels", "off"])
def test_it_never_falls_asleep_when_told_to_decode_everything(mode: str) -> None:
    gate = new_gate(mode=mode)
    assert watch(Stream(seconds=40), gate).kept(0, 40) == 0
    assert gate.basis == "all pictures: gate.mode"


# Streams for which it is no use


def test_without_key_pictures_everything_is_decoded_and_the_reason_is_named() -> None:
    gate = new_gate()
    assert watch(Stream(seconds=60, key_until_s=0.0), gate).kept(0, 60) == 0
    assert gate.basis == "all pictures: no key picture for 12 s"


def test_with_key_pictures_farther_apart_than_max_gop_s_everything_is_decoded() -> None:
    gate = new_gate(max_gop_s=5)
    assert watch(Stream(seconds=90, gop_s=6.0), gate).kept(0, 90) == 0
    assert gate.basis == "all pictures: no key picture for 5 s"


def test_with_nothing_but_key_pictures_everything_is_decoded() -> None:
    gate = new_gate()
    assert watch(Stream(seconds=30, gop_s=0.1), gate).kept(0, 30) == 0
    assert gate.basis == "all pictures: nearly each is a key picture"


def test_with_groups_larger_than_the_buffer_everything_is_decoded() -> None:
    gate = new_gate(buffer_bytes="256KiB")
    assert watch(Stream(seconds=60, usual=lambda _place: 6000.0), gate).kept(0, 60) == 0  # 40 + 19 * 6 = 154 KB
    assert gate.basis == "all pictures: more than gate.buffer_bytes holds lies between two key pictures"


NOISE = Stream(seconds=120, gop_s=6.0, usual=lambda _place: 20_000.0, spread=0.3)
"""Its sizes tell nothing: 80 bytes more, or 800, are lost in 6,000."""


def test_where_sizes_tell_nothing_and_key_pictures_are_far_apart_everything_is_decoded() -> None:
    gate = new_gate()
    assert watch(NOISE, gate).kept(0, 120) == 0
    assert gate.basis == "all pictures: packet sizes tell nothing, and key pictures are 6.0 s apart"


def test_where_sizes_tell_nothing_key_pictures_within_blind_s_do() -> None:
    gate = new_gate(blind_s=6)
    seen = watch(NOISE, gate)
    assert gate.basis == "key pictures"
    assert seen.kept(60, 120) > 0.9
    assert [at_s for at_s, verdict in seen.verdicts if verdict == "compare" and at_s > 60] == [
        pytest.approx(at_s) for at_s in range(66, 120, 6)
    ]


@pytest.mark.parametrize(("gop_s", "every_s"), [(0.5, 1.0), (1.0, 1.0), (3.0, 3.0)])
def test_where_sizes_tell_nothing_every_key_picture_is_compared_up_to_one_a_second(
    gop_s: float, every_s: float
) -> None:
    seen = watch(replace(NOISE, gop_s=gop_s), new_gate())
    compared_s = [at_s for at_s, verdict in seen.verdicts if verdict == "compare" and at_s > 60]
    assert np.median(np.diff(compared_s)) == pytest.approx(every_s)  # now and then one more, by chance


def test_noise_that_costs_as_much_as_motion_hides_it() -> None:
    gate = new_gate()  # 2,025 macroblocks of 12 bytes each, and hardly any spread: only motion costs nothing more
    watch(Stream(seconds=60, usual=lambda _place: 24_000.0, spread=0.001), gate)
    assert gate.basis == "key pictures"


def test_motion_that_was_seen_to_cost_nothing_is_not_expected_to_show() -> None:
    stream = Stream(seconds=60, moving=(20.0, 30.0), costly=(20.0, 20.5, 300.0))  # then the encoder makes up for it
    gate = new_gate()
    watch(stream, gate)
    assert gate.basis == "key pictures"


def test_in_mode_packets_key_pictures_do_however_far_apart_they_are() -> None:
    assert watch(NOISE, new_gate(mode="packets")).kept(60, 120) > 0.9


def test_sizes_that_show_large_things_only_let_key_pictures_be_half_as_far_apart_again() -> None:
    middling = Stream(seconds=120, gop_s=6.0, usual=lambda _place: 2000.0, spread=0.05)  # 180 bytes show
    gate = new_gate()
    watch(middling, gate)
    assert gate.basis == "key pictures and coarse sizes"
    strict = new_gate(blind_s=3)
    watch(middling, strict)
    assert strict.basis == "all pictures: packet sizes show large things only, and key pictures are 6.0 s apart"


def test_a_stream_that_is_held_up_on_its_way_is_as_well_built_as_before() -> None:
    gate = new_gate()
    for packet in replace(NOISE, gop_s=2.0, seconds=60).packets():
        held_up_s = packet.at_s // 5 * 6.0  # half as fast, and after each five seconds it is stamped anew
        late = replace(packet, at_s=packet.at_s + held_up_s, stamp_s=packet.at_s)
        if gate.observe(late) != "keep":
            gate.compare(frame_of(late.at_s, size=(WIDTH, HEIGHT)))
    assert gate.asleep
    assert gate.basis == "key pictures"


# Waking up


@pytest.mark.parametrize("extra", [100.0, 1000.0])
def test_larger_packets_wake_it_up_and_tell_since_when(extra: float) -> None:
    stream = Stream(seconds=60, moving=(31.3, 34.0), costly=(31.3, 34.0, extra))
    seen = watch(stream, new_gate())
    assert 31.3 <= seen.woken_s[0] <= 32.3
    assert 30.0 <= seen.motion_since_s[0] <= 31.3 + 0.1
    assert seen.woken_s[0] in seen.shown_s


def test_one_large_packet_alone_does_not_wake_it_up() -> None:
    seen = watch(Stream(seconds=60, costly=(31.3, 31.35, 50_000.0)), new_gate())
    assert not seen.woken_s


def test_smaller_packets_do_not_wake_it_up() -> None:
    seen = watch(Stream(seconds=60, costly=(31.3, 60.0, -300.0)), new_gate())
    assert not seen.woken_s


def test_a_key_picture_that_differs_wakes_it_up_and_everything_kept_is_to_be_seen() -> None:
    seen = watch(Stream(seconds=60, moving=(31.3, 45.0)), new_gate(blind_s=2))  # and sizes do not tell
    assert seen.woken_s[0] <= 31.3 + 2 * 2.0  # where sizes speak, key pictures are compared every 2 blind_s
    assert seen.motion_since_s[0] == -np.inf


def test_a_key_picture_of_an_unusual_size_is_compared_out_of_turn() -> None:
    usual, odd = Stream(seconds=60), Stream(seconds=60, odd_keys_s=(42.0,))
    compared = [[at_s for at_s, what in watch(each, new_gate()).verdicts if what == "compare"] for each in (usual, odd)]
    assert 42.0 not in compared[0]
    assert 42.0 in compared[1]


def test_after_packets_that_are_a_little_larger_for_a_while_the_next_key_picture_is_compared() -> None:
    usual, larger = Stream(seconds=80), Stream(seconds=80, costly=(50.1, 51.4, 20.0))
    seen, suspicious = watch(usual, new_gate()), watch(larger, new_gate())
    assert not suspicious.woken_s
    assert (52.0, "keep") in seen.verdicts
    assert (52.0, "compare") in suspicious.verdicts


def test_once_sizes_have_missed_a_motion_key_pictures_are_compared_twice_as_often() -> None:
    stream = Stream(seconds=120, moving=(31.3, 45.0))
    compared_s = [at_s for at_s, what in watch(stream, new_gate(refresh_s=60)).verdicts if what == "compare"]
    assert max(np.diff([at_s for at_s in compared_s if at_s < 31])) > 4.0
    assert max(np.diff([at_s for at_s in compared_s if at_s > 60])) <= 4.0


def test_what_moves_under_the_mask_is_not_seen_in_a_key_picture() -> None:
    left_to_right = ((0.0, 0.2), (1.0, 0.2), (1.0, 0.6), (0.0, 0.6))
    seen = watch(Stream(seconds=60, moving=(31.3, 45.0)), new_gate(mask=(left_to_right,)))
    assert not seen.woken_s


def test_it_wakes_up_when_key_pictures_fail_to_come() -> None:
    seen = watch(Stream(seconds=60, key_until_s=30.0), new_gate(max_gop_s=6))
    assert seen.woken_s == [pytest.approx(36.1, abs=0.11)]
    assert seen.kept(37, 60) == 0


def test_it_wakes_up_before_more_is_kept_than_it_may() -> None:
    growing = Stream(seconds=60, gop_s=2.0, costly=(30.0, 60.0, 60_000.0), spread=0.3, key_until_s=30.0)
    gate = new_gate(buffer_bytes="512KiB", mode="packets")
    kept = largest = 0
    for packet in growing.packets():
        verdict = gate.observe(packet)
        kept = kept + packet.wire_bytes if verdict == "keep" else 0
        largest = max(largest, kept)
        if verdict != "keep":
            gate.compare(growing.picture(packet.at_s))
    assert 0 < largest <= 512 * 1024


def test_false_alarms_make_it_less_easily_alarmed_and_a_true_one_as_easily_as_before() -> None:
    sizes = Sizes()
    bound = sizes.alarm_sum
    for expected in (1.5, 1.5**2, 1.5**3):
        sizes.judge(was_right=False)
        assert sizes.alarm_sum == pytest.approx(bound * expected)
    sizes.judge(was_right=True)
    assert sizes.alarm_sum == bound
    for _ in range(50):
        sizes.judge(was_right=False)
    assert sizes.alarm_sum < 10 * bound  # never deaf


def test_only_what_sizes_woke_is_held_against_or_for_them(monkeypatch: pytest.MonkeyPatch) -> None:
    judged: list[bool] = []
    monkeypatch.setattr(Sizes, "judge", lambda _sizes, *, was_right: judged.append(was_right))
    assert watch(Stream(seconds=60, moving=(31.3, 45.0)), new_gate()).woken_s  # by a key picture
    assert judged == []
    watch(Stream(seconds=60, costly=(31.3, 32.0, 1000.0)), new_gate())
    assert judged == [False]
    watch(Stream(seconds=60, moving=(31.3, 34.0), costly=(31.3, 34.0, 1000.0)), new_gate())
    assert judged == [False, True]


@pytest.mark.parametrize("quiet_s", [10, 600])
def test_what_motion_costs_is_learnt_from_when_it_was_seen_however_quiet_it_was_before(quiet_s: int) -> None:
    sizes = Sizes()
    for number, packet in enumerate(Stream(seconds=4 * 10 + 25 * (quiet_s + 1)).packets()):
        at_s = number / FPS
        is_moving = at_s >= 40 and (at_s - 40) % (quiet_s + 1) >= quiet_s
        if packet.is_key:
            sizes.turn()
            sizes.learn(is_quiet=True)
        extra = 200 if is_moving and not packet.is_key else 0
        sizes.observe(replace(packet, size_bytes=packet.size_bytes + extra))
        if is_moving and number % 10 == 9:
            sizes.answer(10)  # macroblocks of 20 bytes
    assert sizes.would_show(10, all_blocks=100, rate_hz=FPS)  # of 100, each would have to cost 8, had none been seen
    assert not sizes.would_show(1, all_blocks=100, rate_hz=FPS)


def test_a_false_alarm_is_forgotten_when_many_groups_have_been_quiet() -> None:
    sizes = Sizes()
    bound = sizes.alarm_sum
    sizes.judge(was_right=False)
    for packet in Stream(seconds=100).packets():  # 50 groups
        if packet.is_key:
            sizes.turn()
            sizes.learn(is_quiet=True)
        sizes.observe(packet)
    assert bound < sizes.alarm_sum < 1.25 * bound
    for packet in Stream(seconds=100).packets():
        if packet.is_key:
            sizes.turn()
            sizes.learn(is_quiet=True)
        sizes.observe(packet)
    assert sizes.alarm_sum == bound


def test_a_false_alarm_is_slept_off_within_two_seconds() -> None:
    seen = watch(Stream(seconds=60, costly=(31.3, 32.0, 1000.0)), new_gate())
    assert len(seen.woken_s) == 1
    assert next(at_s for at_s in seen.asleep_s if at_s > seen.woken_s[0]) <= seen.woken_s[0] + 2.0


def test_it_does_not_fall_asleep_again_before_it_has_seen_a_picture() -> None:
    stream, gate, woken_s = Stream(seconds=60, costly=(31.3, 32.0, 1000.0)), new_gate(), []
    for packet in stream.packets():
        was_asleep = gate.asleep
        verdict = gate.observe(packet)
        if was_asleep and not gate.asleep:
            woken_s.append(packet.at_s)
        if verdict != "keep" and packet.at_s < 30:  # nothing can be decoded any more from then on
            gate.compare(stream.picture(packet.at_s))
    assert len(woken_s) == 1
    assert not gate.asleep


def test_a_stream_that_has_become_noisier_for_good_is_learnt_anew() -> None:
    seen = watch(Stream(seconds=200, costly=(60.0, 200.0, 400.0)), new_gate())
    assert seen.woken_s
    assert seen.kept(150, 200) > 0.95


def test_pictures_that_refer_forwards_are_compared_with_their_like() -> None:
    gate = new_gate()
    still = watch(Stream(seconds=60, bidirectional=True), gate)
    assert not still.woken_s
    assert still.kept(20, 60) > 0.95


# While it is asleep


@pytest.mark.parametrize("refresh_s", [4.0, 10.0, 60.0])
def test_a_picture_is_shown_every_refresh_s_and_at_least_every_ten_seconds(refresh_s: float) -> None:
    seen = watch(Stream(seconds=120), new_gate(refresh_s=refresh_s))
    asleep = [at_s for at_s in seen.shown_s if at_s > 20]
    assert max(np.diff(asleep)) <= min(refresh_s, 10.0) + 2.0  # at the next key picture


def test_the_same_stream_gives_the_same_verdicts() -> None:
    stream = Stream(seconds=60, moving=(31.3, 34.0), costly=(31.3, 34.0, 300.0), bidirectional=True)
    assert watch(stream, new_gate()) == watch(stream, new_gate())
