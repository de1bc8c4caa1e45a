"""Takes what people say that alerts really were: stored, counted, passed on to the review set."""

import logging
import time
from collections.abc import Collection

from classifier_svc import records
from classifier_svc.keeper import FEEDBACK_WAITING, Keeper
from classifier_svc.metrics import Metrics
from secondlook import topics
from secondlook.adapters.bus import Bus
from secondlook.adapters.database import Database
from secondlook.errors import DatabaseError
from secondlook.messages import Feedback

log = logging.getLogger(__name__)

TRUTHS = ("true_alarm", "false_alarm")


class FeedbackBox:
    """Hears `feedback`.

    Args:
        cameras: The configured ones.
        bus: Not open yet.
        database: Open.
        keeper: Told what alerts really were.
        metrics: Where it is counted.
    """

    def __init__(
        self,
        cameras: Collection[str],
        *,
        bus: Bus,
        database: Database,
        keeper: Keeper,
        metrics: Metrics,
    ) -> None:
        self._cameras = cameras
        self._heard = bus.subscribe(topics.FEEDBACK, manual_ack=True)
        self._database = database
        self._keeper = keeper
        self._metrics = metrics
        self._stale = True

    async def restore(self) -> None:
        """Take up what was said before a crash, or to a full disk.

        Raises:
            DatabaseError: It cannot be read.
        """
        # What has been done already changes nothing.
        self._keeper.tell(
            await self._database.read(lambda db: records.newest_feedback(db, FEEDBACK_WAITING))
        )

    async def hear(self) -> None:
        """Store feedback for ever; a message is acknowledged once it is stored."""
        async for delivery in self._heard:
            feedback = delivery.message
            camera = feedback.id.rpartition("-")[0]
            # Not by any name that comes: rubbish must not grow the metrics without bound.
            camera = camera if camera in self._cameras else ""
            self._metrics.feedback.labels(camera, await self._store(feedback)).inc()
            # Also where it could not be stored: the files do not need the database.
            self._keeper.tell([feedback])
            delivery.ack()

    async def _store(self, feedback: Feedback) -> str:
        """Return what it was: `recorded`, `again`, `unknown`, or `lost`."""
        now_ns = time.time_ns()
        try:
            known, fresh = await self._database.write(
                lambda db: records.add_feedback(db, feedback, now_ns)
            )
        except DatabaseError as error:
            log.warning("feedback on %s could not be stored: %s", feedback.id, error)
            return "lost"
        if not known:
            log.info("feedback on %s: no such alert is kept", feedback.id)
            return "unknown"
        self._stale |= fresh
        return "recorded" if fresh else "again"

    def forgotten(self) -> None:
        """Tell that rows have been deleted."""
        self._stale = True

    async def count(self) -> None:
        """Show how many alerts were right, if that has changed.

        Raises:
            DatabaseError: It cannot be read.
        """
        if not self._stale:
            return
        counts = await self._database.read(records.judged)
        for camera in self._cameras:
            for truth in TRUTHS:
                self._metrics.judged.labels(camera, truth).set(counts.get((camera, truth), 0))
        self._stale = False
