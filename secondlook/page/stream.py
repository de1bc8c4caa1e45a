"""Tells a browser what changes, as server-sent events, for as long as it looks."""

import asyncio
import json
import time
from http import HTTPStatus

from starlette.exceptions import HTTPException
from starlette.types import Receive, Scope, Send

from secondlook.page.entries import Entries, Viewer

NOT_MORE_OFTEN_S = 0.25
"""What changes in quick succession is told together."""
BEAT_S = 5.0
"""Something comes at least this often, so that a browser notices when the page is gone."""


class Stream:
    """An answer that does not end: each event is a patch of the entries.

    Args:
        entries: What there is to tell.
        over: Set when the page ends.
        most: How many may look at the same time.
    """

    def __init__(self, entries: Entries, over: asyncio.Event, most: int) -> None:
        self._entries = entries
        self._over = over
        self._most = most

    async def __call__(self, _scope: Scope, receive: Receive, send: Send) -> None:
        """Tell until the browser leaves.

        Raises:
            HTTPException: Too many look already.
        """
        if self._entries.viewers >= self._most:
            why = f"{self._most} browsers look already; page.max_viewers allows no more."
            raise HTTPException(HTTPStatus.SERVICE_UNAVAILABLE, why)
        changed = asyncio.Event()
        viewer = self._entries.viewer(changed.set)
        telling = asyncio.create_task(self._tell(viewer, changed, send))
        leaving = asyncio.create_task(_gone(receive))
        ending = asyncio.create_task(self._over.wait())
        tasks = {telling, leaving, ending}
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            if telling.done():
                telling.result()
            if ending.done():
                await send({"type": "http.response.body", "body": b""})
        finally:
            self._entries.leave(viewer)
            for task in tasks:
                task.cancel()

    async def _tell(self, viewer: Viewer, changed: asyncio.Event, send: Send) -> None:
        headers = [(b"content-type", b"text/event-stream; charset=utf-8")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        kind = "all"
        while True:
            changed.clear()
            event = {"now": round(time.time(), 3), "patch": viewer.take()}
            text = f"event: {kind}\ndata: {json.dumps(event, separators=(',', ':'))}\n\n"
            await send({"type": "http.response.body", "body": text.encode(), "more_body": True})
            kind = "changes"
            await asyncio.sleep(NOT_MORE_OFTEN_S)
            try:
                async with asyncio.timeout(BEAT_S):
                    await changed.wait()
            except TimeoutError:
                continue


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
