"""Serves an application in the event loop that runs already, and bounds who connects."""

import asyncio
import contextlib
import logging
import socket
from collections.abc import Callable, Iterator
from typing import cast

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle

from secondlook.errors import SecondLookError

MOST_CONNECTIONS = 128
PATIENCE_S = 10.0
"""A connection without a whole request for so long is closed, within twice that."""


class CannotListen(SecondLookError):
    """The address cannot be had; the text says what to do."""


class _Impatient(H11Protocol):
    """Closes a connection that asks for nothing, and those beyond the limit."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(cast(asyncio.Transport, transport))
        self._idle_in: object = None
        self._looking: asyncio.TimerHandle | None = None
        if len(self.connections) > MOST_CONNECTIONS:
            self.transport.abort()
        else:
            self._look()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._looking is not None:
            self._looking.cancel()
        super().connection_lost(exc)

    def _look(self) -> None:
        cycle: RequestResponseCycle | None = self.cycle  # None before the first request
        idle = cycle is None or cycle.response_complete
        if idle and self._looking is not None and self._idle_in is cycle:
            self.transport.close()
            return
        self._idle_in = cycle if idle else self
        self._looking = self.loop.call_later(PATIENCE_S, self._look)


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals alone: whoever runs the service listens to them."""
        yield


def listening(bind: str, port: int) -> socket.socket:
    """Return a socket that listens there.

    Raises:
        CannotListen: The address is taken, or is none of this machine.
    """
    family = socket.AF_INET6 if ":" in bind else socket.AF_INET
    sock = socket.socket(family)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind((bind, port))
        sock.listen(MOST_CONNECTIONS)
    except OSError as error:
        sock.close()
        raise CannotListen(
            f"cannot listen on {bind}, port {port}: {error.strerror}; set page.bind and page.port"
        ) from error
    return sock


def address(bind: str, port: int) -> str:
    """Return where a browser of this machine finds the page."""
    host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(bind, f"[{bind}]" if ":" in bind else bind)  # noqa: S104 - only compared with
    return f"http://{host}:{port}/"


async def answer(app: ASGIApp, sock: socket.socket, end: Callable[[], None]) -> None:
    """Answer on a socket until cancelled.

    Args:
        app: What answers.
        sock: It listens already.
        end: Called first when it is over, to end answers that do not end by themselves.
    """
    # Warnings there tell of what strangers send; it is they who would fill the log.
    logging.getLogger("uvicorn").setLevel(logging.ERROR)
    config = uvicorn.Config(
        app,
        http=_Impatient,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_graceful_shutdown=2,
        h11_max_incomplete_event_size=16_384,
    )
    server = _Server(config)
    running = asyncio.create_task(server.serve([sock]), name="http")
    try:
        await asyncio.shield(running)
    finally:
        end()
        server.should_exit = True
        await asyncio.wait([running], timeout=4)
