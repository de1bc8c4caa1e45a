"""Health and metrics over HTTP: /livez, /readyz, /metrics. Answers GET and nothing else."""

import contextlib
import logging
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Protocol

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

log = logging.getLogger(__name__)


class Healthy(Protocol):
    """Who can tell how a service is."""

    def alive(self) -> tuple[bool, str]:
        """Return whether it lives, and a sentence."""

    def ready(self) -> tuple[bool, str]:
        """Return whether it can do its work, and a sentence."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 16


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
            status, kind, body = answer
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Stay silent: a scrape every few seconds is no news."""

    return Handler
