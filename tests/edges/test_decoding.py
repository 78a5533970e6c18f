"""Leaving packets undecoded loses and garbles nothing: real films, against decoding every packet of them."""

from __future__ import annotations

import gc
import itertools
import math
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from builders import UTC_NS
from hypothesis import given, settings
from hypothesis import strategies as st
from rtsp import rtsp_camera

from edge_agent.edges.clock import SystemClock
from edge_agent.edges.sources import open_source
from edge_agent.edges.sources.decoding import Decoding, Stamp, Timed, VideoPacket, _Kept
from edge_agent.edges.sources.source import PacketGate as Gate
from edge_agent.edges.sources.supervised import CaptureSettings
from edge_agent.errors import SourceError
from edge_agent.records import ByteArray, Frame, Packet, Verdict
from edge_agent.stages.gate.packets import PacketGate
from edge_agent.stages.gate.settings import GateSettings

WIDTH_PX, HEIGHT_PX = 160, 96
RATE_HZ = 10
GROUP = 10  # pictures from one key picture to the next
START_S = 1000.0

FIXED = {"g": str(GROUP), "keyint_min": str(GROUP), "sc_threshold": "0", "bf": "0"}
H265 = f"keyint={GROUP}:min-keyint={GROUP}:scenecut=0:bframes=2:log-level=none"

Films = Callable[[str], Path]


@dataclass(frozen=True, kw_only=True)
class Film:
    """How to make one: its encoder, that one's options, and in which pictures something moves."""

    options: dict[str, str]
    codec: str = "libx264"
    suffix: str = "mp4"
    pictures: int = 60
    moves: range = range(1000)
    bits_a_second: int = 0


FILMS = {
    "H.264": Film(options=FIXED),
    "H.264 with B-frames": Film(options={**FIXED, "bf": "2"}),
    "H.265 with B-frames": Film(codec="libx265", options={"x265-params": H265}),
    "H.264 in a transport stream": Film(options=FIXED, suffix="ts"),
    "H.265 in a transport stream": Film(codec="libx265", options={"x265-params": H265}, suffix="ts"),
    "bare H.264": Film(options=FIXED, suffix="h264"),
    "intra refresh": Film(options={**FIXED, "x264-params": "intra-refresh=1"}),
    "intra refresh in a transport stream": Film(options={**FIXED, "x264-params": "intra-refresh=1"}, suffix="ts"),
    "filled up": Film(
        options={**FIXED, "x264-params": "nal-hrd=cbr:force-cfr=1:vbv-maxrate=800:vbv-bufsize=400"},
        bits_a_second=800_000,
    ),
    "filled up in a transport stream": Film(
        options={**FIXED, "x264-params": "nal-hrd=cbr:force-cfr=1:vbv-maxrate=800:vbv-bufsize=400"},
        bits_a_second=800_000,
        suffix="ts",
    ),
    "Motion JPEG": Film(codec="mjpeg", options={}, suffix="mkv", pictures=10),
    "one key picture": Film(options={**FIXED, "g": "1000", "keyint_min": "1000"}, pictures=200),
    "still, then not": Film(options=FIXED, pictures=230, moves=range(154, 172)),
}
ENTANGLED = ["H.264", "H.264 with B-frames", "H.265 with B-frames"]
"""Films whose pictures need others."""


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Films:
    folder = tmp_path_factory.mktemp("films")

    def film(name: str) -> Path:
        made = folder / f"{name}.{FILMS[name].suffix}"
        if not made.exists():
            _write(made, FILMS[name])
        return made

    return film


