"""Records: checked when made, and never edited."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from builders import LABELS, detections_of, frame_of, track_of

from edge_agent.records import (
    MAX_EVENT_BYTES,
    MAX_PAYLOAD_BYTES,
    MAX_STATE_BYTES,
    Detections,
    Frame,
    Message,
    MessageKind,
    ModelSignature,
    Tensor,
)


@pytest.mark.parametrize("size", [(2, 2), (3, 3), (1, 1), (160, 90), (161, 91)])
def test_a_frame_knows_its_size(size: tuple[int, int]) -> None:
    frame = frame_of(size=size)
    assert (frame.width, frame.height) == size


@pytest.mark.parametrize("chroma_shape", [(45, 81), (46, 80), (90, 160), (0, 0)])
def test_a_frame_refuses_chroma_planes_that_are_not_half_its_size(chroma_shape: tuple[int, int]) -> None:
    good, bad = np.zeros((45, 80), np.uint8), np.zeros(chroma_shape, np.uint8)
    for blue, red in ((good, bad), (bad, good)):
        with pytest.raises(ValueError, match="a 160x90 frame wants"):
            Frame(
                luma=np.zeros((90, 160), np.uint8),
                chroma_blue=blue,
                chroma_red=red,
                at_s=0.0,
                utc_ns=0,
                utc_synced=False,
                seq=0,
            )


@pytest.mark.parametrize("size", [(160, 90), (161, 91)])
def test_an_emptied_frame_is_the_same_moment_and_its_planes_take_no_memory(size: tuple[int, int]) -> None:
    frame = frame_of(7.5, size=size, seq=3)
    emptied = frame.emptied()
    assert (emptied.width, emptied.height) == size
    for name in ("at_s", "utc_ns", "utc_synced", "seq", "full_range"):
        assert getattr(emptied, name) == getattr(frame, name)
    for plane in (emptied.luma, emptied.chroma_blue, emptied.chroma_red):
        assert set(plane.strides) == {0}
        assert not plane.any()


def test_detections_know_how_many_they_are() -> None:
    box = (0.0, 0.0, 1.0, 1.0)
    assert [len(detections_of(*[box] * count)) for count in (0, 1, 3)] == [0, 1, 3]


def test_empty_detections_hold_no_box_and_still_the_labels() -> None:
    empty = Detections.empty(LABELS)
    assert len(empty) == 0
    assert empty.boxes.shape == (0, 4)
    assert empty.label_names == LABELS


@pytest.mark.parametrize("field", ["boxes", "scores", "label_ids", "strong"])
def test_detections_refuse_arrays_of_different_lengths(field: str) -> None:
    two = detections_of((0.0, 0.0, 1.0, 1.0), (2.0, 2.0, 3.0, 3.0))
    with pytest.raises(ValueError, match="boxes"):
        dataclasses.replace(two, **{field: getattr(two, field)[:1]})


def test_detections_refuse_boxes_that_have_not_four_sides() -> None:
    with pytest.raises(ValueError, match=r"\(1, 5\)"):
        dataclasses.replace(detections_of((0.0, 0.0, 1.0, 1.0)), boxes=np.zeros((1, 5), np.float32))


@pytest.mark.parametrize("kind", ["new", "update", "end", "state", "answer"])
def test_a_message_may_be_as_long_as_its_kind_allows_and_not_a_byte_longer(kind: MessageKind) -> None:
    limit = MAX_STATE_BYTES if kind == "state" else MAX_EVENT_BYTES
    assert MAX_PAYLOAD_BYTES[kind] == limit
    assert len(Message(topic="edge/pi/x", payload=b"x" * limit, kind=kind).payload) == limit
    with pytest.raises(ValueError, match=rf"edge/pi/x: {limit + 1} bytes, the limit is {limit}"):
        Message(topic="edge/pi/x", payload=b"x" * (limit + 1), kind=kind)


def test_no_event_is_longer_than_2_kib() -> None:
    assert MAX_EVENT_BYTES == 2 * 1024


@pytest.mark.parametrize(
    "record", [frame_of(), detections_of(), track_of(), Message(topic="t", payload=b"", kind="state")]
)
def test_a_record_cannot_be_edited(record: object) -> None:
    field = getattr(record, "_fields", None) or [one.name for one in dataclasses.fields(record)]  # type: ignore[arg-type]
    with pytest.raises(AttributeError):  # of which dataclasses.FrozenInstanceError is one kind
        setattr(record, field[0], None)


def test_a_model_signature_is_written_on_one_line_with_free_sides_as_question_marks() -> None:
    signature = ModelSignature(
        inputs=(Tensor(name="images", shape=(1, 3, None, None), dtype="float32"),),
        outputs=(Tensor(name="boxes", shape=(1, 10, 4), dtype="float32"), Tensor(name="n", shape=(), dtype="int64")),
        metadata={},
    )
    assert str(signature) == "in images float32 (1, 3, ?, ?); out boxes float32 (1, 10, 4); n int64 ()"
