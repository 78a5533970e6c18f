"""Which decoder a camera gets: the cheaper one that gives the same pictures, without anybody seeing it being chosen."""

from __future__ import annotations

import functools
import itertools
import logging
import threading
from collections.abc import Callable
from contextlib import closing
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from hardware import Hardware, Manner, as_nv12, changing, early, failing, install, late, losing
from rtsp import rtsp_camera
from test_decoding import FIXED, Script, everything, stamped

from edge_agent.edges.clock import Backoff, SystemClock
from edge_agent.edges.latest import Latest
from edge_agent.edges.sources import decoders, open_source
from edge_agent.edges.sources.choosing import Choosing
from edge_agent.edges.sources.chosen import AUTO, DecoderNotes, DecoderStatus
from edge_agent.edges.sources.contest import MOST_LAG, STRETCH, Rival
from edge_agent.edges.sources.decoders import SOFTWARE, Coded
from edge_agent.edges.sources.decoding import Decoding
from edge_agent.edges.sources.source import PacketGate as Gate
from edge_agent.edges.sources.supervised import Capture, CaptureSettings
from edge_agent.errors import SourceError
from edge_agent.records import Frame
from edge_agent.stages.gate.packets import PacketGate
from edge_agent.stages.gate.settings import GateSettings

WIDTH_PX, HEIGHT_PX, RATE_HZ = 480, 272, 10
GROUP = 20
PICTURES = 140
OPTIONS = {**FIXED, "g": str(GROUP), "keyint_min": str(GROUP)}
H265 = f"keyint={GROUP}:min-keyint={GROUP}:scenecut=0:bframes=2:log-level=none"  # with pictures before key pictures
CODINGS: dict[str, tuple[str, dict[str, str]]] = {
    "H.264": ("libx264", OPTIONS),
    "H.264 with B-frames": ("libx264", {**OPTIONS, "bf": "2"}),
    "H.265 with B-frames": ("libx265", {"x265-params": H265}),
}
Said = tuple[object, ...]


