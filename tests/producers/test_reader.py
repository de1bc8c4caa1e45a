"""The reading thread: runs, damaged pictures, retries, the end. Sources are scripted."""

import numpy as np
import pytest
from numpy.typing import NDArray

from producers.capture.handover import Handover, Picture, Tally
from producers.capture.reader import DAMAGED_IN_A_ROW, Reader
from producers.pacing import Pace
from producers.reports import Complaint, Ended, Gone, Opened, Opening
from producers.sources import Damaged, LoginRefused, SourceEnded
from secondlook.errors import SourceError

MS = 1_000_000


class Scripted:
    """A source whose pictures are numbers; an exception is raised where it stands."""

    may_stand_still = False
    fps: float | None = None

    def __init__(self, *script: int | Exception, live: bool = True) -> None:
        self.live = live
        self._script = list(script)
        self._picture: Exception | None = None
        self.closed = False
        self._at = 0

    def grab(self) -> int:
        step = self._script.pop(0)
        self._picture = step if isinstance(step, Damaged) else None
        if isinstance(step, Exception) and not isinstance(step, Damaged):
            raise step
        self._at = self._at + 10 if isinstance(step, Damaged) else step
        return self._at * MS

    def picture(self) -> NDArray[np.uint8]:
        if self._picture:
            raise self._picture
        return np.zeros((16, 16, 3), np.uint8)

    def close(self) -> None:
        self.closed = True


class Recorded(Handover):
    """A handover that remembers everything and never waits."""

    def __init__(self) -> None:
        super().__init__()
        self.items: list[object] = []

    def put(self, item, *, newest_wins=False):
        self.items.append(item)
        return False


def read(*sources: Scripted | Exception, fps: float = 1000.0):
    """Run a reader over these sources; return what it handed over, its waits and its tally."""
    left, handover, tally = list(sources), Recorded(), Tally()
    waits: list[float] = []

    def open_next():
        source = left.pop(0)
        if isinstance(source, Exception):
            raise source
        return source

    Reader(open_next, Pace(fps), handover, tally, sleep=waits.append).run()
    return handover.items, waits, tally.take()


def end() -> SourceEnded:
    return SourceEnded("the clip ended")


def test_a_run_is_opened_read_and_ended() -> None:
    source = Scripted(0, 40, end())
    items, waits, counts = read(source)
    assert [type(i) for i in items] == [Opening, Opened, Picture, Picture, Ended]
    assert [i.media_ns for i in items if isinstance(i, Picture)] == [0, 40 * MS]
    assert source.closed
    assert waits == []
    assert counts == {"grabbed": 2}


def test_every_opening_is_a_run_of_its_own() -> None:
    items, _, _ = read(Scripted(0, SourceError("gone")), Scripted(0, end()))
    runs = [i.run for i in items if isinstance(i, Opened)]
    assert len(set(runs)) == 2


def test_a_lost_source_is_told_closed_and_opened_again() -> None:
    lost = Scripted(0, SourceError("the stream ended"))
    items, waits, _ = read(lost, SourceError("nothing answers"), Scripted(0, end()))
    assert [i.why for i in items if isinstance(i, Gone)] == ["the stream ended", "nothing answers"]
    assert lost.closed
    assert waits == [1.0, 1.0]


def test_a_refused_login_waits_longer() -> None:
    _, waits, _ = read(LoginRefused("401"), Scripted(end()))
    assert waits[0] > 2


def test_what_is_told_has_no_login_in_it() -> None:
    items, _, _ = read(SourceError("rtsp://me:hunter2@h/x is gone"), Scripted(end()))
    assert [i.why for i in items if isinstance(i, Gone)] == ["rtsp://…@h/x is gone"]


def test_pictures_beyond_the_pace_are_counted_and_not_converted() -> None:
    class Costly(Scripted):
        converted = 0

        def picture(self) -> NDArray[np.uint8]:
            self.converted += 1
            return super().picture()

    source = Costly(0, 40, 80, 120, 160, 200, end())
    _, _, counts = read(source, fps=10)
    assert counts == {"grabbed": 6, "paced": 3}
    assert source.converted == 3


def test_the_pace_begins_again_with_each_run() -> None:
    items, _, _ = read(Scripted(5000, SourceError("x")), Scripted(0, end()), fps=1)
    assert [i.media_ns for i in items if isinstance(i, Picture)] == [5000 * MS, 0]


def test_a_damaged_picture_is_counted_told_once_and_passed_over() -> None:
    bad = Damaged("a picture cannot be decoded")
    items, _, counts = read(Scripted(bad, bad, 40, bad, end()))
    assert [type(i) for i in items] == [Opening, Opened, Complaint, Picture, Complaint, Ended]
    assert counts["unreadable"] == 3


def test_a_source_of_damaged_pictures_only_is_opened_again() -> None:
    bad = Damaged("its pictures are 1x1 pixels")
    items, waits, counts = read(Scripted(*[bad] * DAMAGED_IN_A_ROW), Scripted(end()))
    assert counts["unreadable"] == DAMAGED_IN_A_ROW
    assert ["1x1" in i.why for i in items if isinstance(i, Gone)] == [True]
    assert waits == [1.0]


def test_two_frames_never_share_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("producers.capture.reader.time.time_ns", lambda: 77)
    items, _, _ = read(Scripted(0, 40, end()))
    stamps = [i.captured_ns for i in items if isinstance(i, Picture)]
    assert len(set(stamps)) == 2


def test_a_picture_is_stamped_before_it_is_converted(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100]
    monkeypatch.setattr("producers.capture.reader.time.time_ns", lambda: now[0])

    class Slow(Scripted):
        def picture(self) -> NDArray[np.uint8]:
            now[0] += 1_000_000_000
            return super().picture()

    items, _, _ = read(Slow(0, end()))
    assert [i.captured_ns for i in items if isinstance(i, Picture)] == [100]


def test_a_fault_of_ours_is_handed_over_to_be_raised() -> None:
    fault = ZeroDivisionError("oops")
    items, _, _ = read(Scripted(0, fault))
    assert items[-1] is fault


def test_a_live_picture_that_replaces_an_unread_one_is_counted() -> None:
    handover, tally = Handover(), Tally()
    Reader(lambda: Scripted(0, 40, 80, end()), Pace(1000), handover, tally).run()
    assert tally.take() == {"grabbed": 3, "late": 2}
