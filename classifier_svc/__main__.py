"""Run the classifier: `python -m classifier_svc --config config.yaml`."""

import cv2

from classifier_svc.metrics import Metrics
from classifier_svc.schema import MIGRATIONS
from classifier_svc.service import Service
from secondlook.adapters.bus import Bus
from secondlook.adapters.database import Database
from secondlook.adapters.frames import FrameReader
from secondlook.adapters.review_folder import ReviewFolder
from secondlook.adapters.triton import Triton
from secondlook.config import Config
from secondlook.service import Context, launch, watch_triton
from secondlook.versions import DATABASE_OLDEST


async def serve(config: Config, context: Context) -> None:
    """Build the classifier and let it work until it is cancelled."""
    # The models want the cores; a crop is small.
    cv2.setNumThreads(1)
    metrics = Metrics(context.registry)
    server = config.triton
    async with (
        Database(
            config.classifier.database,
            MIGRATIONS,
            oldest=DATABASE_OLDEST,
            on_commit=metrics.commit.observe,
        ) as database,
        Triton(
            server.url, deadline_s=server.deadline_s, shared_memory=server.shared_memory
        ) as triton,
    ):
        watch_triton(triton.stats, context)
        frames = FrameReader(config.frames.directory)
        service = Service(
            config,
            context,
            bus=Bus(config.mqtt, service="classifier"),
            triton=triton,
            database=database,
            frames=frames,
            review=ReviewFolder(config.review.folder),
            metrics=metrics,
        )
        await service.run()


if __name__ == "__main__":
    launch("classifier", serve)
