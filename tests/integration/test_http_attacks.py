"""Who may reach the pages for health and metrics cannot keep them, nor learn what runs here."""

import contextlib
import socket
import threading
import time
from collections.abc import Iterator

import pytest
from prometheus_client import CollectorRegistry, Gauge

from secondlook.adapters import http
from secondlook.adapters.http import MOST_AT_ONCE, serve_http
from secondlook.config import Metrics
from tests.integration.broker_fixtures import free_port

pytestmark = pytest.mark.integration


class Well:
    def alive(self) -> tuple[bool, str]:
        return True, "alive"

    def ready(self) -> tuple[bool, str]:
        return True, "ready"


@pytest.fixture
def port(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    monkeypatch.setattr(http, "LONGEST_S", 60.0)
    registry = CollectorRegistry()
    Gauge("secondlook_x", "x", registry=registry).set(1)
    port = free_port()
    with serve_http("127.0.0.1", port, registry, Well()):
        yield port


def exchange(port: int, request: bytes, within_s: float = 60) -> bytes:
    """Return everything that is answered until the server hangs up."""
    answer = b""
    connected = socket.create_connection(("127.0.0.1", port), within_s)
    with connected as client, contextlib.suppress(ConnectionError):
        client.sendall(request)
        while part := client.recv(65_536):
            answer += part
    return answer


def test_the_pages_say_nothing_of_what_runs_here(port) -> None:
    for path in (b"/metrics", b"/livez", b"/none"):
        head = exchange(port, b"GET " + path + b" HTTP/1.0\r\n\r\n").partition(b"\r\n\r\n")[0]
        assert b"Server: secondlook" in head
        assert b"Python" not in head


@pytest.mark.parametrize("method", [b"POST", b"PUT", b"DELETE", b"TRACE", b"OPTIONS", b"<script>"])
def test_other_methods_are_refused_without_repeating_them(port, method) -> None:
    answer = exchange(port, method + b" /metrics HTTP/1.0\r\nContent-Length: 5\r\n\r\nhello")
    assert answer.startswith(b"HTTP/1.0 405 ")
    assert b"script" not in answer
    assert b"secondlook_x" not in answer


@pytest.mark.parametrize(
    "path", [b"/../../etc/passwd", b"/metrics/../x", b"//x", b"/livez?x=1", b"http://x/metrics"]
)
def test_other_paths_are_not_there(port, path) -> None:
    assert exchange(port, b"GET " + path + b" HTTP/1.0\r\n\r\n").startswith(b"HTTP/1.0 404 ")


@pytest.mark.parametrize(
    "request_bytes",
    [
        pytest.param(b"GET /" + b"a" * 1_000_000 + b" HTTP/1.0\r\n\r\n", id="a-long-path"),
        pytest.param(b"GET / HTTP/1.0\r\nX: " + b"a" * 1_000_000 + b"\r\n\r\n", id="a-long-header"),
        pytest.param(b"GET / HTTP/1.0\r\n" + b"X: a\r\n" * 10_000 + b"\r\n", id="many-headers"),
        pytest.param(b"\x00\xff" * 1000 + b"\r\n\r\n", id="binary"),
        pytest.param(b"GET /metrics HTTP/9.9\r\n\r\n", id="another-version"),
    ],
)
def test_rubbish_is_refused_and_the_next_one_is_answered(port, request_bytes) -> None:
    answer = exchange(port, request_bytes)
    assert b" 200 " not in answer.partition(b"\r\n")[0]
    assert exchange(port, b"GET /livez HTTP/1.0\r\n\r\n").endswith(b"alive\n")


def threads_that_answer() -> int:
    return sum("process_request" in each.name for each in threading.enumerate())


def test_those_who_send_slowly_are_cut_off_and_take_no_more_than_their_places(
    port, monkeypatch
) -> None:
    monkeypatch.setattr(http, "LONGEST_S", 15.0)
    slow: list[socket.socket] = []

    def send_a_byte_each() -> None:
        for client in slow:
            with contextlib.suppress(OSError):
                client.send(b"G")  # a byte now and then: no pause is ever long

    most = 0
    try:
        while len(slow) < 4 * MOST_AT_ONCE:
            slow.append(socket.create_connection(("127.0.0.1", port), 60))
            send_a_byte_each()
            time.sleep(0.02)
            most = max(most, threads_that_answer())
        # One gives its place back a moment before its thread is over.
        assert MOST_AT_ONCE <= most <= MOST_AT_ONCE + 2
        deadline = time.monotonic() + 60
        answer = b""
        while not answer.endswith(b"alive\n") and time.monotonic() < deadline:
            send_a_byte_each()
            time.sleep(0.05)
            answer = exchange(port, b"GET /livez HTTP/1.0\r\n\r\n")
        assert answer.endswith(b"alive\n")
    finally:
        for client in slow:
            client.close()


def test_the_pages_are_for_this_machine_unless_configured() -> None:
    assert Metrics().bind == "127.0.0.1"
