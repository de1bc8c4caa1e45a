"""The producers: a capture process per camera, its frames announced, its status kept."""

import asyncio
import contextlib
import logging
import time
from collections.abc import Sequence

from producers.metrics import Metrics
from producers.process import CaptureProcess
from producers.rate import Rate
from producers.reports import Captured, Complaint, Counted, Impossible, Opened, Order, Report
from producers.sources import Command, parse, redact
from producers.statuses import Statuses
from producers.watch import Watch
from secondlook import topics
from secondlook.adapters.bus import Bus
from secondlook.adapters.frames import MB, sweep
from secondlook.backoff import Backoff
from secondlook.beating import beat_and_watch
from secondlook.config import Config
from secondlook.errors import ConfigError, SourceError, StoreTooSmall
from secondlook.messages import FrameRef
from secondlook.service import Context, publish_stats, watch_disk

WATCH_EVERY_S = 0.25
log = logging.getLogger(__name__)


async def serve(config: Config, context: Context, bus: Bus) -> None:
    """Capture all cameras until cancelled.

    Raises:
        ConfigError: A source is not written as it should be, or the store cannot be used.
        StoreTooSmall: The store cannot hold the frames of these cameras.
    """
    orders = orders_of(config)
    if left := sweep(config.frames.directory):
        log.info("removed %d frames that a killed producer had left", left)
    metrics = Metrics(context.registry)
    statuses = Statuses(bus, config.cameras)
    watch_disk(context, frames=config.frames.directory)
    context.health.expect("broker", "capture")
    producers = [Producer(order, bus, metrics, statuses) for order in orders]
    try:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(publish_stats(bus, context))
            tasks.create_task(beat_and_watch(bus, "producers"))
            tasks.create_task(statuses.keep())
            tasks.create_task(_tell_health(bus, context, producers))
            for producer in producers:
                tasks.create_task(producer.run())
    finally:
        statuses.all_offline()
        sweep(config.frames.directory)


def orders_of(config: Config) -> list[Order]:
    """Return what each capture process needs to know.

    Raises:
        ConfigError: Sources are not written as they should be; the text names every one.
    """
    mistakes = []
    for name, camera in config.cameras.items():
        try:
            found = parse(camera.address())
            if isinstance(found, Command) and any(redact(a) != a for a in found.arguments):
                log.warning(
                    "camera %s: its command holds a login, which others can read (ps)", name
                )
        except ConfigError as error:
            mistakes.append(f"cameras.{name}.source: {error}")
    if mistakes:
        raise ConfigError("\n  ".join(["the configuration is not valid:", *mistakes]))
    return [
        Order(
            camera=name,
            address=camera.address(),
            fps=camera.fps,
            max_width=camera.max_width,
            zones=list(camera.zones.values()),
            masks=camera.masks,
            motion=camera.motion,
            blank_after_s=camera.blank_after_s,
            directory=config.frames.directory,
            budget_bytes=config.frames.max_mb * MB // len(config.cameras),
            cameras=len(config.cameras),
            group_readable=config.frames.group_readable,
        )
        for name, camera in config.cameras.items()
    ]


