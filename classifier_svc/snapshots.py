"""The pictures of an alert: from its frame, else from its crop, else a note that it is gone."""

import logging
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, tzinfo

import cv2
import numpy as np

from classifier_svc.drawing import Caption, annotated
from classifier_svc.episodes import UNVERIFIED, Changed
from classifier_svc.looks import Look
from classifier_svc.pictures import Image, Pictures, encode, read_crop
from secondlook import config
from secondlook.adapters.frames import FrameReader
from secondlook.config import slug
from secondlook.errors import FrameExpired, Unreadable
from secondlook.messages import Box
from secondlook.shrinking import shrunk

log = logging.getLogger(__name__)

KB = 1000
NOTE_SIZE = (360, 640)
"""Height and width of the picture of an alert that has no other."""
NOTE_GREY = 96
WARM_BOX = Box(x1=100, y1=100, x2=300, y2=300)
NOTES = {"crop": "cut-out: the frame was gone", "none": "the picture was gone"}


class Snapshots:
    """Draws snapshots; takes processor time, so call it in a thread.

    Args:
        frames: The frame store.
        rule: The `snapshots` section.
        zone: In which the time is written.
    """

    def __init__(self, frames: FrameReader, rule: config.Snapshots, zone: tzinfo) -> None:
        self.counts: Counter[str] = Counter()
        """By where the picture came from: `frame`, `crop` or `none`."""
        self.keep = rule.keep
        """Whether pictures are kept with their alerts."""
        self._frames = frames
        self._rule = rule
        self._zone = zone

    def warm_up(self) -> None:
        """Draw one for nobody: the first of a process takes ten times as long as the next."""
        self._drawn(np.zeros((720, 1280, 3), np.uint8), WARM_BOX, Caption("warm", ["up"]), "")

    def frame(self, shown: Look) -> Image | None:
        """Return the frame of a look while it is there, mapped: this costs next to nothing."""
        try:
            return self._frames.read(shown.frame)
        except FrameExpired as error:
            # Whatever is wrong with a picture must not keep its alert from being said.
            log.debug("the snapshot is drawn from the crop: %s", error)
            return None

    def needs_crop(self, frame: Image | None) -> bool:
        """Tell whether `draw` uses the crop too."""
        return frame is None or self._rule.crop

    def draw(self, change: Changed, frame: Image | None, crop: bytes | None) -> Pictures:
        """Return the pictures of an episode.

        Args:
            change: Its `shown` look is drawn.
            frame: Of that look, if it is still there.
            crop: The JPEG of that look's crop, if it is needed and still there.
        """
        shown, name = change.episode.shown, change.episode.snapshot_id
        cut_out = _cut_out(crop)
        best = frame if frame is not None else cut_out
        source = "frame" if frame is not None else "none" if cut_out is None else "crop"
        self.counts[source] += 1
        caption = self._caption(change, NOTES.get(source))
        box = shown.box if frame is not None else None
        return Pictures(
            self._drawn(best, box, caption, name),
            crop=self._plain(cut_out, name) if self._rule.crop else None,
            clean=self._plain(best, name) if self._rule.clean else None,
        )

    def _caption(self, change: Changed, note: str | None) -> Caption:
        episode, shown = change.episode, change.episode.shown
        found = f"found as {slug(shown.detector.label)} {shown.detector.score:.2f}"
        seen = [f"{episode.label} {shown.score:.2f}", found]
        if episode.status == UNVERIFIED:
            seen = [UNVERIFIED, found]
        parts = [shown.frame.camera, self._when(shown.frame.captured_ns), *seen[1:]]
        return Caption(seen[0], [*parts, note] if note else parts)

    def note(self, text: str, camera: str, unix_ns: int, snapshot_id: str) -> bytes:
        """Return a grey picture with a text, for an alert that has no other."""
        return self._drawn(None, None, Caption(text, [camera, self._when(unix_ns)]), snapshot_id)

    def _when(self, unix_ns: int) -> str:
        moment = datetime.fromtimestamp(unix_ns // 1_000_000_000, UTC).astimezone(self._zone)
        return f"{moment:%Y-%m-%d %H:%M:%S %Z}"

    def _drawn(self, image: Image | None, box: Box | None, caption: Caption, name: str) -> bytes:
        ground = np.full((*NOTE_SIZE, 3), NOTE_GREY, np.uint8) if image is None else image
        return self._encoded(lambda width: annotated(ground, box, caption, width), name)

    def _plain(self, image: Image | None, name: str) -> bytes:
        if image is None:
            return b""
        return self._encoded(lambda width: shrunk(image, width), name)

    def _encoded(self, paint: Callable[[int], Image], name: str) -> bytes:
        return encode(paint, self._rule.max_width, self._rule.max_kb * KB, name)


def _cut_out(crop: bytes | None) -> Image | None:
    try:
        return None if crop is None else read_crop(crop)
    except (Unreadable, cv2.error):
        return None
