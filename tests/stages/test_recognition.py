"""Who is who by looks, in drawn pictures: boxes and clothes are known at each moment, so who is who is too."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from builders import LABELS, boxes_of, detections_of, frame_of, joined
from compositing import Picture, emptied, film, pictures, with_thing
from walks import rules_of

import edge_agent
from edge_agent.clips import PEDESTRIANS
from edge_agent.records import Box, Crossings, Frame, Motion, Tracks
from edge_agent.stages.track.appearance import BANDS, BINS
from edge_agent.stages.track.kalman import to_cxcywh
from edge_agent.stages.track.matching import match
from edge_agent.stages.track.memory import Lives
from edge_agent.stages.track.recognition import Recognition, find_again
from edge_agent.stages.track.tracker import Tracker, TrackSettings
from edge_agent.stages.track.view import View

RED, BLUE, GREY = (90, 100, 158), (70, 156, 110), (140, 128, 128)
RATE_HZ = 5.0


class Person(NamedTuple):
    """Where somebody is, as the detector has it, and the colour of his clothes: Y, Cb and Cr."""

    box: Box
    colour: tuple[int, int, int]


World = Callable[[float], Sequence[Person]]


def drawn(people: Iterable[Person], at_s: float, noise: np.random.Generator) -> Frame:
    """A picture of 320x240 in a light grey, with people in it; a camera's noise over it all."""
    planes = [
        np.full((240, 320), 180, np.int16),
        np.full((120, 160), 128, np.int16),
        np.full((120, 160), 128, np.int16),
    ]
    for (left, top, right, bottom), colour in people:
        for plane, value, part in zip(planes, colour, (1, 2, 2), strict=True):
            plane[int(top) // part : int(bottom) // part, max(int(left), 0) // part : max(int(right), 0) // part] = (
                value
            )
    luma, blue, red = ((plane + noise.integers(-6, 7, plane.shape)).astype(np.uint8) for plane in planes)
    return replace(frame_of(at_s, luma=luma), chroma_blue=blue, chroma_red=red)


def follow(world: World, until_s: float, *, pictures: bool = True, tracker: Tracker | None = None) -> list[Tracks]:
    tracker, noise = tracker or Tracker(TrackSettings()), np.random.default_rng(3)
    history = []
    for look in range(round(until_s * RATE_HZ)):
        at_s = look / RATE_HZ
        people = world(at_s)
        found = joined([detections_of(), *(detections_of(person.box) for person in people)])
        history.append(tracker.update(found, at_s, None, drawn(people, at_s, noise) if pictures else None))
    return history


def confirmed(history: Sequence[Tracks]) -> set[int]:
    return {track.id for tracks in history for track in tracks.live if track.confirmed}


def standing(x: float, colour: tuple[int, int, int]) -> Person:
    return Person((x, 80, x + 30, 170), colour)


def comes_back(as_whom: tuple[int, int, int], *others: Person, x: float = 150) -> World:
    """A man in red stands at 100, is behind something from 2 s to 3 s, and turns up farther on than to be expected."""

    def world(at_s: float) -> Sequence[Person]:
        if at_s < 2:
            return [standing(100, RED), *others]
        return [*others] if at_s < 3 else [standing(x, as_whom), *others]

    return world


def test_who_turns_up_beside_where_he_was_is_known_by_his_clothes() -> None:
    assert len(confirmed(follow(comes_back(RED), 5))) == 1
    assert len(confirmed(follow(comes_back(RED), 5, pictures=False))) == 2  # boxes alone do not tell


def test_who_turns_up_in_other_clothes_is_another() -> None:
    assert len(confirmed(follow(comes_back(BLUE), 5))) == 2


def test_who_turns_up_out_of_reach_is_another() -> None:
    # Seen at 1.8 s and again at 3: 0.3 + 0.75 * 1.2 = 1.2 of his 90 pixels, 108.
    assert len(confirmed(follow(comes_back(RED, x=207), 5))) == 1
    assert len(confirmed(follow(comes_back(RED, x=209), 5))) == 2


def test_who_has_left_the_picture_is_not_sought_at_its_edge() -> None:
    def world(at_s: float) -> Sequence[Person]:
        if at_s < 2:
            return [Person((200 + 60 * at_s, 80, 230 + 60 * at_s, 170), RED)]
        return [] if at_s < 3 else [standing(285, RED)]

    assert len(confirmed(follow(world, 5))) == 2


