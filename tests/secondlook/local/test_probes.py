import socket

import pytest
from prometheus_client import CollectorRegistry, Counter

from secondlook.adapters.http import serve_http
from secondlook.commands.closing import dropped
from secondlook.local.probes import answers, free_port, is_free, says_ok
from secondlook.service import Health


def test_a_preferred_port_is_taken_when_it_is_free() -> None:
    port = free_port()

    assert free_port(prefer=port) == port
    assert free_port(prefer=port, taken=frozenset({port})) != port


def test_a_port_in_use_is_not_given() -> None:
    with socket.socket() as busy:
        busy.bind(("127.0.0.1", 0))
        busy.listen()
        port = busy.getsockname()[1]

        assert not is_free(port)
        assert free_port(prefer=port) != port


def test_a_port_of_outgoing_connections_is_never_given() -> None:
    assert all(free_port() < 32_768 for _ in range(20))


async def test_a_closed_port_does_not_answer() -> None:
    port = free_port()

    assert not await answers(port)
    assert not await says_ok(port, "/readyz")


async def test_a_service_says_ok_only_when_it_is_ready() -> None:
    health, port = Health(), free_port()
    with serve_http("127.0.0.1", port, CollectorRegistry(), health):
        assert await answers(port)
        assert not await says_ok(port, "/readyz")
        health.set("broker", ok=True)
        assert await says_ok(port, "/readyz")


async def test_losses_are_read_from_the_services_and_settings_are_no_loss() -> None:
    registry, port = CollectorRegistry(), free_port()
    frames = Counter("secondlook_frames_dropped", "…", ["camera", "cause"], registry=registry)
    frames.labels("yard", "late").inc(3)
    frames.labels("porch", "late").inc(1)
    frames.labels("yard", "paced").inc(100)
    frames.labels("yard", "bus").inc(0)
    Counter("secondlook_crops_shed", "…", registry=registry).inc(2)
    Counter("secondlook_frames_sent", "…", registry=registry).inc(50)
    with serve_http("127.0.0.1", port, registry, Health()):
        gone = f"http://127.0.0.1:{free_port()}/metrics"
        lost = await dropped({"producers": f"http://127.0.0.1:{port}/metrics", "detector": gone})

    assert lost == {"producers: late": 4, "producers: crops_shed": 2}


@pytest.mark.parametrize("path", ["/nothing", "/ nonsense"])
async def test_other_answers_are_not_ok(path: str) -> None:
    port = free_port()
    with serve_http("127.0.0.1", port, CollectorRegistry(), Health()):
        assert not await says_ok(port, path)
