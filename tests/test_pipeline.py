"""The straight line of one camera: who is called when, and the same bytes for the same frames."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from builders import LABELS, boxes_of, detections_of, frame_of, track_of
from numpy.typing import NDArray

from edge_agent.app import build_replay, one_camera
from edge_agent.clips import PEDESTRIANS
from edge_agent.config import CameraSettings
from edge_agent.errors import ConfigError
from edge_agent.pipeline import Pipeline, breaks_off
from edge_agent.records import Count, Detections, FloatArray, Frame, IntArray, Message, Motion, Moving, Step, Tracks
from edge_agent.stages.detect.detector import Detector, DetectSettings
from edge_agent.stages.detect.filters import Filters
from edge_agent.stages.detect.head import Candidates, Head
from edge_agent.stages.encode import native
from edge_agent.stages.encode.native import Names
from edge_agent.stages.encode.topics import Topics
from edge_agent.stages.gate.motion import Gate
from edge_agent.stages.gate.settings import GateSettings
from edge_agent.stages.mask import Mask
from edge_agent.stages.nuisance.map import NuisanceMap
from edge_agent.stages.nuisance.nuisances import nuisances
from edge_agent.stages.rules.rules import Rules
from edge_agent.stages.rules.zone import ZoneSettings
from edge_agent.stages.track.tracker import Tracker, TrackSettings
from edge_agent.tools.replay import replay
from edge_agent.vision import load_vision


class Recorder:
    """Stages that note who was called with what."""

    def __init__(self, *, look: bool, changed: bool) -> None:
        self.calls: list[tuple[Any, ...]] = []
        self.steps: list[Step] = []
        self.motion = Motion(
            moving=look,
            changed=changed,
            look="active" if look else None,
            regions=boxes_of((0.0, 0.0, 4.0, 4.0)),
            scene_changed=False,
        )
        self.found = detections_of((0.0, 0.0, 4.0, 4.0))
        self.kept = Detections.empty()
        self.tracks = Tracks(live=(track_of(),))
        self.said = (Count(zone=None, label="person", value=1), Count(zone="left", label="person", value=1))

    def pipeline(self) -> Pipeline:
        def noting(name: str, result: Any) -> Any:
            def call(*args: Any) -> Any:
                self.calls.append((name, *args))
                return result

            return call

        return Pipeline(
            adjust=lambda _in_force: None,
            blank=lambda frame: frame,
            observe=noting("observe", self.motion),
            detect=noting("detect", self.found),
            sift=noting("sift", self.kept),
            update=noting("update", self.tracks),
            note=noting("note", None),
            begin=lambda: (),
            forget=lambda: self.calls.append(("forget",)),
            evaluate=noting("evaluate", self.said),
            conclude=noting("conclude", self.said[:1]),
            trace=self.steps.append,
            rest=lambda _frame: None,
            encode=lambda said: Message(
                topic="motion" if isinstance(said, Moving) else f"count/{said.zone}",  # type: ignore[union-attr]
                payload=b"1",
                kind="state",
            ),
        )


def test_a_frame_goes_through_the_stages_in_their_order() -> None:
    stages, frame = Recorder(look=True, changed=True), frame_of(2.5)
    messages = stages.pipeline().step(frame)
    assert stages.calls == [
        ("observe", frame),
        ("detect", frame, stages.motion),
        ("sift", stages.found, frame),
        ("update", stages.kept, 2.5, stages.motion, frame),
        ("note", stages.tracks, frame),
        ("evaluate", stages.tracks, frame),
    ]
    assert [message.topic for message in messages] == ["motion", "count/None", "count/left"]
    [step] = stages.steps
    assert (step.frame, step.motion, step.found, step.kept) == (frame, stages.motion, stages.found, stages.kept)
    assert (step.tracks, step.said) == (stages.tracks, stages.said)


def test_when_the_gate_says_no_nobody_looks_and_the_tracker_hears_none() -> None:
    stages, frame = Recorder(look=False, changed=False), frame_of(2.5)
    messages = stages.pipeline().step(frame)
    assert stages.calls == [
        ("observe", frame),
        ("update", None, 2.5, stages.motion, frame),
        ("note", stages.tracks, frame),
        ("evaluate", stages.tracks, frame),
    ]
    assert [message.topic for message in messages] == [
        "count/None",
        "count/left",
    ]  # and motion is only said when it changed


def test_to_finish_concludes_and_looks_at_nothing() -> None:
    stages, frame = Recorder(look=True, changed=True), frame_of(2.5)
    assert [message.topic for message in stages.pipeline().finish(frame)] == ["motion", "count/None"]
    assert stages.calls == [("forget",), ("conclude", frame)]


def test_at_the_start_it_says_what_an_earlier_run_may_have_left_otherwise() -> None:
    assert [(message.topic, message.payload) for message in real_pipeline().start()] == [
        ("edge/pi/camera/front/motion", b"OFF"),
        ("edge/pi/camera/front/count/person", b"0"),
        ("edge/pi/camera/front/zone/left/count/person", b"0"),
    ]


@pytest.mark.parametrize(
    ("at_s", "size", "over"),
    [
        (31.0, (160, 90), False),  # 30 s after the last at 1.0
        (31.1, (160, 90), True),
        (1.2, (160, 90), False),
        (1.2, (320, 180), True),  # the camera came back with another picture
    ],
)
def test_a_long_silence_or_another_size_breaks_off(at_s: float, size: tuple[int, int], *, over: bool) -> None:
    last = frame_of(1.0, size=(160, 90))
    assert breaks_off(last, at_s, frame_of(at_s, size=size)) is over
    assert breaks_off(last, at_s, None) is (over and size == (160, 90))


# As the program wires it


def moving_square(at_s: float, size: tuple[int, int]) -> Frame:
    """A bright square that crosses the picture in two seconds, again and again."""
    width, height = size
    luma = np.full((height, width), 60, np.uint8)
    left = int(at_s * width / 2) % width
    luma[height // 3 : 2 * height // 3, left : left + width // 6] = 200
    return frame_of(at_s, luma=luma)


def still(at_s: float, size: tuple[int, int]) -> Frame:
    return frame_of(at_s, luma=np.full((size[1], size[0]), 60, np.uint8))


@pytest.mark.parametrize("after", [still, moving_square])
def test_motion_is_told_anew_after_the_pictures_changed_their_size(
    after: Callable[[float, tuple[int, int]], Frame],
) -> None:
    settings = one_camera(PEDESTRIANS, "default", {})
    vision = load_vision(settings.model)
    pipeline = build_replay(settings, settings.cameras[0], vision, "b3c1f0")
    before = [(still if index < 20 else moving_square)(index / 10, (320, 180)) for index in range(50)]
    frames = [*before, *(after(index / 10, (640, 360)) for index in range(50, 150))]
    motion: list[tuple[float, bytes]] = []
    for frame, messages in replay(pipeline, frames):
        motion += [(frame.at_s, message.payload) for message in messages if message.topic.endswith("/motion")]
    said = [payload for at_s, payload in motion if 5.0 <= at_s < frames[-1].at_s]
    assert [payload for at_s, payload in motion if at_s < 4.9][-1] == b"ON"
    assert said[-1] == (b"OFF" if after is still else b"ON")
    assert motion[-1][1] == b"OFF"  # nothing more is seen


def test_the_sun_of_nowhere_is_said_before_anything_begins() -> None:
    settings = one_camera(PEDESTRIANS, "default", {})
    rule = {"name": "dark", "kind": "dwell", "after_s": 1, "schedule": {"from": "sunset", "to": "sunrise"}}
    camera = CameraSettings.model_validate({"id": "clip", "source": "file://clip.mp4", "rules": [rule]})
    with pytest.raises(ConfigError, match=r"sunrise and sunset need `device\.location`"):
        build_replay(settings, camera, load_vision(settings.model), "b3c1f0")


# The real stages, with a model that sees what is bright

WIDTH, HEIGHT = 160, 90


def bright_boxes(
    outputs: Sequence[NDArray[Any]], _size: tuple[int, int], wanted: IntArray, _floors: FloatArray
) -> Candidates:
    """The one bright thing in the picture."""
    rows, columns = np.nonzero(outputs[0][0, 0] > 150)
    boxes = [(columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)] if len(rows) else []
    return Candidates(
        boxes=boxes_of(*boxes), scores=np.full(len(boxes), 0.75, np.float32), label_ids=wanted[[0] * len(boxes)]
    )


def real_pipeline(nuisance: NuisanceMap | None = None) -> Pipeline:
    head = Head(
        family="bright",
        why="",
        size_step=32,
        resize="letterbox",
        colour="bgr",
        mean=(0.0, 0.0, 0.0),
        std=(1.0, 1.0, 1.0),
        padding=0,
        classes=2,
        decode=bright_boxes,
    )
    detector = Detector(
        infer=lambda tensor: [tensor],
        head=head,
        label_names=LABELS,
        input_size=(160, 96),
        threshold=0.4,
        settings=DetectSettings(),
    )
    rules = Rules(("person",), {"left": ZoneSettings(polygon=((0.0, 0.0), (0.5, 0.0), (0.5, 1.0), (0.0, 1.0)))})
    names = Names(topics=Topics(prefix="edge", device="pi"), camera="front", run_id="b3c1f0")
    tracker = Tracker(TrackSettings())
    return Pipeline(
        adjust=lambda _in_force: None,
        blank=Mask(()).blank,
        observe=Gate(GateSettings(), 5.0).observe,
        detect=lambda frame, motion: detector.detect(frame, motion.regions),
        sift=Filters({}).sift,
        update=tracker.update,
        note=(nuisance or NuisanceMap(("person",))).note,
        begin=rules.begin,
        forget=tracker.forget,
        evaluate=rules.evaluate,
        conclude=rules.finish,
        trace=lambda _step: None,
        rest=lambda _frame: None,
        encode=functools.partial(native.encode, names=names),
    )


def walk() -> list[Frame]:
    """Somebody bright walks from left to right for 6 s and is gone; camera noise over it all."""
    random = np.random.default_rng(11)
    frames = []
    for i in range(120):
        luma = random.normal(60, 2, (HEIGHT, WIDTH))
        if 20 <= i < 80:
            x = 2 * (i - 20)
            luma[30:70, x : x + 20] = 210
        frames.append(frame_of(i / 10, luma=luma.astype(np.uint8), seq=i))
    return frames


def run(frames: Sequence[Frame]) -> list[Message]:
    pipeline = real_pipeline()
    messages = [message for frame in frames for message in pipeline.step(frame)]
    return [*messages, *pipeline.finish(frames[-1])]


@pytest.fixture(scope="module")
def messages() -> list[Message]:
    return run(walk())


def test_a_walk_through_the_picture_is_a_new_an_update_and_an_end(messages: list[Message]) -> None:
    contents = [json.loads(message.payload) for message in messages if message.kind != "state"]
    assert [(one["event_type"], one["reason"], one["object"]["zones"]) for one in contents] == [
        ("new", ["appeared", "zone_entered"], ["left"]),
        ("update", ["zone_left"], []),
        ("end", ["disappeared"], []),
    ]
    assert {one["object"]["id"] for one in contents} == {"front-1"}
    # It is in the picture from 2 to 8 s; looks are 0.2 s apart, and three hits make it an object.
    assert contents[0]["started"] == "2026-11-22T13:45:02.000Z"
    assert contents[0]["object"]["age_s"] == pytest.approx(0.4, abs=0.11)
    assert contents[2]["duration_s"] == pytest.approx(5.8, abs=0.21)


def test_the_walk_is_counted_and_the_motion_said(messages: list[Message]) -> None:
    states = [
        (message.topic.removeprefix("edge/pi/camera/front/"), message.payload)
        for message in messages
        if message.kind == "state"
    ]
    assert [payload for topic, payload in states if topic == "count/person"] == [b"0", b"1", b"0"]
    assert [payload for topic, payload in states if topic == "zone/left/count/person"] == [b"0", b"1", b"0"]
    assert [payload for topic, payload in states if topic == "motion"] == [
        b"OFF",
        b"ON",
        b"OFF",
        b"OFF",
    ]  # the last: no more frames


def test_the_same_frames_give_the_same_bytes(messages: list[Message]) -> None:
    assert run(walk()) == messages


def test_events_know_the_frame_that_they_were_decided_on(messages: list[Message]) -> None:
    frames = walk()
    for message in messages:
        if message.kind != "state":
            content = json.loads(message.payload)
            assert message.utc_ns == frames[content["frame"]["seq"]].utc_ns


def flickering() -> list[Frame]:
    """A lamp shows for 0.3 s every 3 s, a minute long; then somebody bright walks below it."""
    random = np.random.default_rng(12)
    frames = []
    for i in range(740):
        luma = random.normal(60, 2, (HEIGHT, WIDTH))
        if i < 600 and i % 30 < 3:
            luma[10:30, 40:52] = 210  # stands at (46, 30): column 9 of 32, row 6 of 18
        if 620 <= i < 690:
            luma[50:85, 2 * (i - 620) : 2 * (i - 620) + 14] = 210
        frames.append(frame_of(i / 10, luma=luma.astype(np.uint8), seq=i))
    return frames


def test_a_lamp_that_flickers_cries_wolf_and_somebody_who_walks_does_not() -> None:
    learning = NuisanceMap(("person",))
    pipeline, frames = real_pipeline(learning), flickering()
    events = [message for frame in frames for message in pipeline.step(frame) if message.kind != "state"]
    assert [message.kind for message in events] == ["new", "update", "end"]  # only the walk is spoken of
    [one] = nuisances(learning.learnt)
    assert (one.label, one.passed) == ("person", 0.0)
    assert one.times == pytest.approx(20, abs=2)  # but for those that the gate has learnt to leave alone
    assert one.box == (9 / 32, 6 / 18, 10 / 32, 7 / 18)
    assert np.max(learning.learnt.passed["person"]) == pytest.approx(1, abs=1e-3)
