"""Keeps crops for review, behind the alerts' back: what is slow or fails here delays nothing."""

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace

import cv2

from classifier_svc.pictures import read_crop
from classifier_svc.review import corrections, difference_hash, excess, is_known, label_for
from secondlook.adapters.review_folder import ReviewFolder
from secondlook.config import Review, slug
from secondlook.errors import Unreadable
from secondlook.messages import Crop, Feedback, Verdict
from secondlook.review_set import Kept, Note, stem_of

log = logging.getLogger(__name__)

WAITING = 100
"""Crops that may wait for the disk, a few megabytes; more are dropped and counted."""
FEEDBACK_WAITING = 1000
SCAN_EVERY_S = 600.0
"""What `secondlook review` and people change in the folder is seen after this."""


@dataclass(frozen=True, slots=True)
class Offer:
    """A judged crop that may be kept."""

    crop: Crop
    verdict: Verdict
    label: str
    alert_label: str | None


class Keeper:
    """Writes the review set in threads, one thing after another.

    Args:
        rule: The `review` section.
        folder: Where it lies.
    """

    def __init__(self, rule: Review, folder: ReviewFolder) -> None:
        self.counts: Counter[str] = Counter()
        """`kept`, `again` (looks like a kept one), `dropped` (the disk is too slow), `failed`
        (the disk took it not), `removed` (made room), `corrected` (by feedback)."""
        self._rule = rule
        self._folder = folder
        self._queue: asyncio.Queue[Offer | Feedback] = asyncio.Queue()
        self._kept: dict[str, Kept] = {}
        self._said: dict[str, Feedback] = {}
        """The newest feedback by alert: an episode may go on after it."""
        self._scanned_s = float("-inf")
        self._disk_is_well = True

    def offer(self, crop: Crop, verdict: Verdict, alert_label: str | None) -> None:
        """Take a judged crop; returns at once.

        Args:
            crop: With its picture.
            verdict: What was said about it.
            alert_label: The label of `verdict.episode`.
        """
        label = label_for(verdict.outcome, slug(verdict.label), self._rule)
        if not self._rule.enabled or label is None:
            return
        if self._queue.qsize() >= WAITING:
            self.counts["dropped"] += 1
            return
        self._queue.put_nowait(Offer(crop, verdict, label, alert_label))

    def tell(self, feedback: Iterable[Feedback]) -> None:
        """Take what people said about alerts; returns at once."""
        if not self._rule.enabled:
            return
        for each in feedback:
            if self._queue.qsize() >= FEEDBACK_WAITING:
                self.counts["dropped"] += 1
                return
            self._queue.put_nowait(each)

    async def run(self) -> None:
        """Write for ever."""
        while True:
            await asyncio.to_thread(self._take, await self._queue.get())

    def _take(self, item: Offer | Feedback) -> None:
        try:
            self._refresh()
            if isinstance(item, Offer):
                self._keep(item)
            else:
                self._correct(item)
        except (OSError, ValueError) as error:
            self._failed(error)
        except (Unreadable, cv2.error) as error:
            log.debug("a crop is not kept: %s", error)
        else:
            if not self._disk_is_well:
                log.info("crops for review are written to %s again", self._folder.path)
            self._disk_is_well = True

    def _failed(self, error: Exception) -> None:
        self.counts["failed"] += 1
        if self._disk_is_well:
            why = error.strerror if isinstance(error, OSError) else error
            log.error("crops for review are not written to %s: %s", self._folder.path, why)
        self._disk_is_well = False

    def _refresh(self) -> None:
        now_s = time.monotonic()
        if now_s - self._scanned_s < SCAN_EVERY_S:
            return
        self._kept = {each.stem: each for each in self._folder.scan()}
        self._folder.sweep()
        self._scanned_s = now_s
        self._make_room()

    def _make_room(self) -> None:
        for each in excess(list(self._kept.values()), self._rule, time.time_ns()):
            self._folder.remove(each)
            del self._kept[each.stem]
            self.counts["removed"] += 1

    def _keep(self, offer: Offer) -> None:
        crop, verdict = offer.crop, offer.verdict
        hash_ = difference_hash(read_crop(crop.jpeg))
        note = Note.of(crop, verdict, slug(verdict.label), offer.alert_label, hash_)
        if is_known(note, offer.label, self._kept.values(), self._rule.min_distance):
            self.counts["again"] += 1
            self._tie(note)
            return
        stem = stem_of(crop)
        self._kept[stem] = self._folder.add(offer.label, stem, crop.jpeg, note)
        self.counts["kept"] += 1
        self._make_room()
        if note.alert in self._said:
            self._correct(self._said[note.alert])

    def _tie(self, note: Note) -> None:
        """Let an alert find a crop of its track that was kept before the alert had begun."""
        mine = [k for k in self._kept.values() if k.note and k.note.track == note.track]
        if note.alert is None or any(k.note and k.note.alert == note.alert for k in mine):
            return
        for each in reversed(mine):
            if each.note and each.note.alert is None and each.note.outcome == "confirmed":
                known = {"alert": note.alert, "alert_label": note.alert_label}
                self._put(each, each.label, each.note.model_copy(update=known))
                return

    def _correct(self, feedback: Feedback) -> None:
        self._said.pop(feedback.id, None)
        self._said[feedback.id] = feedback
        if len(self._said) > FEEDBACK_WAITING:
            del self._said[next(iter(self._said))]
        for move in corrections(list(self._kept.values()), feedback):
            self._put(move.kept, move.label, move.note)
            self.counts["corrected"] += 1

    def _put(self, kept: Kept, label: str, note: Note) -> None:
        try:
            self._folder.move(kept, label, note)
        except FileNotFoundError:
            # Somebody was quicker; the next scan shows what he did.
            del self._kept[kept.stem]
        else:
            self._kept[kept.stem] = replace(kept, label=label, note=note)
