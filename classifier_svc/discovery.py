"""Announces the devices to Home Assistant, and remembers what it has announced. Decides nothing.

Apart from the outbox: an alert never waits for Home Assistant.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import TypeVar

from classifier_svc.announced import Announced, plan
from classifier_svc.homeassistant import BIRTH, DISCOVERY, devices
from secondlook.adapters.bus import Bus
from secondlook.adapters.database import Connection, Database
from secondlook.backoff import Backoff
from secondlook.config import Config
from secondlook.errors import DatabaseError, NotConnected

T = TypeVar("T")
log = logging.getLogger(__name__)

DIGEST_S = 5.0
"""Home Assistant takes up only a part of a payload that comes while it works on the last one."""


class Discovery:
    """Keeps Home Assistant informed of the cameras that there are.

    Args:
        config: The whole configuration.
        version: Of this software.
        bus: Not open yet.
        database: Open.
    """

    def __init__(self, config: Config, version: str, *, bus: Bus, database: Database) -> None:
        self._prefix = config.homeassistant.prefix
        self._wanted = devices(config, version)
        self._bus = bus
        self._database = database
        self._births = bus.subscribe(replace(BIRTH, prefix=self._prefix), limit=10)
        self._woken = asyncio.Event()
        self._came = False
        self._complained = False

    def connected(self) -> None:
        """Tell that there is a broker (again): it may have lost what it had retained."""
        self._woken.set()

    async def hear_births(self) -> None:
        """Announce everything anew, for ever, whenever Home Assistant says that it is there."""
        async for delivery in self._births:
            if delivery.message.strip().lower() == "online":
                self._came = True
                self._woken.set()

    async def run(self) -> None:
        """Announce for ever, after every connect and for every birth."""
        known = await _patiently(self._remember)
        while True:
            await self._woken.wait()
            self._woken.clear()
            came, self._came = self._came, False
            told = await asyncio.gather(*(self._announce(each, came=came) for each in known))
            if not all(told):
                # What wakes us again is a broker that is back, or the next birth.
                self._came |= came
            elif came and any(each.former for each in known):
                known = await _patiently(partial(self._greeted, known))

    async def _announce(self, device: Announced, *, came: bool) -> bool:
        """Publish what there is to say of a device; return whether the broker took it all."""
        topic = replace(DISCOVERY, prefix=device.prefix)
        try:
            for number, payload in enumerate(device.messages(came=came)):
                if number:
                    await asyncio.sleep(DIGEST_S)
                await self._bus.publish(topic, payload, device=device.device)
        except NotConnected as error:
            if self._bus.connected and not self._complained:
                self._complained = True
                log.warning(
                    "Home Assistant cannot be told of %s: %s; let the classifier write to "
                    "%s/device/+/config (secondlook broker-config), or set homeassistant.enabled: "
                    "false",
                    *(device.device, error, device.prefix),
                )
            return False
        return True

    async def _remember(self) -> list[Announced]:
        """Note what will be announced, before anything of it is."""
        before = await self._database.read(_stored)
        known = plan(before, self._prefix, self._wanted)
        for each in known:
            if not each.payload:
                log.info("Home Assistant is told that %s is gone", each.device)
        if known != before:
            await self._database.write(partial(_store, known))
        return known

    async def _greeted(self, known: Sequence[Announced]) -> list[Announced]:
        """Note that Home Assistant knows what is gone; return what is still worth saying."""
        rest = [each.greeted() for each in known if not each.greeted().forgotten]
        await self._database.write(partial(_store, rest))
        return rest


async def _patiently(work: Callable[[], Awaitable[T]]) -> T:
    """Do what needs the database, and try for as long as it takes."""
    backoff = Backoff()
    while True:
        try:
            return await work()
        except DatabaseError as error:
            log.warning("what was announced cannot be read or written: %s", error)
            await asyncio.sleep(backoff.next_s())


def _stored(db: Connection) -> list[Announced]:
    query = "SELECT prefix, device, payload, former FROM announced ORDER BY prefix, device"
    return [Announced(*row) for row in db.execute(query).fetchall()]


def _store(known: Sequence[Announced], db: Connection) -> None:
    db.execute("DELETE FROM announced")
    db.executemany(
        "INSERT INTO announced (prefix, device, payload, former) VALUES (?, ?, ?, ?)",
        [(each.prefix, each.device, each.payload, each.former) for each in known],
    )
