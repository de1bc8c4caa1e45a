"""The synthetic camera: scenes that nobody recorded."""

import numpy as np
from numpy.typing import NDArray

from producers.clips import SECOND_NS, Playback
from producers.scenes import SyntheticScene
from producers.sources import SourceEnded, Synthetic
from secondlook.errors import SourceError

SCENE_FPS = 10.0


class DrawnScene:
    """The synthetic camera as a `Source`."""

    may_stand_still = True

    def __init__(self, address: Synthetic) -> None:
        self.fps: float | None = address.fps or SCENE_FPS
        self.live = address.realtime
        self._interval_ns = SECOND_NS / self.fps
        self._seconds = address.seconds
        self._playback = Playback(realtime=address.realtime)
        try:
            self._scene = SyntheticScene(
                address.seed, address.width, address.height, self.fps, address.labels or None
            )
        except ValueError as error:
            raise SourceError(f"synthetic: {error}") from error
        self._index = -1

    def grab(self) -> int:
        """Wait until it is time for the next picture."""
        self._index += 1
        at_ns = round(self._index * self._interval_ns)
        if self._seconds is not None and at_ns >= self._seconds * SECOND_NS:
            raise SourceEnded(f"the scene ended: {self._index} pictures")
        self._playback.wait_for(at_ns)
        return at_ns

    def picture(self) -> NDArray[np.uint8]:
        """Draw it."""
        return self._scene.frame(self._index)

    def close(self) -> None:
        """Nothing is open."""