class Producer:
    """One camera: keeps its capture process alive and announces what it captures."""

    def __init__(self, order: Order, bus: Bus, metrics: Metrics, statuses: Statuses) -> None:
        self.camera = order.camera
        self.captures = False
        """Whether its capture process lives and speaks; True once the source has ended."""
        self._order = order
        self._bus = bus
        self._metrics = metrics
        self._statuses = statuses
        self._watch = Watch(order.fps)
        self._rate = Rate()
        self._backoff = Backoff(first_s=0.2, longest_s=10.0)
        self._opened = self._was_online = False
        self._said = ""
        self._complaint = ""
        metrics.begin(self.camera)
        metrics.fps.labels(self.camera).set_function(lambda: self._rate.per_s(time.monotonic()))

    async def run(self) -> None:
        """Capture until the source ends.

        Raises:
            ConfigError, StoreTooSmall: The camera cannot be captured with this configuration.
        """
        while not self._watch.ended:
            self._watch.started(time.monotonic())
            process = await CaptureProcess.start(self._order)
            log.debug("camera %s: capture process %d started", self.camera, process.pid)
            try:
                why = await self._attend(process)
            finally:
                await process.kill()
            if self._watch.ended:
                break
            self.captures = False
            self._watch.died(why)
            self._tell()
            self._metrics.restarts.labels(self.camera).inc()
            await asyncio.sleep(self._backoff.next_s())
        log.info("camera %s: %s", self.camera, self._watch.why)

    async def _attend(self, process: CaptureProcess) -> str:
        """Listen to a capture process until it dies or hangs; return what was wrong."""
        listening = asyncio.create_task(self._listen(process))
        try:
            while not self._watch.ended:
                done, _ = await asyncio.wait({listening}, timeout=WATCH_EVERY_S)
                if done:
                    return listening.result()
                if why := self._watch.overdue(time.monotonic()):
                    return why
            return ""
        finally:
            listening.cancel()
            with contextlib.suppress(asyncio.CancelledError, SourceError):
                await listening

    async def _listen(self, process: CaptureProcess) -> str:
        try:
            async for report in process.reports():
                self._take(report)
                if self._watch.ended:
                    return ""
        except SourceError as error:
            return str(error)
        return f"its capture process ended with status {await process.ended()}"

    def _take(self, report: Report) -> None:
        before = self._watch.online
        self.captures = True
        self._watch.heard(report, time.monotonic())
        # Nobody should hear of a frame of a camera that is said to be offline.
        if self._watch.online and not before:
            self._tell()
        match report:
            case Captured():
                self._announce(report.ref)
            case Counted():
                self._metrics.count(self.camera, report)
            case Opened():
                if self._opened:
                    self._metrics.reconnects.labels(self.camera).inc()
                self._opened = True
            case Complaint() if report.why != self._complaint:
                self._complaint = report.why
                log.warning("camera %s: %s", self.camera, report.why)
            case Impossible():
                self._give_up(report)
            case _:
                pass
        if not self._watch.online:
            self._tell()

    def _announce(self, ref: FrameRef) -> None:
        self._was_online = True
        self._backoff.reset()
        if self._bus.send(topics.FRAMES, ref, camera=self.camera):
            self._metrics.sent.labels(self.camera).inc()
            self._rate.tell(time.monotonic())
        else:
            self._metrics.dropped.labels(self.camera, "bus").inc()
        # Against a clock that was set back in between.
        latency_s = max(0.0, (time.time_ns() - ref.captured_ns) / 1e9)
        self._metrics.announced_after.labels(self.camera).observe(latency_s)

    def _tell(self) -> None:
        """Publish and log the camera's status if it has changed."""
        online, why = self._watch.online, self._watch.why
        self._statuses.set(self.camera, online)
        self._metrics.up.labels(self.camera).set(online)
        said = "online" if online else f"offline: {why}"
        if said != self._said and (online or why):
            self._said = said
            log.log(
                logging.INFO if online or self._watch.ended else logging.WARNING,
                "camera %s is %s",
                self.camera,
                said,
            )

    def _give_up(self, report: Impossible) -> None:
        """Stop the service, unless this camera once worked: then the others go on without it."""
        if self._was_online:
            raise SourceError(report.why)
        raise (
            StoreTooSmall(report.why) if report.what == "StoreTooSmall" else ConfigError(report.why)
        )


async def _tell_health(bus: Bus, context: Context, producers: Sequence[Producer]) -> None:
    """State whether there is a broker, and a working capture process for every camera.

    A camera that is away is no fault of this service: `cameras/<camera>/status` tells of it.
    """
    while True:
        connected = bus.connected
        context.health.set("broker", connected, "" if connected else "not connected")
        broken = [producer.camera for producer in producers if not producer.captures]
        why = f"no capture process yet, or none that lives: {', '.join(broken)}"
        context.health.set("capture", not broken, why if broken else "")
        await asyncio.sleep(1)
