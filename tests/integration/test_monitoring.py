"""Every rule and every panel on a real Prometheus that watches a real, working system."""

import asyncio
import contextlib
import json
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from secondlook import topics
from secondlook.adapters.bus import Bus
from secondlook.commands.starting import start_all
from secondlook.config_file import load
from secondlook.local.broker import mosquitto
from secondlook.local.stack import Stack, Wish, running
from secondlook.messages import Feedback, FrameRef
from tests.deploy.monitoring_files import (
    FOLDER,
    GPU_ONLY,
    MISSING,
    PROMETHEUS_OWN,
    dashboard_queries,
    names_in,
    program,
    rules,
)
from tests.integration.broker_fixtures import free_port
from tests.integration.stack_models import write_repository

PROMETHEUS = program("prometheus")
pytestmark = [
    pytest.mark.integration,
    pytest.mark.timeout(300),
    pytest.mark.skipif(PROMETHEUS is None, reason=MISSING),
    pytest.mark.skipif(mosquitto() is None, reason="mosquitto is not installed"),
]
CONFIG = """
cameras: {yard: {source: 'synthetic:?width=640&height=360', fps: 5}}
alerts: {update_s: 0.5}
"""
PORTS = {"producers": 9101, "detector": 9102, "classifier": 9103, "triton": 8002}
PATIENCE_S = 120


def get(url: str) -> Any:
    with urllib.request.urlopen(url, timeout=60) as answer:  # noqa: S310 - our own address
        return answer.read().decode()


def wait_until_ready(url: str) -> None:
    until = time.monotonic() + PATIENCE_S
    while time.monotonic() < until:
        with contextlib.suppress(OSError):
            get(url)
            return
        time.sleep(0.1)
    raise TimeoutError(f"{url} is not ready")


@contextlib.contextmanager
def prometheus(folder: Path, metrics: dict[str, str]) -> Iterator[str]:
    """Run Prometheus with the shipped files, on other targets and faster; give its address."""
    text = (FOLDER / "prometheus.yml").read_text()
    for name, port in PORTS.items():
        assert f'"{name}:{port}"' in text
        text = text.replace(f"{name}:{port}", urllib.parse.urlsplit(metrics[name]).netloc)
    (folder / "prometheus.yml").write_text(text.replace("10s", "1s"))
    (folder / "rules.yml").write_text((FOLDER / "rules.yml").read_text())
    port = free_port()
    argv = [str(PROMETHEUS), "--config.file=prometheus.yml", "--storage.tsdb.path=data"]
    argv.append(f"--web.listen-address=127.0.0.1:{port}")
    with (folder / "prometheus.log").open("wb") as log:
        process = subprocess.Popen(argv, cwd=folder, stdout=log, stderr=log)
    try:
        wait_until_ready(f"http://127.0.0.1:{port}/-/ready")
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(20)


def answer_of(address: str, expr: str) -> list[Any]:
    """Return what a query gives now.

    Raises:
        AssertionError: Prometheus does not take it.
    """
    try:
        said = json.loads(get(f"{address}/api/v1/query?{urllib.parse.urlencode({'query': expr})}"))
    except urllib.error.HTTPError as error:
        raise AssertionError(f"{expr}: {error.read().decode()}") from None
    found: list[Any] = said["data"]["result"]
    return found


async def has_data(address: str, queries: dict[str, str]) -> set[str]:
    """Wait until every query gives numbers; return those that never did."""
    missing, until = set(queries), time.monotonic() + PATIENCE_S
    while missing and time.monotonic() < until:
        for name in sorted(missing):
            found = await asyncio.to_thread(answer_of, address, queries[name])
            if any(sample["value"][1] != "NaN" for sample in found):
                missing.discard(name)
        await asyncio.sleep(1)
    return missing


