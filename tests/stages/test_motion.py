"""The motion gate, on drawn pictures: 160 x 90 pixels, which is also the size that the gate compares."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest
from builders import frame_of
from numpy.testing import assert_allclose, assert_array_equal

from edge_agent.records import ByteArray, Frame, Motion
from edge_agent.stages.gate.motion import Gate
from edge_agent.stages.gate.settings import GateSettings

WIDTH, HEIGHT = 160, 90
RATE_HZ = 5.0

Scene = Callable[[float], ByteArray]
"""What the camera sees at a moment."""


def still(_at_s: float) -> ByteArray:
    return np.full((HEIGHT, WIDTH), 100, np.uint8)


def square(at_s: float, *, left: float, begins_s: float = 0.0, ends_s: float = np.inf) -> ByteArray:
    """A bright square of 12 pixels that runs right at 20 pixels a second, on grey."""
    picture = still(at_s)
    if begins_s <= at_s < ends_s:
        x = round(left + 20 * (at_s - begins_s))
        picture[30:42, x : x + 12] = 180
    return picture


def film(scene: Scene, *, fps: float, seconds: float) -> list[Frame]:
    return [frame_of(i / fps, luma=scene(i / fps), seq=i) for i in range(round(fps * seconds) + 1)]


def watch(frames: Sequence[Frame], settings: GateSettings | None = None, **kwargs: object) -> list[Motion]:
    gate = Gate(settings or GateSettings(), RATE_HZ, **kwargs)  # type: ignore[arg-type]
    return [gate.observe(frame) for frame in frames]


def times(frames: Sequence[Frame], motions: Sequence[Motion], field: str) -> list[float]:
    return [frame.at_s for frame, motion in zip(frames, motions, strict=True) if getattr(motion, field)]


def moved(motion: Motion) -> bool:
    """Whether it watched this frame and saw something move in it."""
    return motion.regions is not None and len(motion.regions) > 0


def regions_of(motion: Motion) -> list[list[float]]:
    assert motion.regions is not None, "this frame was not watched"
    boxes: list[list[float]] = motion.regions.tolist()
    return boxes


@pytest.mark.parametrize("refresh_s", [2.0, 10.0])
def test_while_nothing_moves_it_looks_for_hold_s_at_the_start_and_then_every_refresh_s(refresh_s: float) -> None:
    frames = film(still, fps=10, seconds=30)
    motions = watch(frames, GateSettings(refresh_s=refresh_s, hold_s=1.0))
    # Somebody may stand there already: 5 looks a second for the first second, then one every refresh_s.
    expected = [*np.arange(0, 1.01, 1 / RATE_HZ), *np.arange(1 + refresh_s, 30.01, refresh_s)]
    assert_allclose(times(frames, motions, "look"), expected)
    assert not any(motion.moving or moved(motion) for motion in motions)
    assert times(frames, motions, "scene_changed") == [0.0]


def test_a_look_is_active_while_it_is_open_and_else_a_refresh() -> None:
    frames = film(lambda at_s: square(at_s, left=10, begins_s=14.0, ends_s=15.0), fps=10, seconds=30)
    motions = watch(frames, GateSettings(refresh_s=5.0, hold_s=1.0))
    looks = [(frame.at_s, motion.look) for frame, motion in zip(frames, motions, strict=True) if motion.look]
    refreshed_s = [at_s for at_s, look in looks if look == "refresh"]
    active_s = [at_s for at_s, look in looks if look == "active"]
    assert refreshed_s[:2] == [6.0, 11.0]  # 5 s after the last look at the start, which was active for a second
    assert active_s[:6] == pytest.approx([0.0, 0.2, 0.4, 0.6, 0.8, 1.0])
    assert active_s[6] == 14.0
    assert refreshed_s[2] == pytest.approx(active_s[-1] + 5.0)
    assert {motion.look for motion in watch(frames, GateSettings(mode="off", refresh_s=1.0))} == {"active", None}


def test_the_first_frame_says_whether_something_moves_and_later_ones_only_when_it_changes() -> None:
    frames = film(lambda at_s: square(at_s, left=10, begins_s=2.0, ends_s=4.0), fps=10, seconds=12)
    motions = watch(frames, GateSettings(hold_s=3.0))
    changes = [
        (round(frame.at_s, 3), motion.moving) for frame, motion in zip(frames, motions, strict=True) if motion.changed
    ]
    assert changes[:2] == [(0.0, False), (2.0, True)]
    assert [moving for _, moving in changes] == [False, True, False]


@pytest.mark.parametrize("hold_s", [0.0, 1.0, 3.0])
def test_a_moving_square_opens_it_and_hold_s_keeps_it_open(hold_s: float) -> None:
    frames = film(lambda at_s: square(at_s, left=10, begins_s=2.0, ends_s=4.0), fps=10, seconds=12)
    motions = watch(frames, GateSettings(hold_s=hold_s))
    moved_s = [frame.at_s for frame, motion in zip(frames, motions, strict=True) if moved(motion)]
    moving_s = times(frames, motions, "moving")
    assert moving_s[0] == moved_s[0] == 2.0
    assert moving_s[-1] == pytest.approx(moved_s[-1] + hold_s, abs=0.101)  # to the frame


@pytest.mark.parametrize("begins_s", [2.0, 2.04, 2.16])
def test_what_begins_to_move_is_looked_at_in_the_next_frame_that_is_watched(begins_s: float) -> None:
    frames = film(lambda at_s: square(at_s, left=10, begins_s=begins_s), fps=25, seconds=4)
    looks_s = times(frames, watch(frames, GateSettings(hold_s=0.0)), "look")
    assert looks_s[0] == 0.0
    assert_allclose(looks_s[1], 2.0 if begins_s == 2.0 else 2.2)


@pytest.mark.parametrize(("rate_hz", "watched_hz"), [(0.5, 5), (5, 5), (10, 10), (60, 25)])
def test_it_watches_as_many_frames_as_could_be_looked_at_and_at_least_five_a_second(
    rate_hz: float, watched_hz: float
) -> None:
    frames = film(lambda at_s: square(at_s, left=0), fps=25, seconds=6)
    gate = Gate(GateSettings(), rate_hz)
    motions = [gate.observe(frame) for frame in frames]
    assert sum(motion.regions is not None for motion in motions) == pytest.approx(watched_hz * 6, abs=1)
    before = motions[0]
    for motion in motions:
        if motion.regions is None:  # what is not watched changes nothing, and is not looked at
            assert (motion.moving, motion.changed, motion.look) == (before.moving, False, None)
        before = motion
    assert sum(motion.look is not None for motion in motions) == pytest.approx(min(rate_hz, 25) * 6, abs=1)


@pytest.mark.parametrize("fps", [5, 7, 10, 12.5, 25, 30])
@pytest.mark.parametrize("jitter_ratio", [0.0, 0.1])
def test_open_it_looks_rate_hz_times_a_second_whatever_the_camera_does(fps: float, jitter_ratio: float) -> None:
    random = np.random.default_rng(1)
    times_s = (np.arange(round(fps * 20)) + random.uniform(-jitter_ratio, jitter_ratio, round(fps * 20))) / fps
    motions = watch([frame_of(at_s) for at_s in times_s], GateSettings(mode="off"))
    assert_allclose(sum(motion.look is not None for motion in motions) / 20, RATE_HZ, rtol=0.03)


def test_a_camera_slower_than_rate_hz_is_looked_at_frame_by_frame() -> None:
    assert all(motion.look for motion in watch(film(still, fps=2, seconds=20), GateSettings(mode="off")))


def test_a_pause_of_the_camera_is_not_made_up_for_with_a_burst() -> None:
    frames = [frame_of(at_s) for at_s in (*np.arange(0, 2, 0.04), *np.arange(60, 62, 0.04))]
    looks_s = times(frames, watch(frames, GateSettings(mode="off")), "look")
    assert np.diff(looks_s).min() >= 0.16 - 1e-9  # 0.2 s, on a camera that gives a frame every 0.04 s


def test_with_mode_off_it_is_open_and_still_says_what_moves() -> None:
    frames = film(lambda at_s: square(at_s, left=10, begins_s=2.0, ends_s=3.0), fps=10, seconds=3)
    motions = watch(frames, GateSettings(mode="off"))
    assert_allclose(times(frames, motions, "look"), np.arange(0, 3.01, 0.2))
    assert times(frames, motions, "moving")[0] == 2.0


def test_regions_are_boxes_in_pixels_of_the_frame() -> None:
    def big(at_s: float) -> ByteArray:
        return np.kron(square(at_s, left=40, begins_s=1.0), np.ones((8, 8), np.uint8)).astype(np.uint8)

    frames = film(big, fps=10, seconds=1)  # 1280 x 720
    last = watch(frames)[-1]
    # The square covers 40..52 x 30..42 of the small picture, one pixel more on each side, times 8.
    assert regions_of(last) == [[39 * 8, 29 * 8, 53 * 8, 43 * 8]]
    assert last.regions is not None
    assert last.regions.dtype == np.float32


def test_two_things_are_two_regions_and_what_is_smaller_than_min_area_is_none() -> None:
    def scene(at_s: float) -> ByteArray:
        picture = still(at_s)
        if at_s >= 1.0:
            picture[10:20, 10:20] = 200  # 100 pixels
            picture[50:60, 100:120] = 200  # 200 pixels
        return picture

    frames = film(scene, fps=10, seconds=1)
    pixels = WIDTH * HEIGHT
    counts = [len(regions_of(watch(frames, GateSettings(min_area=part / pixels))[-1])) for part in (100, 101, 200, 201)]
    assert counts == [2, 1, 1, 0]


@pytest.mark.parametrize(("step", "moves"), [(18, False), (19, True), (-18, False), (-19, True)])
def test_a_pixel_has_moved_when_it_differs_by_more_than_the_threshold(step: int, *, moves: bool) -> None:
    def scene(at_s: float) -> ByteArray:
        picture = still(at_s)
        picture[30:42, 40:52] += np.uint8(step % 256) if at_s >= 1.0 else np.uint8(0)
        return picture

    assert watch(film(scene, fps=10, seconds=1), GateSettings(threshold=18.0))[-1].moving is moves


LEFT_PART = ((0.0, 0.0), (0.7, 0.0), (0.7, 1.0), (0.0, 1.0))


def test_what_moves_under_the_mask_does_not_count() -> None:
    frames = film(lambda at_s: square(at_s, left=10, begins_s=1.0), fps=10, seconds=4)
    assert any(motion.moving for motion in watch(frames))
    assert not any(motion.moving for motion in watch(frames, mask=(LEFT_PART,)))


def test_what_fills_a_large_mask_neither_moves_nor_changes_the_light_beside_it() -> None:
    def screen(at_s: float) -> ByteArray:
        picture = still(at_s)
        picture[:, :112] = 40 if round(at_s) % 2 else 220  # 70 % of the picture flickers, all of it masked
        return picture

    motions = watch(film(screen, fps=10, seconds=5), mask=(LEFT_PART,))
    assert not any(motion.moving or motion.scene_changed for motion in motions[1:])


def test_what_moves_beside_a_large_mask_counts() -> None:
    frames = film(lambda at_s: square(at_s, left=120, begins_s=1.0, ends_s=2.0), fps=10, seconds=2)
    assert times(frames, watch(frames, mask=(LEFT_PART,)), "moving")[0] == 1.0


def test_with_everything_masked_only_refresh_s_looks() -> None:
    everything = ((0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0))
    frames = film(lambda at_s: square(at_s, left=10), fps=5, seconds=10)
    motions = watch(frames, GateSettings(refresh_s=5.0, hold_s=0.0), mask=(everything,))
    assert times(frames, motions, "look") == [0.0, 5.0, 10.0]
    assert not any(motion.moving for motion in motions)


def test_a_slow_drift_of_brightness_is_no_motion() -> None:
    ramp = np.linspace(40, 140, WIDTH)
    frames = film(lambda at_s: np.tile((ramp + 5 * at_s).astype(np.uint8), (HEIGHT, 1)), fps=10, seconds=20)
    assert not any(motion.moving or motion.scene_changed for motion in watch(frames)[1:])  # 5 levels a second


def test_an_even_step_of_exposure_is_no_motion() -> None:
    frames = film(lambda at_s: still(at_s) + np.uint8(60 if at_s >= 2 else 0), fps=10, seconds=4)
    assert not any(motion.moving or motion.scene_changed for motion in watch(frames)[1:])


def lamp(at_s: float) -> ByteArray:
    """From 2 s on a lamp lights the scene unevenly: black and white boards become four levels."""
    rows, columns = np.mgrid[0:HEIGHT, 0:WIDTH]
    board = (rows // 10 + columns // 10) % 2
    light = (rows // 10 + columns // 20) % 3 if at_s >= 2 else np.zeros_like(rows)
    return (60 + 40 * board + 50 * light).astype(np.uint8)


def test_a_sudden_change_of_light_is_a_changed_scene_and_no_motion() -> None:
    frames = film(lamp, fps=10, seconds=6)
    motions = watch(frames, GateSettings(hold_s=1.0))
    assert times(frames, motions, "scene_changed") == [0.0, 2.0]  # once: the background is learnt anew at once
    assert not any(motion.moving or moved(motion) for motion in motions)
    # The new light may show somebody: it looks from then on, for hold_s.
    assert_allclose([at_s for at_s in times(frames, motions, "look") if at_s > 1], np.arange(2.0, 3.01, 1 / RATE_HZ))


def test_motion_is_seen_right_after_the_light_has_changed() -> None:
    def scene(at_s: float) -> ByteArray:
        picture = lamp(at_s)
        if at_s >= 2.4:
            picture[30:42, 40:52] = 250
        return picture

    frames = film(scene, fps=10, seconds=3)
    assert times(frames, watch(frames), "moving")[0] == 2.4


@pytest.mark.parametrize(("light_change", "expected"), [(0.3, "scene_changed"), (0.45, "moving")])
def test_light_change_is_the_part_of_the_picture_above_which_it_is_the_light(
    light_change: float, expected: str
) -> None:
    def scene(at_s: float) -> ByteArray:
        picture = still(at_s)
        picture[:, :64] += np.uint8(80 if at_s >= 1 else 0)  # 40 % of the picture
        return picture

    frames = film(scene, fps=10, seconds=1)
    last = watch(frames, GateSettings(light_change=light_change))[-1]
    assert {name for name in ("scene_changed", "moving") if getattr(last, name)} == {expected}


@pytest.mark.parametrize("sigma", [3.0, 5.0])
@pytest.mark.parametrize("scale", [1, 4])
def test_the_noise_of_a_camera_is_no_motion(sigma: float, scale: int) -> None:
    random = np.random.default_rng(7)

    def noisy(_at_s: float) -> ByteArray:
        noise = random.normal(100, sigma, (HEIGHT * scale, WIDTH * scale))
        return np.clip(noise, 0, 255).astype(np.uint8)

    assert not any(motion.moving for motion in watch(film(noisy, fps=5, seconds=8)))


def test_a_new_resolution_is_no_motion_and_the_next_one_is_seen() -> None:
    small, large = film(still, fps=10, seconds=2), []
    for i in range(20):
        at_s = 2.2 + i / 10
        picture = np.full((480, 640), 30, np.uint8)  # another shape too: 4:3
        if i >= 10:
            picture[100:200, 100:200] = 200
        large.append(frame_of(at_s, luma=picture))
    motions = watch([*small, *large])
    assert not any(motion.moving for motion in motions[:31])
    assert times([*small, *large], motions, "scene_changed") == [0.0, 2.2]
    assert motions[31].moving
    ((left, top, right, bottom),) = regions_of(motions[31])
    # 160 x 120 small, 4 pixels of the frame each: 25..50 of it, and one pixel more on every side
    assert (left, top, right, bottom) == (96, 96, 204, 204)


def test_what_moves_is_news_again_after_it_was_said_that_nothing_moves_any_more() -> None:
    frames = film(lambda at_s: square(at_s, left=10), fps=5, seconds=4)
    gate = Gate(GateSettings(), RATE_HZ)
    before = [gate.observe(frame) for frame in frames[:10]]
    assert [motion.moving for motion in before if motion.changed][-1] is True
    gate.forget()
    after = gate.observe(frames[10])
    assert (after.moving, after.changed) == (True, True)


def test_a_portrait_and_an_odd_sized_picture_are_watched_too() -> None:
    for height, width in ((640, 360), (91, 161), (48, 64), (400, 20)):
        before, after = np.full((height, width), 90, np.uint8), np.full((height, width), 90, np.uint8)
        after[height // 4 : height // 2, : width // 4] = 220
        motions = watch([frame_of(0.0, luma=before), frame_of(0.2, luma=after)])
        assert [motion.moving for motion in motions] == [False, True]


def test_a_thing_that_stays_becomes_background_after_some_background_s() -> None:
    def parks(at_s: float) -> ByteArray:
        picture = still(at_s)
        picture[30:42, 40:52] += np.uint8(80 if at_s >= 1 else 0)
        return picture

    frames = film(parks, fps=5, seconds=40)
    # 80 e^(-t/5) falls to the threshold of 18 after 5 ln(80/18) = 7.5 s; one frame more at most.
    moved_s = [f.at_s for f, m in zip(frames, watch(frames, GateSettings(background_s=5.0)), strict=True) if moved(m)]
    assert moved_s[0] == 1.0
    assert moved_s[-1] == pytest.approx(1.0 + 7.5, abs=0.4)


@pytest.mark.parametrize("fps", [2.5, 5, 12.5])
def test_the_frame_rate_does_not_change_when_it_opens_and_closes(fps: float) -> None:
    def scene(at_s: float) -> ByteArray:
        return square(at_s, left=10, begins_s=2.0, ends_s=6.0)

    slow, fast = film(scene, fps=fps, seconds=16), film(scene, fps=25, seconds=16)
    slow_s, fast_s = ([*times(frames, watch(frames), "moving")] for frames in (slow, fast))
    assert slow_s[0] == pytest.approx(fast_s[0], abs=1 / fps)
    assert slow_s[-1] == pytest.approx(fast_s[-1], abs=1 / fps + 0.4)  # ghosts heal in steps of a frame


def test_the_same_frames_give_the_same_answers() -> None:
    frames = film(lambda at_s: square(at_s, left=10, begins_s=1.0, ends_s=3.0), fps=10, seconds=8)
    first, second = watch(frames), watch(frames)
    for one, other in zip(first, second, strict=True):
        assert (one.moving, one.changed, one.look, one.scene_changed) == (
            other.moving,
            other.changed,
            other.look,
            other.scene_changed,
        )
        assert_array_equal(one.regions, other.regions)
