"""`secondlook set`: arm, disarm and tune a camera while it runs."""

import asyncio
import json
import time
from pathlib import Path
from typing import Any

import click
from pydantic import JsonValue

from secondlook import topics
from secondlook.adapters.bus import Bus
from secondlook.commands import options
from secondlook.commands.reaching import WAIT_S, reach
from secondlook.config import Mqtt
from secondlook.errors import NotConnected, SecondLookError

SURE_S = 1.0
"""Another answer than the wanted one holds when none follows it."""
MAY_BE = {
    "armed": "true or false",
    "confirm_score": "a number from 0 to 1, or such numbers for some of the alert labels, as "
    '{"small_gun": 0.95}',
    "cooldown_s": "seconds, 0 or more",
}
"""What a value may be; `null` besides."""


class Json(click.ParamType[Any]):
    """A value as JSON."""

    name = "value"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> JsonValue:
        """Return the value meant."""
        try:
            found: JsonValue = json.loads(str(value))
        except ValueError:
            self.fail(f"{value!r} is no JSON: true, false, 0.9, 30 or null", param, ctx)
        return found


# A negative number is a wrong value and no option.
@click.command(name="set", context_settings={"ignore_unknown_options": True})
@click.argument("camera")
@click.argument("key", type=click.Choice([*MAY_BE]))
@click.argument("value", type=Json())
@options.to_broker
def command(
    *,
    camera: str,
    key: str,
    value: JsonValue,
    config_path: Path,
    broker: str | None,
    root: str,
    login: options.Login,
) -> None:
    """Arm, disarm or tune a camera while it runs.

    The value holds at once and outlives restarts; `null` returns to what is configured. Exit
    status 1 if the classifier refuses it or does not answer.

    \b
      secondlook set front_door armed false           watched, but raises no alert
      secondlook set front_door confirm_score 0.9     for all alert labels
      secondlook set front_door confirm_score '{"small_gun": 0.95}'
      secondlook set front_door cooldown_s null       what is configured
    """
    mqtt = options.broker_of(config_path, broker, root, login)
    options.check_camera(camera, config_path, broker)
    holds = options.run(_set(mqtt, camera, key, value))
    if holds is not None:
        click.echo(f"{camera}: {key} is {json.dumps(holds[0])}")


async def _set(mqtt: Mqtt, camera: str, key: str, value: JsonValue) -> tuple[JsonValue]:
    async with Bus(mqtt, service=f"set-{time.time_ns():x}") as bus:
        answers = bus.subscribe(topics.CONFIG, camera=camera, key=key)
        await reach(bus, mqtt)
        said: list[JsonValue] = []
        try:
            async with asyncio.timeout(WAIT_S) as patience:
                await bus.publish(topics.SET, value, camera=camera, key=key)
                async for delivery in answers:
                    if delivery.retained:
                        continue
                    said.append(delivery.message)
                    if _is(key, value, delivery.message):
                        break
                    # A classifier that has just connected says all its settings by itself.
                    patience.reschedule(asyncio.get_running_loop().time() + SURE_S)
        except TimeoutError:
            pass
    if said:
        return (_obeyed(camera, key, value, said[-1]),)
    raise NotConnected(
        f"no answer from {mqtt.host}:{mqtt.port} within {WAIT_S:.0f} s; is the classifier running, "
        f"has it a camera {camera}, and may this user command it?"
    )


def _is(key: str, asked: JsonValue, holds: JsonValue) -> bool:
    """Tell whether a setting holds as it was asked for."""
    if isinstance(asked, dict):
        return all(
            score == (holds.get(label) if isinstance(holds, dict) else holds)
            for label, score in asked.items()
        )
    return asked is None or (asked == holds and isinstance(asked, bool) == (key == "armed"))


def _obeyed(camera: str, key: str, asked: JsonValue, holds: JsonValue) -> JsonValue:
    """Return what holds.

    Raises:
        SecondLookError: It is not what was asked for.
    """
    if not _is(key, asked, holds):
        raise SecondLookError(
            f"refused: {key} of {camera} stays {json.dumps(holds)}; it may be {MAY_BE[key]}, "
            "or null for what is configured"
        )
    return holds
