"""Run the detector: `python -m detector_svc --config config.yaml`."""

import os
from concurrent.futures import ThreadPoolExecutor

import cv2
from ulid import ULID

from detector_svc.service import Service
from detector_svc.spool import Spool
from secondlook.adapters.bus import Bus
from secondlook.adapters.frames import FrameReader
from secondlook.adapters.owned import owned
from secondlook.adapters.triton import Triton
from secondlook.config import Config
from secondlook.service import Context, launch, watch_triton

MB = 1_000_000
MOST_THREADS = 4


async def serve(config: Config, context: Context) -> None:
    """Build the detector and let it work until it is cancelled."""
    # Several frames are fitted at once already, and the models want the cores too.
    cv2.setNumThreads(1)
    async with owned(config.detector.spool.directory, "detector.spool.directory", "detector"):
        await _serve(config, context)


async def _serve(config: Config, context: Context) -> None:
    settings = config.detector.spool
    spool = Spool(settings.directory, settings.max_mb * MB, config.classifier.hold_s)
    server = config.triton
    threads = min(MOST_THREADS, os.cpu_count() or 1)
    with ThreadPoolExecutor(threads, thread_name_prefix="detector") as pool:
        async with (
            Triton(
                server.url, deadline_s=server.deadline_s, shared_memory=server.shared_memory
            ) as triton,
            Bus(config.mqtt, service="detector") as bus,
        ):
            watch_triton(triton.stats, context)
            frames = FrameReader(config.frames.directory)
            instance = str(ULID()).lower()
            await Service(
                config,
                context,
                bus=bus,
                triton=triton,
                frames=frames,
                spool=spool,
                pool=pool,
                instance=instance,
            ).run()


if __name__ == "__main__":
    launch("detector", serve)
