"""The detector at work: newest frames in, evidence out."""

import asyncio
import contextlib
import logging
from concurrent.futures import Executor

from detector_svc.detecting import Detecting, age_s
from detector_svc.evidence import Evidence
from detector_svc.eye import Eye
from detector_svc.metrics import Metrics
from detector_svc.model_watch import ModelWatch
from detector_svc.sender import Sender
from detector_svc.spool import Spool
from detector_svc.tracks import LONGEST_GAP_NS
from secondlook import topics
from secondlook.adapters.bus import Bus
from secondlook.adapters.endpoint import Endpoint
from secondlook.adapters.frames import FrameReader
from secondlook.adapters.triton import Triton
from secondlook.beating import beat_and_watch
from secondlook.config import Config
from secondlook.errors import TritonUnavailable
from secondlook.mailbox import Mailbox
from secondlook.messages import FrameRef
from secondlook.service import Context, publish_stats, watch_disk

log = logging.getLogger(__name__)

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
                group.create_task(self._hear_states(), name="episodes")
                group.create_task(self._sender.run(), name="sender")
                group.create_task(publish_stats(self._bus, self._context), name="stats")
                group.create_task(beat_and_watch(self._bus, "detector"), name="beats")
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
            self._metrics.hop.labels("received").observe(age_s(ref, delivery.received_ns))
            self._frame_at_s[ref.camera] = asyncio.get_running_loop().time()
            if self._mailbox.put(ref.camera, ref) is not None:
                self._metrics.dropped.labels(ref.camera, "overwritten").inc()

    async def _hear_cameras(self) -> None:
        async for delivery in self._bus.subscribe(topics.CAMERA_STATUS):
            if delivery.message == "offline":
                self._camera_is_gone(delivery.levels["camera"])

    async def _hear_states(self) -> None:
        """Look first at the cameras with an open episode, when there is too much to look at."""
        open_: dict[str, set[str]] = {camera: set() for camera in self._config.cameras}
        async for delivery in self._bus.subscribe(topics.STATE):
            camera, label = delivery.levels["camera"], delivery.levels["label"]
            if camera in open_ and delivery.message == "ON":
                open_[camera].add(label)
                self._mailbox.prefer(camera, preferred=True)
            elif camera in open_:
                open_[camera].discard(label)
                self._mailbox.prefer(camera, preferred=bool(open_[camera]))

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
            batch=settings.max_batch,
            answers="boxes",
        )
        eye = Eye.of(endpoint, self._frames, settings)
        await self._check(endpoint)
        for camera in self._config.cameras:
            self._evidence[camera] = Evidence(camera, self._config, endpoint.spec, self._instance)
        detecting = Detecting(
            settings,
            eye,
            self._evidence,
            self._mailbox,
            model=self._model,
            metrics=self._metrics,
            spool=self._spool,
            pool=self._pool,
            tell=self._tell,
            gone=self._end_tracks,
            deadline_s=self._config.triton.deadline_s,
        )
        self._model.answered()
        log.info("detecting with %s version %s", endpoint.spec.name, endpoint.spec.version)
        async with asyncio.TaskGroup() as group:
            group.create_task(self._model.keep_asking(endpoint), name="model watch")
            for number in range(settings.in_flight):
                group.create_task(detecting.work(), name=f"worker {number}")

    async def _check(self, endpoint: Endpoint) -> None:
        """Try the model with known pictures, as soon as Triton answers."""
        while True:
            try:
                return await endpoint.check()
            except TritonUnavailable as error:
                log.warning("the model cannot be tried yet: %s", error)
                await asyncio.sleep(TICK_S)

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