def write(path: Path, coding: str, *, width: int = WIDTH_PX, pictures: int = PICTURES, rate_hz: int = RATE_HZ) -> Path:
    """A film in which all moves, so that each picture is some work."""
    codec, options = CODINGS[coding]
    if codec not in av.codecs_available:
        pytest.skip(f"this PyAV was built without {codec}")
    scene = np.random.default_rng(1).integers(40, 200, (HEIGHT_PX // 4, width // 4), np.uint8).repeat(4, 0).repeat(4, 1)
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream(codec, rate=rate_hz)
        stream.width, stream.height, stream.pix_fmt, stream.options = width, HEIGHT_PX, "yuv420p", options
        for index in range(pictures):
            planes = np.empty((HEIGHT_PX * 3 // 2, width), np.uint8)
            planes[:HEIGHT_PX] = np.roll(scene, (index, 2 * index), (0, 1))
            planes[HEIGHT_PX:] = scene[: HEIGHT_PX // 2] // 2 + 60 + index % 20
            picture = av.VideoFrame.from_ndarray(planes, format="yuv420p")
            picture.pts, picture.time_base = index, Fraction(1, rate_hz)
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
    return path


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    folder = tmp_path_factory.mktemp("films")

    def film(coding: str) -> Path:
        path = folder / f"{coding}.mp4"
        return path if path.exists() else write(path, coding)

    return film


@pytest.fixture
def film(films: Callable[[str], Path]) -> Path:
    return films("H.264")


def frames_of(path: Path, notes: DecoderNotes, gate: Gate | None = None) -> list[Frame]:
    """What a film gives as one connection's stream."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        decoding = Decoding(stream, gate, Choosing(stream, notes, "the film"))
        return [frame for frame in decoding.frames(stamped(container.demux(stream))) if frame is not None]


def seen(path: Path, notes: DecoderNotes, gate: Gate | None = None) -> list[Said]:
    return [everything(frame) for frame in frames_of(path, notes, gate)]


def by_software(path: Path, gate: Gate | None = None) -> list[Said]:
    return _by_software(path) if gate is None else seen(path, DecoderNotes(requested=SOFTWARE), gate)


@functools.cache
def _by_software(path: Path) -> list[Said]:
    return seen(path, DecoderNotes(requested=SOFTWARE))


def status(notes: DecoderNotes) -> DecoderStatus:
    assert notes.status is not None
    return notes.status


# No hardware, the usual case


def test_where_no_hardware_is_built_in_software_decodes_and_says_so(
    film: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(monkeypatch)
    notes = DecoderNotes()
    assert seen(film, notes) == by_software(film)
    assert notes.status == DecoderStatus(requested=AUTO, active=SOFTWARE, why="no hardware here for h264")


def test_hardware_that_cannot_be_opened_is_none(film: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    absent = Hardware(opens=False)
    install(monkeypatch, absent)
    notes = DecoderNotes()
    assert seen(film, notes) == by_software(film)
    assert status(notes).why == "no hardware here for h264"
    assert absent.packets == 0


def test_opening_is_tried_once_for_each_codec(monkeypatch: pytest.MonkeyPatch) -> None:
    absent, swift = Hardware("absent", opens=False), Hardware()
    monkeypatch.setattr(decoders, "hardware", lambda codec: iter([absent.way(codec), swift.way(codec)]))
    for times, codec in enumerate(["mpeg1video", "mpeg2video"], 1):  # of no camera: what is found out, stays
        for _ in range(3):
            assert [way.name for way in decoders.usable(codec)] == ["swift"]
        assert (absent.made, swift.made) == (times, times)


@pytest.mark.parametrize("device", ["vaapi", "videotoolbox", "d3d11va"])
def test_a_device_that_this_pyav_does_not_have_is_never_software_under_its_name(device: str) -> None:
    if device in decoders.devices():
        pytest.skip("this PyAV has it")
    with pytest.raises(NotImplementedError):
        decoders.on_device(device, "h264")


def test_each_kind_that_pyav_was_built_for_opens_or_says_why_not() -> None:
    for way in decoders.hardware("h264"):
        reason = decoders.why_not(way)
        assert reason or way.make().name.startswith("h264")
        assert "\n" not in reason


def test_ffmpeg_understands_what_a_decoder_is_told(film: Path) -> None:
    with av.open(str(film)) as container:
        coded = decoders.Coded.of(container.streams.video[0])
    decoder = decoders.opened(decoders.software(coded.codec), coded)
    assert decoder.options == {}  # what FFmpeg does not know stays there
    assert decoder.extradata == coded.parameters


# The contest


@pytest.mark.parametrize("coding", CODINGS)
@pytest.mark.parametrize("lag", [0, 1, 5])
def test_hardware_that_is_cheaper_goes_on_and_nobody_sees_it(
    films: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch, coding: str, lag: int
) -> None:
    film = films(coding)
    swift = Hardware(manner=late(lag) if lag else lambda _, new: new)
    install(monkeypatch, swift)
    notes = DecoderNotes()
    shown, reference = seen(film, notes), by_software(film)
    assert shown == reference[: len(shown)]
    assert len(shown) >= PICTURES - lag  # what it holds back at the end is never asked for
    assert status(notes).active == "swift"
    assert swift.made == 2  # once to see whether it opens


@pytest.mark.parametrize("coding", CODINGS)
def test_hardware_that_is_ahead_of_software_loses_no_picture(
    films: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch, coding: str
) -> None:
    film = films(coding)
    install(monkeypatch, Hardware(manner=early(film)))
    notes = DecoderNotes()
    assert seen(film, notes) == by_software(film)
    assert status(notes).active == "swift"


def test_what_was_measured_is_said_in_numbers(film: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, Hardware())
    notes = DecoderNotes()
    frames_of(film, notes)
    name, own_ms, *words, software_ms = status(notes).why.split()
    assert (name, words) == ("swift", ["ms", "a", "picture,", "software"])
    assert 0 < float(own_ms) < 0.9 * float(software_ms)


def test_hardware_that_takes_more_than_software_loses(film: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, Hardware("slow", is_costly=True))
    notes = DecoderNotes()
    assert seen(film, notes) == by_software(film)
    assert status(notes).active == SOFTWARE
    assert float(status(notes).why.split()[1]) > float(status(notes).why.split()[-1])


def test_of_several_the_cheapest_goes_on(film: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kinds = Hardware("slow", is_costly=True), Hardware(), Hardware("broken", failing(10, OSError("gone")))
    install(monkeypatch, *kinds)
    notes = DecoderNotes()
    assert seen(film, notes) == by_software(film)
    assert status(notes).active == "swift"
    assert [part.split()[0] for part in status(notes).why.split("; ")] == ["slow", "swift", "broken"]
    assert status(notes).why.endswith("; broken failed")


SPOILT: dict[str, Manner] = {
    "a brighter picture": changing(lambda planes: [planes[0] + 8, *planes[1:]]),
    "a row lower": changing(lambda planes: [np.roll(planes[0], 1, 0), *planes[1:]]),
    "red for blue": changing(lambda planes: [planes[0], planes[2], planes[1] + 4]),
    "other pictures now and then": lambda before, new: (
        changing(lambda planes: [planes[0] // 2, *planes[1:]])(0, new) if before % 25 == 24 else new
    ),
    "half the width": lambda _, new: [_half(picture) for picture in new],
    "full range": lambda _, new: [_full_range(picture) for picture in new],
}


def _half(picture: av.VideoFrame) -> av.VideoFrame:
    return picture.reformat(width=picture.width // 2)


def _full_range(picture: av.VideoFrame) -> av.VideoFrame:
    picture.color_range = 2
    return picture


@pytest.mark.parametrize("manner", SPOILT)
def test_wrong_pictures_never_win_however_cheap(film: Path, monkeypatch: pytest.MonkeyPatch, manner: str) -> None:
    install(monkeypatch, Hardware(manner=SPOILT[manner]))
    notes = DecoderNotes()
    assert seen(film, notes) == by_software(film)
    assert status(notes) == DecoderStatus(requested=AUTO, active=SOFTWARE, why="swift gave other pictures")


@pytest.mark.parametrize(
    ("manner", "why"),
    [
        (losing(range(3, 1000, 5)), "swift gave 24 of 30 pictures"),
        (failing(0), "swift gave 0 of 6 pictures"),
        (failing(30), "swift gave 30 of 36 pictures"),
        (failing(0, av.error.InvalidDataError(1, "Invalid data")), "swift gave 0 of 6 pictures"),
        (failing(20, av.error.ExternalError(1, "Generic error")), "swift failed"),
        (late(17), "swift gave 0 of 6 pictures"),
    ],
)
def test_hardware_that_loses_pictures_or_fails_drops_out(
    film: Path, monkeypatch: pytest.MonkeyPatch, manner: Manner, why: str
) -> None:
    install(monkeypatch, Hardware(manner=manner))
    notes = DecoderNotes()
    assert seen(film, notes) == by_software(film)
    assert status(notes) == DecoderStatus(requested=AUTO, active=SOFTWARE, why=why)
    assert notes.failures == 0


def test_a_picture_or_two_may_be_lost(film: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, Hardware(manner=losing([7, 30])))
    notes = DecoderNotes()
    assert seen(film, notes) == by_software(film)
    assert status(notes).active == "swift"


def test_pictures_in_pairs_of_chroma_are_the_same(film: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, Hardware(manner=as_nv12))
    notes = DecoderNotes()
    assert seen(film, notes) == by_software(film)
    assert status(notes).active == "swift"


def test_pictures_without_times_are_left_to_software(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    film = write(tmp_path / "bare.h264", "H.264", pictures=40)
    install(monkeypatch, Hardware())
    notes = DecoderNotes()
    assert seen(film, notes) == by_software(film)
    assert status(notes).why == "swift was not tried: pictures have no times"


def test_a_connection_that_begins_within_a_group_is_no_fault_of_the_hardware(
    film: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def frames(notes: DecoderNotes) -> list[Said]:
        with av.open(str(film)) as container:
            stream = container.streams.video[0]
            packets = itertools.islice(container.demux(stream), 7, None)
            decoding = Decoding(stream, None, Choosing(stream, notes, "the film"))
            return [everything(frame) for frame in decoding.frames(stamped(packets)) if frame is not None]

    install(monkeypatch, Hardware())
    notes = DecoderNotes()
    assert frames(notes) == frames(DecoderNotes(requested=SOFTWARE))
    assert status(notes).active == "swift"


@pytest.mark.parametrize("coding", CODINGS)
def test_what_software_shows_of_the_group_before_is_not_asked_of_the_hardware(
    films: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch, coding: str
) -> None:
    """A camera's first picture often has no time, so that the hardware begins with the second key picture."""
    film = films(coding)

    def frames(notes: DecoderNotes) -> list[Said]:
        with av.open(str(film)) as container:
            stream = container.streams.video[0]
            packets = list(container.demux(stream))
            packets[0].pts = None
            decoding = Decoding(stream, None, Choosing(stream, notes, "the film"))
            return [everything(frame) for frame in decoding.frames(stamped(packets)) if frame is not None]

    as_many_as_it_may = range(2, 32, 6)
    install(monkeypatch, Hardware(manner=losing(as_many_as_it_may)))
    notes = DecoderNotes()
    assert frames(notes) == frames(DecoderNotes(requested=SOFTWARE))
    assert status(notes).active == "swift"


def test_damaged_packets_are_counted_once_and_harm_nobody(film: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def frames(notes: DecoderNotes) -> tuple[list[Said], int]:
        with av.open(str(film)) as container:
            stream = container.streams.video[0]
            decoding = Decoding(stream, None, Choosing(stream, notes, "the film"))
            packets = list(container.demux(stream))
            for place in (5, 31, 58, 101, 117):
                damaged = av.Packet(b"\x00\x00\x00\x05\xff\xff\xff\xff\xff")
                damaged.pts, damaged.time_base = packets[place].pts, packets[place].time_base
                packets[place] = damaged
            shown = [everything(frame) for frame in decoding.frames(stamped(packets)) if frame is not None]
            return shown, decoding.damaged

    install(monkeypatch, Hardware())
    notes = DecoderNotes()
    assert frames(notes) == frames(DecoderNotes(requested=SOFTWARE))
    assert status(notes).active == "swift"
    assert notes.failures == 0


# What one connection has learnt


def test_the_next_connection_takes_what_the_last_one_found(film: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    swift = Hardware()
    install(monkeypatch, swift)
    notes = DecoderNotes()
    frames_of(film, notes)
    found, packets = status(notes), swift.packets
    assert seen(film, notes) == by_software(film)
    assert status(notes) == found
    assert swift.packets == packets + PICTURES + 1  # and the end


def test_software_that_was_found_cheaper_is_not_challenged_again(film: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    slow = Hardware("slow", is_costly=True)
    install(monkeypatch, slow)
    notes = DecoderNotes()
    frames_of(film, notes)
    found, packets = status(notes), slow.packets
    assert seen(film, notes) == by_software(film)
    assert (status(notes), slow.packets) == (found, packets)


def test_a_stream_of_another_size_is_measured_anew(film: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, Hardware("slow", is_costly=True))
    notes = DecoderNotes()
    frames_of(film, notes)
    assert status(notes).active == SOFTWARE
    install(monkeypatch, Hardware())
    frames_of(film, notes)
    assert status(notes).active == SOFTWARE
    frames_of(write(tmp_path / "wide.mp4", "H.264", width=512), notes)
    assert status(notes).active == "swift"


# Failing later


@pytest.mark.parametrize("coding", ["H.264", "H.264 with B-frames"])
@pytest.mark.parametrize(
    ("error", "back_at"),
    [
        (av.error.ExternalError(1, "Generic error"), 100),  # the next key picture
        (None, 120),  # 32 packets after the 85th is 117, and the key picture after that
        (av.error.InvalidDataError(1, "Invalid data"), 120),
    ],
)
def test_hardware_that_fails_later_gives_way_at_a_key_picture_and_is_said_once(
    films: Callable[[str], Path],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    coding: str,
    error: Exception | None,
    back_at: int,
) -> None:
    film = films(coding)
    install(monkeypatch, Hardware(manner=failing(85, error)))
    notes = DecoderNotes()
    reference = by_software(film)
    with caplog.at_level(logging.WARNING):
        shown = seen(film, notes)
    times = [line[3] for line in shown]
    lost = [line[3] for line in reference if line[3] not in times]
    first, last = (round((float(str(at)) - 1000) * RATE_HZ) for at in (lost[0], lost[-1]))
    assert 83 <= first <= 85
    assert last == back_at - 1
    assert [line[:-2] for line in shown] == [
        line[:-2] for line in reference if line[3] in times
    ]  # all but their number
    assert status(notes) == DecoderStatus(requested=AUTO, active=SOFTWARE, why="swift failed", failures=1)
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "decoder swift failed: " in caplog.text
    assert notes.found is None  # the next connection measures again


def test_what_is_left_out_until_software_has_a_key_picture_is_counted(
    film: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(monkeypatch, Hardware(manner=failing(85, av.error.ExternalError(1, "Generic error"))))
    with av.open(str(film)) as container:
        stream = container.streams.video[0]
        decoding = Decoding(stream, None, Choosing(stream, DecoderNotes(), "the film"))
        shown = [frame for frame in decoding.frames(stamped(container.demux(stream))) if frame is not None]
    assert decoding.damaged == PICTURES - len(shown) > 0


def test_hardware_that_cannot_be_opened_any_more_gives_way(film: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    swift = Hardware()
    install(monkeypatch, swift)
    notes = DecoderNotes()
    frames_of(film, notes)

    monkeypatch.setattr(decoders, "usable", lambda codec: (swift.way(codec),))
    swift.opens = False
    assert [line[:-2] for line in seen(film, notes)] == [line[:-2] for line in by_software(film)]
    assert status(notes) == DecoderStatus(requested=AUTO, active=SOFTWARE, why="swift failed", failures=1)


def test_hardware_whose_code_a_thread_is_still_in_is_left_alone(film: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    inside, leave = threading.Event(), threading.Event()

    def hang(before: int, new: list[av.VideoFrame]) -> list[av.VideoFrame]:
        if before == 30:
            inside.set()
            leave.wait(60)
            raise av.error.ExternalError(1, "the driver gave up")
        return new

    install(monkeypatch, Hardware(manner=hang))
    notes = DecoderNotes()
    thread = threading.Thread(target=frames_of, args=(film, notes))
    thread.start()
    try:
        assert inside.wait(60)
        assert seen(film, notes) == by_software(film)
        assert status(notes) == DecoderStatus(requested=AUTO, active=SOFTWARE, why="swift hangs")
        with pytest.raises(SourceError, match=r'decoder "swift" hangs; write capture\.decoder: auto'):
            frames_of(film, _asking("swift", within=notes.within))
    finally:
        leave.set()
        thread.join()
    assert notes.within == ""
    assert status(notes) == DecoderStatus(
        requested=AUTO, active=SOFTWARE, why="swift hangs"
    )  # what came back says nothing
    assert notes.failures == 0


def test_what_software_does_not_show_is_not_held_for_ever(film: Path) -> None:
    with av.open(str(film)) as container:
        stream = container.streams.video[0]
        rival = Rival(decoders.software("h264"), Coded.of(stream), DecoderNotes())
        for packet in container.demux(stream):
            if packet.size:
                rival.follow(packet, [], 0.0)
    assert len(rival.ahead) == MOST_LAG


# Asked for by name


def _asking(name: str, within: str = "") -> DecoderNotes:
    return DecoderNotes(requested=name, within=within)


@pytest.mark.parametrize("coding", CODINGS)
def test_hardware_that_is_asked_for_decodes_from_the_first_packet_on_whatever_it_costs(
    films: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch, coding: str
) -> None:
    film = films(coding)
    install(monkeypatch, Hardware("slow", is_costly=True))
    notes = _asking("slow")
    assert seen(film, notes) == by_software(film)
    assert notes.status == DecoderStatus(requested="slow", active="slow", why="asked for")


def test_software_that_is_asked_for_looks_for_no_hardware(film: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    swift = Hardware()
    install(monkeypatch, swift)
    notes = _asking(SOFTWARE)
    frames_of(film, notes)
    assert (swift.made, status(notes).why) == (0, "asked for")


def test_a_name_that_this_pyav_does_not_know_is_an_error_with_those_that_it_knows(
    film: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(monkeypatch, Hardware(), Hardware("broken", opens=False))
    notes = _asking("vaapy")
    with pytest.raises(SourceError) as caught:
        frames_of(film, notes)
    assert str(caught.value) == (
        'the film: this PyAV knows no decoder "vaapy"; write capture.decoder: one of auto, software, swift, broken'
    )
    assert notes.status == DecoderStatus(requested="vaapy", active="", why="vaapy is unknown here")


@pytest.mark.parametrize(
    ("name", "needs"),
    [
        ("broken", "write capture.decoder: auto"),
        ("vaapi", "sudo apt install -y va-driver-all, and let the agent's user into the group render, or write"),
    ],
)
def test_one_that_cannot_be_opened_says_which_why_and_what_to_do(
    film: Path, monkeypatch: pytest.MonkeyPatch, name: str, needs: str
) -> None:
    install(monkeypatch, Hardware(name, opens=False))
    notes = _asking(name)
    with pytest.raises(SourceError) as caught:
        frames_of(film, notes)
    begins = f'the film: decoder "{name}" cannot be opened for h264: Operation not permitted; {needs}'
    assert str(caught.value).startswith(begins)
    assert notes.status == DecoderStatus(requested=name, active="", why=f"{name} cannot be opened for h264")


@pytest.mark.parametrize(
    ("error", "fault"),
    [(av.error.ExternalError(1, "Generic error"), "Generic error"), (None, "no picture for 32 packets")],
)
def test_one_that_fails_later_is_an_error_and_never_software(
    film: Path, monkeypatch: pytest.MonkeyPatch, error: Exception | None, fault: str
) -> None:
    install(monkeypatch, Hardware(manner=failing(50, error)))
    notes = _asking("swift")
    with pytest.raises(SourceError) as caught:
        frames_of(film, notes)
    assert str(caught.value) == f'the film: decoder "swift" failed: {fault}; write capture.decoder: auto'
    assert notes.status == DecoderStatus(requested="swift", active="", why="swift failed", failures=1)


# With the packet gate


@pytest.mark.parametrize("rewinds", [True, False])
@pytest.mark.parametrize("coding", CODINGS)
def test_asleep_key_pictures_are_decoded_in_software_and_awake_the_hardware_goes_on(
    films: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch, coding: str, *, rewinds: bool
) -> None:
    film = films(coding)
    swift = Hardware(rewinds=rewinds)
    install(monkeypatch, swift)

    def gate() -> Script:
        return Script(naps=(range(71, 84), range(92, 125)), compares=True, shows=True)

    notes = DecoderNotes()
    assert seen(film, notes, gate()) == by_software(film, gate())
    assert status(notes).active == "swift"
    awake = 72 + (93 - 80) + (PICTURES - 120) + 1  # before, then twice from the last key picture on, and the end
    assert awake <= swift.packets <= awake + 4  # the pictures shown before those come after them
    assert (swift.made, swift.rewound) == ((2, 2) if rewinds else (4, 0))


@pytest.mark.parametrize("rewinds", [True, False])
@pytest.mark.parametrize("coding", CODINGS)
def test_a_contest_that_sleep_interrupts_goes_on_when_the_camera_wakes_up(
    films: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch, coding: str, *, rewinds: bool
) -> None:
    film = films(coding)
    install(monkeypatch, Hardware(rewinds=rewinds))

    def gate(*naps: range) -> Script:
        return Script(naps=naps, compares=True)

    short = gate(range(STRETCH // 2, 1000))
    notes = DecoderNotes()
    frames_of(film, notes, short)
    assert status(notes).why == "measuring swift"

    naps = range(25, 55), range(75, 95)
    notes = DecoderNotes()
    assert seen(film, notes, gate(*naps)) == by_software(film, gate(*naps))
    assert status(notes).active == "swift"


def test_with_the_real_gate_the_same_frames_come(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def gate() -> PacketGate:
        return PacketGate(GateSettings(), rate_hz=5.0)

    film = write(tmp_path / "film.mp4", "H.264", pictures=200)
    install(monkeypatch, Hardware())
    notes = DecoderNotes()
    assert seen(film, notes, gate()) == by_software(film, gate())
    assert status(notes).active == "swift"


# A camera


def live(url: str, notes: DecoderNotes, count: int) -> list[Frame]:
    source = open_source(url, CaptureSettings(), SystemClock(), threading.Event(), pace="real_time", decoder=notes)
    with closing(source.frames()) as frames:
        return list(itertools.islice((frame for frame in frames if frame is not None), count))


@pytest.fixture(scope="module")
def fast_film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """For a camera, in which no picture is like another."""
    return write(tmp_path_factory.mktemp("camera") / "film.mp4", "H.264", rate_hz=25)


def test_over_rtsp_no_picture_is_lost_or_shown_twice_while_the_decoder_changes(
    fast_film: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(monkeypatch, Hardware(manner=as_nv12))
    notes = DecoderNotes()
    with av.open(str(fast_film)) as container:
        film = [picture.to_ndarray()[:HEIGHT_PX].tobytes() for picture in container.decode(video=0)]
    with rtsp_camera(fast_film) as camera:
        frames = live(camera.url(), notes, STRETCH + 30)
    assert status(notes).active == "swift"
    places = [film.index(frame.luma.tobytes()) for frame in frames]
    assert [(later - earlier) % PICTURES for earlier, later in itertools.pairwise(places)] == [1] * (len(frames) - 1)
    assert all(earlier.at_s < later.at_s for earlier, later in itertools.pairwise(frames))


def capture(url: str, settings: CaptureSettings, stop: threading.Event) -> Capture:
    notes = DecoderNotes(requested=settings.decoder)

    def open_it() -> Any:
        return open_source(url, settings, SystemClock(), stop, pace="real_time", decoder=notes)

    return Capture(
        name="front",
        open_source=open_it,
        slot=Latest[Frame](),
        settings=settings,
        clock=SystemClock(),
        stop=stop,
        backoff=Backoff(first_s=30.0, cap_s=30.0, uniform=lambda _, high: high),
        beat=lambda: None,
        decoder=lambda: notes.status,
    )


@pytest.mark.parametrize(
    ("name", "why"), [("swift", 'decoder "swift" cannot be opened for h264'), ("other", "this PyAV knows no decoder")]
)
def test_a_camera_whose_decoder_cannot_be_had_waits_in_backoff_and_says_why(
    fast_film: Path, monkeypatch: pytest.MonkeyPatch, name: str, why: str
) -> None:
    install(monkeypatch, Hardware(opens=False))
    stop = threading.Event()
    with rtsp_camera(fast_film) as camera:
        captured = capture(camera.url(), CaptureSettings(decoder=name), stop)
        thread = threading.Thread(target=captured.run)
        thread.start()
        try:
            until(lambda: captured.status().state == "backoff")
        finally:
            stop.set()
            thread.join()
    found = captured.status()
    assert why in found.reason
    assert found.frames == 0
    assert found.decoder is not None
    assert (found.decoder.requested, found.decoder.active) == (name, "")


def until(holds: Callable[[], bool]) -> None:
    waiting = threading.Event()
    for _ in range(3000):
        if holds():
            return
        waiting.wait(0.01)
    raise AssertionError("it never came")
