"""What led to a trigger is decoded afterwards, exactly as it was: real films through the gate that goes by triggers."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from pathlib import Path

import pytest
from test_decoding import FIXED, GROUP, H265, RATE_HZ, START_S, Film, Shown, _write, decode, decode_all, seen

from edge_agent.records import Packet, Verdict
from edge_agent.stages.gate.external import Attention, ExternalGate
from edge_agent.stages.gate.settings import GateSettings

FILMS = {
    "H.264": Film(options=FIXED, pictures=400),
    "H.264 with B-frames": Film(options={**FIXED, "bf": "2"}, pictures=400),
    "H.265 with B-frames": Film(codec="libx265", options={"x265-params": H265}, pictures=400),
}
GROUP_S = GROUP / RATE_HZ
TRIGGER_S = START_S + 30.05

Reference = list[tuple[float, bytes]]


@pytest.fixture(scope="module", params=list(FILMS))
def film(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("preroll") / "film.mp4"
    _write(path, FILMS[request.param])
    return path


class Recorded:
    """The gate, with the time of each packet noted, so that a trigger comes when it is due."""

    def __init__(self, *triggers_s: float, **settings: float) -> None:
        self.now_s = -math.inf
        values = {"mode": "external", "trigger_s": 4, "preroll_s": 3, "refresh_s": 5, **settings}
        gate_settings = GateSettings.model_validate(values)
        attention = Attention(gate_settings, lambda: [at_s for at_s in triggers_s if at_s <= self.now_s])
        self.gate = ExternalGate(gate_settings, attention)
        self.asleep_verdicts: list[Verdict] = []
        self.compare = self.gate.compare
        self.buffer_bytes = self.gate.buffer_bytes

    @property
    def asleep(self) -> bool:
        return self.gate.asleep

    @property
    def motion_since_s(self) -> float:
        return self.gate.motion_since_s

    @property
    def basis(self) -> str:
        return self.gate.basis

    def observe(self, packet: Packet) -> Verdict:
        self.now_s = max(self.now_s, packet.at_s)
        verdict = self.gate.observe(packet)
        if verdict != "decode":
            self.asleep_verdicts.append(verdict)
        return verdict


def between(shown: Shown, wanted: Callable[[float], bool]) -> Reference:
    return [one for one in seen(shown.frames) if wanted(one[0])]


def test_everything_from_the_pre_roll_to_the_end_of_the_look_is_shown_as_decoding_everything_shows_it(
    film: Path,
) -> None:
    reference = decode_all(film)
    shown = decode(film, Recorded(TRIGGER_S))
    pictures = dict(reference)
    assert all(pictures[at_s] == luma for at_s, luma in seen(shown.frames))
    assert shown.decoding.damaged == 0

    def is_due(at_s: float) -> bool:
        return TRIGGER_S - 3 <= at_s <= TRIGGER_S + 3.5  # a decoder may hold pictures back when it stops

    assert between(shown, is_due) == [one for one in reference if is_due(one[0])]
    earliest_s = min(at_s for at_s, _ in seen(shown.frames) if at_s > TRIGGER_S - 3 - GROUP_S - 0.01)
    assert earliest_s == pytest.approx(START_S + 27.0)  # the key picture before 27.05


def test_asleep_single_key_pictures_are_shown_and_time_never_goes_back(film: Path) -> None:
    gate = Recorded(TRIGGER_S)
    shown = decode(film, gate)
    times_s = [at_s for at_s, _ in seen(shown.frames)]
    assert times_s == sorted(times_s)
    single_s = [at_s - START_S for at_s in times_s if 5 < at_s - START_S < 26]
    assert len(single_s) == gate.asleep_verdicts.count("show") - sum(at_s - START_S > 35 for at_s in times_s[-2:])
    assert all(at_s == pytest.approx(round(at_s)) for at_s in single_s)  # key pictures come each second
    assert [round(later - earlier) for earlier, later in itertools.pairwise(single_s)] == [5, 5, 5]


def test_without_a_trigger_nothing_but_these_is_shown(film: Path) -> None:
    shown = decode(film, Recorded(refresh_s=3600))
    asleep_s = [at_s - START_S for at_s, _ in seen(shown.frames) if at_s - START_S > 5]
    assert len(asleep_s) == 3  # every ten seconds, 3 s late
    assert shown.decoding.asleep
    assert shown.decoding.basis == "triggers"


def test_two_triggers_that_follow_each_other_show_nothing_twice(film: Path) -> None:
    shown = decode(film, Recorded(TRIGGER_S - 10, TRIGGER_S - 5, TRIGGER_S))
    times_s = [at_s for at_s, _ in seen(shown.frames)]
    assert len(times_s) == len(set(times_s))
    assert times_s == sorted(times_s)
    reference = [at_s for at_s, _ in decode_all(film) if TRIGGER_S - 12.9 < at_s < TRIGGER_S + 3.5]
    held_back = len(reference) - len([at_s for at_s in times_s if at_s in set(reference)])
    assert 0 <= held_back <= 4 * 2  # what a decoder held back when it stopped, twice
