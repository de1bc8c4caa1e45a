"""The motion gate: what moves passes, what stands still waits, nothing waits for ever."""

import itertools

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from producers.motion import MotionGate, small_grey
from producers.polygons import inside
from secondlook.config import Motion

S = 1_000_000_000
LEFT = [(0.0, 0.0), (0.5, 0.0), (0.5, 1.0), (0.0, 1.0)]
SETTINGS = Motion(enabled=True, min_area=0.01, threshold=20, max_gap_s=5)


def scene(x: int | None = None, *, side: int = 80, shade: int = 200, seed: int | None = None):
    image = np.full((360, 640, 3), 100, np.uint8)
    if seed is not None:
        noise = np.random.default_rng(seed).normal(0, 8, image.shape)
        image = np.clip(image + noise, 0, 255).astype(np.uint8)
    if x is not None:
        cv2.rectangle(image, (x, 100), (x + side - 1, 100 + side - 1), (shade, shade, shade), -1)
    return image


def gate(zones=(), **changes) -> MotionGate:
    return MotionGate(SETTINGS.model_copy(update=changes), zones)


def test_the_first_frame_passes() -> None:
    assert gate().passes(scene(), 0)


def test_a_picture_that_stands_still_waits_for_the_longest_gap() -> None:
    moves = gate()
    passed = [at for at in range(13) if moves.passes(scene(), at * S)]
    assert passed == [0, 5, 10]


def test_the_gap_counts_from_the_last_frame_that_passed() -> None:
    moves = gate()
    assert moves.passes(scene(), 0)
    assert moves.passes(scene(50), 3 * S)
    assert not moves.passes(scene(50), 7 * S)
    assert moves.passes(scene(50), 8 * S)


def test_what_moves_passes_each_time() -> None:
    moves = gate()
    assert all(moves.passes(scene(x), x * S // 100) for x in (0, 60, 120, 180))


def test_slow_motion_adds_up() -> None:
    moves = gate(max_gap_s=1000)
    passed = [step for step in range(60) if moves.passes(scene(step), step * S // 25)]
    assert passed[0] == 0
    assert len(passed) >= 3
    assert all(b - a > 3 for a, b in itertools.pairwise(passed))


def test_sensor_noise_is_no_motion() -> None:
    moves = gate()
    assert moves.passes(scene(seed=0), 0)
    assert not any(moves.passes(scene(seed=i), i) for i in range(1, 20))


@pytest.mark.parametrize(
    ("side", "passes"), [pytest.param(55, True, id="above"), pytest.param(40, False, id="below")]
)
def test_the_changed_area_must_be_large_enough(side, passes) -> None:
    # 1 % of 640 x 360 is a square of 48.
    moves = gate()
    moves.passes(scene(), 0)
    assert moves.passes(scene(300, side=side), 1) == passes


@pytest.mark.parametrize(("shade", "passes"), [(115, False), (125, True)])
def test_the_change_must_be_strong_enough(shade, passes) -> None:
    moves = gate()
    moves.passes(scene(), 0)
    assert moves.passes(scene(300, shade=shade), 1) == passes


def test_only_change_within_a_zone_counts() -> None:
    moves = gate([LEFT])
    moves.passes(scene(), 0)
    assert not moves.passes(scene(500), 1)
    assert moves.passes(scene(100), 2)


def test_the_area_counts_from_the_whole_picture_with_zones_too() -> None:
    moves = gate([LEFT])
    moves.passes(scene(), 0)
    assert not moves.passes(scene(100, side=40), 1)
    assert moves.passes(scene(100, side=55), 2)


def test_a_new_size_passes() -> None:
    moves = gate([LEFT])
    moves.passes(scene(), 0)
    assert moves.passes(scene()[:200], 1)
    assert moves.passes(scene(), 2)
    assert not moves.passes(scene(), 3)


def test_a_new_run_begins_with_a_frame() -> None:
    moves = gate()
    moves.passes(scene(), 100 * S)
    moves.restart()
    assert moves.passes(scene(), 100 * S + 1)


def test_time_that_runs_backwards_does_not_close_the_gate() -> None:
    moves = gate()
    moves.passes(scene(), 100 * S)
    assert moves.passes(scene(), 0)
    assert not moves.passes(scene(), 1)


def test_small_pictures_are_not_enlarged() -> None:
    assert small_grey(np.zeros((9, 16, 3), np.uint8)).shape == (9, 16)
    assert small_grey(np.zeros((1080, 1920, 3), np.uint8)).shape == (180, 320)
    assert small_grey(np.zeros((1, 5000, 3), np.uint8)).shape == (1, 320)


def test_overlapping_polygons_cut_no_holes() -> None:
    area = inside([LEFT, [(0.25, 0.0), (0.75, 0.0), (0.75, 1.0), (0.25, 1.0)]], 100, 50)
    assert (area[:, :75] == 255).all()
    assert (area[:, 80:] == 0).all()


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(-2000, 4000), st.sampled_from([None, 0, 40, 300])),
        min_size=1,
        max_size=40,
    )
)
def test_nothing_that_changes_is_held_back_and_nothing_waits_longer_than_the_gap(
    frames: list[tuple[int, int | None]],
) -> None:
    moves = gate()
    at_ms, passed_ms = 0, 0
    shown: list[int | None] = []
    for step_ms, x in frames:
        at_ms += step_ms
        passes = moves.passes(scene(x), at_ms * S // 1000)
        due = at_ms < passed_ms or at_ms - passed_ms >= 5000
        assert passes == (due or shown != [x])
        if passes:
            shown, passed_ms = [x], at_ms