def test_a_child_is_not_its_father() -> None:
    def world(at_s: float) -> Sequence[Person]:
        if at_s < 2:
            return [standing(100, RED)]
        return [] if at_s < 3 else [Person((150, 115, 170, 175), RED)]

    assert len(confirmed(follow(world, 5))) == 2


def test_where_two_look_the_same_boxes_decide() -> None:
    """The man in red has a twin: whoever turns up in red is a new one, as without pictures."""
    twin = standing(230, RED)
    seen = follow(comes_back(RED, twin), 5)
    assert seen == follow(comes_back(RED, twin), 5, pictures=False)
    assert len(confirmed(seen)) == 3


def test_another_in_other_clothes_is_no_rival() -> None:
    assert len(confirmed(follow(comes_back(RED, standing(230, BLUE)), 5))) == 2


def test_in_infrared_those_who_are_as_light_are_not_told_apart() -> None:
    grey = standing(230, GREY)

    def world(at_s: float) -> Sequence[Person]:
        return [person._replace(colour=GREY) for person in comes_back(GREY, grey)(at_s)]

    assert follow(world, 5) == follow(world, 5, pictures=False)


def meet(left: tuple[int, int, int], right: tuple[int, int, int]) -> World:
    """Two come towards each other, stand in one box for a while, and go back where they came from."""

    def world(at_s: float) -> Sequence[Person]:
        if at_s < 3:
            gap = 40 * (3 - at_s)
        elif at_s < 4:
            return [Person((145, 80, 175, 170), left)]
        else:
            gap = 40 * (at_s - 4)
        return [standing(145 - gap, left), standing(145 + gap, right)]

    return world


def left_and_right(history: Sequence[Tracks]) -> tuple[int, int]:
    """The ids of those two at last."""
    left, right = sorted((track for track in history[-1].live if track.confirmed), key=lambda track: track.box[0])
    return left.id, right.id


def test_two_who_turn_back_keep_their_ids_by_their_clothes() -> None:
    history = follow(meet(RED, BLUE), 6)
    assert left_and_right(history) == (1, 2)
    assert confirmed(history) == {1, 2}
    assert left_and_right(follow(meet(RED, BLUE), 6, pictures=False)) != (1, 2)


def passes(world: World, *, pictures: bool = True) -> dict[str, int]:
    """How many cross the line in the middle, which is where they meet."""
    rules = rules_of(lines={"door": {"from": (0.5, 0.0), "to": (0.5, 1.0)}})
    counts = {}
    for look, tracks in enumerate(follow(world, 6, pictures=pictures)):
        said = rules.evaluate(tracks, frame_of(look / RATE_HZ, size=(320, 240)))
        counts |= {one.direction: one.value for one in said if isinstance(one, Crossings) and one.label == "person"}
    return counts


@pytest.mark.parametrize("gap", [0, 2, 4])
def test_two_who_turn_back_at_a_line_are_not_counted_once_more_when_they_get_their_places_back(gap: float) -> None:
    def world(at_s: float) -> Sequence[Person]:
        apart = max(40 * abs(at_s - 2.5), gap)
        return [standing(145 - apart, RED), standing(145 + apart, BLUE)]

    assert left_and_right(follow(world, 6)) == (1, 2)
    assert passes(world) == passes(world, pictures=False) == {"in": 1, "out": 1}  # by boxes they have walked on


def test_two_who_pass_each_other_at_a_line_are_counted_though_they_were_taken_for_each_other() -> None:
    def world(at_s: float) -> Sequence[Person]:
        gap = 40 * (3 - at_s)
        return [standing(145 - gap, RED), standing(145 + gap, BLUE)]

    assert left_and_right(follow(world, 6)) == (2, 1)
    assert passes(world) == {"in": 1, "out": 1}


def test_nothing_is_left_of_what_an_object_looked_like_once_it_has_ended() -> None:
    tracker = Tracker(TrackSettings())
    follow(lambda at_s: [standing(100, RED)] if at_s < 2 else [], 2, tracker=tracker)
    assert len(looks_in(tracker)) == 1
    for look in range(10, 40):
        ended = tracker.update(detections_of(), look / RATE_HZ, None, drawn([], 0.0, np.random.default_rng(3))).ended
        if ended:
            break
    assert [track.id for track in ended] == [1]
    assert looks_in(tracker) == []


def looks_in(thing: object) -> list[np.ndarray[Any, Any]]:
    """Of all that an object of ours holds on to, what is as long as a look at somebody."""
    if isinstance(thing, np.ndarray):
        return [one for one in thing if one.shape == (3, BANDS, BINS)] if thing.ndim else []
    inside = vars(thing).values() if type(thing).__module__.startswith("edge_agent.stages.track") else ()
    return [
        look for each in inside if hasattr(each, "__dict__") or isinstance(each, np.ndarray) for look in looks_in(each)
    ]


