"""Serve the status page: `python -m secondlook.page --config config.yaml`."""

import asyncio
import logging
import sys
import time

import cv2

from secondlook.adapters.bus import Bus
from secondlook.adapters.frames import FrameReader
from secondlook.config import Config
from secondlook.errors import EXIT_CONFIG
from secondlook.service import VERSION, Context, launch, watch_bus

try:
    from secondlook.page import feedback, hearing, server
    from secondlook.page.app import App
    from secondlook.page.fold import Fold
    from secondlook.page.guard import allowed_names
    from secondlook.page.live import Live
    from secondlook.page.views import View
except ModuleNotFoundError as error:
    # They are not in the services' set.
    todo = f"{sys.executable} -m pip install starlette uvicorn"
    sys.stderr.write(f"page: {error.name} is not installed: {todo}\n")
    sys.exit(EXIT_CONFIG)

log = logging.getLogger(__name__)


async def serve(config: Config, context: Context) -> None:
    """Build the page and serve it until cancelled."""
    # At most one picture a second: the models want the cores.
    cv2.setNumThreads(1)
    context.health.expect("broker")
    settings = config.page
    with server.listening(settings.bind, settings.port) as sock:
        token = feedback.new_token() if settings.feedback else None
        about: View = {"version": VERSION, "token": token}
        fold = Fold(config.cameras, about, time.time())
        store = config.frames.directory
        reader = FrameReader(store)
        live = {name: Live(reader, store / name, each) for name, each in fold.frames().items()}
        async with Bus(config.mqtt, service=settings.client) as bus, asyncio.TaskGroup() as group:
            watch_bus(bus, context)
            app = App(
                fold,
                live,
                names=allowed_names(settings.bind, settings.hosts),
                tell=lambda given: hearing.tell(bus, given),
                token=token,
                max_viewers=settings.max_viewers,
            )
            group.create_task(hearing.hear(bus, fold, context, config), name="hear")
            group.create_task(server.answer(app.asgi, sock, app.end), name="answer")
            log.info("the page is at %s", server.address(settings.bind, settings.port))


if __name__ == "__main__":
    launch("page", serve)
