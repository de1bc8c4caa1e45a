"""Health and metrics over HTTP: /livez, /readyz, /metrics. Answers GET and nothing else.

Whoever connects can neither keep threads for long nor learn what runs here.
"""

import contextlib
import logging
import socket
import threading
from collections.abc import Callable, Iterator
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Protocol

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

log = logging.getLogger(__name__)

MOST_AT_ONCE = 16
"""Connections; more are closed unread."""
LONGEST_S = 10.0
"""Of a connection from its first byte to its last, however slowly those come."""


class Healthy(Protocol):
    """Who can tell how a service is."""

    def alive(self) -> tuple[bool, str]:
        """Return whether it lives, and a sentence."""

    def ready(self) -> tuple[bool, str]:
        """Return whether it can do its work, and a sentence."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 16

    def __init__(self, address: tuple[str, int], handler: type[BaseHTTPRequestHandler]) -> None:
        self._places = threading.BoundedSemaphore(MOST_AT_ONCE)
        super().__init__(address, handler)

    def process_request(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 - socketserver's types
        if self._places.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 - likewise
        over = threading.Timer(LONGEST_S, _cut, [request])
        over.daemon = True
        over.start()
        try:
            super().process_request_thread(request, client_address)
        finally:
            over.cancel()
            self._places.release()

    def handle_error(self, _request: object, _client_address: object) -> None:
        """Say nothing: a client that hangs up is no fault of ours."""
        log.debug("a connection for metrics ended early")


def _cut(request: socket.socket) -> None:
    with contextlib.suppress(OSError):
        request.shutdown(socket.SHUT_RDWR)


@contextlib.contextmanager
def serve_http(
    bind: str, port: int | None, registry: CollectorRegistry, health: Healthy
) -> Iterator[None]:
    """Answer on a port while the block runs, on a thread of its own.

    A port that is taken is a warning, not a reason to watch no cameras.
    """
    if port is None:
        yield
        return
    try:
        server = _Server((bind, port), _handler(registry, health))
    except OSError as error:
        log.warning("no metrics: cannot listen on %s:%s: %s", bind, port, error.strerror)
        yield
        return
    threading.Thread(target=server.serve_forever, name="http", daemon=True).start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()


def _handler(registry: CollectorRegistry, health: Healthy) -> type[BaseHTTPRequestHandler]:
    def checked(check: Callable[[], tuple[bool, str]]) -> tuple[int, str, bytes]:
        ok, said = check()
        return (200 if ok else 503), "text/plain; charset=utf-8", f"{said}\n".encode()

    class Handler(BaseHTTPRequestHandler):
        timeout = 5
        server_version, sys_version = "secondlook", ""

        def do_GET(self) -> None:
            match self.path:
                case "/livez":
                    answer = checked(health.alive)
                case "/readyz":
                    answer = checked(health.ready)
                case "/metrics":
                    answer = (200, CONTENT_TYPE_LATEST, generate_latest(registry))
                case _:
                    answer = (404, "text/plain", b"try /livez, /readyz or /metrics\n")
            self._answer(*answer)

        def send_error(
            self, code: int, message: str | None = None, explain: str | None = None
        ) -> None:
            """Refuse without repeating what was asked."""
            del message, explain
            self._answer(405 if code == HTTPStatus.NOT_IMPLEMENTED else code, "text/plain", b"no\n")

        def _answer(self, status: int, kind: str, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Stay silent: a scrape every few seconds is no news."""

    return Handler