def test_two_who_look_the_same_are_as_without_pictures() -> None:
    assert follow(meet(RED, RED), 6) == follow(meet(RED, RED), 6, pictures=False)


def test_two_who_walk_on_are_not_exchanged() -> None:
    def world(at_s: float) -> Sequence[Person]:
        if 3 <= at_s < 4:
            return [Person((145, 80, 175, 170), RED)]
        gap = 40 * (3 - at_s if at_s < 3 else 4 - at_s)
        return [standing(145 - gap, RED), standing(145 + gap, BLUE)]

    assert left_and_right(follow(world, 6)) == (2, 1)


@pytest.mark.parametrize("settings", [TrackSettings(appearance=False), TrackSettings()])
def test_switched_off_or_without_pictures_boxes_decide(settings: TrackSettings) -> None:
    without = follow(meet(RED, BLUE), 6, pictures=settings.appearance is False, tracker=Tracker(settings))
    assert without == follow(meet(RED, BLUE), 6, pictures=False)


def test_in_another_light_nobody_is_known_any_more() -> None:
    """The light goes over at 2.4 s: who turned up in red before it would be known, and is not."""
    tracker, noise, history = Tracker(TrackSettings(scene_hold_s=0)), np.random.default_rng(3), list[Tracks]()
    for look in range(25):
        at_s = look / RATE_HZ
        people = comes_back(RED)(at_s)
        changed = Motion(moving=False, changed=False, look="active", regions=None, scene_changed=look == 12)
        found = joined([detections_of(), *(detections_of(person.box) for person in people)])
        history.append(tracker.update(found, at_s, changed, drawn(people, at_s, noise)))
    assert len(confirmed(history)) == 2


def test_the_same_pictures_give_the_same_tracks() -> None:
    assert follow(meet(RED, BLUE), 6) == follow(meet(RED, BLUE), 6)


def view_of(recognition: Recognition, at_s: float, lives: Lives, *people: Person) -> View:
    """Sure boxes of people, who are where they were presumed."""
    found = detections_of(*(person.box for person in people))
    frame = drawn(people, at_s, np.random.default_rng(3))
    return recognition.look(frame, found, lives, lives.boxes(), at_s)


def lives_of(*people: Person) -> Lives:
    lives = Lives(LABELS)
    boxes = boxes_of(*(person.box for person in people))
    scores, labels = np.full(len(people), 0.8, np.float32), np.zeros(len(people), np.int64)
    lives.begin(boxes, to_cxcywh(boxes), scores, labels, 1, 0.0)
    lives.flags("is_established")[:] = True
    return lives


BOTH = np.arange(2)


def known_to(recognition: Recognition, people: Sequence[Person], *, touched: bool = True) -> Lives:
    """Two who have been seen well, and then at 1 s in one place."""
    lives = lives_of(*people)
    recognition.learn(view_of(recognition, 0.0, lives, *people), BOTH, BOTH)
    if touched:
        together = view_of(recognition, 1.0, lives, *(standing(60, person.colour) for person in people))
        order, _rows, columns = recognition.put_right(together, BOTH, BOTH)
        assert (order.tolist(), columns.tolist()) == ([0, 1], [0, 1])
    return lives


def parted(recognition: Recognition, lives: Lives, *people: Person, at_s: float = 1.4) -> tuple[list[int], list[int]]:
    lives.of("seen_s")[:] = at_s - 0.2
    order, _rows, columns = recognition.put_right(view_of(recognition, at_s, lives, *people), BOTH, BOTH)
    return order.tolist(), columns.tolist()


RED_MAN, BLUE_MAN = standing(40, RED), standing(160, BLUE)
RED_THERE, BLUE_HERE = standing(160, RED), standing(40, BLUE)


def test_two_who_were_taken_for_each_other_change_places() -> None:
    recognition = Recognition()
    lives = known_to(recognition, (RED_MAN, BLUE_MAN))
    assert parted(recognition, lives, BLUE_HERE, RED_THERE) == ([1, 0], [1, 0])


def test_two_who_were_not_stay_who_they_are() -> None:
    recognition = Recognition()
    lives = known_to(recognition, (RED_MAN, BLUE_MAN))
    assert parted(recognition, lives, RED_MAN, BLUE_MAN) == ([0, 1], [0, 1])


