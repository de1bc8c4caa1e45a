"""Runs the producers: `python -m producers --config config.yaml`."""

from producers.service import serve
from secondlook.adapters.bus import Bus
from secondlook.config import Config
from secondlook.service import Context, launch


async def _serve(config: Config, context: Context) -> None:
    async with Bus(config.mqtt, service="producers") as bus:
        await serve(config, context, bus)


if __name__ == "__main__":
    launch("producers", _serve)
