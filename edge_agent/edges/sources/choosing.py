"""The decoder of one connection: the one that is asked for, or the cheaper of software and hardware."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import suppress

import av

from edge_agent.edges.sources import decoders
from edge_agent.edges.sources.chosen import AUTO, DecoderNotes, Found
from edge_agent.edges.sources.contest import MOST_LAG, Contest
from edge_agent.edges.sources.decoders import FAILURES, NEEDS, SOFTWARE, Coded, VideoPacket, Way, measured, opened, said
from edge_agent.errors import SourceError

_log = logging.getLogger(__name__)

_MOST_BARREN = 2 * MOST_LAG
"""Hardware that gives no picture for so many packets from a key picture on does not work; some hold 16 back."""

_AS_ASKED = "asked for"


class Choosing:
    """What decodes a stream's packets, one after the other.

    With `auto`, software begins where there is hardware too, and a `Contest` says whether hardware goes on. Hardware
    that fails later gives way to software at the next key picture, until the connection ends; `left_out` is how many
    packets were not decoded until then. Hardware that is asked for by its name never gives way: its failing is an
    error.

    Args:
        stream: what the packets come from.
        notes: what is asked for, and what earlier connections have learnt.
        camera: the source as it may be shown.

    Raises:
        SourceError: the decoder that is asked for cannot be had.
    """

    def __init__(self, stream: av.VideoStream, notes: DecoderNotes, camera: str) -> None:
        self._coded = Coded.of(stream)
        self._notes, self._camera = notes, camera
        notes.holder = self
        self._way = decoders.software(self._coded.codec)
        self._decoder: av.VideoCodecContext | None = stream.codec_context  # one of its own once it was let go
        self._contest: Contest | None = None
        self._given: frozenset[int] = frozenset()  # pictures, by their times, that software has shown already
        self._ahead: Sequence[av.VideoFrame] = ()  # pictures that hardware gave and software did not, in their order
        self._barren: int | None = None  # packets since a picture or the first key picture came, None before that
        self._is_anew = True
        self._waits_for_key = False
        self.left_out = 0
        if notes.requested == SOFTWARE:
            notes.say(SOFTWARE, _AS_ASKED)
        elif notes.requested == AUTO:
            self._look_around()
        else:
            self._insist(notes.requested)

    def decode(self, packet: VideoPacket) -> list[av.VideoFrame]:
        """Give the pictures that a packet brings.

        Raises:
            FFmpegError: the packet is damaged.
            SourceError: the hardware that is asked for has failed.
        """
        if self._waits_for_key and not packet.is_keyframe:
            self.left_out += 1
            return []
        self._waits_for_key = False
        if self._contest is not None:
            return self._compete(self._contest, packet)
        if self._way.name == SOFTWARE:
            return self._opened().decode(packet)
        return self._by_hardware(packet)

    def begin_anew(self) -> None:
        """Let the decoder go, with what is in it: while nothing is decoded, its memory is worth more than its speed.

        Hardware that can be rewound is kept: setting it up may cost more than decoding all that follows.
        """
        if self._decoder is None or not self._way.rewinds:
            self._decoder = None
        elif not self._is_anew:
            with self._notes.inside(self._way.name):
                self._decoder.flush_buffers()
        self._is_anew = True
        self._given, self._ahead, self._barren = frozenset(), (), None
        if self._contest is not None:
            self._contest.begin_anew()

    def alone(self, packet: VideoPacket) -> list[av.VideoFrame]:
        """Decode a key picture by itself, in software: setting hardware up costs more than one picture.

        Raises:
            FFmpegError: the packet is damaged.
        """
        decoder = opened(decoders.software(self._coded.codec), self._coded)
        pictures = decoder.decode(packet)
        with suppress(av.FFmpegError):  # what it holds back because pictures that are shown before might follow
            pictures += decoder.decode(None)
        return pictures

    def _opened(self) -> av.VideoCodecContext:
        if self._decoder is None:
            self._decoder = opened(self._way, self._coded)
        return self._decoder

    def _look_around(self) -> None:
        notes, looks = self._notes, self._coded.looks
        usable = {way.name: way for way in decoders.usable(self._coded.codec)}
        if notes.within:
            notes.say(SOFTWARE, f"{notes.within} hangs")
        elif not usable:
            notes.say(SOFTWARE, f"no hardware here for {self._coded.codec}")
        elif notes.found is None or notes.found.stream != looks:
            self._contest = Contest(self._coded, usable.values(), notes)
            notes.say(SOFTWARE, f"measuring {', '.join(usable)}")
        else:
            if notes.found.best != SOFTWARE:
                self._take(usable[notes.found.best], None)  # it was usable when it won
            notes.say(notes.found.best, notes.found.why)

    def _insist(self, name: str) -> None:
        ways = {way.name: way for way in decoders.hardware(self._coded.codec)}
        if self._notes.within == name:
            raise self._cannot(name, "hangs")
        if name not in ways:
            self._notes.say("", f"{name} is unknown here")
            known = ", ".join((AUTO, SOFTWARE, *ways))
            raise SourceError(
                f'{self._camera}: this PyAV knows no decoder "{name}"; write capture.decoder: one of {known}'
            )
        try:
            with self._notes.inside(name):
                decoder = opened(ways[name], self._coded)
        except FAILURES as error:
            raise self._cannot(name, f"cannot be opened for {self._coded.codec}", f": {said(error)}") from None
        self._take(ways[name], decoder)
        self._notes.say(name, _AS_ASKED)

    def _cannot(self, name: str, fault: str, more: str = "") -> SourceError:
        """Note that the hardware that is asked for does not work, and say what to do."""
        self._notes.say("", f"{name} {fault}")
        needs = f"{NEEDS[name]}, or " if name in NEEDS else ""
        return SourceError(f'{self._camera}: decoder "{name}" {fault}{more}; {needs}write capture.decoder: {AUTO}')

    def _take(self, way: Way, decoder: av.VideoCodecContext | None) -> None:
        self._way, self._decoder = way, decoder

    def _compete(self, contest: Contest, packet: VideoPacket) -> list[av.VideoFrame]:
        """Decode in software, and let the hardware follow."""
        shown = measured(self._opened(), packet)
        contest.follow(packet, shown)
        if contest.is_over:
            self._conclude(contest)
        if shown.error is not None:
            raise shown.error
        return shown.pictures

    def _conclude(self, contest: Contest) -> None:
        """Go on with the winner, in the middle of a group: it has decoded the same packets as software."""
        winner = contest.winner
        best = winner.way.name if winner else SOFTWARE
        if winner is not None:
            self._take(winner.way, winner.decoder)
            self._is_anew = False
            self._given, self._ahead = frozenset(winner.due), [picture for picture, _ in winner.ahead.values()]
        self._contest = None
        if self._notes.holder is not self:
            return
        self._notes.found = Found(stream=self._coded.looks, best=best, why=contest.why)
        self._notes.say(best, contest.why)
        _log.info("%s: decoded by %s: %s", self._camera, best, contest.why)

    def _by_hardware(self, packet: VideoPacket) -> list[av.VideoFrame]:
        self._is_anew = False
        damage: av.FFmpegError | None = None
        pictures: list[av.VideoFrame] = []
        try:
            with self._notes.inside(self._way.name):
                pictures = self._opened().decode(packet)
        except av.error.InvalidDataError as error:
            damage = error
        except FAILURES as error:
            return self._fall_back(packet, said(error))
        if pictures:
            self._barren = 0
        elif self._barren is not None or packet.is_keyframe:
            self._barren = (self._barren or 0) + 1
        if self._barren is not None and self._barren > _MOST_BARREN:
            return self._fall_back(packet, f"no picture for {_MOST_BARREN} packets")
        if damage is not None:
            raise damage
        ahead, self._ahead = self._ahead, ()
        return [*ahead, *(picture for picture in pictures if picture.pts not in self._given)]

    def _fall_back(self, packet: VideoPacket, fault: str) -> list[av.VideoFrame]:
        """Go on in software from the next key picture on, which may be this one."""
        name, notes = self._way.name, self._notes
        if notes.holder is not self:
            return []
        notes.failed()
        if notes.requested != AUTO:
            raise self._cannot(name, "failed", f": {fault}")
        self._take(decoders.software(self._coded.codec), None)
        self._given, self._ahead, self._barren, self._waits_for_key = frozenset(), (), None, True
        notes.say(SOFTWARE, f"{name} failed")
        if notes.failures == 1:
            _log.warning("%s: decoder %s failed: %s; software from the next key picture on", self._camera, name, fault)
        return self.decode(packet)
