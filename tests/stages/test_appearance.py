"""What objects look like: histograms whose values follow from the colours of a drawn picture."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from builders import boxes_of, coloured_frame, frame_of
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_agent.records import Frame
from edge_agent.stages.track.appearance import BANDS, BINS, Appearances, describe, differences

BOX = boxes_of((40, 10, 80, 90))
DARK, LIGHT = 16, 235
ID_1, ID_2 = np.array([1]), np.array([2])


def bins(**shares: float) -> list[float]:
    """A histogram with a share in some bins, and nothing in the others: `_3=0.5`."""
    return [shares.get(f"_{number}", 0.0) for number in range(BINS)]


def in_two(above: int, below: int) -> Frame:
    """A picture that is so light above the middle of the box, and so light below."""
    luma = np.full((100, 160), above, np.uint8)
    luma[50:] = below
    return frame_of(luma=luma)


def test_each_part_is_described_by_its_own_light_and_colours() -> None:
    ((luma, blue, red),) = describe(in_two(DARK, LIGHT), BOX)
    np.testing.assert_allclose(luma, [bins(_0=1), bins(_7=1)], atol=1e-6)
    # 128 is told apart as 129.5, (129.5 - 96) / 64 * 8 - 0.5 = 3.6875 bins from the first.
    grey = bins(_3=0.3125, _4=0.6875)
    np.testing.assert_allclose(blue, [grey, grey], atol=1e-6)
    np.testing.assert_allclose(red, [grey, grey], atol=1e-6)


def test_a_value_between_two_bins_belongs_to_both() -> None:
    ((luma, _blue, _red),) = describe(coloured_frame(100, 128, 128), BOX)
    # 100 is told apart as 101.5, (101.5 - 16) / 219 * 8 - 0.5 = 2.6233 bins from the first.
    np.testing.assert_allclose(luma[0], bins(_2=0.3767, _3=0.6233), atol=1e-4)


def test_full_range_is_read_as_such() -> None:
    frame = replace(coloured_frame(100, 128, 128), full_range=True)
    ((luma, _blue, _red),) = describe(frame, BOX)
    # 101.5 / 255 * 8 - 0.5 = 2.6843
    np.testing.assert_allclose(luma[0], bins(_2=0.3157, _3=0.6843), atol=1e-4)


def test_what_is_beside_somebody_is_not_his() -> None:
    frame = in_two(DARK, DARK)
    frame.luma[:, :48] = LIGHT  # a fifth of the box on its left
    np.testing.assert_array_equal(describe(frame, BOX), describe(in_two(DARK, DARK), BOX))


def test_the_same_looks_the_same_and_black_is_not_like_white() -> None:
    dark, light = describe(coloured_frame(DARK, 128, 128), BOX), describe(coloured_frame(LIGHT, 128, 128), BOX)
    np.testing.assert_allclose(differences(dark, np.concatenate([dark, light])), [[0, 1]], atol=1e-6)


def test_half_a_body_counts_half() -> None:
    one, other = describe(in_two(DARK, DARK), BOX), describe(in_two(DARK, LIGHT), BOX)
    np.testing.assert_allclose(differences(one, other), [[0.5]], atol=1e-6)


def test_colour_tells_apart_what_is_as_light() -> None:
    bluish, yellowish = (describe(coloured_frame(100, blue, 128), BOX) for blue in (160, 96))
    np.testing.assert_allclose(differences(bluish, yellowish), [[0.5]], atol=1e-6)  # as red as each other, wholly


def test_in_infrared_light_alone_tells() -> None:
    # Of two of three planes nothing can be told; the mean of three would call black and white two thirds alike.
    assert differences(describe(in_two(DARK, DARK), BOX), describe(in_two(LIGHT, LIGHT), BOX)) == pytest.approx(1)


def test_nothing_is_known_of_whom_nobody_saw() -> None:
    seen = describe(in_two(DARK, DARK), BOX)
    assert np.isnan(differences(np.full_like(seen, np.nan), seen)).all()


def test_no_boxes_look_like_nothing() -> None:
    none = describe(frame_of(), boxes_of())
    assert none.shape == (0, 3, BANDS, BINS)
    assert differences(none, none).shape == (0, 0)


@given(
    st.tuples(*[st.floats(-200, 400) for _ in range(2)], *[st.floats(0.5, 300) for _ in range(2)]),
    st.integers(1, 67),
    st.integers(1, 67),
    st.integers(0, 2**32 - 1),
)
@settings(max_examples=60, deadline=None)
def test_any_box_of_any_picture_has_whole_histograms(
    box: tuple[float, float, float, float], width: int, height: int, seed: int
) -> None:
    random, half = np.random.default_rng(seed), ((height + 1) // 2, (width + 1) // 2)
    frame = replace(
        frame_of(luma=random.integers(0, 256, (height, width), np.uint8)),
        chroma_blue=random.integers(0, 256, half, np.uint8),
        chroma_red=random.integers(0, 256, half, np.uint8),
    )
    left, top, wide, tall = box
    two = describe(frame, boxes_of((left, top, left + wide, top + tall), (0, 0, width, height)))
    np.testing.assert_allclose(two.sum(axis=3), 1, atol=1e-5)
    unlike = differences(two, two)
    np.testing.assert_allclose(unlike, unlike.T, atol=1e-6)
    np.testing.assert_allclose(np.diag(unlike), 0, atol=1e-6)
    assert np.all((unlike >= 0) & (unlike <= 1 + 1e-6))


def test_what_somebody_looks_like_follows_what_is_seen() -> None:
    looks, (dark, light) = Appearances(), (describe(coloured_frame(luma, 128, 128), BOX) for luma in (DARK, LIGHT))
    assert np.isnan(looks.of(ID_1)).all()
    looks.learn(np.array([0]), dark, 0.0)
    np.testing.assert_allclose(looks.of(ID_1), dark, atol=1e-6)
    looks.learn(np.array([0]), light, 0.1)  # the second of two counts half
    np.testing.assert_allclose(looks.of(ID_1)[0, 0, 0], bins(_0=0.5, _7=0.5), atol=1e-6)
    looks.learn(np.array([0]), light, 100.1)  # what was 100 s ago counts nothing
    np.testing.assert_allclose(looks.of(ID_1), light, atol=1e-6)


def test_what_somebody_looked_like_is_forgotten_with_him() -> None:
    looks, dark = Appearances(), describe(coloured_frame(DARK, 128, 128), BOX)
    looks.of(np.array([1, 2]))
    looks.learn(np.array([0, 1]), np.concatenate([dark, dark]), 0.0)
    np.testing.assert_allclose(looks.of(ID_2), dark)
    assert np.isnan(looks.of(np.array([1, 2]))[0]).all()
