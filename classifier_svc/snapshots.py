"""The picture of an alert: from its frame, else from its crop, else a note that it is gone."""

import logging
from collections import Counter

import cv2

from classifier_svc.episodes import Changed
from classifier_svc.pictures import placeholder, read_crop, snapshot
from secondlook.adapters.frames import FrameReader
from secondlook.errors import FrameExpired, Unreadable

log = logging.getLogger(__name__)


class Snapshots:
    """Draws snapshots; takes processor time, so call it in a thread.

    Args:
        frames: The frame store.
    """

    def __init__(self, frames: FrameReader) -> None:
        self.counts: Counter[str] = Counter()
        """By where the picture came from: `frame`, `crop` or `none`."""
        self._frames = frames

    def draw(self, change: Changed, crop: bytes | None) -> bytes:
        """Return the snapshot of an episode as JPEG.

        Args:
            change: Its `shown` look is drawn.
            crop: The JPEG of that look's crop, if it is still there.
        """
        episode, shown = change.episode, change.episode.shown
        text = f"{episode.label} {shown.score:.2f}"
        try:
            image = self._frames.read(shown.frame)
            drawn = snapshot(image, shown.box, text, episode.snapshot_id)
        except (FrameExpired, cv2.error) as error:
            # Whatever is wrong with a picture must not keep its alert from being said.
            log.debug("the snapshot is drawn from the crop: %s", error)
        else:
            self.counts["frame"] += 1
            return drawn
        try:
            drawn = snapshot(read_crop(crop or b""), None, text, episode.snapshot_id)
        except (Unreadable, cv2.error):
            self.counts["none"] += 1
            return placeholder(f"{text} (picture gone)", episode.snapshot_id)
        self.counts["crop"] += 1
        return drawn
