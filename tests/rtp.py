"""Films as RTP packets: H.264, H.265 and Motion JPEG, and the reports that say when each was taken."""

from __future__ import annotations

import base64
import itertools
import struct
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import av

_CLOCK_HZ = 90_000  # of RTP's video time stamps
_NTP_BEGAN_S = 2_208_988_800  # from 1900 to 1970
_MAX_PAYLOAD_BYTES = 1400  # fits into an Ethernet packet
_FRAGMENT_H264 = 28  # FU-A of RFC 6184, section 5.8
_FRAGMENT_H265 = 49  # FU of RFC 7798, section 4.4.3
_TYPE_JPEG = 26  # RFC 3551, section 6
_TYPE_OTHER = 96  # the first that a description has to explain
_SENDER_REPORT = 200  # RFC 3550, section 6.4.1


@dataclass(frozen=True)
class Picture:
    """One coded picture: its NAL units, or itself, and when it is shown, counted from the clip's beginning."""

    units: list[bytes]
    shown_s: float


@dataclass(frozen=True)
class Film:
    """What the camera sees."""

    codec: str
    parameter_sets: list[bytes]
    pictures: list[Picture]
    rate_hz: float

    @staticmethod
    def load(path: Path) -> Film:
        """Read an H.264 or H.265 clip from an MP4 file, or a Motion JPEG clip from any."""
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            assert stream.average_rate is not None
            assert stream.time_base is not None
            codec, extradata = stream.codec_context.name, stream.codec_context.extradata or b""
            pictures = [
                Picture(
                    [bytes(packet)] if codec == "mjpeg" else list(_nal_units(bytes(packet))),
                    float((packet.pts or 0) * stream.time_base),
                )
                for packet in container.demux(stream)
                if packet.size
            ]
            sets = _PARAMETER_SETS[codec](extradata)
            return Film(codec, sets, pictures, float(stream.average_rate))

    def sdp(self) -> str:
        """Describe it as RFC 4566, and RFC 6184, RFC 7798 or RFC 2435 want."""
        sets = [base64.b64encode(unit).decode() for unit in self.parameter_sets]
        if self.codec == "mjpeg":
            media = [f"m=video 0 RTP/AVP {_TYPE_JPEG}"]
        elif self.codec == "hevc":
            media = _media("H265", ";".join(map("sprop-{}={}".format, ("vps", "sps", "pps"), sets)))
        else:
            media = _media("H264", f"packetization-mode=1;sprop-parameter-sets={','.join(sets)}")
        head = ["v=0", "o=- 0 0 IN IP4 127.0.0.1", "s=test", "c=IN IP4 0.0.0.0", "t=0 0"]
        return "\r\n".join([*head, *media, "a=control:track"]) + "\r\n"

    def rtp_packets(self) -> Iterator[list[bytes]]:
        """Give the packets of one picture after the other, without end."""
        sequence = itertools.count()
        clip_s = len(self.pictures) / self.rate_hz
        kind = _TYPE_JPEG if self.codec == "mjpeg" else _TYPE_OTHER
        for index, coded in enumerate(itertools.cycle(self.pictures)):
            stamp = _stamp(index // len(self.pictures) * clip_s + coded.shown_s)
            payloads = [payload for unit in coded.units for payload in _PAYLOADS[self.codec](unit)]
            last = len(payloads) - 1
            yield [
                struct.pack("!BBHII", 0x80, kind | (part == last) << 7, next(sequence) & 0xFFFF, stamp, 1) + payload
                for part, payload in enumerate(payloads)
            ]

    def report(self, index: int, taken_utc_s: float) -> bytes:
        """Say when the picture with this number was taken (RFC 3550, section 6.4.1); what was sent is not counted."""
        whole_s = int(taken_utc_s)
        ntp = (whole_s + _NTP_BEGAN_S) << 32 | int((taken_utc_s - whole_s) * 2**32)
        return struct.pack("!BBHIQIII", 0x80, _SENDER_REPORT, 6, 1, ntp, _stamp(index / self.rate_hz), 0, 0)


def _media(name: str, parameters: str) -> list[str]:
    return [
        f"m=video 0 RTP/AVP {_TYPE_OTHER}",
        f"a=rtpmap:{_TYPE_OTHER} {name}/{_CLOCK_HZ}",
        f"a=fmtp:{_TYPE_OTHER} {parameters}",
    ]


def _stamp(at_s: float) -> int:
    return round(at_s * _CLOCK_HZ) & 0xFFFFFFFF


def _nal_units(sample: bytes) -> Iterator[bytes]:
    """Split a picture of an MP4 file, where four bytes of length stand before each NAL unit."""
    at = 0
    while at < len(sample):
        size = int.from_bytes(sample[at : at + 4], "big")
        yield sample[at + 4 : at + 4 + size]
        at += 4 + size


def _parameter_sets_h264(avcc: bytes) -> list[bytes]:
    """Read the SPS and PPS of an avcC box (ISO/IEC 14496-15, section 5.3.3.1) that holds one of each."""
    sps_end = 8 + int.from_bytes(avcc[6:8], "big")
    pps_start = sps_end + 3
    pps_end = pps_start + int.from_bytes(avcc[sps_end + 1 : pps_start], "big")
    return [avcc[8:sps_end], avcc[pps_start:pps_end]]


def _parameter_sets_h265(hvcc: bytes) -> list[bytes]:
    """Read the VPS, SPS and PPS of an hvcC box (ISO/IEC 14496-15, section 8.3.3.1) that holds one of each, in order."""
    sets: list[bytes] = []
    at = 23  # after what is always there, the last byte of which counts the arrays
    for _ in range(hvcc[22]):
        units = int.from_bytes(hvcc[at + 1 : at + 3], "big")
        at += 3
        for _ in range(units):
            size = int.from_bytes(hvcc[at : at + 2], "big")
            sets.append(hvcc[at + 2 : at + 2 + size])
            at += 2 + size
    return sets[:3]  # what follows is a note of the encoder


def _payloads_h264(unit: bytes) -> Iterator[bytes]:
    """Cut a NAL unit into RTP payloads: itself if it is small, else fragments."""
    if len(unit) <= _MAX_PAYLOAD_BYTES:
        yield unit
        return
    indicator, kind = unit[0] & 0xE0 | _FRAGMENT_H264, unit[0] & 0x1F
    for edges, part in _parts(unit[1:]):
        yield bytes([indicator, edges | kind]) + part


def _payloads_h265(unit: bytes) -> Iterator[bytes]:
    """Cut a NAL unit into RTP payloads: itself if it is small, else fragments."""
    if len(unit) <= _MAX_PAYLOAD_BYTES:
        yield unit
        return
    header, kind = bytes([unit[0] & 0x81 | _FRAGMENT_H265 << 1, unit[1]]), unit[0] >> 1 & 0x3F
    for edges, part in _parts(unit[2:]):
        yield header + bytes([edges | kind]) + part


def _payloads_jpeg(picture: bytes) -> Iterator[bytes]:
    """Cut a JPEG picture of 4:2:0 with the usual Huffman tables into RTP payloads (RFC 2435, section 3.1)."""
    tables, at = b"", 2
    width = height = 0
    while (marker := picture[at + 1]) != _JPEG_SCAN:
        size = int.from_bytes(picture[at + 2 : at + 4], "big")
        body = picture[at + 4 : at + 2 + size]
        if marker == _JPEG_QUANTISATION:
            tables += b"".join(body[table + 1 : table + 65] for table in range(0, len(body), 65))
        if marker == _JPEG_FRAME:
            height, width = struct.unpack("!HH", body[1:5])
        at += 2 + size
    scan = picture[at + 2 + int.from_bytes(picture[at + 2 : at + 4], "big") : -2]  # without the mark of the end
    quality = 255  # the tables stand in each picture
    for offset in range(0, len(scan), _MAX_PAYLOAD_BYTES):
        yield (
            offset.to_bytes(4, "big")
            + bytes([1, quality, width // 8, height // 8])  # 1: 4:2:0
            + (b"" if offset else len(tables).to_bytes(4, "big") + tables)
            + scan[offset : offset + _MAX_PAYLOAD_BYTES]
        )


def _parts(body: bytes) -> Iterator[tuple[int, bytes]]:
    """Cut into parts, each with the bits that mark the first and the last."""
    for at in range(0, len(body), _MAX_PAYLOAD_BYTES):
        first, last = at == 0, at + _MAX_PAYLOAD_BYTES >= len(body)
        yield first << 7 | last << 6, body[at : at + _MAX_PAYLOAD_BYTES]


_PARAMETER_SETS: Mapping[str, Callable[[bytes], list[bytes]]] = {
    "h264": _parameter_sets_h264,
    "hevc": _parameter_sets_h265,
    "mjpeg": lambda _: [],
}

_PAYLOADS: Mapping[str, Callable[[bytes], Iterator[bytes]]] = {
    "h264": _payloads_h264,
    "hevc": _payloads_h265,
    "mjpeg": _payloads_jpeg,
}

_JPEG_QUANTISATION, _JPEG_FRAME, _JPEG_SCAN = 0xDB, 0xC0, 0xDA  # ITU-T T.81, table B.1
