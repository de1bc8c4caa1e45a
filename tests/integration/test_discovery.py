"""What Home Assistant would hear: a real broker, a real database, and a listener in its place."""

import asyncio
import contextlib
import json
import sqlite3
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from classifier_svc import discovery
from classifier_svc.discovery import Discovery
from classifier_svc.homeassistant import BIRTH, DISCOVERY
from classifier_svc.schema import MIGRATIONS
from secondlook.access import acl
from secondlook.adapters.bus import Bus
from secondlook.adapters.database import Database
from secondlook.config import Config
from tests.integration.broker_fixtures import PATIENCE_S, Broker, opened

pytestmark = pytest.mark.integration
PREFIX = "homeassistant"


class HomeAssistantStandIn:
    """Hears discovery topics as Home Assistant does, and can say that it is there."""

    def __init__(self, bus: Bus, prefix: str = PREFIX) -> None:
        self._bus = bus
        self._prefix = prefix
        self.heard: list[tuple[str, bytes, bool]] = []
        """Device, payload, and whether the broker had kept it."""
        # As raw bytes: an empty message is no JSON.
        self._subscription = bus.subscribe(replace(DISCOVERY, prefix=prefix, kind="jpeg"))

    async def listen(self) -> None:
        async for each in self._subscription:
            self.heard.append((each.levels["device"], each.message, each.retained))

    async def is_born(self) -> None:
        await self._bus.publish(replace(BIRTH, prefix=self._prefix), "online")

    def payloads(self, device: str) -> list[bytes]:
        return [payload for heard, payload, _ in self.heard if heard == device]

    def components(self, device: str) -> list[set[str]]:
        """Return the names of what each message of a device announces or takes away."""
        return [
            set(json.loads(payload)["components"]) if payload else set()
            for payload in self.payloads(device)
        ]

    async def until(self, condition: Any) -> None:
        try:
            async with asyncio.timeout(PATIENCE_S):
                while not condition():  # noqa: ASYNC110 - what it hears changes by itself
                    await asyncio.sleep(0.02)
        except TimeoutError:
            raise AssertionError([(d, len(p), r) for d, p, r in self.heard]) from None


@contextlib.asynccontextmanager
async def home_assistant(broker: Broker, prefix: str = PREFIX) -> AsyncIterator[Any]:
    # Two clients of one name would throw each other out.
    bus = Bus(broker.mqtt(), service=f"at-{prefix.replace('/', '-')}")
    stand_in = HomeAssistantStandIn(bus, prefix)
    async with opened(bus):
        listening = asyncio.create_task(stand_in.listen())
        yield stand_in
        listening.cancel()


@contextlib.asynccontextmanager
async def announcing(broker: Broker, folder: Path, **sections: Any) -> AsyncIterator[Bus]:
    """Run what announces, with this configuration, as a process of the classifier would."""
    cameras = {"yard": {"source": "synthetic:"}, "door": {"source": "synthetic:"}}
    config = Config.model_validate({"cameras": cameras} | sections)
    bus = Bus(broker.mqtt(), service="classifier")
    async with Database(folder / "data" / "db.sqlite3", MIGRATIONS) as database:
        announcer = Discovery(config, "1", bus=bus, database=database)

        async def connected() -> None:
            announcer.connected()

        bus.on_connect(connected)
        async with bus, asyncio.TaskGroup() as group:
            tasks = [group.create_task(announcer.run()), group.create_task(announcer.hear_births())]
            yield bus
            for task in tasks:
                task.cancel()


def noted(folder: Path) -> set[str]:
    """Return the devices that are remembered as announced."""
    with contextlib.closing(sqlite3.connect(folder / "data" / "db.sqlite3")) as db:
        return {device for (device,) in db.execute("SELECT device FROM announced")}


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(discovery, "DIGEST_S", 0.05)


async def test_devices_are_announced_and_kept_for_who_comes_later(
    broker: Broker, tmp_path: Path
) -> None:
    async with announcing(broker, tmp_path), home_assistant(broker) as early:
        await early.until(lambda: len({device for device, _, _ in early.heard}) == 3)

    async with home_assistant(broker) as late:
        await late.until(lambda: len(late.heard) == 3)
        assert all(retained for _, _, retained in late.heard)


async def test_a_birth_makes_everything_be_said_again_unchanged(
    broker: Broker, tmp_path: Path
) -> None:
    async with announcing(broker, tmp_path), home_assistant(broker) as listener:
        await listener.until(lambda: len(listener.heard) == 3)
        await listener.is_born()
        await listener.until(lambda: len(listener.heard) == 6)

        for device in ("secondlook", "secondlook-yard", "secondlook-door"):
            first, second = listener.payloads(device)
            assert first == second


async def test_a_broker_that_lost_everything_is_told_anew(broker: Broker, tmp_path: Path) -> None:
    async with announcing(broker, tmp_path):
        async with home_assistant(broker) as listener:
            await listener.until(lambda: len(listener.heard) == 3)
        broker.kill()
        broker.forget()
        broker.start()
        async with home_assistant(broker) as listener:
            await listener.until(lambda: len(listener.heard) >= 3)


