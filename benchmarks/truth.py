"""What the benchmarks of the packet gate share: a clip's packets with their own times."""

from __future__ import annotations

from collections.abc import Iterator

import av

from edge_agent.edges.sources.decoding import Stamp, Timed


def timed_packets(container: av.container.InputContainer, stream: av.VideoStream) -> Iterator[Timed]:
    """Packets of a clip as if they came from a camera when their pictures were taken."""
    for packet in container.demux(stream):
        if packet.pts is not None:
            at_s = float(packet.pts * packet.time_base)
            yield packet, Stamp(at_s, round(at_s * 1e9), utc_synced=False)
