"""Captures one camera until its standard input closes: reads an `Order`, writes `Report`s."""

import contextlib
import os
import signal
import sys
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import BinaryIO

import cv2

from producers.capture.handover import Handover, Item, Picture, Tally
from producers.capture.looker import Looker
from producers.capture.reader import Reader, open_source
from producers.pacing import Pace
from producers.reports import (
    Complaint,
    Counted,
    Ended,
    Gone,
    Impossible,
    Opened,
    Opening,
    Order,
    Report,
)
from producers.sources import parse, redact
from secondlook.adapters.frames import FrameWriter
from secondlook.errors import ConfigError, StoreTooSmall

COUNT_EVERY_S = 0.5


class LibraryLog:
    """What C libraries write to standard error, kept instead of printed.

    FFmpeg says there why a stream cannot be opened, and may repeat addresses and passwords.
    """

    def __init__(self) -> None:
        self._lines: deque[str] = deque(maxlen=20)
        ours = os.dup(2)
        sys.stderr = os.fdopen(ours, "w", buffering=1)
        read, write = os.pipe()
        os.dup2(write, 2)
        os.close(write)
        self._pipe = os.fdopen(read, "rb")
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        for line in iter(lambda: self._pipe.readline(4096), b""):
            text = line.decode(errors="replace").strip()
            # `[rtsp @ 0x55…] method DESCRIBE failed: …`: only the end is for people.
            self._lines.append(redact(text.rpartition("] ")[2])[:300])

    def last(self) -> str:
        """Return the last lines and forget them."""
        time.sleep(0.05)  # the pipe's reader may lag behind the library by a moment
        said = "; ".join(list(self._lines)[-3:])
        self._lines.clear()
        return said


def main() -> None:
    """Run until the source ends and the service has gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the service
    reports = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)  # a library that prints must not speak to the service
    order = Order.model_validate_json(sys.stdin.buffer.readline())
    threading.Thread(target=_die_with_the_service, daemon=True).start()
    library = LibraryLog()
    cv2.setNumThreads(1)  # there is a process per camera already
    try:
        _capture(order, partial(_write, reports), library.last)
    except (ConfigError, StoreTooSmall) as error:
        what = "StoreTooSmall" if isinstance(error, StoreTooSmall) else "ConfigError"
        _write(reports, Impossible(what=what, why=str(error)))
    except Exception:  # noqa: BLE001 - said without the address's login, then the process ends
        print(redact(traceback.format_exc()), file=sys.stderr)  # noqa: T201 - the service's log
        sys.exit(1)
    # The frames stay for the detector; the service removes them when it ends.
    threading.Event().wait()


def _capture(
    order: Order, report: Callable[[Report], None], library_said: Callable[[], str]
) -> None:
    handover, tally = Handover(), Tally()
    store = FrameWriter(
        order.directory,
        order.camera,
        order.budget_bytes,
        cameras=order.cameras,
        group_readable=order.group_readable,
    )
    address = parse(order.address)
    opened = partial(open_source, address, order.fps, library_said)
    reader = Reader(opened, Pace(order.fps), handover, tally)
    looker = Looker(order, store, tally, report)
    threading.Thread(target=reader.run, daemon=True).start()
    due_s = time.monotonic()
    while True:
        item = handover.take(COUNT_EVERY_S)
        ended = isinstance(item, Ended)
        if ended or time.monotonic() >= due_s:
            due_s = time.monotonic() + COUNT_EVERY_S
            report(_counted(tally))
        _handle(item, reader, looker, report)
        if ended:
            return


def _handle(
    item: Item | None, reader: Reader, looker: Looker, report: Callable[[Report], None]
) -> None:
    match item:
        case None:
            pass
        case Picture():
            looker.take(item)
        case Opened():
            looker.begin(item, may_stand_still=reader.may_stand_still)
        case Opening() | Gone() | Ended() | Complaint():
            report(item)
        case BaseException():
            raise item


def _counted(tally: Tally) -> Counted:
    counts = tally.take()
    grabbed, seen = counts.pop("grabbed", 0), counts.pop("seen", 0)
    return Counted(grabbed=grabbed, seen=seen, dropped=dict(counts))


def _write(pipe: BinaryIO, report: Report) -> None:
    with contextlib.suppress(BrokenPipeError):  # the service has gone, and we go with it
        pipe.write(report.line())


def _die_with_the_service() -> None:
    while sys.stdin.buffer.read(4096):
        pass
    if os.getpgrp() == os.getpid():
        os.killpg(0, signal.SIGKILL)  # with a decoder that we started
    os._exit(0)


if __name__ == "__main__":
    main()
