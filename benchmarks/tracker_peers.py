"""The trackers of others for `trackers.py`, in environments of their own: tracks what it is given, or times that.

    python -I tracker_peers.py {track|cost} GROUP IN.npz OUT.npz

Without -I the script beside it would stand in for Roboflow's package `trackers`. Each peer is used as its documentation
has it, and where that leaves a choice, each choice is a setting of its own.
"""

from __future__ import annotations

import gc
import json
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

STRONG = 0.4  # for peers that make one pass: what the agent's detector calls a detection
WARM_UP = 40  # updates that are not timed


@dataclass(frozen=True)
class Peer:
    """One tracker.

    Attributes:
        prepare: makes its own kind of input of boxes (N, 4) xyxy and scores (N,).
        update: takes that and the frame's time in seconds.
        read: ids (M,) and boxes (M, 4) xyxy of what `update` gave.
    """

    prepare: Callable[[Any, Any], Any]
    update: Callable[[Any, float], Any]
    read: Callable[[Any], tuple[Any, Any]]


Make = Callable[[float], Peer]
"""Makes a peer for so many frames a second."""


def of_roboflow(name: str, *, told: str = "nothing", **options: Any) -> Make:
    """Roboflow's `trackers`, told nothing, the frame rate, or each frame's time as well."""

    def make(rate_hz: float) -> Peer:
        import trackers  # noqa: PLC0415

        told_rate = {} if told == "nothing" else {"frame_rate": rate_hz}
        tracker = getattr(trackers, name)(**told_rate, **options)

        def update(found: Any, at_s: float) -> Any:
            return tracker.update(found, timestamp=at_s) if told == "times" else tracker.update(found)

        return Peer(supervision_input, update, supervision_output)

    return make


def of_supervision(*, told: bool = False, **options: Any) -> Make:
    """Supervision's ByteTrack."""

    def make(rate_hz: float) -> Peer:
        import supervision  # noqa: PLC0415

        tracker = supervision.ByteTrack(**({"frame_rate": rate_hz} if told else {}), **options)

        return Peer(supervision_input, lambda found, _at_s: tracker.update_with_detections(found), supervision_output)

    return make


def supervision_input(boxes: Any, scores: Any) -> Any:
    """Its own record."""
    import supervision  # noqa: PLC0415

    return supervision.Detections(
        xyxy=boxes.astype(np.float32), confidence=scores.astype(np.float32), class_id=np.zeros(len(boxes), int)
    )


def supervision_output(given: Any) -> tuple[Any, Any]:
    """Ids and boxes; who is not confirmed yet has the id -1."""
    ids = np.asarray(given.tracker_id if given.tracker_id is not None else [], int)
    return ids[ids >= 0], given.xyxy[: len(ids)][ids >= 0]


def of_norfair(*, memory_s: float | None = None, seen_only: bool = False, **options: Any) -> Make:
    """Norfair with its IoU distance: what it estimates of all it knows, or the boxes of those found in this frame."""

    def make(rate_hz: float) -> Peer:
        import norfair  # noqa: PLC0415

        memory = {} if memory_s is None else {"hit_counter_max": max(3, round(memory_s * rate_hz))}
        tracker = norfair.Tracker(distance_function="iou", **{"distance_threshold": 0.7, **memory, **options})

        def prepare(boxes: Any, scores: Any) -> Any:
            sure = scores >= STRONG
            return [
                norfair.Detection(box.reshape(2, 2), scores=np.array([score, score]))
                for box, score in zip(boxes[sure].astype(float), scores[sure], strict=True)
            ]

        def update(found: Any, _at_s: float) -> Any:
            now = set(map(id, found))
            return [
                (one.id, one.last_detection.points if seen_only else one.estimate)
                for one in tracker.update(found)
                if not seen_only or id(one.last_detection) in now
            ]

        return Peer(prepare, update, ids_and_boxes)

    return make


def of_trackforge(name: str, *, memory_s: float | None = None, buffer: str = "track_buffer", **options: Any) -> Make:
    """Trackforge, with a memory in seconds where one is asked for."""

    def make(rate_hz: float) -> Peer:
        import trackforge  # noqa: PLC0415

        memory = {} if memory_s is None else {buffer: max(1, round(memory_s * rate_hz))}
        tracker = getattr(trackforge, name)(**memory, **options)
        more = ([],) if name == "TRACKTRACK" else ()

        def prepare(boxes: Any, scores: Any) -> Any:
            sizes = np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], axis=1)
            return [(box, score, 0) for box, score in zip(sizes.tolist(), scores.tolist(), strict=True)]

        def read(given: Any) -> tuple[Any, Any]:
            ids, boxes = ids_and_boxes([(number, box) for number, box, *_rest in given])
            boxes[:, 2:] += boxes[:, :2]
            return ids, boxes

        return Peer(prepare, lambda found, _at_s: tracker.update(found, *more), read)

    return make


