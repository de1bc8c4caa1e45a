"""The thread that opens a source, reads it, and opens it again when it fails.

It may hang in a driver or a library for ever; the service notices and kills the process.
"""

import time
import uuid
from collections.abc import Callable

from producers.cameras import open_rtsp, open_webcam
from producers.capture.handover import Handover, Picture, Tally
from producers.clips import OpenedClip, OpenedFolder
from producers.ffmpeg import OpenedCommand
from producers.pacing import Pace
from producers.reports import Complaint, Ended, Gone, Opened, Opening
from producers.retry import Retry
from producers.sources import (
    Address,
    Clip,
    Command,
    Damaged,
    Folder,
    LoginRefused,
    Rtsp,
    Source,
    SourceEnded,
    Synthetic,
    Webcam,
    redact,
)
from secondlook.errors import SourceError

DAMAGED_IN_A_ROW = 100
"""After so many unusable pictures the source is opened anew."""


def open_source(address: Address, fps: float, library_said: Callable[[], str]) -> Source:
    """Open a camera's source.

    Args:
        address: What to open.
        fps: The camera's rate, for sources that have none of their own.
        library_said: Returns what FFmpeg complained of since the last call.

    Raises:
        SourceError: It cannot be opened; the text says why.
    """
    match address:
        case Rtsp():
            return open_rtsp(address, library_said)
        case Webcam():
            return open_webcam(address)
        case Clip():
            return OpenedClip(address)
        case Folder():
            return OpenedFolder(address, fps)
        case Synthetic():
            # It loads what draws cards and rooms, megabytes that no camera needs.
            from producers.drawn import DrawnScene  # noqa: PLC0415 - only where scenes are drawn

            return DrawnScene(address)
        case Command():
            return OpenedCommand(address)


class Reader:
    """Reads one source, run after run, into a handover.

    Args:
        open_next: Opens the source.
        pace: Which pictures to keep; the others are not even converted.
        handover: Where pictures and events go.
        tally: Where counts go.
        sleep: Waits between attempts.
    """

    def __init__(
        self,
        open_next: Callable[[], Source],
        pace: Pace,
        handover: Handover,
        tally: Tally,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._open = open_next
        self._pace = pace
        self._handover = handover
        self._tally = tally
        self._sleep = sleep
        self._retry = Retry()
        self._damaged_in_a_row = 0
        self._captured_ns = 0
        self.may_stand_still = False
        """Of the source that is open; set before its `Opened` is handed over."""

    def run(self) -> None:
        """Read until the source ends; what is unforeseen is handed over, to be raised there."""
        try:
            while not self._one_run():
                pass
        except Exception as fault:  # noqa: BLE001 - handed over, and raised by the other thread
            self._handover.put(fault)

    def _one_run(self) -> bool:
        """Open and read once; return whether the source came to its end."""
        refused = False
        self._handover.put(Opening())
        try:
            source = self._open()
            try:
                self._read(source)
            finally:
                source.close()
        except SourceEnded as end:
            self._handover.put(Ended(why=str(end)))
            return True
        except SourceError as error:
            refused = isinstance(error, LoginRefused)
            self._handover.put(Gone(why=redact(str(error))))
        self._sleep(self._retry.failed(time.monotonic(), refused=refused))
        return False

    def _read(self, source: Source) -> None:
        self._pace.restart()
        self._damaged_in_a_row = 0
        self.may_stand_still = source.may_stand_still
        self._handover.put(Opened(run=uuid.uuid4().hex, fps=source.fps))
        while True:
            media_ns = source.grab()
            captured_ns = self._stamp()
            self._tally.add("grabbed")
            if not self._pace.keep(media_ns):
                self._tally.add("paced")
                continue
            try:
                image = source.picture()
            except Damaged as error:
                self._damaged(error)
                continue
            self._damaged_in_a_row = 0
            self._retry.succeeded()
            picture = Picture(image, captured_ns, media_ns)
            if self._handover.put(picture, newest_wins=source.live):
                self._tally.add("late")

    def _stamp(self) -> int:
        """Return the time of day; never the same twice, because it names a frame."""
        now = time.time_ns()
        self._captured_ns = now + 1 if now == self._captured_ns else now
        return self._captured_ns

    def _damaged(self, error: Damaged) -> None:
        self._tally.add("unreadable")
        self._damaged_in_a_row += 1
        if self._damaged_in_a_row == 1:
            self._handover.put(Complaint(why=str(error)))
        elif self._damaged_in_a_row >= DAMAGED_IN_A_ROW:
            raise SourceError(f"no picture of many can be used: {error}")
