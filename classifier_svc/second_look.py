"""Takes waiting crops to the model and its answers to the desk; knows what to do without one."""

import asyncio
import logging
import time
from collections.abc import Sequence

from classifier_svc.alerts import milliseconds
from classifier_svc.desk import Desk, Judged
from classifier_svc.eye import Answer, Eye
from classifier_svc.inbox import Inbox
from classifier_svc.keeper import Keeper
from classifier_svc.looks import Look
from classifier_svc.metrics import Metrics
from classifier_svc.outage import Outage
from classifier_svc.verdict import judge
from classifier_svc.waiting import Entry
from secondlook import topics
from secondlook.adapters.bus import Bus
from secondlook.adapters.triton import Triton
from secondlook.backoff import Backoff
from secondlook.config import Config, slug
from secondlook.errors import (
    DatabaseError,
    ModelError,
    TritonTimeout,
    TritonUnavailable,
    Unreadable,
)
from secondlook.messages import Classified, Crop, DeadLetter, Latency, moment_of
from secondlook.service import Health

log = logging.getLogger(__name__)

SECOND = 1_000_000_000
START_S = 10.0
"""A model that is there sooner has not been away: server and services start together."""
PROBE_S = 2.0
"""While the model is away and no crop waits, it is asked this often."""
LONGEST_PAUSE_S = 2.0
MOST_UNVERIFIED = 500
"""Waiting crops that are looked through for alerts that pass unverified, at one time."""
FIRST_BYTES = 256