def of_ioutrack(name: str, *, memory_s: float | None = None, **options: Any) -> Make:
    """Ioutrack, with a memory in seconds where one is asked for."""

    def make(rate_hz: float) -> Peer:
        import ioutrack  # noqa: PLC0415

        memory = {} if memory_s is None else {"max_age": max(1, round(memory_s * rate_hz))}
        tracker = getattr(ioutrack, name)(**memory, **options)

        def prepare(boxes: Any, scores: Any) -> Any:
            used = scores >= (STRONG if name == "Sort" else 0)
            return np.concatenate([boxes, scores[:, None]], axis=1)[used].astype(np.float32)

        def read(given: Any) -> tuple[Any, Any]:
            return given[:, 4].astype(int), given[:, :4]

        return Peer(prepare, lambda found, _at_s: tracker.update(found), read)

    return make


def ours() -> Make:
    """The agent's own, to be timed in turns with the others."""

    def make(_rate_hz: float) -> Peer:
        sys.path.insert(0, str(Path(__file__).parents[1]))
        from edge_agent.records import Detections  # noqa: PLC0415
        from edge_agent.stages.track.tracker import Tracker, TrackSettings  # noqa: PLC0415

        tracker = Tracker(TrackSettings())

        def prepare(boxes: Any, scores: Any) -> Any:
            return Detections(
                boxes=boxes.astype(np.float32), scores=scores.astype(np.float32), strong=scores >= STRONG,
                label_ids=np.zeros(len(boxes), np.int64), label_names=("person",),
            )  # fmt: skip

        return Peer(prepare, tracker.update, lambda _given: (np.zeros(0, int), np.zeros((0, 4))))

    return make


def ids_and_boxes(pairs: list[tuple[int, Any]]) -> tuple[Any, Any]:
    """As arrays."""
    ids = np.array([number for number, _box in pairs], int)
    return ids, np.array([np.ravel(box) for _number, box in pairs], float).reshape(-1, 4)


EDGE = "edge-agent"
_SOONER = {"track_activation_threshold": 0.5, "high_conf_det_threshold": 0.5}
PEERS: dict[str, dict[str, dict[str, Make]]] = {
    "roboflow": {
        "Roboflow ByteTrack": {
            "as it comes": of_roboflow("ByteTrackTracker"),
            "told the rate": of_roboflow("ByteTrackTracker", told="rate"),
            "told the times": of_roboflow("ByteTrackTracker", told="times"),
            "times, 2 s, from 0.5": of_roboflow("ByteTrackTracker", told="times", lost_track_buffer=60, **_SOONER),
            "times, 2 s, 0.5, loose": of_roboflow(
                "ByteTrackTracker", told="times", lost_track_buffer=60, minimum_iou_threshold=0.02,
                minimum_consecutive_frames=1, **_SOONER,
            ),
        },
        "Roboflow C-BIoU": {
            "as it comes": of_roboflow("CBIoUTracker"),
            "told the rate": of_roboflow("CBIoUTracker", told="rate"),
            "rate, 2 s, from 0.5": of_roboflow("CBIoUTracker", told="rate", lost_track_buffer=60, **_SOONER),
            "2 s, 0.5, loose": of_roboflow(
                "CBIoUTracker", told="rate", lost_track_buffer=60, buffer_ratio_first=0.5, buffer_ratio_second=0.7,
                minimum_iou_threshold_first_assoc=0.1, minimum_consecutive_frames=1, **_SOONER,
            ),
        },
        "supervision ByteTrack": {
            "as it comes": of_supervision(),
            "told the rate": of_supervision(told=True),
            "rate, 2 s, from 0.5": of_supervision(told=True, lost_track_buffer=60, track_activation_threshold=0.5),
            "2 s, 0.5, loose": of_supervision(
                told=True, lost_track_buffer=60, track_activation_threshold=0.5, minimum_matching_threshold=0.95
            ),
        },
    },
    "others": {
        "norfair IoU": {
            "as it comes": of_norfair(),
            "2 s": of_norfair(memory_s=2),
            "2 s, at once": of_norfair(memory_s=2, initialization_delay=1, distance_threshold=0.8),
            "2 s, only who is seen": of_norfair(memory_s=2, seen_only=True, initialization_delay=2),
            "2 s, seen, loose": of_norfair(
                memory_s=2, seen_only=True, initialization_delay=1, distance_threshold=0.95
            ),
        },
        "trackforge ByteTrack": {
            "as it comes": of_trackforge("BYTETRACK"),
            "1 s": of_trackforge("BYTETRACK", memory_s=1),
            "2 s, from 0.5": of_trackforge("BYTETRACK", memory_s=2, det_thresh=0.5),
            "2 s, 0.5, loose": of_trackforge("BYTETRACK", memory_s=2, det_thresh=0.5, match_thresh=0.95),
        },
        "trackforge TrackTrack": {
            "as it comes": of_trackforge("TRACKTRACK"),
            "1 s": of_trackforge("TRACKTRACK", memory_s=1),
            "2 s, from 0.5": of_trackforge("TRACKTRACK", memory_s=2, det_thresh=0.5, init_thresh=0.5, min_hits=2),
            "2 s, 0.5, loose": of_trackforge(
                "TRACKTRACK", memory_s=2, det_thresh=0.5, init_thresh=0.5, min_hits=1, match_thresh=0.9
            ),
        },
        "ioutrack Sort": {
            "as it comes": of_ioutrack("Sort"),
            "1 s": of_ioutrack("Sort", memory_s=1),
            "2 s, sooner": of_ioutrack("Sort", memory_s=2, min_hits=2, iou_threshold=0.15),
            "2 s, loose": of_ioutrack("Sort", memory_s=2, min_hits=1, iou_threshold=0.02),
        },
    },
}  # fmt: skip


