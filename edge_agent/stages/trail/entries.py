"""What a trail is made of: entries of numbers and names, each a line of JSON; no picture, and no text of anybody's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from edge_agent.records import Condition, ConditionName, Direction, EventType, Reason, RuleKind

Milliseconds = int
"""A moment: since 1970, UTC."""

Point = tuple[float, float]
"""x and y, 0..1 of the picture."""


Stay = tuple[str, Milliseconds, Milliseconds | None]
"""A zone, since when an object was in it, and until when; None while it is."""

Took = tuple[ConditionName, int, float, float]
"""What a box filter took: by which condition, how many boxes, the value of the last of them, and the value wanted."""


class Confirming(NamedTuple):
    """What it takes for an object to be reported.

    Attributes:
        hits: how often it must be found.
        seconds: for how long.
        score: with which median score.
        top: and once with which.
    """

    hits: int
    seconds: float
    score: float
    top: float


class _Entry(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class Judged(_Entry):
    """How it stood with a rule at a moment.

    Attributes:
        name: of the rule or line.
        kind: of the rule.
        direction: of a line.
        active: of a rule about the scene, whether it would say that something has begun, or that it is over.
        zone: the rule's; None for the whole view, and for lines.
        at_ms: when that was.
        conditions: all of them, or just the label's where that does not hold.
    """

    name: str
    kind: RuleKind
    direction: Direction | None = None
    active: bool | None = None
    zone: str | None = None
    at_ms: Milliseconds
    conditions: tuple[Condition, ...]

    @property
    def failed(self) -> tuple[Condition, ...]:
        """The conditions that did not hold: none where the rule spoke."""
        return tuple(one for one in self.conditions if not one.holds)


class Figures(_Entry):
    """What was known of an object at a moment.

    Attributes:
        id: its number.
        label: what it is.
        first_ms: when it was first seen.
        seen_ms: when it was last seen.
        looks: how often it was looked for since it was first seen, that included.
        hits: how often it was found.
        score: the median that the tracker goes by.
        low: the least score with which it was found.
        top: the best.
        confirmed: it is no flicker.
        confirm: what that takes.
        held: at how many looks nothing new was confirmed, because the light had changed.
        still_ms: since when it has stood still; None while it moves.
        zones: the last ones that it was in.
        took: boxes like it, near it, that filters took.
    """

    id: int
    label: str
    first_ms: Milliseconds
    seen_ms: Milliseconds
    looks: int
    hits: int
    score: float
    low: float
    top: float
    confirmed: bool
    confirm: Confirming
    held: int = 0
    still_ms: Milliseconds | None = None
    zones: tuple[Stay, ...] = ()
    took: tuple[Took, ...] = ()


Fate = Literal["lives", "ended", "over"]
"""`ended` when the tracker gave it up, `over` when the camera was gone or the agent stopped."""


class EventEntry(_Entry):
    """An event, with the numbers behind it.

    Attributes:
        kind: that it is one.
        run: of which start of the agent.
        camera: its id.
        at_ms: when it was decided.
        seq: of the event, within its run and camera.
        type: new, update or end.
        reason: as the event says.
        about: the object; None for the scene.
        rule: all conditions of the rule that spoke; None for a turn in the object's life.
    """

    kind: Literal["event"] = "event"
    run: str
    camera: str
    at_ms: Milliseconds
    seq: int
    type: EventType
    reason: tuple[Reason, ...]
    about: Figures | None = None
    rule: Judged | None = None

    @property
    def from_ms(self) -> Milliseconds:
        """Since when it is about something."""
        return self.at_ms


class ObjectEntry(_Entry):
    """An object so far; a later entry of the same object takes its place.

    Attributes:
        kind: that it is one.
        run: of which start of the agent.
        camera: its id.
        at_ms: when this was noted.
        about: what is known of it.
        fate: whether it is over.
        box: xyxy, 0..1 of the picture, where it was last seen.
        path: where it stood on its way, some places of it.
        history: its last scores.
        spoke: the rules that spoke of it, each with its direction, and how often.
        nearest: of each rule that never spoke of it, how it stood when it came closest to that.
    """

    kind: Literal["object"] = "object"
    run: str
    camera: str
    at_ms: Milliseconds
    about: Figures
    fate: Fate
    box: tuple[float, float, float, float]
    path: tuple[Point, ...]
    history: tuple[float, ...] = ()
    spoke: tuple[tuple[str, Direction | None, int], ...] = ()
    nearest: tuple[Judged, ...] = ()

    @property
    def from_ms(self) -> Milliseconds:
        """Since when it was seen."""
        return self.about.first_ms


class Boxes(_Entry):
    """What the detector found of one label while a camera watched.

    Attributes:
        strong: how many boxes reached the threshold, of all looks together.
        weak: how many did not.
        top: the best score of all.
        wanted: the threshold.
        took: what filters took of them.
        flickers: how many objects ended before they were confirmed.
    """

    strong: int = 0
    weak: int = 0
    top: float = 0.0
    wanted: float
    took: tuple[Took, ...] = ()
    flickers: int = 0


class WatchEntry(_Entry):
    """How a camera was watched for some time; a later entry that begins at the same moment takes its place.

    Attributes:
        kind: that it is one.
        run: of which start of the agent.
        camera: its id.
        from_ms: since when.
        at_ms: until when.
        moving: the gate was open; else nothing moved, and it was looked at only now and then.
        external: the gate goes by triggers.
        paused: nobody was to look at all, since somebody had said so.
        broke_off: it was paused then, no picture came after it for long, or the agent stopped.
        frames: how many came.
        looks: how many the detector looked at.
        given_up: how many looks were given up, because the machine was too slow.
        boxes: what it found, by label.
        nearest: of each rule about the scene, how it stood when it came closest to speaking, where it did not.
    """

    kind: Literal["watch"] = "watch"
    run: str
    camera: str
    from_ms: Milliseconds
    at_ms: Milliseconds
    moving: bool
    external: bool = False
    paused: bool = False
    broke_off: bool = False
    frames: int
    looks: int
    given_up: int = 0
    boxes: Mapping[str, Boxes] = Field(default_factory=dict)
    nearest: tuple[Judged, ...] = ()


Entry = EventEntry | ObjectEntry | WatchEntry

_ANY: TypeAdapter[Entry] = TypeAdapter(Annotated[Entry, Field(discriminator="kind")])


def to_line(entry: Entry) -> str:
    """Write an entry as a line of JSON, without what is as usual."""
    return f'{entry.model_dump_json(exclude_none=True, exclude_defaults=True)[:-1]},"kind":"{entry.kind}"}}\n'


def from_line(line: str | bytes) -> Entry | None:
    """Read an entry; None when the line is damaged, or nothing that this version knows."""
    try:
        return _ANY.validate_json(line)
    except ValueError:
        return None
