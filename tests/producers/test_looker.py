"""What happens to a picture before it is announced."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from producers.capture.handover import Picture, Tally
from producers.capture.looker import FULL_AFTER_S, Looker
from producers.reports import Blind, Captured, Opened, Order, Seeing
from secondlook.config import Motion
from secondlook.errors import StoreFull, StoreTooSmall
from secondlook.messages import FrameRef

S = 1_000_000_000
LEFT_HALF = [(0.0, 0.0), (0.5, 0.0), (0.5, 1.0), (0.0, 1.0)]


class Store:
    """Keeps what it is given; `trouble` is raised instead."""

    def __init__(self) -> None:
        self.frames: list[tuple[FrameRef, np.ndarray]] = []
        self.trouble: Exception | None = None

    def write(self, ref, image) -> None:
        if self.trouble:
            raise self.trouble
        self.frames.append((ref, image.copy()))


def noisy(seed: int, width: int = 64, height: int = 48):
    return np.random.default_rng(seed).integers(90, 110, (height, width, 3)).astype(np.uint8)


class Bench:
    """A looker with everything around it in view."""

    def __init__(self, **changes) -> None:
        self.now = 0.0
        self.reports: list[Any] = []
        self.store = Store()
        self.tally = Tally()
        given: dict[str, Any] = {
            "camera": "yard",
            "address": "synthetic:",
            "fps": 5,
            "max_width": None,
            "zones": [],
            "masks": [],
            "motion": Motion(),
            "blank_after_s": 3,
            "directory": Path("/nowhere"),
            "budget_bytes": 1,
            "cameras": 1,
        }
        order = Order(**(given | changes))
        self.looker = Looker(
            order, self.store, self.tally, self.reports.append, now_s=lambda: self.now
        )
        self.begin("r1")

    def begin(self, run: str, *, may_stand_still: bool = False) -> None:
        self.looker.begin(Opened(run=run, fps=None), may_stand_still=may_stand_still)

    def take(self, image, at_s: float = 0.0) -> None:
        self.looker.take(Picture(image, int(at_s * S) + 7, int(at_s * S)))

    def heard(self) -> list[str]:
        return [type(r).__name__ for r in self.reports]


def test_a_picture_is_stored_and_then_announced() -> None:
    bench = Bench()
    bench.take(noisy(0), at_s=2)
    ref, image = bench.store.frames[0]
    assert bench.reports[1:] == [Captured(ref=ref)]
    assert np.array_equal(image, noisy(0))
    assert (ref.id, ref.run, ref.sequence) == (f"yard-{2 * S + 7}", "r1", 0)
    assert (ref.media_ns, ref.captured_ns) == (2 * S, 2 * S + 7)
    assert (ref.width, ref.height) == (64, 48)


def test_frames_are_numbered_within_their_run() -> None:
    bench = Bench()
    bench.take(noisy(0), 0)
    bench.take(noisy(1), 1)
    bench.begin("r2")
    bench.take(noisy(2), 0)
    assert [(r.run, r.sequence) for r, _ in bench.store.frames] == [
        ("r1", 0),
        ("r1", 1),
        ("r2", 0),
    ]


def test_a_mask_is_black_in_what_leaves_the_process() -> None:
    bench = Bench(masks=[LEFT_HALF])
    bench.take(noisy(0))
    image = bench.store.frames[0][1]
    assert image[:, :32].max() == 0
    assert np.array_equal(image[:, 34:], noisy(0)[:, 34:])


def test_a_wide_picture_is_shrunk_in_proportion_and_a_narrow_one_is_not() -> None:
    bench = Bench(max_width=64)
    bench.take(noisy(0, 200, 100))
    bench.take(noisy(0, 60, 100), 0.1)
    assert [f.shape for _, f in bench.store.frames] == [(32, 64, 3), (100, 60, 3)]
    assert [(r.width, r.height) for r, _ in bench.store.frames] == [(64, 32), (60, 100)]


def test_what_does_not_move_is_counted_and_not_sent() -> None:
    bench = Bench(motion=Motion(enabled=True), blank_after_s=100)
    for at in range(4):
        bench.take(noisy(0), at)
    assert len(bench.store.frames) == 1
    assert bench.tally.take() == {"seen": 4, "motion": 3}


def test_only_motion_in_a_zone_is_sent() -> None:
    bench = Bench(motion=Motion(enabled=True, min_area=0.01), zones=[LEFT_HALF])
    bench.take(noisy(0), 0)
    right, left = noisy(0), noisy(0)
    right[:, 40:] = 255
    left[:, :20] = 255
    bench.take(right, 1)
    assert len(bench.store.frames) == 1
    bench.take(left, 2)
    assert len(bench.store.frames) == 2


def test_a_frozen_picture_makes_the_camera_blind_and_is_not_sent() -> None:
    bench = Bench()
    for at in range(6):
        bench.take(noisy(0), at)
    assert len(bench.store.frames) == 3
    assert bench.heard().count("Blind") == 1
    assert bench.tally.take() == {"seen": 6, "blank": 3}
    bench.take(noisy(1), 6)
    assert bench.heard()[-2:] == ["Seeing", "Captured"]


def test_what_lies_under_a_mask_is_no_life() -> None:
    bench = Bench(masks=[LEFT_HALF])
    for at in range(6):
        image = noisy(0)
        image[:, :20] = at  # a clock in the corner of a frozen picture
        bench.take(image, at)
    assert "Blind" in bench.heard()


def test_pictures_that_may_stand_still_may() -> None:
    bench = Bench()
    bench.begin("r2", may_stand_still=True)
    for at in range(10):
        bench.take(noisy(0), at)
    assert "Blind" not in bench.heard()


def test_a_black_picture_makes_the_camera_blind() -> None:
    bench = Bench()
    for at in range(6):
        bench.take(np.full((48, 64, 3), at, np.uint8), at)
    assert [r.why for r in bench.reports if isinstance(r, Blind)] == [
        "its picture has been black for 3 s"
    ]


def test_a_full_store_drops_the_frame_and_says_blind_when_it_stays_full() -> None:
    bench = Bench()
    bench.take(noisy(0), 0)
    bench.store.trouble = StoreFull("the store is full")
    bench.take(noisy(1), 1)
    assert "Blind" not in bench.heard()
    bench.now = FULL_AFTER_S
    bench.take(noisy(2), 2)
    assert isinstance(bench.reports[-1], Blind)
    assert bench.tally.take() == {"seen": 3, "store_full": 2}
    bench.store.trouble = None
    bench.take(noisy(3), 3)
    assert bench.reports[-2:] == [Seeing(), Captured(ref=bench.store.frames[-1][0])]
    assert [r.sequence for r, _ in bench.store.frames] == [0, 1]


def test_a_store_that_is_too_small_is_not_swallowed() -> None:
    bench = Bench()
    bench.store.trouble = StoreTooSmall("frames.max_mb: at least 9")
    with pytest.raises(StoreTooSmall):
        bench.take(noisy(0))
