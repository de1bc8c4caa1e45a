"""Takes the frames that wait through the model, and makes evidence of what it says."""

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any, TypeVar

from numpy.typing import NDArray

from detector_svc.crops import Image
from detector_svc.evidence import Evidence, Found
from detector_svc.eye import Eye
from detector_svc.letterbox import Fit
from detector_svc.metrics import Metrics
from detector_svc.model_watch import ModelWatch
from detector_svc.spool import Spool
from detector_svc.turns import Turn, Turns
from secondlook.adapters.endpoint import Outputs
from secondlook.config import Detector
from secondlook.errors import FrameExpired, ModelError, TritonTimeout, TritonUnavailable
from secondlook.mailbox import Mailbox
from secondlook.messages import FrameRef
from secondlook.portion import Portion

log = logging.getLogger(__name__)

T = TypeVar("T")


@dataclass(slots=True, eq=False)
class _Glimpse:
    """A frame on its way."""

    ref: FrameRef
    turn: Turn
    image: Image
    placed: Fit


class Detecting:
    """Several of its `work` may run at the same time.

    Args:
        settings: The `detector` section.
        eye: The model.
        evidence: What is known of each camera.
        mailbox: The newest frame of each camera; None: the camera is gone.
        model: Told whether the model answers.
        metrics: Where frames are counted.
        spool: Where evidence is kept.
        pool: Threads for what takes processor time.
        tell: Called with a camera after each of its frames.
        gone: Called when a camera is gone, behind its frames.
        deadline_s: After which a call of the model is given up.
    """

    def __init__(
        self,
        settings: Detector,
        eye: Eye,
        evidence: Mapping[str, Evidence],
        mailbox: Mailbox[str, FrameRef | None],
        *,
        model: ModelWatch,
        metrics: Metrics,
        spool: Spool,
        pool: Executor,
        tell: Callable[[str], None],
        gone: Callable[[str], None],
        deadline_s: float,
    ) -> None:
        self._settings = settings
        self._eye = eye
        self._evidence = evidence
        self._mailbox = mailbox
        self._model = model
        self._metrics = metrics
        self._spool = spool
        self._pool = pool
        self._tell = tell
        self._gone = gone
        self._turns = Turns()
        stages = ("fit", "decode", "look", "spool")
        self._stage = {name: metrics.stage.labels(name) for name in stages}
        self._portion = Portion(eye.endpoint.batch, deadline_s)

    async def work(self) -> None:
        """Serve the cameras in turn, for ever."""
        while True:
            waiting = await self._mailbox.take_some(self._portion.size)
            # Places are taken at once: nothing of the same camera may come in between.
            turns = [self._turns.join(camera) for camera, _ in waiting]
            async with contextlib.AsyncExitStack() as places:
                for turn in turns:
                    await places.enter_async_context(turn)
                given = zip(waiting, turns, strict=True)
                frames = [(ref, turn) for (_, ref), turn in given if ref is not None]
                await self._look_at([pair for pair in frames if self._is_fresh(pair[0])])
                for (camera, ref), turn in zip(waiting, turns, strict=True):
                    if ref is None:
                        await turn.come()
                        self._gone(camera)

    def _is_fresh(self, ref: FrameRef) -> bool:
        if not self._model.up:
            self._drop(ref, "triton")
            return False
        if age_s(ref) * 1000 > self._settings.max_age_ms:
            self._drop(ref, "too_old")
            return False
        return True

    async def _look_at(self, frames: Sequence[tuple[FrameRef, Turn]]) -> None:
        """Take frames the whole way, in one call of the model."""
        if not frames:
            return
        endpoint = self._eye.endpoint
        try:
            async with endpoint.slot() as slot:
                glimpses = await self._in_pool(self._fit, frames, slot.images)
                if not glimpses:
                    return
                began_s = time.monotonic()
                with self._metrics.inference.time():
                    outputs = await endpoint.infer(slot, len(glimpses))
                self._portion.answered(time.monotonic() - began_s)
            for turn in [glimpse.turn for glimpse in glimpses]:
                await turn.come()
            seen = await self._in_pool(self._see, glimpses, outputs)
            self._model.answered()
        except (TritonUnavailable, ModelError) as error:
            self._model.failed(error)
            late = isinstance(error, TritonTimeout)
            if late:
                self._portion.given_up(len(frames))
            for ref, _ in frames:
                self._drop(ref, "timeout" if late else "triton")
            return
        for ref, found in seen:
            self._count(ref, found)
            self._tell(ref.camera)

    def _fit(self, frames: Sequence[tuple[FrameRef, Turn]], images: NDArray[Any]) -> list[_Glimpse]:
        """Write the frames that are still there into the model's input, one after the other."""
        glimpses: list[_Glimpse] = []
        for ref, turn in frames:
            try:
                with self._stage["fit"].time():
                    image, placed = self._eye.fit(ref, images[len(glimpses)])
            except FrameExpired:
                self._drop(ref, "expired")
            except ValueError as error:
                self._refuse(ref, error)
            else:
                glimpses.append(_Glimpse(ref, turn, image, placed))
        return glimpses

    def _see(self, glimpses: list[_Glimpse], outputs: Outputs) -> list[tuple[FrameRef, Found]]:
        """Turn an answer into evidence and keep it; frames that cannot be used are left out."""
        seen: list[tuple[FrameRef, Found]] = []
        for row in range(len(glimpses)):
            # Taken out, so that its pixels are given back here: in the event loop all would wait.
            glimpse = glimpses.pop(0)
            try:
                found = self._see_one(glimpse, outputs, row)
            except ValueError as error:
                self._refuse(glimpse.ref, error)
            else:
                if found is not None:
                    seen.append((glimpse.ref, found))
        return seen

    def _see_one(self, glimpse: _Glimpse, outputs: Outputs, row: int) -> Found | None:
        ref, evidence = glimpse.ref, self._evidence[glimpse.ref.camera]
        with self._stage["decode"].time():
            reading = self._eye.read(outputs, row, glimpse.placed, evidence.min_score)
        self._metrics.invalid.inc(reading.invalid)
        self._metrics.limit.inc(reading.limit_reached)
        self._metrics.shed.inc(reading.shed)
        if not evidence.tracker.is_next(ref.run, ref.media_ns):
            self._drop(ref, "not_newer")
            return None
        with self._stage["look"].time():
            found = evidence.see(ref, glimpse.image, reading.detections, age_s(ref) * 1000)
        if found.messages:
            with self._stage["spool"].time():
                for message in found.messages:
                    self._spool.put(message)
        return found

    def _count(self, ref: FrameRef, found: Found) -> None:
        self._metrics.frames.labels(ref.camera).inc()
        self._metrics.detections.labels(ref.camera).inc(found.detections)
        self._metrics.hop.labels("detected").observe(age_s(ref))
        for cause, number in found.looks.items():
            self._metrics.looks.labels(ref.camera, cause).inc(number)
        for cause, number in found.skipped.items():
            self._metrics.skipped.labels(ref.camera, cause).inc(number)

    def _drop(self, ref: FrameRef, cause: str) -> None:
        self._metrics.dropped.labels(ref.camera, cause).inc()

    def _refuse(self, ref: FrameRef, error: ValueError) -> None:
        log.debug("%s cannot be used: %s", ref.id, error)
        self._drop(ref, "invalid")

    async def _in_pool(self, work: Callable[..., T], *arguments: object) -> T:
        """Do processor work on a thread, so that the event loop lives."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, work, *arguments)


def age_s(ref: FrameRef, now_ns: int | None = None) -> float:
    """Return the seconds since capture; never negative, whatever the clocks say.

    Args:
        ref: A frame.
        now_ns: Unix time, where it is not now.
    """
    return max(0, (time.time_ns() if now_ns is None else now_ns) - ref.captured_ns) / 1e9
