"""The page's addresses and what is answered on each. Every name is looked up, none is a path."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from pathlib import Path

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from secondlook.errors import NotConnected
from secondlook.messages import Feedback
from secondlook.page import feedback
from secondlook.page.fold import Fold
from secondlook.page.guard import Guard
from secondlook.page.live import Live, NoPicture
from secondlook.page.stream import Stream

SITE = Path(__file__).with_name("site")
KINDS: Mapping[str, str] = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
BODY_S = 5.0
"""In which a browser sends its feedback."""
Tell = Callable[[Feedback], Awaitable[None]]


class App:
    """Answers browsers; `asgi` is what a server runs.

    Args:
        fold: What is known.
        live: The live picture of each camera.
        names: The names under which the page answers.
        tell: Passes feedback on, and raises NotConnected where it cannot.
        token: Asked for with feedback; None: none is taken.
        max_viewers: Who may look at the same time.
    """

    def __init__(
        self,
        fold: Fold,
        live: Mapping[str, Live],
        *,
        names: frozenset[str],
        tell: Tell,
        token: str | None,
        max_viewers: int,
    ) -> None:
        self._fold = fold
        self._live = live
        self._tell = tell
        self._token = token
        self._over = asyncio.Event()
        self._files = {path.name: path for path in SITE.iterdir() if path.suffix in KINDS}
        routes = [
            Route("/", self._index),
            Route("/site/{name}", self._file),
            Route("/events", Stream(fold.entries, self._over, max_viewers)),
            Route("/cameras/{camera}/live.jpg", self._live_picture),
            Route("/pictures/{picture}.jpg", self._picture),
            Route("/feedback", self._feedback, methods=["POST"]),
        ]
        self.asgi: ASGIApp = Guard(Starlette(routes=routes), names)

    def end(self) -> None:
        """End the answers that do not end by themselves."""
        self._over.set()

    async def _index(self, _request: Request) -> Response:
        return _file(self._files["index.html"])

    async def _file(self, request: Request) -> Response:
        path = self._files.get(request.path_params["name"])
        if path is None:
            raise HTTPException(HTTPStatus.NOT_FOUND, "There is nothing here.")
        return _file(path)

    async def _live_picture(self, request: Request) -> Response:
        live = self._live.get(request.path_params["camera"])
        if live is None:
            raise HTTPException(HTTPStatus.NOT_FOUND, "There is no such camera.")
        try:
            picture = await live.picture(request.query_params.get("seen"))
        except NoPicture as error:
            raise HTTPException(HTTPStatus.NOT_FOUND, str(error)) from error
        if picture is None:
            return Response(status_code=HTTPStatus.NO_CONTENT)
        headers = {"Frame-Id": picture.frame.id}
        return Response(picture.jpeg, media_type="image/jpeg", headers=headers)

    async def _picture(self, request: Request) -> Response:
        jpeg = self._fold.album.get(request.path_params["picture"])
        if jpeg is None:
            raise HTTPException(HTTPStatus.NOT_FOUND, "This picture is not kept any more.")
        return Response(jpeg, media_type="image/jpeg")

    async def _feedback(self, request: Request) -> Response:
        feedback.check(request.headers, self._token)
        given = feedback.read(await _body(request))
        if not self._fold.knows(given.id):
            raise HTTPException(HTTPStatus.NOT_FOUND, "This alert is not on the page any more.")
        try:
            await self._tell(given)
        except NotConnected as error:
            why = "Not sent: the broker is away. Try again."
            raise HTTPException(HTTPStatus.SERVICE_UNAVAILABLE, why) from error
        self._fold.told(given.id, given.truth)
        return PlainTextResponse("told\n")


def _file(path: Path) -> Response:
    return Response(path.read_bytes(), media_type=KINDS[path.suffix])


async def _body(request: Request) -> bytes:
    body = b""
    try:
        async with asyncio.timeout(BODY_S):
            async for part in request.stream():
                body += part
                if len(body) > feedback.MOST_BYTES:
                    raise HTTPException(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "Too long.")
    except TimeoutError as error:
        raise HTTPException(HTTPStatus.REQUEST_TIMEOUT, "Too slow.") from error
    return body
