"""The watch over a capture process: when a camera is online, and when its process is killed."""

import pytest

from producers.reports import (
    Blind,
    Captured,
    Complaint,
    Counted,
    Ended,
    Gone,
    Opened,
    Opening,
    Seeing,
)
from producers.watch import OPENING_S, SILENT_S, STARTING_S, Watch
from secondlook.messages import FrameRef

REF = FrameRef(
    id="yard-1",
    camera="yard",
    run="r",
    sequence=0,
    captured_ns=1,
    media_ns=1,
    width=32,
    height=32,
)
CAPTURED = Captured(ref=REF)
SEEN = Counted(grabbed=3, seen=3, dropped={})
IDLE = Counted(grabbed=0, seen=0, dropped={})


def flowing(fps: float = 5.0, own_fps: float | None = None) -> Watch:
    watch = Watch(fps)
    watch.started(0)
    watch.heard(Opening(), 1)
    watch.heard(Opened(run="r", fps=own_fps), 2)
    watch.heard(CAPTURED, 3)
    return watch


def test_a_camera_is_online_from_its_first_frame() -> None:
    watch = Watch(5)
    watch.started(0)
    for report in (Opening(), Opened(run="r", fps=None), IDLE):
        watch.heard(report, 1)
        assert not watch.online
    watch.heard(CAPTURED, 2)
    assert watch.online


@pytest.mark.parametrize(
    ("fps", "own_fps", "stall_s"),
    [
        pytest.param(5.0, None, 3.0, id="never-less-than-three-seconds"),
        pytest.param(0.5, None, 6.0, id="three-frames-of-a-slow-camera"),
        pytest.param(5.0, 0.1, 30.0, id="three-frames-of-a-slow-source"),
        pytest.param(0.5, 25.0, 6.0, id="the-slower-of-the-two-counts"),
    ],
)
def test_no_picture_for_too_long_is_a_stall(fps, own_fps, stall_s) -> None:
    watch = flowing(fps, own_fps)
    at = 3.0
    while at < 3 + stall_s - 0.5:
        at += 0.5
        watch.heard(IDLE, at)
        assert watch.overdue(at) is None
    watch.heard(IDLE, 3 + stall_s)
    assert watch.overdue(3 + stall_s) == f"no picture for {stall_s:g} s"


def test_pictures_that_are_only_looked_at_keep_it_alive() -> None:
    watch = flowing()
    for at in range(4, 60, 2):
        watch.heard(SEEN, at)
        assert watch.overdue(at + 1.9) is None


def test_complaints_about_pictures_do_not() -> None:
    watch = flowing()
    for at in range(4, 7):
        watch.heard(Complaint(why="grey"), at)
        watch.heard(IDLE, at)
    assert watch.overdue(6.1)


def test_a_process_that_never_says_a_word_is_killed() -> None:
    watch = Watch(5)
    watch.started(100)
    assert watch.overdue(100 + STARTING_S - 1) is None
    assert watch.overdue(100 + STARTING_S) == "its capture process does not start"


def test_an_opening_that_hangs_is_killed_although_the_process_says_it_lives() -> None:
    watch = Watch(5)
    watch.started(0)
    watch.heard(Opening(), 1)
    for at in range(2, 21):
        watch.heard(IDLE, at)
        assert watch.overdue(at) is None
    watch.heard(IDLE, 1 + OPENING_S)
    assert watch.overdue(1 + OPENING_S) == "opening it takes too long"


def test_an_opened_source_that_sends_nothing_is_killed() -> None:
    watch = Watch(5)
    watch.started(0)
    watch.heard(Opened(run="r", fps=None), 1)
    for at in range(2, 22):
        watch.heard(IDLE, at)
    assert watch.overdue(1 + OPENING_S) == "it was opened and sends no picture"


def test_a_process_that_stops_speaking_is_killed_also_while_it_waits() -> None:
    watch = Watch(5)
    watch.started(0)
    watch.heard(Gone(why="nothing answers"), 1)
    assert watch.overdue(1 + SILENT_S - 1) is None
    assert watch.overdue(1 + SILENT_S) == "its capture process hangs"


def test_waiting_for_a_source_that_is_away_is_no_fault() -> None:
    watch = flowing()
    watch.heard(Gone(why="nothing answers at 10.0.0.7:554"), 4)
    assert not watch.online
    assert watch.why == "nothing answers at 10.0.0.7:554"
    for at in range(5, 500):
        watch.heard(IDLE, at)
        assert watch.overdue(at) is None
    watch.heard(Opened(run="s", fps=None), 501)
    assert not watch.online
    watch.heard(CAPTURED, 502)
    assert watch.online


def test_a_blank_picture_is_offline_until_it_shows_something() -> None:
    watch = flowing()
    watch.heard(Blind(why="its picture has been black for 10 s"), 4)
    assert (watch.online, watch.why) == (False, "its picture has been black for 10 s")
    for at in range(5, 60):
        watch.heard(SEEN, at)
        assert watch.overdue(at) is None
        assert not watch.online
    watch.heard(Seeing(), 60)
    assert watch.online


def test_the_end_of_a_clip_is_no_stall() -> None:
    watch = flowing()
    watch.heard(Ended(why="the clip ended: 9 pictures"), 4)
    assert watch.ended
    assert not watch.online
    assert watch.overdue(10_000) is None


def test_a_dead_process_is_offline_and_cannot_be_overdue() -> None:
    watch = flowing()
    watch.died("its capture process ended with status -9")
    assert (watch.online, watch.why) == (False, "its capture process ended with status -9")
    assert watch.overdue(10_000) is None
    watch.started(10_001)
    assert watch.overdue(10_002) is None
    assert watch.overdue(10_001 + STARTING_S)