@contextlib.asynccontextmanager
async def almost_working(folder: Path, producers_port: int) -> AsyncIterator[Stack]:
    """Run everything but the producers, and a consumer that judges each alert."""
    config = f"{CONFIG}metrics: {{producers: {producers_port}}}\n"
    (folder / "config.yaml").write_text(config)
    wish = Wish(
        config_path=folder / "config.yaml",
        config=load(folder / "config.yaml"),
        models=write_repository(folder / "models"),
        keep_ports=True,
    )
    async with running(wish, folder, lambda _name, _line: None) as stack:
        await start_all(stack, wish, Console(quiet=True), services=("classifier", "detector"))
        async with Bus(stack.mqtt, service="consumer") as bus:
            judging = asyncio.create_task(judge(bus))
            strangers = asyncio.create_task(intrude(bus))
            try:
                yield stack
            finally:
                judging.cancel()
                strangers.cancel()


async def judge(bus: Bus) -> None:
    async for delivery in bus.subscribe(topics.ALERTS):
        for truth in ("true_alarm", "true_alarm", "false_alarm"):
            await bus.publish(topics.FEEDBACK, Feedback(id=delivery.message.id, truth=truth))


async def intrude(bus: Bus) -> None:
    """Announce frames of a camera that nobody configured: the detector drops and counts them."""
    while True:
        now_ns = time.time_ns()
        ref = FrameRef(
            id=f"stranger-{now_ns}", camera="stranger", run="r", sequence=0, captured_ns=now_ns,
            media_ns=now_ns, width=64, height=64,
        )  # fmt: skip
        bus.send(topics.FRAMES, ref, camera="stranger")
        await asyncio.sleep(0.5)


def exported(addresses: list[str]) -> set[str]:
    lines = "\n".join(get(address) for address in addresses).splitlines()
    return {line.partition("{")[0].partition(" ")[0] for line in lines if not line.startswith("#")}


async def test_rules_and_dashboard_name_what_a_working_system_shows(tmp_path: Path) -> None:
    port = free_port()
    async with almost_working(tmp_path, port) as stack:
        assert stack.triton_metrics is not None
        metrics = {**stack.metrics, "triton": stack.triton_metrics}
        metrics["producers"] = f"http://127.0.0.1:{port}/metrics"
        with prometheus(tmp_path, metrics) as address:
            panels = dict(dashboard_queries())
            normal = {
                title: expr
                for title, expr in panels.items()
                # What needs a GPU, and what is hidden while nothing fails.
                if not names_in(expr) & GPU_ONLY and "{{model}} failed" not in title
            }
            assert len(panels) - len(normal) <= len(GPU_ONLY) + 1
            # The first alert comes where Prometheus sees it.
            watched = {"classifier": 'up{service="classifier"} == 1'}
            assert await has_data(address, watched) == set()
            stack.start_service("producers")
            assert stack.metrics["producers"] == metrics["producers"]
            assert await has_data(address, normal) == set()

            shown = await asyncio.to_thread(exported, list(metrics.values()))
            asked = {name for _, expr in panels.items() for name in names_in(expr)}
            asked |= {name for rule in rules() for name in names_in(rule["expr"])}
            assert asked - shown - GPU_ONLY - PROMETHEUS_OWN == set()

            said = json.loads(await asyncio.to_thread(get, f"{address}/api/v1/rules"))
            loaded = [rule for group in said["data"]["groups"] for rule in group["rules"]]
            assert {rule["name"] for rule in loaded} == {rule["alert"] for rule in rules()}
            assert [rule for rule in loaded if rule["health"] != "ok"] == []
            firing = {rule["name"] for rule in loaded if rule["state"] == "firing"}
            assert firing == set(), "all is well"

            await stack.supervisor.end("classifier")
            down = {"down": 'up{job="secondlook",service="classifier"} == 0'}
            assert await has_data(address, down) == set()
            pending = 'ALERTS{alertname="ServiceDown",service="classifier"}'
            assert await has_data(address, {"rule": pending}) == set()
