"""What is handed from stage to stage: values that are made once, checked, and never edited.

Many-and-mathematical things are arrays (`Detections`), few-and-with-identity things are objects (`Track`, `Event`).
Boxes are xyxy in full-frame pixels, except where a name ends in `_norm` (0..1). `_s` is the monotonic clock, for every
duration, age and rule; `utc_ns` only tells people when.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

Box = tuple[float, float, float, float]
"""One box, xyxy."""

FloatArray = NDArray[np.float32]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]
ByteArray = NDArray[np.uint8]

Infer = Callable[[NDArray[Any]], Sequence[NDArray[Any]]]
"""One run of a model: its only input tensor in, its output tensors out, in the order of the `ModelSignature`."""

EventType = Literal["new", "update", "end"]
Reason = Literal[
    "appeared", "zone_entered", "zone_left", "stationary", "moving", "label_changed", "line_crossed", "dwell",
    "count_changed", "left_behind", "removed", "speeding", "disappeared",
]  # fmt: skip
RuleKind = Literal["line", "zone", "dwell", "occupancy", "still", "left_behind", "removed", "speed"]
Direction = Literal["in", "out"]
MessageKind = Literal["new", "update", "end", "state", "answer"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Frame:
    """One picture as a camera gives it: three planes of 8-bit 4:2:0 video, and when it was taken.

    The planes may be views of the decoder's own memory: read them, never write them. No full-size RGB picture is ever
    made; each stage resizes the planes straight to the size it wants.

    Attributes:
        luma: (H, W) uint8, 16..235, or 0..255 when `full_range`.
        chroma_blue: (ceil(H / 2), ceil(W / 2)) uint8, 16..240, or 0..255 when `full_range`.
        chroma_red: the same shape.
        at_s: when it was taken, on the clock that every rule counts in.
        utc_ns: the same moment for people, nanoseconds since 1970.
        utc_synced: whether `utc_ns` came from a clock that a time server vouches for.
        seq: number of the frame in this source since start, from 0; a dropped frame leaves a gap.
        full_range: the planes use all of 0..255, as JPEG and some cameras do.
    """

    luma: ByteArray
    chroma_blue: ByteArray
    chroma_red: ByteArray
    at_s: float
    utc_ns: int
    utc_synced: bool
    seq: int
    full_range: bool = False

    def __post_init__(self) -> None:
        """Refuse planes whose shapes do not belong together."""
        height, width = self.luma.shape
        if not height or not width:
            raise ValueError(f"a frame of {width}x{height} holds nothing")
        expected = ((height + 1) // 2, (width + 1) // 2)
        if self.chroma_blue.shape != expected or self.chroma_red.shape != expected:
            shapes = f"{self.chroma_blue.shape} and {self.chroma_red.shape}"
            raise ValueError(f"chroma planes are {shapes}, a {width}x{height} frame wants {expected}")

    @property
    def width(self) -> int:
        """Width in pixels."""
        return int(self.luma.shape[1])

    @property
    def height(self) -> int:
        """Height in pixels."""
        return int(self.luma.shape[0])

    def emptied(self) -> Frame:
        """The same moment and size without the picture, for whoever remembers it: its planes take no memory."""
        luma, blue, red = _black_planes(self.luma.shape, self.chroma_blue.shape)
        return replace(self, luma=luma, chroma_blue=blue, chroma_red=red)


@functools.lru_cache(maxsize=8)
def _black_planes(luma: tuple[int, ...], chroma: tuple[int, ...]) -> tuple[ByteArray, ByteArray, ByteArray]:
    """Planes of those shapes that lie in one byte."""
    black = np.zeros((), np.uint8)
    return np.broadcast_to(black, luma), np.broadcast_to(black, chroma), np.broadcast_to(black, chroma)


@dataclass(frozen=True, slots=True, kw_only=True)
class Packet:
    """What a packet of a video stream tells before it is decoded.

    Attributes:
        at_s: when its picture was taken, on the clock that every rule counts in.
        size_bytes: how much there is to decode, without what only fills up a constant bit rate.
        wire_bytes: how large it is.
        is_key: its picture can be decoded with nothing before it, and so can all that follow.
        is_bidirectional: its picture is shown before one that came earlier.
        stamp_s: when its picture is to be shown by the camera's clock, which no hold-up on the way disturbs; None where
            the camera does not say.
    """

    at_s: float
    size_bytes: int
    wire_bytes: int
    is_key: bool
    is_bidirectional: bool = False
    stamp_s: float | None = None


Verdict = Literal["decode", "compare", "keep", "hold", "show"]
"""What to do with a packet: `decode` it and all that was kept before it, decode it alone to `compare` its picture, or
`keep` it undecoded; `hold` it, and let go of what the gate has no use for any more; `show` the same, and the picture of
the oldest that is left."""


Look = Literal["active", "refresh"]
"""Why to look at a frame: because something moves or the gate is open for another reason, or only because nobody has
for long."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Motion:
    """What the gate says of one frame.

    Attributes:
        moving: something moves, or did so less than `hold_s` ago.
        changed: to be said, for `moving` differs from the frame before.
        look: why the detector should look at this frame; None when it should not.
        regions: (N, 4) float32 xyxy pixels, where something moves now; None when the gate did not watch this frame.
        scene_changed: the background is learnt anew: the first frame, another size, a long silence, or light that is
            changing: nothing is said to begin or cease to move then, and what is found may be a shadow.
    """

    moving: bool
    changed: bool
    look: Look | None
    regions: FloatArray | None
    scene_changed: bool


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Detections:
    """The boxes found in one frame; empty means "looked, and nothing is there".

    Attributes:
        boxes: (N, 4) float32 xyxy pixels.
        scores: (N,) float32, 0..1.
        label_ids: (N,) int64, indexes into `label_names`.
        strong: (N,) bool, the score reaches the threshold of its label; weak ones only keep known objects alive.
        label_names: what the model can tell apart.
    """

    boxes: FloatArray
    scores: FloatArray
    label_ids: IntArray
    strong: BoolArray
    label_names: tuple[str, ...]

    def __post_init__(self) -> None:
        """Refuse arrays of different lengths."""
        count = len(self.boxes)
        if self.boxes.shape != (count, 4) or not len(self.scores) == len(self.label_ids) == len(self.strong) == count:
            raise ValueError(f"boxes {self.boxes.shape}, scores {self.scores.shape}, labels {self.label_ids.shape}")

    def __len__(self) -> int:
        """Number of boxes."""
        return len(self.boxes)

    @staticmethod
    def empty(label_names: tuple[str, ...] = ()) -> Detections:
        """Looked, and nothing is there."""
        return Detections(
            boxes=np.zeros((0, 4), np.float32),
            scores=np.zeros(0, np.float32),
            label_ids=np.zeros(0, np.int64),
            strong=np.zeros(0, np.bool_),
            label_names=label_names,
        )