def _write(path: Path, film: Film) -> None:
    if film.codec == "libx265" and film.codec not in av.codecs_available:
        pytest.skip("this PyAV was built without libx265")
    random = np.random.default_rng(1)
    scene = np.kron(random.integers(60, 180, (HEIGHT_PX // 8, WIDTH_PX // 8), np.uint8), np.ones((8, 8), np.uint8))
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream(film.codec, rate=RATE_HZ)
        stream.width, stream.height, stream.options = WIDTH_PX, HEIGHT_PX, film.options
        stream.pix_fmt = "yuvj420p" if film.codec == "mjpeg" else "yuv420p"
        if film.bits_a_second:
            stream.bit_rate = film.bits_a_second
        for index in range(film.pictures):
            luma = scene.copy()
            if index in film.moves:
                left = index * 7 % 120
                luma[20:60, left : left + 24] = 230
            container.mux(stream.encode(_picture(luma, index, stream.pix_fmt)))
        container.mux(stream.encode(None))


def _picture(luma: ByteArray, index: int, pixel_format: str) -> av.VideoFrame:
    planes = np.full((HEIGHT_PX * 3 // 2, WIDTH_PX), 128, np.uint8)  # luma, then both of chroma
    planes[:HEIGHT_PX] = luma
    picture = av.VideoFrame.from_ndarray(planes, format=pixel_format)
    picture.pts, picture.time_base = index, Fraction(1, RATE_HZ)
    return picture


def stamp_at(at_s: float) -> Stamp:
    return Stamp(at_s, UTC_NS + round(at_s * 1e9), utc_synced=True)


def stamped(packets: Iterable[VideoPacket]) -> Iterator[Timed]:
    """Packets with when their pictures are shown; by their number, where the film does not say."""
    for index, packet in enumerate(packets):
        shown_s = index / RATE_HZ if packet.pts is None else float(packet.pts * packet.time_base)
        yield packet, stamp_at(START_S + shown_s)


@dataclass
class Shown:
    """What came of a film.

    Attributes:
        frames: those that were shown.
        given: with None for each packet that gave none.
        decoding: what made them.
    """

    frames: list[Frame]
    given: list[Frame | None]
    decoding: Decoding


def decode(
    path: Path, gate: Gate | None, prepare: Callable[[Iterator[Timed]], Iterator[Timed]] = lambda timed: timed
) -> Shown:
    """Send a film through, its packets prepared on the way."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        decoding = Decoding(stream, gate)
        given = list(decoding.frames(prepare(stamped(container.demux(stream)))))
    return Shown([frame for frame in given if frame is not None], given, decoding)


def decode_all(path: Path) -> list[tuple[float, bytes]]:
    """What PyAV itself makes of a film: when each picture is shown, and its luma."""
    with av.open(str(path)) as container:
        pictures = list(container.decode(video=0))
    return [
        (
            START_S + (index / RATE_HZ if picture.pts is None else float(picture.pts * picture.time_base)),
            picture.to_ndarray()[:HEIGHT_PX].tobytes(),
        )
        for index, picture in enumerate(pictures)
    ]


def seen(frames: Iterable[Frame]) -> list[tuple[float, bytes]]:
    return [(frame.at_s, frame.luma.tobytes()) for frame in frames]


def everything(frame: Frame) -> tuple[object, ...]:
    planes = (frame.luma.tobytes(), frame.chroma_blue.tobytes(), frame.chroma_red.tobytes())
    return (*planes, frame.at_s, frame.utc_ns, frame.utc_synced, frame.seq, frame.full_range)


@dataclass
class Script:
    """A gate that does as it is told.

    Attributes:
        naps: packets after the first of which it sleeps, until it wakes with the last.
        since_s: what it says of when something may have begun to move.
        compares: whether it wants to see key pictures while it sleeps.
        shows: whether they are shown, too.
        wakes_by_s: a picture of that time differs.
    """

    naps: tuple[range, ...] = ()
    since_s: float = -math.inf
    compares: bool = False
    shows: bool = False
    wakes_by_s: float = math.inf
    buffer_bytes: int = 1 << 20
    basis: str = "a script"
    asleep: bool = False
    packets: list[Packet] = field(default_factory=list)
    compared: list[Frame] = field(default_factory=list)

    @property
    def motion_since_s(self) -> float:
        return self.since_s

    def observe(self, packet: Packet) -> Verdict:
        index = len(self.packets)
        self.packets.append(packet)
        was_asleep = self.asleep
        if any(index == nap.start for nap in self.naps):
            self.asleep = True
        elif any(index == nap.stop for nap in self.naps):
            self.asleep = False
        if not was_asleep or not self.asleep:
            return "decode"
        return "compare" if packet.is_key and self.compares else "keep"

    def compare(self, frame: Frame) -> bool:
        if self.asleep:
            self.compared.append(frame)
            self.asleep = frame.at_s < self.wakes_by_s
        return self.shows or not self.asleep


# Awake


@pytest.mark.parametrize("name", FILMS)
def test_awake_it_gives_what_decoding_everything_gives(films: Films, name: str) -> None:
    film = films(name)
    watched, plain = decode(film, Script()), decode(film, None)
    assert [everything(frame) for frame in watched.frames] == [everything(frame) for frame in plain.frames]
    assert seen(plain.frames) == decode_all(film)
    assert len(plain.frames) == FILMS[name].pictures
    assert [frame.seq for frame in plain.frames] == list(range(len(plain.frames)))
    assert all(frame.utc_ns == UTC_NS + round(frame.at_s * 1e9) for frame in plain.frames)
    assert plain.decoding.damaged == watched.decoding.damaged == 0


STAMPS = st.lists(st.floats(-20, 20), min_size=12, max_size=12)


@given(offsets=STAMPS)
@settings(max_examples=30)
@pytest.mark.parametrize("name", ["H.264", "H.264 with B-frames"])
def test_frames_go_forward_whatever_their_stamps_do_and_none_is_left_out(
    films: Films, name: str, offsets: list[float]
) -> None:
    def restamp(packets: Iterator[Timed]) -> Iterator[Timed]:
        for (packet, _stamp), offset_s in zip(packets, offsets, strict=False):
            yield packet, stamp_at(START_S + offset_s)
        yield av.Packet(b""), stamp_at(START_S)

    film = films(name)
    plain, watched = decode(film, None, restamp), decode(film, Script(), restamp)
    assert [everything(frame) for frame in watched.frames] == [everything(frame) for frame in plain.frames]
    assert len(plain.frames) == len(offsets)
    assert all(earlier.at_s < later.at_s for earlier, later in itertools.pairwise(plain.frames))
    assert all(earlier.utc_ns < later.utc_ns for earlier, later in itertools.pairwise(plain.frames))


# Asleep and awake again


@pytest.mark.parametrize("name", ENTANGLED)
def test_woken_within_a_group_it_shows_all_that_it_kept_as_if_it_had_never_slept(films: Films, name: str) -> None:
    gate = Script(naps=(range(13, 37),))
    shown = decode(films(name), gate)
    assert seen(shown.frames) == decode_all(films(name))
    assert [frame.seq for frame in shown.frames] == list(range(len(shown.frames)))


@pytest.mark.parametrize("name", ENTANGLED)
@pytest.mark.parametrize(("since", "key"), [(25, 20), (20, 20), (19, 10), (36, 30)])
def test_it_begins_with_the_last_key_picture_before_something_may_have_moved(
    films: Films, name: str, since: int, key: int
) -> None:
    reference = decode_all(films(name))
    gate = Script(naps=(range(13, 37),), since_s=reference[since][0])
    shown = seen(decode(films(name), gate).frames)
    before = sum(at_s < reference[key][0] for at_s, _ in shown)
    assert shown == reference[:before] + reference[key:]
    assert (before == key) if key == GROUP else (10 < before <= 14)  # a decoder may hold pictures back when it stops


@pytest.mark.parametrize("name", ENTANGLED)
def test_a_key_picture_is_compared_as_decoding_everything_shows_it_and_is_not_shown_unless_the_gate_says_so(
    films: Films, name: str
) -> None:
    reference = decode_all(films(name))
    gate = Script(naps=(range(13, 57),), compares=True)
    shown = seen(decode(films(name), gate).frames)
    assert seen(gate.compared[-4:]) == [reference[key] for key in (20, 30, 40, 50)]
    # What lies before the last key picture that was compared is let go.
    before = sum(at_s < reference[50][0] for at_s, _ in shown)
    assert shown == reference[:before] + reference[50:]

    gate = Script(naps=(range(13, 57),), compares=True, shows=True)
    shown = seen(decode(films(name), gate).frames)
    assert shown == reference[:before] + [reference[key] for key in (20, 30, 40)] + reference[50:]


@pytest.mark.parametrize("name", ENTANGLED)
def test_a_key_picture_that_differs_brings_everything_since_the_one_before(films: Films, name: str) -> None:
    reference = decode_all(films(name))
    gate = Script(naps=(range(13, 1000),), compares=True, wakes_by_s=reference[40][0])
    shown = seen(decode(films(name), gate).frames)
    before = sum(at_s < reference[30][0] for at_s, _ in shown)
    assert shown == reference[:before] + reference[30:]


@pytest.mark.parametrize("name", ["H.264", "H.264 with B-frames"])
def test_however_often_it_sleeps_each_picture_keeps_its_own_stamp(films: Films, name: str) -> None:
    film = films(name)
    # None right after a key picture: what the decoder holds back of the group before would not come again.
    naps = tuple(range(start, start + 1) for start in range(10, 58) if start % GROUP in {3, 5, 7})
    assert seen(decode(film, Script(naps=naps)).frames) == decode_all(film)


def test_pictures_that_a_decoder_held_back_before_many_naps_take_no_stamp_from_others(tmp_path: Path) -> None:
    film = Film(options={**FIXED, "bf": "2"}, pictures=900)
    path = tmp_path / "long.mp4"
    _write(path, film)
    reference = dict(decode_all(path))
    naps = tuple(range(start, start + 13) for start in range(15, 880, 20))
    shown = seen(decode(path, Script(naps=naps, compares=True)).frames)
    assert all(reference[at_s] == luma for at_s, luma in shown)
    assert len(shown) > 600


@pytest.mark.parametrize("name", ENTANGLED)
def test_a_stream_that_ends_while_asleep_is_not_damaged(films: Films, name: str) -> None:
    reference = decode_all(films(name))
    shown = decode(films(name), Script(naps=(range(13, 1000),), compares=True))
    assert shown.decoding.asleep
    assert shown.decoding.damaged == 0
    assert seen(shown.frames) == reference[: len(shown.frames)]
    assert shown.given.count(None) > 40


# With the real gate


def test_asleep_while_nothing_moves_it_shows_every_picture_of_what_does_move(films: Films) -> None:
    film, moves = films("still, then not"), FILMS["still, then not"].moves
    reference = decode_all(film)
    gate = PacketGate(GateSettings(), rate_hz=5.0)
    naps: list[bool] = []

    def watched(packets: Iterator[Timed]) -> Iterator[Timed]:
        for timed in packets:
            yield timed
            naps.append(gate.asleep)

    shown = seen(decode(film, gate, watched).frames)
    first_s, last_s = START_S + moves.start / RATE_HZ, START_S + moves.stop / RATE_HZ
    assert [state for state, _ in itertools.groupby(naps)] == [False, True, False, True]

    in_motion = [picture for picture in reference if first_s <= picture[0] <= last_s]
    assert [picture for picture in shown if first_s <= picture[0] <= last_s] == in_motion
    # Shown from the key picture before on, without a gap.
    key = moves.start // GROUP * GROUP
    assert reference[key : moves.stop] == [picture for picture in shown if reference[key][0] <= picture[0] < last_s]
    assert [at_s for at_s, _ in shown] == sorted({at_s for at_s, _ in shown})

    still = [picture for picture in shown if picture[0] < first_s]
    assert len(still) < 0.5 * moves.start
    assert set(still) <= set(reference)


# What a packet tells


@pytest.mark.parametrize(
    "name", [*ENTANGLED, "H.264 in a transport stream", "H.265 in a transport stream", "bare H.264"]
)
def test_key_pictures_are_known_with_start_codes_and_with_lengths_before_their_units(films: Films, name: str) -> None:
    gate, reference = Script(), decode_all(films(name))
    shown = decode(films(name), gate)
    assert [packet.at_s for packet in gate.packets if packet.is_key] == [at_s for at_s, _ in reference[::GROUP]]
    assert shown.decoding.basis == "a script"


SIZE_AT = {"H.264": 4, "H.265 with B-frames": 21}
"""Where in the parameters the size of a length stands (ISO/IEC 14496-15)."""


def shorten_lengths(packet: VideoPacket) -> VideoPacket:
    """The same packet with two bytes of length before each unit instead of four."""
    data, place, shorter = bytes(packet), 0, b""
    while place < len(data):
        size = int.from_bytes(data[place : place + 4], "big")
        shorter += size.to_bytes(2, "big") + data[place + 4 : place + 4 + size]
        place += 4 + size
    return like(packet, shorter)


@pytest.mark.parametrize("name", SIZE_AT)
def test_lengths_of_two_bytes_are_told_from_lengths_of_four(films: Films, name: str) -> None:
    reference, gate = decode_all(films(name)), Script(naps=(range(13, 37),))
    with av.open(str(films(name))) as container:
        stream = container.streams.video[0]
        parameters = bytearray(stream.codec_context.extradata or b"")
        assert parameters[SIZE_AT[name]] & 0b11 == 3
        parameters[SIZE_AT[name]] -= 2
        stream.codec_context.extradata = bytes(parameters)
        decoding = Decoding(stream, gate)
        packets = [shorten_lengths(packet) for packet in container.demux(stream)]
        frames = [frame for frame in decoding.frames(stamped(packets)) if frame is not None]
    assert [packet.at_s for packet in gate.packets if packet.is_key] == [at_s for at_s, _ in reference[::GROUP]]
    assert seen(frames) == reference
    assert decoding.damaged == 0


@pytest.mark.parametrize("name", ["H.264 with B-frames", "H.265 with B-frames"])
def test_pictures_that_are_shown_before_an_earlier_packet_s_are_known(films: Films, name: str) -> None:
    gate = Script()
    decode(films(name), gate)
    latest_s = -math.inf
    for packet in gate.packets:
        assert packet.is_bidirectional is (packet.at_s < latest_s)
        latest_s = max(latest_s, packet.at_s)
    assert sum(packet.is_bidirectional for packet in gate.packets) > 20


def test_after_a_camera_s_clock_was_set_back_pictures_are_told_apart_as_before(films: Films) -> None:
    def set_back(packets: Iterator[Timed]) -> Iterator[Timed]:
        for index, (packet, stamp) in enumerate(packets):
            if index >= 25 and packet.pts is not None:
                packet.pts -= 1_000_000_000
            yield packet, stamp

    gate = Script()
    decode(films("H.264"), gate, set_back)
    assert not any(packet.is_bidirectional for packet in gate.packets[30:])  # from the next key picture on
    assert len(gate.packets) == 60


@pytest.mark.parametrize(("damaged", "is_decodable"), [((30,), True), ((30, 40), False)])
def test_one_damaged_key_picture_is_no_sign_that_none_can_be_decoded(
    films: Films, damaged: tuple[int, ...], *, is_decodable: bool
) -> None:
    def with_damage(packets: Iterator[Timed]) -> Iterator[Timed]:
        for index, (packet, stamp) in enumerate(packets):
            yield (blanked(packet) if index in damaged else packet), stamp

    gate = Script(naps=(range(23, 1000),), compares=True)
    shown = decode(films("still, then not"), gate, lambda packets: itertools.islice(with_damage(packets), 45))
    assert shown.decoding.is_decodable is is_decodable


def blanked(packet: VideoPacket) -> VideoPacket:
    """A key picture whose first bytes are there, and nothing else."""
    data = bytearray(bytes(packet))
    data[64:] = bytes(len(data) - 64)
    other = av.Packet(bytes(data))
    other.pts, other.dts, other.time_base, other.is_keyframe = packet.pts, packet.dts, packet.time_base, True
    return other


@pytest.mark.parametrize("name", ["intra refresh", "intra refresh in a transport stream"])
def test_a_point_of_recovery_is_no_key_picture(films: Films, name: str) -> None:
    film = films(name)
    with av.open(str(film)) as container:
        assert sum(packet.is_keyframe for packet in container.demux(video=0)) > 3  # so says FFmpeg
    script = Script()
    decode(film, script)
    assert [index for index, packet in enumerate(script.packets) if packet.is_key] == [0]

    shown = decode(film, PacketGate(GateSettings(mode="packets", max_gop_s=3.0), rate_hz=5.0))
    assert shown.decoding.basis == "all pictures: no key picture for 3 s"
    assert not shown.decoding.asleep
    assert seen(shown.frames) == decode_all(film)


@pytest.mark.parametrize("suffix", ["", " in a transport stream"])
def test_what_only_fills_up_a_constant_bit_rate_does_not_count(films: Films, suffix: str) -> None:
    plain, filled = Script(), Script()
    decode(films(f"H.264{suffix}"), plain)
    decode(films(f"filled up{suffix}"), filled)
    settled = filled.packets[1:]
    assert min(packet.wire_bytes for packet in settled) > 9_000  # 800,000 bits a second are 10,000 bytes a picture
    # Encoded better for so many bits, but not by that much.
    assert max(packet.size_bytes for packet in settled) < 5_000
    assert all(packet.size_bytes == packet.wire_bytes for packet in plain.packets)


@pytest.mark.parametrize("name", ["H.264", "H.265 with B-frames", "H.264 in a transport stream"])
def test_a_picture_that_happens_to_end_as_padding_does_counts_whole(films: Films, name: str) -> None:
    def prepare(packets: Iterator[Timed]) -> Iterator[Timed]:
        for packet, stamp in packets:
            yield (like(packet, bytes(packet)[:-3] + b"\x4c\xff\x80") if packet.size else packet), stamp

    gate = Script()
    decode(films(name), gate, prepare)
    assert len(gate.packets) == FILMS[name].pictures
    assert all(packet.size_bytes == packet.wire_bytes for packet in gate.packets)


def test_a_codec_whose_pictures_stand_alone_is_decoded_whole(films: Films) -> None:
    gate = Script(naps=(range(2, 8),))
    shown = decode(films("Motion JPEG"), gate)
    assert seen(shown.frames) == decode_all(films("Motion JPEG"))
    assert shown.decoding.basis == "all pictures: codec mjpeg"
    assert not shown.decoding.asleep
    assert not gate.packets


# Damage


def broken(packet: VideoPacket) -> VideoPacket:
    """The same packet with everything wrong but its first unit's length and kind."""
    data = bytes(packet)
    return like(packet, data[:5] + bytes(byte ^ 0xFF for byte in data[5:]))


def like(packet: VideoPacket, data: bytes) -> VideoPacket:
    """The same packet with other contents."""
    other: Any = av.Packet(data)
    other.pts, other.dts, other.time_base = packet.pts, packet.dts, packet.time_base
    other.is_keyframe = packet.is_keyframe
    return other


def breaking(*indexes: int) -> Callable[[Iterator[Timed]], Iterator[Timed]]:
    def prepare(packets: Iterator[Timed]) -> Iterator[Timed]:
        for index, (packet, stamp) in enumerate(packets):
            yield (broken(packet) if index in indexes else packet), stamp

    return prepare


@pytest.mark.parametrize("name", ["H.264", "H.264 with B-frames"])
@pytest.mark.parametrize(
    ("indexes", "most_damaged"),  # at most: some nonsense can be decoded
    [
        ((25,), {"awake": 1, "kept": 1, "compared": 0}),  # let go undecoded, after a key picture that did not differ
        ((20,), {"awake": 1, "kept": 1, "compared": 1}),  # and kept, for nothing was seen in it
        ((30, 35), {"awake": 2, "kept": 2, "compared": 3}),  # looked at alone, then with the others
        ((31, 32, 33, 34), {"awake": 4, "kept": 4, "compared": 4}),
    ],
)
@pytest.mark.parametrize("how", ["awake", "kept", "compared"])
def test_after_a_damaged_packet_frames_go_on(
    films: Films, name: str, indexes: tuple[int, ...], most_damaged: dict[str, int], how: str
) -> None:
    film = films(name)
    gate = Script(naps=() if how == "awake" else (range(13, 37),), compares=how == "compared")
    shown = decode(film, gate, breaking(*indexes))
    most = most_damaged[how]
    assert min(1, most) <= shown.decoding.damaged <= most
    assert seen(shown.frames)[-2 * GROUP :] == decode_all(film)[-2 * GROUP :]  # from the next key picture on
    assert all(earlier.at_s < later.at_s for earlier, later in itertools.pairwise(shown.frames))


@pytest.mark.parametrize("gate", [None, Script(), Script(naps=(range(13, 37),))], ids=["none", "awake", "asleep"])
@pytest.mark.parametrize("name", ENTANGLED)
def test_a_packet_of_nothing_is_not_the_end(films: Films, name: str, gate: Gate | None) -> None:
    def emptied(packets: Iterator[Timed]) -> Iterator[Timed]:
        for index, (packet, stamp) in enumerate(packets):
            yield packet, stamp
            if index == 25:
                nothing: Any = av.Packet(0)
                nothing.pts, nothing.dts, nothing.time_base = packet.pts, packet.dts, packet.time_base
                yield nothing, stamp

    shown = decode(films(name), gate, emptied)
    assert seen(shown.frames) == decode_all(films(name))
    assert shown.decoding.damaged == 1


@pytest.mark.parametrize("damaged", [False, True])
def test_a_sleeping_camera_none_of_whose_key_pictures_can_be_decoded_has_failed(
    tmp_path: Path, films: Films, *, damaged: bool
) -> None:
    clip = tmp_path / "clip.mp4"
    with av.open(str(films("still, then not"))) as source, av.open(str(clip), "w") as target:
        copy = target.add_stream_from_template(source.streams.video[0])
        for index, packet in enumerate(packet for packet in source.demux(video=0) if packet.size):
            made = broken(packet) if damaged and index >= GROUP else packet
            made.stream = copy
            target.mux(made)
    clock, gate = SystemClock(), Script(naps=(range(5, 100_000),), compares=True)
    with rtsp_camera(clip) as camera:
        patience = CaptureSettings(stall_s=1.5)
        stream = open_source(camera.url(), patience, clock, threading.Event(), pace="real_time", new_gate=lambda: gate)
        until_s = clock.monotonic_s() + 6.0
        with closing(stream.frames()) as frames:
            watched = itertools.takewhile(lambda _: clock.monotonic_s() < until_s, frames)
            if damaged:
                with pytest.raises(SourceError, match=r": no frame for 1\.5 s, \d+ packets could not be decoded"):
                    list(watched)
            else:
                list(watched)
                assert len(gate.compared) > 2
        assert stream.asleep


# Memory


class Held(Stamp):
    """A stamp that tells when the last of it is gone, and so its packet."""

    alive: set[float] = set()  # noqa: RUF012 - a place for all of them

    def __del__(self) -> None:
        """Take it from the list of those that are held."""
        self.alive.discard(self.at_s)


def held_after_each(path: Path, gate: Gate) -> list[int]:
    """How many packets are held when the next is asked for."""
    counts: list[int] = []

    def counted(packets: Iterator[Timed]) -> Iterator[Timed]:
        Held.alive.clear()
        for packet, stamp in packets:
            Held.alive.add(stamp.at_s)
            held = Held(*stamp)
            yield packet, held
            del held, packet
            counts.append(len(Held.alive))

    decode(path, gate, counted)
    return counts


def test_what_is_kept_is_let_go_with_each_picture_that_was_compared(films: Films) -> None:
    gate = Script(naps=(range(13, 1000),), compares=True)
    counts = held_after_each(films("still, then not"), gate)
    assert max(counts[15:]) <= 2 * GROUP + 1
    assert len(counts) > 200


def test_asleep_neither_a_picture_nor_a_decoder_is_held(films: Films) -> None:
    gate = Script(naps=(range(13, 1000),), compares=True, shows=True)
    pictures_held: list[int] = []

    def counted(packets: Iterator[Timed]) -> Iterator[Timed]:
        for index, timed in enumerate(packets):
            yield timed
            gate.compared.clear()
            if index < 23 or index % GROUP != GROUP // 2:  # to ask for all objects takes long
                continue
            pictures_held.append(sum(isinstance(each, Frame) for each in gc.get_objects()))

    with av.open(str(films("still, then not"))) as container:
        stream = container.streams.video[0]
        gc.collect()
        before = sum(isinstance(each, Frame) for each in gc.get_objects())
        shown = sum(map(bool, Decoding(stream, gate).frames(counted(stamped(container.demux(stream))))))
        assert not stream.codec_context.is_open  # that one lives as long as the stream
    assert shown > 13 + 15  # and a key picture a second
    assert set(pictures_held) == {before}


SIZES = st.integers(0, 50)
OPERATIONS = st.lists(
    st.one_of(
        st.tuples(st.just("add"), SIZES, st.booleans()),
        st.tuples(st.just("add"), SIZES, st.just(value=False)),
        st.tuples(st.sampled_from(["clear", "forget_before_last_key"])),
        st.tuples(st.just("limit"), st.integers(0, 200)),
        st.tuples(st.just("forget_before"), st.integers(0, 60), st.integers(0, 200)),
    ),
    max_size=60,
)


@given(operations=OPERATIONS, since=st.integers(0, 60))
def test_what_is_kept_is_whole_groups_as_many_as_are_needed_and_no_more_than_may_be(
    operations: list[tuple[Any, ...]], since: int
) -> None:
    kept, model = _Kept(), list[tuple[int, int, bool]]()  # of each packet: its time, its size, whether it is key
    for now, (name, *arguments) in enumerate(operations):
        if name == "add":
            size, is_key = arguments
            kept.add(av.Packet(bytes(size)), stamp_at(now), is_key=is_key)
            model += [(now, size, is_key)] if model or is_key else []
        else:
            getattr(kept, name)(*arguments)
            model = expected_after(name, arguments, model)
        assert [stamp.at_s for _, stamp in kept.since(-1)] == [at_s for at_s, _, _ in model]
        assert [stamp.at_s for _, stamp in kept.oldest] == [at_s for at_s, _, _ in model[:1]]
    begins = max([at_s for at_s, _, is_key in model if is_key and at_s <= since], default=-1)
    assert [stamp.at_s for _, stamp in kept.since(since)] == [at_s for at_s, _, _ in model if at_s >= begins]


def expected_after(name: str, arguments: list[int], model: list[tuple[int, int, bool]]) -> list[tuple[int, int, bool]]:
    """What is to be left of packets: always from a key picture on, so that all of it can be decoded."""

    def size_of(packets: list[tuple[int, int, bool]]) -> int:
        return sum(size for _, size, _ in packets)

    tails = [model[place:] for place, (_, _, is_key) in enumerate(model) if is_key]  # the longest first
    if name == "clear" or not tails:
        return []
    if name == "forget_before_last_key":
        return tails[-1]
    if name == "limit":
        return tails[-1] if size_of(tails[-1]) <= arguments[0] else []
    needed = [tail for tail in tails if tail[0][0] <= arguments[0]] or tails[:1]  # from before the moment on
    fitting = [tail for tail in tails if size_of(tail) <= arguments[1]]
    return min(needed[-1], (fitting or tails[-1:])[0], key=len)


def test_awake_one_group_is_kept(films: Films) -> None:
    assert max(held_after_each(films("H.264"), Script())) <= GROUP + 1


def test_awake_no_more_is_kept_than_the_gate_allows(films: Films) -> None:
    gate = Script(buffer_bytes=4_000)
    counts = held_after_each(films("one key picture"), gate)
    assert sum(packet.is_key for packet in gate.packets) == 1
    most = next(
        count
        for count in itertools.count()
        if sum(packet.wire_bytes for packet in gate.packets[: count + 1]) > gate.buffer_bytes
    )
    assert most < 60  # of 200
    assert max(counts) <= most + 3
    assert max(counts[most + 1 :]) <= 3  # once it was too much, nothing until the next key picture