class SecondLook:
    """The loop from the inbox through the model to the desk.

    Args:
        config: The whole configuration.
        health: Told whether the model answers.
        bus: Where verdicts go.
        triton: Open.
        inbox: Loaded.
        desk: Restored before `run`.
        keeper: Offered every judged crop.
        metrics: Where looks are counted.
    """

    def __init__(
        self,
        config: Config,
        health: Health,
        *,
        bus: Bus,
        triton: Triton,
        inbox: Inbox,
        desk: Desk,
        keeper: Keeper,
        metrics: Metrics,
    ) -> None:
        self._config = config
        self._settings = config.classifier
        self._health = health
        self._bus = bus
        self._triton = triton
        self._inbox = inbox
        self._desk = desk
        self._keeper = keeper
        self._metrics = metrics
        self._outage = Outage()
        self._backoff = Backoff(longest_s=LONGEST_PAUSE_S)
        self._letter_at_s = float("-inf")
        self.model_up = False
        """Whether the model answers."""

    async def run(self) -> None:
        """Judge for ever.

        Raises:
            ModelMismatch: The model cannot be used.
            ConfigError: It does not know the labels that shall alert.
        """
        eye = await self._meet()
        while True:
            try:
                if not await self._step(eye):
                    await self._rest(eye)
            except (TritonUnavailable, ModelError) as error:
                await self._without_model(error)
                await asyncio.sleep(self._backoff.next_s())
            except DatabaseError as error:
                log.warning("waiting crops cannot be read: %s", error)
                await asyncio.sleep(self._backoff.next_s())

    async def _meet(self) -> Eye:
        """Wait for the model; what waits for a verdict is not forgotten meanwhile."""
        away = TritonUnavailable(f"waiting for {self._settings.model} at {self._config.triton.url}")
        self._health.set("triton", ok=False, why=str(away))
        loop = asyncio.get_running_loop()
        patient_until_s = loop.time() + START_S
        meeting = asyncio.create_task(self._found_fit())
        try:
            while not meeting.done():
                if loop.time() > patient_until_s:
                    await self._without_model(away)
                await self._take_out_what_is_over()
                await asyncio.wait({meeting}, timeout=1.0)
            eye = meeting.result()
        finally:
            meeting.cancel()
        await self._answered()
        return eye

    async def _found_fit(self) -> Eye:
        settings = self._settings
        endpoint = await self._triton.model(
            settings.model,
            overrides=settings.parameters,
            in_flight=2,
            version=settings.version,
            batch=settings.max_batch,
            answers="labels",
        )
        deadline_s = self._config.triton.deadline_s
        eye = Eye(endpoint, self._config.alerts, self._metrics, deadline_s)
        while True:
            try:
                await endpoint.check()
            except TritonUnavailable as error:
                log.warning("the model cannot be tried yet: %s", error)
                await asyncio.sleep(PROBE_S)
            else:
                spec = endpoint.spec
                log.info("judging with %s version %s", spec.name, spec.version)
                return eye

    async def _step(self, eye: Eye) -> bool:
        """Judge one batch; return whether there was anything to do."""
        self._inbox.filled.clear()
        await self._take_out_what_is_over()
        entries = self._inbox.waiting.next_crops(eye.portion.size, self._desk.is_urgent)
        if not entries:
            return False
        crops = await self._inbox.crops(entries)
        lost = [entry for entry in entries if entry.key not in crops]
        await self._desk.shed(lost, "lost", model_up=self.model_up)
        found = [entry for entry in entries if entry.key in crops]
        if not found:
            return True
        answers = await eye.look([crops[entry.key] for entry in found])
        await self._answered()
        await self._take(eye, found, [crops[entry.key] for entry in found], answers)
        return True

    async def _take_out_what_is_over(self) -> None:
        """Shed what is too old, and let the markers speak that have nothing before them."""
        await self._desk.shed(self._inbox.overdue(), "too_old", model_up=self.model_up)
        if self._inbox.waiting.ready_markers():
            await self._desk.decide([], model_up=self.model_up)

    async def _rest(self, eye: Eye) -> None:
        """Wait for crops; ask a model that was away whether it is back."""
        try:
            async with asyncio.timeout(None if self._outage.since_s is None else PROBE_S):
                await self._inbox.filled.wait()
        except TimeoutError:
            await eye.probe()
            await self._answered()

    async def _take(
        self, eye: Eye, entries: Sequence[Entry], crops: Sequence[Crop], answers: Sequence[Answer]
    ) -> None:
        judged: list[Judged] = []
        readable: list[Crop] = []
        unreadable: list[Entry] = []
        for entry, crop, answer in zip(entries, crops, answers, strict=True):
            if isinstance(answer, Unreadable):
                unreadable.append(entry)
                self._bury(crop, str(answer))
            else:
                judged.append(self._judged(eye, entry, crop, answer))
                readable.append(crop)
        await self._desk.shed(unreadable, "unreadable", model_up=self.model_up)
        verdicts = await self._desk.decide(judged, model_up=self.model_up)
        for crop, verdict in zip(readable, verdicts, strict=True):
            self._metrics.verdicts.labels(verdict.outcome, slug(verdict.label)).inc()
            self._bus.send(topics.VERDICTS, verdict, camera=verdict.camera)
            self._keeper.offer(crop, verdict, self._desk.label_of(verdict))

    def _judged(self, eye: Eye, entry: Entry, crop: Crop, answer: Answer) -> Judged:
        spec, now_ns = eye.endpoint.spec, time.time_ns()
        scores = answer if isinstance(answer, dict) else None
        judgement = judge(scores, self._desk.rule_of(crop.camera), spec.parameters)
        if scores is None:
            self._metrics.unusable.inc()
        classified = Classified(
            model=spec.name,
            version=spec.version,
            scores=scores or dict.fromkeys(spec.parameters.labels or (), 0.0),
        )
        since_ms = milliseconds(crop.frame.captured_ns, now_ns)
        self._metrics.hop.labels("classified").observe(since_ms / 1000)
        look = Look(
            id=crop.id,
            track=crop.track,
            frame=crop.frame,
            box=crop.box,
            detector=crop.detector,
            classifier=classified,
            outcome=judgement.outcome,
            label=slug(judgement.label),
            score=judgement.score,
            latency=Latency(
                detected=crop.detected_ms,
                received=milliseconds(crop.frame.captured_ns, entry.received_ns),
                classified=since_ms,
                decided=since_ms,
            ),
            late=self._outage.is_late(entry.seq, crop.frame.captured_ns, now_ns),
        )
        return Judged(entry, look, judgement)

    def _bury(self, crop: Crop, why: str) -> None:
        """Tell operators of a crop that is no picture, at most once a second."""
        self._metrics.dead_letters.inc()
        now_s = asyncio.get_running_loop().time()
        if now_s - self._letter_at_s < 1:
            return
        self._letter_at_s = now_s
        letter = DeadLetter(
            topic=topics.CROPS.path(self._config.mqtt.root, camera=crop.camera),
            reason=f"{crop.id}: {why}"[:1000],
            size=len(crop.jpeg),
            first_bytes=crop.jpeg[:FIRST_BYTES],
            at=moment_of(time.time_ns()),
        )
        self._bus.send(topics.DEAD_LETTERS, letter, service="classifier")

    async def _answered(self) -> None:
        self._backoff.reset()
        self.model_up = True
        self._health.set("triton", ok=True)
        if self._outage.answered():
            await self._desk.model_changed(up=True)

    async def _without_model(self, error: TritonUnavailable | ModelError) -> None:
        """Note that the model did not answer, and do what the configuration says then."""
        kinds = {TritonTimeout: "timeout", ModelError: "model"}
        self._metrics.failures.labels(kinds.get(type(error), "unavailable")).inc()
        now_s = asyncio.get_running_loop().time()
        waiting = self._inbox.waiting.crops()
        newest = max((entry.seq for entry in waiting), default=0)
        if self._outage.failed(now_s, newest):
            self.model_up = False
            self._metrics.outages.inc()
            self._health.set("triton", ok=False, why=str(error))
            await self._desk.model_changed(up=False)
        silent_s = self._outage.silent_s(now_s)
        if self._settings.when_model_down == "hold" or silent_s < self._settings.unverified_after_s:
            return
        entries = [entry for entry in waiting if self._desk.lacks_episode(entry)]
        try:
            crops = await self._inbox.crops(entries[:MOST_UNVERIFIED])
        except DatabaseError as broken:
            log.warning("waiting crops cannot be read: %s", broken)
        else:
            await self._desk.model_silent([_unseen(crop) for crop in crops.values()], silent_s)


def _unseen(crop: Crop) -> Look:
    """Return a crop that waits as a look without a classifier."""
    now_ms = milliseconds(crop.frame.captured_ns, time.time_ns())
    return Look(
        id=crop.id,
        track=crop.track,
        frame=crop.frame,
        box=crop.box,
        detector=crop.detector,
        classifier=None,
        outcome="uncertain",
        label=slug(crop.detector.label),
        score=crop.detector.score,
        latency=Latency(detected=crop.detected_ms, received=crop.detected_ms, decided=now_ms),
    )
