"""What the benchmarks compute by themselves, without anything running."""

import math

import cv2
import numpy as np
import pytest

from benchmarks.counted import means_ms, metrics
from benchmarks.feeding import Camera, Pictures, pictures
from benchmarks.machine import percentile, ratio
from benchmarks.sequential import letterboxed, suppressed


@pytest.mark.parametrize(("part", "expected"), [(0.5, 50), (0.99, 99), (1.0, 100), (0.0, 1)])
def test_a_percentile_is_one_of_the_values(part: float, expected: float) -> None:
    values = [float(value) for value in np.random.default_rng(1).permutation(100) + 1]

    assert percentile(values, part) == expected


def test_nothing_has_no_percentile() -> None:
    assert math.isnan(percentile([], 0.5))


def test_a_ratio_is_taken_round_by_round() -> None:
    found = ratio([20.0, 30.0, 10.0], [10.0, 10.0, 10.0])

    assert found.values == (2.0, 3.0, 1.0)
    assert str(found) == "2.00 (1.00 to 3.00)"


def test_metrics_are_read_with_their_labels() -> None:
    text = (
        "# HELP secondlook_detector_frames_total Frames\n"
        'secondlook_detector_frames_total{camera="yard"} 12.0\n'
        "secondlook_detector_inference_seconds_sum 1.5e-03\n"
        "process_open_fds 9.0\n"
    )

    assert metrics(text) == {
        ("detector_frames_total", 'camera="yard"'): 12.0,
        ("detector_inference_seconds_sum", ""): 0.0015,
    }


@pytest.mark.parametrize(("every", "guns"), [(0, []), (1, [0, 1, 2, 3, 4]), (2, [0, 2, 4])])
def test_a_gun_is_in_every_so_many_pictures(every: int, guns: list[int]) -> None:
    with_gun, empty = [np.ones((1, 1, 3), np.uint8)] * 2, [np.zeros((1, 1, 3), np.uint8)] * 3
    shown = Pictures(with_gun, empty)

    assert [number for number in range(5) if shown.of(number, every).any()] == guns


def test_the_clips_pictures_have_the_size_that_was_asked_for() -> None:
    shown = pictures(320, 180)

    assert {image.shape for image in (*shown.with_gun, *shown.empty)} == {(180, 320, 3)}
    assert len(shown.with_gun) >= 10
    assert len(shown.empty) >= 10


def test_what_is_long_overdue_is_left_out_and_counted() -> None:
    camera = Camera("yard", None, "run1", due_s=10.0, period_s=0.1)  # type: ignore[arg-type]
    camera.skip_missed(10.05)
    assert (camera.late, camera.number) == (0, 0)

    camera.skip_missed(10.35)

    assert (camera.late, camera.number) == (3, 3)
    assert camera.due_s == pytest.approx(10.3)


def test_suppression_keeps_what_opencv_keeps() -> None:
    random = np.random.default_rng(2)
    centres, sides = random.uniform(100, 300, (200, 2)), random.uniform(20, 80, (200, 2))
    rows = np.hstack([centres, sides, random.uniform(0, 1, (200, 1)), np.ones((200, 1))])
    corners = np.hstack([centres - sides / 2, sides])
    expected = cv2.dnn.NMSBoxes(corners.tolist(), rows[:, 4].tolist(), 0.25, 0.45)

    kept = suppressed(rows.astype(np.float32))

    assert sorted(kept[:, 4].tolist()) == pytest.approx(sorted(rows[list(expected), 4].tolist()))


def test_a_wide_frame_is_fitted_with_grey_above_and_below() -> None:
    pixels, scale, left, top = letterboxed(np.full((1080, 1920, 3), (255, 0, 0), np.uint8))

    assert pixels.shape == (3, 640, 640)
    assert (round(scale, 4), left, top) == (0.3333, 0, 140)
    assert pixels[:, 0, 0] == pytest.approx([114 / 255] * 3)
    assert pixels[:, 320, 320] == pytest.approx([0, 0, 1])  # blue is the last channel of RGB


def test_a_mean_is_of_what_was_timed_between() -> None:
    def counts(seconds: float, times: float) -> dict[tuple[str, str], float]:
        return {("x_seconds_sum", "a"): seconds, ("x_seconds_count", "a"): times}

    assert means_ms(counts(1.0, 10), counts(1.6, 12)) == {"x a": pytest.approx(300)}
    assert means_ms({}, counts(0.5, 5)) == {"x a": pytest.approx(100)}
    assert means_ms(counts(1.0, 10), counts(1.0, 10)) == {}
