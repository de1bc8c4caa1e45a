"""The retained status of every camera: said when it changes and whenever the broker returns."""

import asyncio
import logging
from collections.abc import Iterable

from secondlook import topics
from secondlook.adapters.bus import Bus

AGAIN_S = 0.5
log = logging.getLogger(__name__)


class Statuses:
    """Keeps `cameras/<camera>/status` at the truth.

    Args:
        bus: Where to say it.
        cameras: All of them; offline until said otherwise, whatever the broker remembers.
    """

    def __init__(self, bus: Bus, cameras: Iterable[str]) -> None:
        self._bus = bus
        self._online = dict.fromkeys(cameras, False)
        self._said: dict[str, bool] = {}
        bus.on_connect(self._say_all_again)

    def set(self, camera: str, online: bool) -> None:
        """Note whether a camera is online, and say it if that is new."""
        self._online[camera] = online
        self._say(camera)

    def all_offline(self) -> None:
        """Say goodbye for every camera."""
        for camera in self._online:
            self.set(camera, False)

    async def keep(self) -> None:
        """Say what could not be said, again and again, for ever."""
        while True:
            await asyncio.sleep(AGAIN_S)
            for camera in self._online:
                self._say(camera)

    def _say(self, camera: str) -> None:
        online = self._online[camera]
        if self._said.get(camera) == online or not self._bus.connected:
            return
        word: topics.OnlineOffline = "online" if online else "offline"
        if self._bus.send(topics.CAMERA_STATUS, word, camera=camera):
            self._said[camera] = online

    async def _say_all_again(self) -> None:
        # A broker that died may have lost what it had acknowledged.
        self._said.clear()
        for camera in self._online:
            self._say(camera)