class Track(NamedTuple):
    """The same thing over frames, as the tracker knows it now.

    A tuple with names, which of hundreds of objects is made several times faster than a frozen dataclass.

    Attributes:
        id: counts from 1, never used again within a run.
        label: what it is.
        box: xyxy pixels, where it was last seen (never where it is only presumed to be).
        score: median of its scores so far, a look that missed it in between counting 0.
        top_score: the best of its scores.
        first_s: when it was first seen.
        seen_s: when it was last seen.
        confirmed: it is no flicker; stays true once true.
        established: it was found often or well enough to be followed as a thing of its own, which it is sooner than
            confirmed; stays true once true.
        stationary: it has stood still for `track.stationary_s`.
        still_since_s: since when it has not left its place; when it was first seen where it has never moved.
    """

    id: int
    label: str
    box: Box
    score: float
    top_score: float
    first_s: float
    seen_s: float
    confirmed: bool
    stationary: bool = False
    still_since_s: float = 0.0
    established: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Tracks:
    """All tracks after one frame.

    Attributes:
        live: seen or presumed to be there, in order of their ids.
        ended: given up with this frame.
        held: nothing new is confirmed for now, for the whole picture has changed a moment ago.
        exchanged: ids of those who had been taken for each other until this frame: each is where another was.
    """

    live: tuple[Track, ...]
    ended: tuple[Track, ...] = ()
    held: bool = False
    exchanged: frozenset[int] = frozenset()


ConditionName = Literal[
    "label", "zone", "entered", "left", "dwelt_s", "count", "held_s", "still_s", "alone_s", "speed_kmh",
    "came_from", "through", "beyond", "schedule", "cooldown_s", "said",
    "min_area", "max_area", "min_height", "max_height", "min_ratio", "max_ratio", "within", "without",
]  # fmt: skip
"""What a rule looks at, and then what a box filter does: the setting that asks."""


