"""`secondlook forget`: delete alerts and their pictures, at the broker too."""

import asyncio
import contextlib
import secrets
import time
from datetime import datetime
from pathlib import Path

import click
from pydantic import ValidationError

from secondlook import topics
from secondlook.adapters.bus import Bus
from secondlook.commands import options
from secondlook.commands.options import Since
from secondlook.commands.reaching import reach
from secondlook.config import Mqtt
from secondlook.errors import ConfigError, NotConnected
from secondlook.messages import ForgetCommand, Forgotten

WAIT_S = 20.0
KEY = "forget"


@click.command(name="forget")
@click.argument("alert_id", required=False)
@options.to_broker
@click.option("--camera", help="Alerts of this camera.")
@click.option("--before", type=Since(), help="Only those begun before: 7d, or an RFC 3339 time.")
@click.option("--all", "everything", is_flag=True, help="All of the camera's.")
def command(
    *,
    alert_id: str | None,
    config_path: Path,
    broker: str | None,
    root: str,
    login: options.Login,
    camera: str | None,
    before: datetime | None,
    everything: bool,
) -> None:
    """Delete alerts and their pictures for good.

    The classifier deletes them from its database, and the retained picture and alert from the
    broker. What it has kept for training is deleted with `secondlook review`; what others have
    received is theirs. An alert that is still open goes on.

    \b
      secondlook forget front_door-01m80y6fxk8e5t7w9x0y1z2a3b
      secondlook forget --camera front_door --before 7d
      secondlook forget --camera front_door --all
    """
    if (alert_id is not None) + (before is not None) + everything != 1:
        raise click.UsageError("say what: an alert's ID, --before, or --all")
    if alert_id is not None:
        camera = alert_id.rpartition("-")[0]
    if not camera:
        raise click.UsageError("say which camera with --camera NAME")
    try:
        asked = ForgetCommand.model_validate(
            {"id": alert_id, "before": before, "request": secrets.token_hex(8)}
        )
    except ValidationError:
        raise ConfigError(f"{alert_id} is no alert's id") from None
    mqtt = options.broker_of(config_path, broker, root, login)
    count = options.run(_ask(mqtt, camera, asked))
    if count is not None:
        click.echo(f"Deleted: {count} {'alert' if count == 1 else 'alerts'} of {camera}.")


async def _ask(mqtt: Mqtt, camera: str, asked: ForgetCommand) -> int:
    async with Bus(mqtt, service=f"forget-{time.time_ns():x}") as bus:
        answers = bus.subscribe(topics.CONFIG, camera=camera, key=KEY)
        await reach(bus, mqtt)
        said = asked.model_dump(mode="json", exclude_none=True)
        with contextlib.suppress(TimeoutError, ValidationError):
            async with asyncio.timeout(WAIT_S):
                await bus.publish(topics.SET, said, camera=camera, key=KEY)
                async for delivery in answers:
                    answer = Forgotten.model_validate(delivery.message)
                    if answer.request == asked.request:
                        return answer.forgotten
    raise NotConnected(
        f"no answer from {mqtt.host}:{mqtt.port} within {WAIT_S:.0f} s; is the classifier running?"
    )
