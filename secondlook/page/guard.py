"""Who may ask for the page, and what every answer carries.

A web page anywhere can make a browser send requests to a loopback address. What stands against
it: the Host header must name this page (a name that an attacker points at 127.0.0.1 does not),
and browsers say with `Sec-Fetch-Site` when another site asks.
"""

import asyncio
import re
from collections.abc import Iterable, Mapping, Sequence
from http import HTTPStatus

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

SEND_S = 20.0
"""A browser that takes no byte for so long is given up."""
LOOPBACK_NAMES = ("localhost", "127.0.0.1", "::1")
ANY_ADDRESS = ("0.0.0.0", "::")  # noqa: S104 - only compared with
_HOST = re.compile(
    r"\[(?P<v6>[0-9a-f:.]+)\](:\d*)?|(?P<bare>[0-9a-f.]*:[0-9a-f]*:[0-9a-f:.]*)|(?P<name>[^:/@#\[\]]+)(:\d*)?"
)
"""`[::1]:80`, `::1` (as people write it), `name:80`."""
HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
        "require-trusted-types-for 'script'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
    # Pictures of people's homes belong into no cache.
    "Cache-Control": "no-store",
}
"""On every answer, errors too. Nothing allows another origin anything."""


def allowed_names(bind: str, hosts: Iterable[str]) -> frozenset[str]:
    """Return the names under which the page answers: loopback, where it listens, and more."""
    own = () if bind in ANY_ADDRESS else (bind,)
    return frozenset(host_name(name) for name in (*LOOPBACK_NAMES, *own, *hosts))


def host_name(host: str) -> str:
    """Return the name in a Host header: lower case, without port, brackets and final dot.

    What is no host is the empty name, under which nothing answers.
    """
    found = _HOST.fullmatch(host.strip().lower())
    return (found["v6"] or found["bare"] or found["name"]).removesuffix(".") if found else ""


def refusal(method: str, path: str, headers: Headers, names: frozenset[str]) -> str | None:
    """Return why a request is refused, in a sentence; None: it is not."""
    hosts: Sequence[str] = headers.getlist("host")
    if len(hosts) != 1 or host_name(hosts[0]) not in names:
        return (
            "This page does not answer under the name in your address bar. If it is yours, add "
            "it to page.hosts in the configuration."
        )
    site = headers.get("sec-fetch-site", "none")
    opened = path == "/" and method == "GET" and headers.get("sec-fetch-mode") == "navigate"
    if site not in ("same-origin", "none") and not opened:
        return "Another site asked for this."
    return None


class Guard:
    """Lets in who may ask, and puts the headers on every answer.

    Args:
        app: What answers.
        names: Those under which it does.
    """

    def __init__(self, app: ASGIApp, names: frozenset[str]) -> None:
        self._app = app
        self._names = names

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            return

        async def send_safely(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers[name] = value
            async with asyncio.timeout(SEND_S):
                await send(message)

        why = refusal(scope["method"], scope["path"], Headers(scope=scope), self._names)
        if why is not None:
            refused = PlainTextResponse(f"{why}\n", HTTPStatus.FORBIDDEN)
            await refused(scope, receive, send_safely)
            return
        try:
            await self._app(scope, receive, send_safely)
        except TimeoutError:
            # Whoever takes nothing any more; leaving without the rest closes the connection.
            return