class Condition(NamedTuple):
    """One of the numbers that a rule, or a box filter, decides by.

    A rule speaks, and a box stays, when all of them hold; and they explain why not. A tuple with names, for hundreds
    are made in a frame.

    Attributes:
        name: what is looked at.
        value: how it is; 1 for yes and 0 for no.
        wanted: how it would have to be.
        holds: whether it is so.
    """

    name: ConditionName
    value: float
    wanted: float
    holds: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Spoken:
    """What a rule says of itself in an event; what is None does not stand there.

    Attributes:
        name: of the rule, or of the line.
        kind: what kind of rule it is.
        direction: which way a line was crossed.
        count: how many there are.
        active: whether that is as many as the rule asks for.
        speed_kmh: how fast it is.
    """

    name: str
    kind: RuleKind
    direction: Direction | None = None
    count: int | None = None
    active: bool | None = None
    speed_kmh: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """What is said about an object, or about the scene, once.

    Attributes:
        seq: counts from 0 within a run and camera, without gaps.
        event_type: new, update or end.
        reason: why it is said, never empty.
        track: the object at that moment; None when it is about the scene.
        zones: the zones it is in, in the order of the configuration; for `end`, those it was last in.
        frame: the frame that it was decided on.
        rule: the rule that says it; None for a turn in the object's life.
        since_s: since when what is said of the scene has been so; None when it is about an object.
        speed_kmh: how fast the object moves on the ground; None where nobody knows.
    """

    seq: int
    event_type: EventType
    reason: tuple[Reason, ...]
    track: Track | None
    zones: tuple[str, ...]
    frame: Frame = field(repr=False, compare=False)
    rule: Spoken | None = None
    since_s: float | None = None
    speed_kmh: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Count:
    """How many objects with a label are in view (`zone` is None) or in a zone."""

    zone: str | None
    label: str
    value: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Crossings:
    """How many objects with a label have crossed a line in a direction since the start."""

    line: str
    label: str
    direction: Direction
    value: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Moving:
    """Whether something moves in view."""

    value: bool


Said = Event | Count | Crossings | Moving
"""What there is to say, before it is bytes."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Step:
    """What the stages of a camera made of one frame, for whoever is asked later why.

    Attributes:
        frame: as they saw it.
        motion: what the gate said; None when nothing more is seen, or not for long.
        found: what the detector found; None when it did not look.
        kept: what the box filters left of it.
        tracks: all of them after the frame.
        said: what it gave reason to.
    """

    frame: Frame = field(repr=False)
    motion: Motion | None
    found: Detections | None
    kept: Detections | None
    tracks: Tracks
    said: Sequence[Said]


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One MQTT message on its way out; what is retained and what must not be lost follows from its kind.

    Attributes:
        topic: where to.
        payload: UTF-8 JSON or a plain word; at most `MAX_PAYLOAD_BYTES`.
        kind: `state` has only a newest value and is retained; `answer` says what became of a command, to whoever waits
            for it now; the others are events, kept until acknowledged.
        late_topic: where to instead when it is no news any more; empty for a state.
        utc_ns: when it happened.
        subject: whose life it tells of, a name that is never used again: `new` begins it and `end` is its end; empty
            where it tells of no single thing.
        correlation: which request it answers, in the words of whoever asked (MQTT 5 Correlation Data); None for all
            others.
    """

    topic: str
    payload: bytes
    kind: MessageKind
    late_topic: str = ""
    utc_ns: int = 0
    subject: str = ""
    correlation: bytes | None = None

    def __post_init__(self) -> None:
        """Refuse what could hold more than an event."""
        if len(self.payload) > MAX_PAYLOAD_BYTES[self.kind]:
            raise ValueError(f"{self.topic}: {len(self.payload)} bytes, the limit is {MAX_PAYLOAD_BYTES[self.kind]}")


@dataclass(frozen=True, slots=True, kw_only=True)
class InForce:
    """What a camera goes by at the moment, of all that can be changed while the agent runs.

    Attributes:
        detect: whether anybody looks at its frames.
        threshold: least score of a detection, for labels without one of their own.
        rate_hz: how often to look while something moves.
    """

    detect: bool
    threshold: float
    rate_hz: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """One MQTT message as the broker hands it on.

    Attributes:
        topic: where it came.
        payload: what it says, unread.
        retained: the broker had kept it from before; nobody has just sent it.
        answer_topic: where the sender waits for an answer (MQTT 5 Response Topic); None when it does not say.
        correlation: what the answer is to carry, so that the sender knows it (MQTT 5 Correlation Data).
    """

    topic: str
    payload: bytes
    retained: bool = False
    answer_topic: str | None = None
    correlation: bytes | None = None


MAX_EVENT_BYTES = 2048
MAX_STATE_BYTES = 65536
MAX_PAYLOAD_BYTES: Mapping[MessageKind, int] = {
    "new": MAX_EVENT_BYTES,
    "update": MAX_EVENT_BYTES,
    "end": MAX_EVENT_BYTES,
    "state": MAX_STATE_BYTES,  # health of many cameras in one JSON
    "answer": MAX_EVENT_BYTES,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Tensor:
    """A model's input or output: its name, its shape (None where free) and its element type as numpy names it."""

    name: str
    shape: tuple[int | None, ...]
    dtype: str

    def __str__(self) -> str:
        """Write it as `name float32 (1, 3, ?, ?)`."""
        dims = ", ".join("?" if dim is None else str(dim) for dim in self.shape)
        return f"{self.name} {self.dtype} ({dims})"


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSignature:
    """What a model file says of itself."""

    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    metadata: Mapping[str, str]

    def __str__(self) -> str:
        """Write what goes in and what comes out, on one line."""
        return f"in {'; '.join(map(str, self.inputs))}; out {'; '.join(map(str, self.outputs))}"
