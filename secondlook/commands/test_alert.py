"""`secondlook test-alert`: does an alert reach the subscribers?"""

import asyncio
import time
from pathlib import Path

import click
from pydantic import JsonValue

from secondlook import topics
from secondlook.adapters.bus import Bus
from secondlook.commands import options
from secondlook.commands.reaching import WAIT_S, reach
from secondlook.config import Mqtt
from secondlook.config_file import load
from secondlook.errors import ConfigError, NotConnected

__test__ = False  # pytest collects what is called test_…
KEY = "test_alert"


@click.command(name="test-alert")
@options.to_broker
@click.option("--camera", help="Default: the first of the configuration.")
@click.option("--label", help="Default: the first alert label.")
def command(
    *,
    config_path: Path,
    broker: str | None,
    root: str,
    login: options.Login,
    camera: str | None,
    label: str | None,
) -> None:
    """Send a marked alert the whole way and time it.

    It goes through the classifier's database and the broker like a real one, and says
    `"test": true`. Exit status 1 if it does not arrive within 10 seconds.

    \b
      secondlook test-alert --camera front_door
    """
    mqtt = options.broker_of(config_path, broker, root, login)
    if camera is None:
        if broker is not None and not config_path.exists():
            raise ConfigError("say which camera with --camera NAME")
        camera = next(iter(load(config_path).cameras))
    options.check_camera(camera, config_path, broker)
    if label is not None and broker is None:
        labels = load(config_path).alerts.labels
        if label not in labels:
            raise ConfigError(f"{label!r} does not alert: there is {', '.join(labels)}")
    seconds = options.run(_send(mqtt, camera, label))
    if seconds is not None:
        click.echo(f"The test alert of {camera} arrived after {seconds * 1000:.0f} ms.")


async def _send(mqtt: Mqtt, camera: str, label: str | None) -> float:
    async with Bus(mqtt, service=f"test-alert-{time.time_ns():x}") as bus:
        arriving = bus.subscribe(topics.ALERTS, camera=camera)
        await reach(bus, mqtt)
        began = time.monotonic()
        asked: JsonValue = {"label": label} if label else {}
        await bus.publish(topics.SET, asked, camera=camera, key=KEY)
        try:
            async with asyncio.timeout(WAIT_S):
                async for delivery in arriving:
                    if delivery.message.test and delivery.message.event == "new":
                        return time.monotonic() - began
        except TimeoutError:
            pass
    raise NotConnected(
        f"no test alert of {camera} within {WAIT_S:.0f} s; is the classifier running, "
        f"and does its configuration have a camera called {camera}?"
    )
