"""What happens to a picture before it is announced: shrink, mask, sift, store. One thread."""

import time
from collections.abc import Callable
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from producers.blank import BlankWatch
from producers.capture.handover import Picture, Tally
from producers.motion import MotionGate
from producers.polygons import fill
from producers.reports import Blind, Captured, Opened, Order, Report, Seeing
from secondlook.errors import StoreFull
from secondlook.messages import FrameRef
from secondlook.shrinking import shrunk

FULL_AFTER_S = 3.0
"""A store that has taken nothing for so long makes the camera blind."""


class Store(Protocol):
    """Where frames go."""

    def write(self, ref: FrameRef, image: NDArray[np.uint8]) -> None:
        """Keep a frame.

        Raises:
            StoreFull: There is no room now.
            StoreTooSmall: There never will be.
        """


class Looker:
    """Takes the pictures of one camera, run after run.

    Args:
        order: The camera.
        store: Where frames go.
        tally: Where counts go.
        report: Tells the service.
        now_s: A monotonic clock.
    """

    def __init__(
        self,
        order: Order,
        store: Store,
        tally: Tally,
        report: Callable[[Report], None],
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._order = order
        self._store = store
        self._tally = tally
        self._report = report
        self._now_s = now_s
        self._gate = MotionGate(order.motion, order.zones) if order.motion.enabled else None
        self._blank = BlankWatch(order.blank_after_s)
        self._run = ""
        self._sequence = 0
        self._full_since_s: float | None = None
        self._blind = ""

    def begin(self, opened: Opened, *, may_stand_still: bool) -> None:
        """A new run begins."""
        self._run, self._sequence, self._blind = opened.run, 0, ""
        self._full_since_s = None
        self._blank = BlankWatch(self._order.blank_after_s, may_stand_still)
        if self._gate is not None:
            self._gate.restart()
        self._report(opened)

    def take(self, picture: Picture) -> None:
        """Store and report a picture that is worth it.

        Raises:
            StoreTooSmall: The store can never hold this camera's frames.
        """
        image = self._retouched(picture.image)
        why = self._blank.blind(image, picture.media_ns)
        self._tally.add("seen")
        if why is not None:
            self._tally.add("blank")
        elif self._gate is not None and not self._gate.passes(image, picture.media_ns):
            self._tally.add("motion")
        else:
            why = self._stored(picture, image)
        self._say(why or "")

    def _retouched(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        widest = self._order.max_width
        if widest is not None and image.shape[1] > widest:
            image = shrunk(image, widest)
        # Before anything else looks at it, and before it leaves this process.
        fill(image, self._order.masks, 0)
        return image

    def _stored(self, picture: Picture, image: NDArray[np.uint8]) -> str | None:
        """Store and report; return why nothing is seen when the store is full for long."""
        height, width = image.shape[:2]
        ref = FrameRef(
            id=f"{self._order.camera}-{picture.captured_ns}",
            camera=self._order.camera,
            run=self._run,
            sequence=self._sequence,
            captured_ns=picture.captured_ns,
            media_ns=picture.media_ns,
            width=width,
            height=height,
        )
        try:
            self._store.write(ref, image)
        except StoreFull as error:
            self._tally.add("store_full")
            if self._full_since_s is None:
                self._full_since_s = self._now_s()
            return str(error) if self._now_s() - self._full_since_s >= FULL_AFTER_S else None
        self._full_since_s = None
        self._sequence += 1
        # The camera is said to see again before its first frame is announced.
        self._say("")
        self._report(Captured(ref=ref))
        return None

    def _say(self, why: str) -> None:
        if why != self._blind:
            self._blind = why
            self._report(Blind(why=why) if why else Seeing())
