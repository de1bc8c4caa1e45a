"""Pacing: the rate is kept, nothing drifts, uneven cameras lose nothing."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from producers.pacing import Pace

MS = 1_000_000
S = 1_000 * MS


def kept(fps: float, times_ms: list[float]) -> list[float]:
    pace = Pace(fps)
    return [at for at in times_ms if pace.keep(round(at * MS))]


@pytest.mark.parametrize(
    ("fps", "times_ms", "wanted"),
    [
        pytest.param(5, [0, 200, 400, 600], [0, 200, 400, 600], id="equal-rates-keep-all"),
        pytest.param(5, [0, 100, 200, 300, 400], [0, 200, 400], id="half"),
        pytest.param(5, [7, 107, 207, 307], [7, 207], id="the-grid-begins-with-the-first-frame"),
        pytest.param(5, [0, 151, 400], [0, 151, 400], id="a-little-early-counts"),
        pytest.param(5, [0, 149, 210], [0, 210], id="much-too-early-does-not"),
        pytest.param(5, [0, 40, 80, 120, 160, 200], [0, 200], id="not-if-a-better-one-comes"),
        pytest.param(10, [*range(0, 420, 40)], [0, 80, 200, 280, 400], id="the-nearest-frames"),
        pytest.param(5, [0, 390, 399, 401, 410], [0, 390], id="the-grid-point-is-taken-once"),
        pytest.param(5, [0, 1130, 1140, 1200], [0, 1130, 1200], id="no-burst-after-a-gap"),
        pytest.param(30, [0, 200, 400], [0, 200, 400], id="a-slow-camera-loses-nothing"),
        pytest.param(0.5, [0, 1000, 1999, 2000, 4100], [0, 1999, 4100], id="below-one-a-second"),
    ],
)
def test_the_frames_that_are_kept(fps, times_ms, wanted) -> None:
    assert kept(fps, times_ms) == wanted


@pytest.mark.parametrize("camera_fps", [5.0, 12.5, 25.0, 29.97, 30.0, 59.94, 120.0])
@pytest.mark.parametrize("fps", [1.0, 3.0, 5.0, 7.0, 10.0])
def test_an_hour_has_an_hour_of_frames(camera_fps, fps) -> None:
    pace = Pace(fps)
    frames = int(3600 * camera_fps)
    count = sum(pace.keep(int(i * S / camera_fps)) for i in range(frames))
    assert abs(count - 3600 * min(fps, camera_fps)) <= 1


def test_jitter_of_a_fifth_of_the_interval_loses_nothing() -> None:
    rng = random.Random(3)
    times = [i * 100 + rng.uniform(-20, 20) for i in range(1, 5000)]
    assert len(kept(10, [0, *times])) == 5000


@given(
    fps=st.floats(0.1, 120),
    gaps_ms=st.lists(st.floats(0.1, 2000), min_size=1, max_size=300),
)
def test_never_more_than_the_rate(fps: float, gaps_ms: list[float]) -> None:
    at, times = 0.0, []
    for gap in gaps_ms:
        times.append(at)
        at += gap
    assert len(kept(fps, times)) <= int(times[-1] / 1000 * fps + 0.25 + 1e-6) + 1


def test_a_new_run_begins_a_new_grid() -> None:
    pace = Pace(1)
    assert pace.keep(5000 * S)
    pace.restart()
    assert pace.keep(0)
    assert not pace.keep(S // 2)
    assert pace.keep(S)