def test_two_who_never_touched_are_not_looked_at() -> None:
    recognition = Recognition()
    lives = known_to(recognition, (RED_MAN, BLUE_MAN), touched=False)
    assert parted(recognition, lives, BLUE_HERE, RED_THERE) == ([0, 1], [0, 1])


def test_two_of_different_labels_are_not_exchanged_whatever_they_look_like() -> None:
    recognition = Recognition()
    lives = known_to(recognition, (RED_MAN, BLUE_MAN))
    lives.label_ids[1] = LABELS.index("cow")
    assert parted(recognition, lives, BLUE_HERE, RED_THERE) == ([0, 1], [0, 1])


@pytest.mark.parametrize(("lost_s", "exchanged"), [(1.4, True), (1.6, False)])
def test_who_is_out_of_sight_for_long_is_touched_by_nobody(lost_s: float, *, exchanged: bool) -> None:
    """The blue man comes to where the red one was lost, who for 1.5 s may be behind him; then both turn up."""
    recognition = Recognition()
    lives = known_to(recognition, (RED_MAN, BLUE_MAN), touched=False)
    lives.of("seen_s")[:] = 3.0 - lost_s, 2.8
    recognition.put_right(view_of(recognition, 3.0, lives, BLUE_HERE), np.array([1]), np.array([0]))
    both = [1, 0] if exchanged else [0, 1]
    assert parted(recognition, lives, BLUE_HERE, RED_THERE, at_s=3.4) == (both, both)


def test_one_of_two_alone_may_have_changed() -> None:
    """The second looks like the first; the first looks like nobody, as behind a sign: no proof of anything."""
    recognition = Recognition()
    lives = known_to(recognition, (RED_MAN, BLUE_MAN))
    assert parted(recognition, lives, standing(40, GREY), RED_THERE) == ([0, 1], [0, 1])


def test_long_after_they_touched_nothing_is_put_right() -> None:
    recognition = Recognition()
    lives = known_to(recognition, (RED_MAN, BLUE_MAN))
    assert parted(recognition, lives, BLUE_HERE, RED_THERE, at_s=4.2) == ([0, 1], [0, 1])


def test_who_was_lost_behind_another_gets_his_box() -> None:
    """The red man has the blue one's box, in which he was lost; his own, nearby, is nobody's."""
    recognition = Recognition()
    lives = known_to(recognition, (RED_MAN, BLUE_MAN))
    lives.of("seen_s")[:] = 1.2
    view = view_of(recognition, 1.4, lives, standing(45, BLUE), standing(80, RED))
    order, rows, columns = recognition.put_right(view, np.array([0]), np.array([0]))
    assert order.tolist() == [1, 0]
    assert dict(zip(rows.tolist(), columns.tolist(), strict=True)) == {0: 1, 1: 0}


def test_a_stranger_beside_takes_no_box_from_anybody() -> None:
    recognition = Recognition()
    lives = known_to(recognition, (RED_MAN, BLUE_MAN))
    lives.of("seen_s")[:] = 1.2
    view = view_of(recognition, 1.4, lives, standing(45, RED), standing(80, GREY))
    order, rows, columns = recognition.put_right(view, np.array([0]), np.array([0]))
    assert (order.tolist(), rows.tolist(), columns.tolist()) == ([0, 1], [0], [0])


def test_who_is_left_alone_is_no_puzzle() -> None:
    recognition = Recognition()
    known_to(recognition, (RED_MAN, BLUE_MAN))
    lives = lives_of(RED_MAN)
    view = view_of(recognition, 1.4, lives, BLUE_MAN)
    order, rows, columns = recognition.put_right(view, np.zeros(0, np.int64), np.zeros(0, np.int64))
    assert (order.tolist(), rows.tolist(), columns.tolist()) == ([0], [], [])


def test_who_changes_places_takes_over_how_long_the_other_stood_there() -> None:
    lives = lives_of(RED_MAN, BLUE_MAN)
    lives.of("still_since_s")[:], lives.flags("is_stationary")[:] = (3, 7), (True, False)
    lives.change_places(np.array([1, 0]))
    assert lives.places[:, 0].tolist() == [175, 55]
    assert lives.of("still_since_s").tolist() == [7, 3]
    assert lives.flags("is_stationary").tolist() == [False, True]
    assert lives.counts("track_id").tolist() == [1, 2]


def test_who_is_covered_is_not_learnt() -> None:
    """Of two whose boxes overlap by a third nobody knows whose colours are whose."""
    recognition, people = Recognition(), (standing(40, RED), standing(60, BLUE))
    lives = lives_of(*people)
    recognition.learn(view_of(recognition, 0.0, lives, *people), BOTH, BOTH)
    assert np.isnan(view_of(recognition, 1.0, lives, *people).known).all()