def track(group: str, given: Any) -> dict[str, Any]:
    """What each peer says, with each setting, of each sequence: `PEER|SETTING|SEQUENCE|frames`, `…|ids`, `…|boxes`."""
    said: dict[str, Any] = {}
    for sequence in json.loads(str(given["sequences"])):
        looked, frames = given[f"{sequence}|looked"], given[f"{sequence}|frames"]
        boxes, scores = given[f"{sequence}|boxes"], given[f"{sequence}|scores"]
        recorded_hz, seen_hz = given[f"{sequence}|rates"].tolist()
        starts, ends = np.searchsorted(frames, looked, "left"), np.searchsorted(frames, looked, "right")
        for peer, settings in PEERS[group].items():
            for setting, make in settings.items():
                tracker, rows = make(seen_hz), []
                for frame, start, end in zip(looked.tolist(), starts, ends, strict=True):
                    found = tracker.prepare(boxes[start:end], scores[start:end])
                    ids, places = tracker.read(tracker.update(found, (frame - 1) / recorded_hz))
                    rows += [(frame, number, *box) for number, box in zip(ids.tolist(), places.tolist(), strict=True)]
                table = np.array(rows, float).reshape(-1, 6)
                said[f"{peer}|{setting}|{sequence}"] = table
    return said


def cost(group: str, given: Any) -> dict[str, Any]:
    """Nanoseconds of CPU of each update, (rounds, frames), by `PEER|OBJECTS`: all take the same frame in turns."""
    spent: dict[str, list[int]] = {}
    for objects in json.loads(str(given["objects"])):
        frames = [(given[f"{objects}|{k}|boxes"], given[f"{objects}|{k}|scores"]) for k in range(int(given["length"]))]
        for _round in range(int(given["rounds"])):
            peers = {EDGE: ours()(10.0), **{name: first(settings)(10.0) for name, settings in PEERS[group].items()}}
            gc.collect()
            gc.disable()
            for number, (boxes, scores) in enumerate(frames):
                for name, peer in rotated(peers, number):
                    found = peer.prepare(boxes, scores)
                    began = time.thread_time_ns()
                    peer.update(found, number / 10)
                    took = time.thread_time_ns() - began
                    if number >= WARM_UP:
                        spent.setdefault(f"{name}|{objects}", []).append(took)
            gc.enable()
    return {name: np.array(times).reshape(int(given["rounds"]), -1) for name, times in spent.items()}


def first(settings: dict[str, Make]) -> Make:
    """As it comes."""
    return next(iter(settings.values()))


def rotated(peers: dict[str, Peer], number: int) -> Iterator[tuple[str, Peer]]:
    """All, each time another one first."""
    names = list(peers)
    for place in range(len(names)):
        name = names[(place + number) % len(names)]
        yield name, peers[name]


def main() -> None:
    """Do what is asked for."""
    verb, group, source, target = sys.argv[1:]
    with np.load(source) as given:
        np.savez(target, **{"track": track, "cost": cost}[verb](group, given))


if __name__ == "__main__":
    main()
