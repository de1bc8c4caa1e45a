"""Rubbish on every topic that a service reads: each stays up, counts it, and goes on working."""

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator
from pathlib import Path

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion
from rich.console import Console

from secondlook import topics
from secondlook.adapters.bus import Bus
from secondlook.commands.starting import start_all
from secondlook.config_file import load
from secondlook.local.folders import temporary
from secondlook.local.stack import SERVICES, Stack, Wish, running
from secondlook.messages import Crop, FrameRef, Verdict

pytestmark = [pytest.mark.integration, pytest.mark.timeout(240)]

PAYLOADS = {
    "not JSON": b"hello",
    "nothing": b"",
    "binary": bytes(range(256)) * 10,
    "another schema": b'{"schema": "secondlook/other/9"}',
    "a list": b"[1, 2, 3]",
    "NaN": b'{"schema": "secondlook/seen/1", "media_ns": NaN}',
    "deep nesting": b'{"a":' * 50_000,
    "10 MB": b"x" * 10_000_000,
}
LEVELS = {
    "camera": ["yard", "no_such_camera", "..", "%2e%2e", "a b", "ä", "x" * 500],
    "label": ["x"],
    "service": ["triton"],
    "key": ["test_alert", "armed", "__class__"],
    "client": ["x"],
}
READ = [t for t in topics.ALL if set(t.readers) & {"detector", "classifier", "services"}]


@contextlib.asynccontextmanager
async def whole_stack(folder: Path) -> AsyncIterator[Stack]:
    path = folder / "config.yaml"
    path.write_text(
        "cameras: {yard: {source: 'synthetic:?seed=3&width=640&height=360', fps: 5}}\n"
        "detector: {min_score: 0.05}\n"
    )
    wish = Wish(config_path=path, config=load(path))
    async with running(wish, folder, lambda *_: None) as stack:
        await start_all(stack, wish, Console(quiet=True))
        yield stack


def rubbish_topics() -> list[str]:
    found = []
    for topic in READ:
        (level, *_) = [*re.findall(r"\{(\w+)\}", topic.pattern), ""]
        for value in LEVELS.get(level, [""]):
            path = topic.pattern.replace(f"{{{level}}}", value)
            found.append("secondlook/" + re.sub(r"\{\w+\}", "x", path))
    return found


def throw(port: int, where: str, payload: bytes) -> None:
    client = paho.Client(CallbackAPIVersion.VERSION2)
    client.connect("127.0.0.1", port)
    client.loop_start()
    with contextlib.suppress(RuntimeError, ValueError):
        client.publish(where, payload, qos=1).wait_for_publish(2)
    client.disconnect()
    client.loop_stop()


def wrong_references(good: FrameRef) -> list[bytes]:
    """Well-formed references to frames that are not what they say, or not there."""
    later = good.captured_ns + 10**9
    gone = {"captured_ns": later, "id": f"yard-{later}"}
    return [
        good.model_copy(update=update).encode()
        for update in (
            {"width": 1, "height": 1},
            {"width": 65_535, "height": 65_535},
            {"run": "other"},
            {"media_ns": 2**63 - 1},
            gone,
        )
    ]


def wrong_crops(good: Crop) -> list[bytes]:
    """Well-formed crops whose pixels are none, or too many."""
    bomb = bytes.fromhex("ffd8ffc0001108ffffffff03012200021101031101ffd9")
    return [
        good.model_copy(update={"id": f"{good.track}.{900 + number}", "jpeg": jpeg}).encode()
        for number, jpeg in enumerate([b"", b"no picture", bomb, good.jpeg[: len(good.jpeg) // 2]])
    ]


async def test_rubbish_on_every_topic_leaves_the_services_working() -> None:
    with temporary("secondlook-rubbish-") as folder:
        async with (
            whole_stack(folder) as stack,
            Bus(stack.mqtt, service="tester") as bus,
        ):
            frames, crops = bus.subscribe(topics.FRAMES), bus.subscribe(topics.CROPS)
            verdicts, letters = bus.subscribe(topics.VERDICTS), bus.subscribe(topics.DEAD_LETTERS)
            async with asyncio.timeout(60):
                frame = (await frames.batch(1))[0].message
                crop = await first_crop(crops)
            before = {name: stack.supervisor.pid(name) for name in SERVICES}
            for where in rubbish_topics():
                for payload in PAYLOADS.values():
                    if len(payload) < 1_000_000 or where.endswith("yard"):
                        await asyncio.to_thread(throw, stack.mqtt.port, where, payload)
            for payload in wrong_references(frame):
                await asyncio.to_thread(throw, stack.mqtt.port, "secondlook/frames/yard", payload)
            for payload in wrong_crops(crop):
                await asyncio.to_thread(throw, stack.mqtt.port, "secondlook/crops/yard", payload)
            await asyncio.sleep(1)
            async with asyncio.timeout(60):
                assert await letters.batch(1)
            assert {name: stack.supervisor.pid(name) for name in SERVICES} == before
            assert all(stack.supervisor.starts[name] == 1 for name in SERVICES)
            while len(verdicts):
                await verdicts.batch(1000)
            async with asyncio.timeout(60):
                verdict = (await verdicts.batch(1))[0].message
            assert isinstance(verdict, Verdict)


async def first_crop(crops) -> Crop:
    while True:
        for delivery in await crops.batch(100):
            if isinstance(delivery.message, Crop):
                return delivery.message
