"""The detector at work: newest frames in, evidence out."""

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable
from concurrent.futures import Executor
from typing import Any, TypeVar

from numpy.typing import NDArray

from detector_svc.crops import Image
from detector_svc.evidence import Evidence, Found
from detector_svc.eye import Eye
from detector_svc.letterbox import Fit
from detector_svc.metrics import Metrics
from detector_svc.model_watch import ModelWatch
from detector_svc.sender import Sender
from detector_svc.spool import Spool
from detector_svc.tracks import LONGEST_GAP_NS
from detector_svc.turns import Turn, Turns
from secondlook import topics
from secondlook.adapters.bus import Bus
from secondlook.adapters.endpoint import Endpoint, Outputs
from secondlook.adapters.frames import FrameReader
from secondlook.adapters.triton import Triton
from secondlook.config import Config
from secondlook.errors import FrameExpired, ModelError, TritonTimeout, TritonUnavailable
from secondlook.mailbox import Mailbox
from secondlook.messages import FrameRef
from secondlook.service import Context, publish_stats, watch_disk

log = logging.getLogger(__name__)

T = TypeVar("T")
GOODBYE_S = 1.0
"""What stopping waits for the last messages to leave; the spool sends the rest next time."""
TICK_S = 1.0


class Service:
    """The detector, built from its parts; `run` it.

    Args:
        config: The whole configuration.
        context: Health and metrics.
        bus: Open.
        triton: Open.
        frames: Where the pictures are.
        spool: Where evidence is kept.
        pool: Threads for what takes processor time.
        instance: Makes track ids unique over restarts: lower-case letters and digits.
    """

    def __init__(
        self,
        config: Config,
        context: Context,
        *,
        bus: Bus,
        triton: Triton,
        frames: FrameReader,
        spool: Spool,
        pool: Executor,
        instance: str,
    ) -> None:
        self._config = config
        self._context = context
        self._bus = bus
        self._triton = triton
        self._frames = frames
        self._spool = spool
        self._pool = pool
        self._instance = instance
        self._sender = Sender(bus, spool, pool)
        self._metrics = Metrics(context.registry)
        self._metrics.watch(spool, self._sender)
        for camera in config.cameras:
            self._metrics.begin(camera)
        self._mailbox: Mailbox[str, FrameRef | None] = Mailbox()
        """The newest frame of each camera; None: the camera is gone."""
        self._turns = Turns()
        self._model = ModelWatch(self._model_changed)
        self._evidence: dict[str, Evidence] = {}
        self._frame_at_s: dict[str, float] = {}

    async def run(self) -> None:
        """Work until cancelled.

        Raises:
            ModelMismatch: The model cannot be used; also later, if another one takes its place.
            ConfigError: A setting does not fit the model.
        """
        self._bus.on_connect(self._greet)
        watch_disk(self._context, spool=self._config.detector.spool.directory)
        self._context.health.expect("broker")
        self._context.health.set("triton", ok=False, why=f"waiting for {self._triton.url}")
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._hear_frames(), name="frames")
                group.create_task(self._hear_cameras(), name="camera statuses")
                group.create_task(self._hear_services(), name="service statuses")
                group.create_task(self._sender.run(), name="sender")
                group.create_task(publish_stats(self._bus, self._context), name="stats")
                group.create_task(self._tick(), name="tick")
                group.create_task(self._detect(), name="detect")
        finally:
            await self._say_goodbye()

    async def _greet(self) -> None:
        self._say_model_status()
        self._sender.begin_again()

    async def _hear_frames(self) -> None:
        async for delivery in self._bus.subscribe(topics.FRAMES):
            ref = delivery.message
            if ref.camera not in self._config.cameras:
                # Not by its name: rubbish must not grow the metrics without bound.
                self._metrics.dropped.labels("", "unknown_camera").inc()
                continue
            self._metrics.hop.labels("received").observe(_age_s(ref, delivery.received_ns))
            self._frame_at_s[ref.camera] = asyncio.get_running_loop().time()
            if self._mailbox.put(ref.camera, ref) is not None:
                self._metrics.dropped.labels(ref.camera, "overwritten").inc()

    async def _hear_cameras(self) -> None:
        async for delivery in self._bus.subscribe(topics.CAMERA_STATUS):
            if delivery.message == "offline":
                self._camera_is_gone(delivery.levels["camera"])

    async def _hear_services(self) -> None:
        async for delivery in self._bus.subscribe(topics.STATUS):
            back = delivery.message == "online" and not delivery.retained
            if back and delivery.levels["service"] == "classifier":
                # What it had taken from the broker but not yet stored is gone.
                self._sender.begin_again()

    async def _tick(self) -> None:
        """Say whether there is a broker; end the tracks of a camera that sends nothing more."""
        while True:
            connected = self._bus.connected
            why = "" if connected else "not connected"
            self._context.health.set("broker", ok=connected, why=why)
            for camera, evidence in self._evidence.items():
                silent_s = asyncio.get_running_loop().time() - self._frame_at_s.get(camera, 0)
                if len(evidence.tracker) and silent_s * 1e9 > LONGEST_GAP_NS:
                    self._camera_is_gone(camera)
            await asyncio.sleep(TICK_S)

    def _camera_is_gone(self, camera: str) -> None:
        if camera in self._evidence and len(self._evidence[camera].tracker):
            # In the frames' own queue: behind those that came before, undone by one that follows.
            self._mailbox.put(camera, None)

    async def _detect(self) -> None:
        settings = self._config.detector
        endpoint = await self._triton.model(
            settings.model,
            overrides=settings.parameters,
            in_flight=settings.in_flight,
            version=settings.version,
            batch=1,
            answers="boxes",
        )
        eye = Eye.of(endpoint, self._frames, settings)
        await self._check(endpoint)
        for camera in self._config.cameras:
            self._evidence[camera] = Evidence(camera, self._config, endpoint.spec, self._instance)
        self._model.answered()
        log.info("detecting with %s version %s", endpoint.spec.name, endpoint.spec.version)
        async with asyncio.TaskGroup() as group:
            group.create_task(self._model.keep_asking(endpoint), name="model watch")
            for number in range(settings.in_flight):
                group.create_task(self._work(eye), name=f"worker {number}")

    async def _check(self, endpoint: Endpoint) -> None:
        """Try the model with known pictures, as soon as Triton answers."""
        while True:
            try:
                return await endpoint.check()
            except TritonUnavailable as error:
                log.warning("the model cannot be tried yet: %s", error)
                await asyncio.sleep(TICK_S)

    async def _work(self, eye: Eye) -> None:
        while True:
            camera, ref = await self._mailbox.take()
            async with self._turns.join(camera) as turn:
                if ref is None:
                    await turn.come()
                    self._end_tracks(camera)
                    continue
                cause = await self._look_at(ref, eye, turn)
                if cause is not None:
                    self._metrics.dropped.labels(camera, cause).inc()

    async def _look_at(self, ref: FrameRef, eye: Eye, turn: Turn) -> str | None:
        """Take a frame the whole way; return why it was dropped, if it was."""
        if not self._model.up:
            return "triton"
        if _age_s(ref, time.time_ns()) * 1000 > self._config.detector.max_age_ms:
            return "too_old"
        try:
            async with eye.endpoint.slot() as slot:
                image, placed = await self._in_pool(self._fit, ref, eye, slot.images[0])
                with self._metrics.inference.time():
                    outputs = await eye.endpoint.infer(slot, 1)
            await turn.come()
            found = await self._in_pool(self._see, ref, eye, image, placed, outputs)
            self._model.answered()
        except FrameExpired:
            return "expired"
        except (TritonUnavailable, ModelError) as error:
            self._model.failed(error)
            return "timeout" if isinstance(error, TritonTimeout) else "triton"
        except ValueError as error:
            log.debug("%s cannot be used: %s", ref.id, error)
            return "invalid"
        if found is not None:
            self._count(ref, found)
            self._tell(ref.camera)
        return None if found is not None else "not_newer"

    def _fit(self, ref: FrameRef, eye: Eye, out: NDArray[Any]) -> tuple[Image, Fit]:
        with self._metrics.stage.labels("fit").time():
            return eye.fit(ref, out)

    def _see(
        self, ref: FrameRef, eye: Eye, image: Image, placed: Fit, outputs: Outputs
    ) -> Found | None:
        """Turn an answer into evidence and keep it; None if a newer frame has been seen."""
        evidence = self._evidence[ref.camera]
        with self._metrics.stage.labels("decode").time():
            reading = eye.read(outputs, placed, evidence.min_score)
        self._metrics.invalid.inc(reading.invalid)
        self._metrics.limit.inc(reading.limit_reached)
        self._metrics.shed.inc(reading.shed)
        if not evidence.tracker.is_next(ref.run, ref.media_ns):
            return None
        with self._metrics.stage.labels("look").time():
            detected_ms = _age_s(ref, time.time_ns()) * 1000
            found = evidence.see(ref, image, reading.detections, detected_ms)
        with self._metrics.stage.labels("spool").time():
            for message in found.messages:
                self._spool.put(message)
        return found

    def _count(self, ref: FrameRef, found: Found) -> None:
        self._metrics.frames.labels(ref.camera).inc()
        self._metrics.detections.labels(ref.camera).inc(found.detections)
        self._metrics.hop.labels("detected").observe(_age_s(ref, time.time_ns()))
        for cause, number in found.looks.items():
            self._metrics.looks.labels(ref.camera, cause).inc(number)
        for cause, number in found.skipped.items():
            self._metrics.skipped.labels(ref.camera, cause).inc(number)

    def _tell(self, camera: str, *, at_once: bool = False) -> None:
        """Let the sender send what is new of a camera."""
        evidence = self._evidence[camera]
        self._metrics.tracks.labels(camera).set(len(evidence.tracker))
        self._sender.wake(camera)
        seen = evidence.seen(asyncio.get_running_loop().time(), at_once=at_once)
        if seen is not None:
            self._sender.say_seen(seen)

    def _end_tracks(self, camera: str) -> None:
        for message in self._evidence[camera].end():
            self._spool.put(message)
        self._tell(camera, at_once=True)

    async def _in_pool(self, work: Callable[..., T], *arguments: object) -> T:
        """Do processor work on a thread, so that the event loop lives."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, work, *arguments)

    def _model_changed(self, up: bool, why: str) -> None:
        self._context.health.set("triton", ok=up, why=why)
        self._say_model_status()

    def _say_model_status(self) -> None:
        # Dropped without a broker: it is said again on every connect.
        status: topics.OnlineOffline = "online" if self._model.up else "offline"
        self._bus.send(topics.STATUS, status, service="triton")

    async def _say_goodbye(self) -> None:
        for camera in self._evidence:
            self._end_tracks(camera)
        if not self._bus.connected:
            return
        sending = asyncio.create_task(self._sender.run())
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(GOODBYE_S):
                await self._sender.drained()
        sending.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await sending


def _age_s(ref: FrameRef, now_ns: int) -> float:
    """Return the seconds since capture; never negative, whatever the clocks say."""
    return max(0, now_ns - ref.captured_ns) / 1e9