@pytest.mark.parametrize(("unlike", "again"), [((0.05, 0.055), []), ((0.04, 0.055), [0]), ((0.07, np.nan), [0])])
def test_who_might_be_either_of_two_who_are_lost_is_neither(unlike: tuple[float, float], again: list[int]) -> None:
    lives = lives_of(standing(40, RED), standing(60, BLUE))
    view = view_of(Recognition(), 0.6, lives, standing(50, RED))
    view.__dict__["differences"] = np.array(unlike, np.float32)[:, None]
    rows, columns = find_again(view, np.zeros(0, np.int64), np.zeros(0, np.int64))
    assert (rows.tolist(), columns.tolist()) == (again, [0] * len(again))


@pytest.mark.parametrize(("unlike", "whose"), [((0.5, 0.0), 1), ((0.0, 0.5), 0), ((0.07, 0.0), 0), ((np.nan, 0.0), 0)])
def test_of_two_who_want_a_box_it_is_whose_it_looks_like(unlike: tuple[float, float], whose: int) -> None:
    """The first is a little nearer; what is as like as people are to themselves counts for neither."""
    lives = lives_of(standing(98, RED), standing(103, BLUE))
    view = view_of(Recognition(), 0.2, lives, standing(100, RED))
    view.__dict__["differences"] = np.array(unlike, np.float32)[:, None]
    rows, columns = match(lives, view.near, np.full(2, 1.0, np.float32), view.found, 0.4, view)
    assert (rows.tolist(), columns.tolist()) == ([whose], [0])


def cut(picture: Picture, left: int, top: int, right: int, bottom: int) -> Picture:
    """What is in a box of even numbers."""
    half = slice(top // 2, bottom // 2), slice(left // 2, right // 2)
    return Picture(picture.luma[top:bottom, left:right], picture.blue[half], picture.red[half])


@pytest.fixture(scope="module")
def yard() -> tuple[Picture, Picture, Picture]:
    """The built-in clip's empty yard; a woman in light blue, and a man in black leather, as they walk in it."""
    people = pictures(PEDESTRIANS, last_s=5.0)
    return (
        emptied(pictures(PEDESTRIANS, rate_hz=1.0)),
        cut(people[3], 394, 174, 418, 246),
        cut(people[3], 456, 200, 480, 284),
    )


@pytest.mark.parametrize("is_infrared", [False, True])
@pytest.mark.parametrize(("after", "ids"), [(1, 1), (2, 2)])
def test_real_people_are_known_by_what_they_wear(
    yard: tuple[Picture, Picture, Picture], after: int, ids: int, *, is_infrared: bool
) -> None:
    """The woman is out of sight for a second, and somebody turns up beside where she was: she, or the man."""
    tracker, history = Tracker(TrackSettings()), []
    for look in range(25):
        person = yard[1] if look < 10 else yard[after]
        place, is_seen = (300.0 if look < 10 else 340.0, 220.0), not 10 <= look < 15
        shot = with_thing(yard[0], person, place, None) if is_seen else yard[0]
        if is_infrared:
            shot = shot._replace(blue=np.full_like(shot.blue, 128), red=np.full_like(shot.red, 128))
        height, width = person.luma.shape
        box = (place[0], place[1], place[0] + width, place[1] + height)
        found = joined([detections_of(), *([detections_of(box)] if is_seen else [])])
        [frame] = film([(look / RATE_HZ, shot)])
        history.append(tracker.update(found, frame.at_s, None, frame))
    assert len(confirmed(history)) == ids


def test_what_leaves_the_tracker_is_made_of_plain_numbers() -> None:
    tracks = [track for one in follow(meet(RED, BLUE), 6) for track in (*one.live, *one.ended)]
    assert {type(value) for track in tracks for value in track} == {int, str, tuple, float, bool}
    assert {(len(track.box), *map(type, track.box)) for track in tracks} == {(4, float, float, float, float)}


def test_only_the_tracker_knows_what_anybody_looks_like() -> None:
    package = Path(edge_agent.__file__).parent
    asks = re.compile(r"stages\.track(\.| import .*\b)(appearance|recognition)\b")
    who = {path.relative_to(package).as_posix() for path in package.rglob("*.py") if asks.search(path.read_text())}
    assert who == {f"stages/track/{name}.py" for name in ("recognition", "tracker", "view")}