async def test_a_camera_that_was_taken_out_meanwhile_disappears(
    broker: Broker, tmp_path: Path
) -> None:
    async with home_assistant(broker) as listener:
        async with announcing(broker, tmp_path):
            await listener.until(lambda: len(listener.heard) == 3)
        async with announcing(broker, tmp_path, cameras={"yard": {"source": "synthetic:"}}):
            await listener.until(lambda: listener.payloads("secondlook-door")[-1] == b"")

    async with home_assistant(broker) as late:
        await late.until(lambda: len(late.heard) == 2)
        await asyncio.sleep(0.2)
        assert {device for device, _, _ in late.heard} == {"secondlook", "secondlook-yard"}


async def test_a_home_assistant_that_was_away_hears_of_the_camera_and_of_its_end(
    broker: Broker, tmp_path: Path
) -> None:
    one = {"yard": {"source": "synthetic:"}}
    async with announcing(broker, tmp_path), home_assistant(broker) as listener:
        await listener.until(lambda: len(listener.heard) == 3)
    async with contextlib.AsyncExitStack() as stack:
        async with home_assistant(broker) as early:
            await early.until(lambda: len(early.heard) == 3)
            await stack.enter_async_context(announcing(broker, tmp_path, cameras=one))
            # What is not heard by then comes in between what a birth brings.
            await early.until(lambda: early.payloads("secondlook-door")[-1] == b"")
        async with home_assistant(broker) as listener:
            await listener.is_born()
            await listener.until(lambda: len(listener.payloads("secondlook-door")) == 2)
            before, last = listener.components("secondlook-door")
            assert before >= {"event-events", "binary_sensor-alert-small_gun"}
            assert last == set()
            # Heard is not yet noted: whoever is stopped in between says it once more.
            await listener.until(lambda: "secondlook-door" not in noted(tmp_path))

    async with announcing(broker, tmp_path, cameras=one), home_assistant(broker) as listener:
        await listener.is_born()
        await listener.until(lambda: len(listener.payloads("secondlook-yard")) >= 2)
        assert listener.payloads("secondlook-door") == []


async def test_a_label_that_is_called_otherwise_leaves_nothing_behind(
    broker: Broker, tmp_path: Path
) -> None:
    async with home_assistant(broker) as listener:
        async with announcing(broker, tmp_path, alerts={"labels": ["gun"]}):
            await listener.until(lambda: len(listener.heard) == 3)
        async with announcing(broker, tmp_path, alerts={"labels": ["pistol"]}):
            await listener.until(lambda: len(listener.payloads("secondlook-yard")) == 3)

    farewell, last = map(json.loads, listener.payloads("secondlook-yard")[1:])
    kinds = {
        "binary_sensor-alert": "binary_sensor",
        "device_automation-confirmed": "device_automation",
    }
    for key, platform in kinds.items():
        assert farewell["components"][f"{key}-gun"] == {"platform": platform}
        assert f"{key}-gun" not in last["components"]
        assert f"{key}-pistol" in last["components"]


async def test_switched_off_everything_disappears(broker: Broker, tmp_path: Path) -> None:
    async with announcing(broker, tmp_path), home_assistant(broker) as listener:
        await listener.until(lambda: len(listener.heard) == 3)
    off = {"enabled": False}
    async with home_assistant(broker) as listener:
        await listener.until(lambda: len(listener.heard) == 3)
        async with announcing(broker, tmp_path, homeassistant=off):
            await listener.until(lambda: [p for _, p, _ in listener.heard[3:]] == [b""] * 3)

    async with home_assistant(broker) as late:
        await asyncio.sleep(0.3)
        assert late.heard == []


async def test_another_prefix_takes_the_old_devices_away(broker: Broker, tmp_path: Path) -> None:
    async with announcing(broker, tmp_path), home_assistant(broker) as listener:
        await listener.until(lambda: len(listener.heard) == 3)
    moved = {"prefix": "ha/discovery"}
    async with (
        home_assistant(broker) as old,
        home_assistant(broker, "ha/discovery") as new,
        announcing(broker, tmp_path, homeassistant=moved),
    ):
        await new.until(lambda: len(new.heard) == 3)
        await old.until(lambda: [p for _, p, _ in old.heard[-3:]] == [b"", b"", b""])


@pytest.fixture
def strict_broker(broker: Broker) -> Broker:
    """A broker on which nobody may write discovery topics."""
    broker.stop()
    rules = [
        line.replace("user classifier", "topic readwrite secondlook/#")
        for line in acl("secondlook", PREFIX).splitlines()
        if line == "user classifier"
    ]
    (broker.folder / "acl").write_text("\n".join(rules) + "\n")
    broker.settings = f"acl_file {broker.folder}/acl\n"
    broker.start()
    return broker


async def test_a_broker_that_refuses_is_complained_of_once(
    strict_broker: Broker, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with announcing(strict_broker, tmp_path) as bus:
        async with asyncio.timeout(PATIENCE_S):
            while "cannot be told" not in caplog.text:  # noqa: ASYNC110 - a log grows by itself
                await asyncio.sleep(0.05)
        await asyncio.sleep(0.3)
        assert bus.connected

    assert caplog.text.count("Home Assistant cannot be told") == 1
