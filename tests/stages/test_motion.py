"""The motion gate, on drawn pictures: 160 x 90 pixels, which is also the size that the gate compares."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest
from builders import frame_of
from numpy.testing import assert_allclose, assert_array_equal

from edge_agent.records import ByteArray, Frame, Motion
from edge_agent.stages.gate.light import MOST_S, SETTLED_S
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


@pytest.mark.parametrize(("before_hz", "after_hz"), [(5.0, 2.0), (0.2, 10.0), (5.0, 5.0)])
def test_another_rate_counts_from_the_next_frame_on(before_hz: float, after_hz: float) -> None:
    gate, frames, looks = Gate(GateSettings(mode="off"), before_hz), film(still, fps=20, seconds=20), []
    for frame in frames:
        if frame is frames[200]:
            gate.set_rate(after_hz)
        looks.append(gate.observe(frame).look is not None)
    assert sum(looks[:200]) == pytest.approx(10 * before_hz, abs=1)
    assert sum(looks[200:]) == pytest.approx(10 * after_hz, abs=1)
    assert any(looks[200:205])  # what was due long after is due now


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


def test_with_mode_off_it_looks_as_often_as_it_may_and_watches_no_more_than_it_takes_to_say_what_moves() -> None:
    frames = film(lambda at_s: square(at_s, left=10, begins_s=2.0, ends_s=3.0), fps=25, seconds=4)
    gate = Gate(GateSettings(mode="off"), rate_hz=25)
    motions = [gate.observe(frame) for frame in frames]
    assert {motion.look for motion in motions} == {"active"}
    assert sum(motion.regions is not None for motion in motions) == pytest.approx(5 * 4, abs=1)
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


def test_what_moves_under_a_mask_s_rim_does_not_count_either() -> None:
    def scene(at_s: float) -> ByteArray:
        picture = np.full((1080, 1920), 100, np.uint8)
        picture[:, :965] += np.uint8(100 * (round(at_s * 5) % 2))  # a pixel of the small picture is 12 wide: 960 to 972
        return picture

    mask = (((0.0, 0.0), (0.503, 0.0), (0.503, 1.0), (0.0, 1.0)),)
    motions = watch(film(scene, fps=5, seconds=5), mask=mask)
    assert not any(map(moved, motions))


def test_noise_beside_a_large_mask_is_not_taken_for_light() -> None:
    settings, mask = GateSettings(light_change=0.2), (((0.0, 0.0), (0.9, 0.0), (0.9, 1.0), (0.0, 1.0)),)
    motions = watch(film(grainy(30.0), fps=5, seconds=120), settings, mask=mask)
    assert sum(motion.scene_changed for motion in motions[300:]) <= 3


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
    assert_allclose(
        times(frames, motions, "scene_changed"), [0.0, *np.arange(2.0, 2.0 + SETTLED_S + 0.01, 1 / RATE_HZ)]
    )
    assert not any(motion.moving or moved(motion) for motion in motions)
    assert times(frames, motions, "changed") == [0.0]
    # The new light may show somebody: it looks from then on, until it has settled and for hold_s.
    looks_s = [at_s for at_s in times(frames, motions, "look") if at_s > 1]
    assert_allclose(looks_s, np.arange(2.0, 2.0 + SETTLED_S + 1.01, 1 / RATE_HZ))


@pytest.mark.parametrize(("begins_s", "seen_s"), [(2.0, 3.0), (2.4, 3.0), (3.0, 3.0), (3.2, 3.2)])
def test_who_walks_in_while_the_light_changes_is_seen_as_soon_as_it_has_settled(begins_s: float, seen_s: float) -> None:
    def scene(at_s: float) -> ByteArray:
        picture = lamp(at_s)
        if at_s >= begins_s:
            x = round(20 * (at_s - begins_s))
            picture[30:42, x : x + 12] = 250
        return picture

    frames = film(scene, fps=10, seconds=4)
    assert times(frames, watch(frames), "moving")[0] == pytest.approx(seen_s)


def test_who_walks_while_the_light_changes_is_not_said_to_have_stopped() -> None:
    def scene(at_s: float) -> ByteArray:
        picture = lamp(at_s)
        if at_s >= 1:
            x = round(20 * (at_s - 1))
            picture[30:42, x : x + 12] = 250
        return picture

    frames = film(scene, fps=10, seconds=6)
    motions = watch(frames, GateSettings(hold_s=0.2))
    changes = [(frame.at_s, motion.moving) for frame, motion in zip(frames, motions, strict=True) if motion.changed]
    assert changes == [(0.0, False), (1.0, True)]


TEXTURE = np.random.default_rng(5).integers(30, 200, (HEIGHT // 5, WIDTH // 5)).repeat(5, axis=0).repeat(5, axis=1)
SIDE = np.linspace(-1, 1, WIDTH)[None, :]
CORNERS = np.hypot(*np.meshgrid(np.linspace(-1, 1, WIDTH), np.linspace(-1, 1, HEIGHT))) ** 2 / 2
RAMPS: dict[str, Callable[[float], np.ndarray]] = {  # type: ignore[type-arg]  (of what NumPy makes of it)
    "gain": lambda part: TEXTURE * (1 + 0.5 * part),
    "dimmed": lambda part: TEXTURE * (1 - 0.5 * part),
    "from the side": lambda part: TEXTURE * (1 + 0.5 * part * SIDE),
    "a lamp's spot": lambda part: TEXTURE + 150 * part * (1 - CORNERS) ** 2,
}
"""What a change of light makes of a place, by how much of it has passed."""


@pytest.mark.parametrize("kind", RAMPS)
@pytest.mark.parametrize("lasts_s", [0.2, 1.0, 2.0, 3.0, 6.0])
def test_light_that_changes_for_seconds_is_no_motion_and_hides_nobody_afterwards(kind: str, lasts_s: float) -> None:
    noise = np.random.default_rng(2)

    def scene(at_s: float) -> ByteArray:
        picture = RAMPS[kind](min(max((at_s - 5) / lasts_s, 0), 1)) + noise.normal(0, 2, TEXTURE.shape)
        if at_s >= 15:
            x = round(20 * (at_s - 15))
            picture[30:60, x : x + 12] = 255
        return np.clip(picture, 0, 255).astype(np.uint8)

    frames = film(scene, fps=5, seconds=17)
    motions = watch(frames)
    assert times(frames, motions, "moving")[0] == 15.0
    looks_s = [at_s for at_s in times(frames, motions, "look") if 5 <= at_s < 15]
    assert len(looks_s) >= 5 * 3  # it looks while the light changes


@pytest.mark.parametrize("coloured", [(110, 150), (120, 120)])
def test_colour_that_goes_is_infrared_and_not_motion(coloured: tuple[int, int]) -> None:
    def frame(at_s: float) -> Frame:
        picture = still(at_s)
        if at_s >= 2:  # what little differs in infrared: would be a thing
            picture[30:42, 40:52] = 180
        chroma = [np.full((HEIGHT // 2, WIDTH // 2), shade if at_s < 2 else 128, np.uint8) for shade in coloured]
        return replace(frame_of(at_s, luma=picture), chroma_blue=chroma[0], chroma_red=chroma[1])

    frames = [frame(i / 5) for i in range(30)]
    motions = watch(frames)
    assert not any(motion.moving for motion in motions)
    assert times(frames, motions, "scene_changed")[1] == 2.0


def test_a_red_car_on_a_grey_street_is_motion_and_no_switch() -> None:
    def frame(at_s: float) -> Frame:
        red = np.full((HEIGHT // 2, WIDTH // 2), 128, np.uint8)
        red[15:30, 20:40] = 200 if at_s >= 2 else 128
        return replace(frame_of(at_s, luma=square(at_s, left=40, begins_s=2.0)), chroma_red=red)

    frames = [frame(i / 5) for i in range(15)]
    motions = watch(frames)
    assert times(frames, motions, "moving")[0] == 2.0
    assert times(frames, motions, "scene_changed") == [0.0]


def test_light_that_never_settles_keeps_motion_unsaid_for_some_seconds_only() -> None:
    def disco(at_s: float) -> ByteArray:
        """A light goes round, and after a while somebody dances in the middle, where it is always the same."""
        turns = np.cos(np.arctan2(*np.mgrid[-45:45, -80:80]) - 2 * at_s)
        picture = 100 + 40 * turns
        picture[35:55, 70:90] = 100
        if at_s >= 2:
            x = 70 + round(4 * (1 + np.sin(3 * at_s)))
            picture[38:52, x : x + 10] = 220
        return picture.astype(np.uint8)

    frames = film(disco, fps=5, seconds=30)
    seen_s = times(frames, watch(frames), "moving")
    assert 2 + SETTLED_S < seen_s[0] <= MOST_S + 2


@pytest.mark.parametrize("spacing_s", [2.0, 12.0])
def test_pictures_that_come_one_at_a_time_wait_for_steady_light_too(spacing_s: float) -> None:
    def scene(at_s: float) -> ByteArray:
        return np.clip(TEXTURE * (1.4 if at_s >= 10 * spacing_s else 1), 0, 255).astype(np.uint8)

    frames = [frame_of(i * spacing_s, luma=scene(i * spacing_s)) for i in range(20)]
    motions = watch(frames)
    assert not any(moved(motion) for motion in motions)
    changed_s = times(frames, motions, "scene_changed")
    assert changed_s == [0.0, 10 * spacing_s, 11 * spacing_s]


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


def grainy(sigma: float, scene: Scene = still, *, from_s: float = 0.0) -> Scene:
    """A scene by a camera whose noise is so strong from a moment on, and two grey levels before."""
    random = np.random.default_rng(7)

    def noisy(at_s: float) -> ByteArray:
        grain = random.normal(0, sigma if at_s >= from_s else 2.0, (HEIGHT, WIDTH))
        return np.clip(scene(at_s) + grain, 0, 255).astype(np.uint8)

    return noisy


def moved_s(scene: Scene, *, fps: float = 5, seconds: float) -> list[float]:
    """When something was seen to move."""
    frames = film(scene, fps=fps, seconds=seconds)
    return [frame.at_s for frame, motion in zip(frames, watch(frames), strict=True) if moved(motion)]


@pytest.mark.parametrize("sigma", [8.0, 15.0])
@pytest.mark.parametrize("fps", [2.5, 5, 10])
def test_noise_of_any_strength_is_learnt_within_seconds_of_the_start(sigma: float, fps: float) -> None:
    assert not [at_s for at_s in moved_s(grainy(sigma), fps=fps, seconds=40) if at_s > 12]


@pytest.mark.parametrize("sigma", [6.0, 8.0, 15.0])
def test_noise_that_grows_later_is_learnt_within_a_minute(sigma: float) -> None:
    assert not [at_s for at_s in moved_s(grainy(sigma, from_s=30.0), seconds=150) if not 30 <= at_s < 90]


def test_when_the_noise_is_gone_a_faint_thing_is_seen_again() -> None:
    noisy = grainy(12.0)

    def scene(at_s: float) -> ByteArray:
        picture = noisy(at_s) if at_s < 60 else still(at_s)
        if 50 <= at_s < 51 or at_s >= 120:
            picture[30:42, 40:52] += np.uint8(25)
        return picture

    assert [round(at_s, 3) for at_s in moved_s(scene, seconds=121) if at_s > 12] == [
        120.0,
        120.2,
        120.4,
        120.6,
        120.8,
        121.0,
    ]


def test_a_person_is_seen_through_strong_noise() -> None:
    scene = grainy(10.0, lambda at_s: square(at_s, left=10, begins_s=60.0, ends_s=66.0))
    seen_s = moved_s(scene, seconds=66)
    assert next(at_s for at_s in seen_s if at_s > 30) <= 60.2
    assert len([at_s for at_s in seen_s if at_s >= 60]) >= 29  # of 30


def blinking(at_s: float) -> ByteArray:
    """A lamp of 12 x 12 pixels that is on for half of every 1.6 s."""
    picture = still(at_s)
    picture[30:42, 100:112] = 180 if at_s % 1.6 < 0.8 else 100
    return picture


def test_a_lamp_that_blinks_calms_down_and_hides_nobody() -> None:
    def scene(at_s: float) -> ByteArray:
        picture = blinking(at_s)
        if at_s >= 300:  # somebody walks past it, taller than it
            x = 60 + round(20 * (at_s - 300))
            picture[24:60, x : x + 12] = 30
        return picture

    seen_s = moved_s(scene, seconds=303)
    assert [at_s for at_s in seen_s if at_s < 300][-1] < 180
    assert len([at_s for at_s in seen_s if at_s >= 300]) >= 15  # of 16


def test_where_people_pass_a_quarter_of_the_time_a_faint_thing_is_still_seen() -> None:
    random = np.random.default_rng(3)
    coats = np.where(random.random(300) < 0.25, random.uniform(30, 200, 300), 100).astype(np.uint8)

    def scene(at_s: float) -> ByteArray:
        picture = still(at_s)
        picture[30:60, 40:60] = coats[int(at_s)] if at_s < 300 else 100
        if at_s >= 320:
            picture[30:60, 40:60] = 135  # 35 grey levels, where the setting is 18
        return picture

    seen_s = moved_s(scene, seconds=321)
    assert not any(310 < at_s < 320 for at_s in seen_s)
    assert seen_s[-1] >= 320


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
    # 80 e^(-t/5) falls to the threshold, which what moves raises slowly, 18 e^(0.094 t/5): after 5 ln(80/18) / 1.094 =
    # 6.8 s; one frame more at most.
    moved_s = [f.at_s for f, m in zip(frames, watch(frames, GateSettings(background_s=5.0)), strict=True) if moved(m)]
    assert moved_s[0] == 1.0
    assert moved_s[-1] == pytest.approx(1.0 + 6.8, abs=0.4)


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
