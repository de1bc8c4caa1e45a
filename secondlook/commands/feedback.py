"""`secondlook feedback`: say what an alert really was."""

import asyncio
import time
from pathlib import Path
from typing import Literal

import click
from pydantic import ValidationError

from secondlook import topics
from secondlook.adapters.bus import Bus
from secondlook.adapters.history import History
from secondlook.commands import options
from secondlook.commands.reaching import WAIT_S, reach
from secondlook.commands.told import Choice, meant, together
from secondlook.config import Mqtt
from secondlook.config_file import load
from secondlook.errors import NotConnected, SecondLookError
from secondlook.messages import Feedback


@click.command(name="feedback")
@click.argument("alert_id", metavar="ID")
@click.argument("truth", type=click.Choice(["true_alarm", "false_alarm"]))
@click.option("--label", help="What it really was, for instance umbrella.")
@options.to_broker
def command(
    *,
    alert_id: str,
    truth: Literal["true_alarm", "false_alarm"],
    label: str | None,
    config_path: Path,
    broker: str | None,
    root: str,
    login: options.Login,
) -> None:
    """Say what an alert really was.

    It counts for the precision in the field, and gives the alert's crops in the review set their
    true label. It may be said again: the last word counts. ID is the alert's id; where the
    classifier's database is on this machine, the end of it or `last` will do.

    \b
      secondlook feedback last false_alarm --label umbrella
      secondlook feedback front_door-01m80y6fxk8e5t7w9x0y1z2a3b true_alarm
    """
    mqtt = options.broker_of(config_path, broker, root, login)
    try:
        feedback = Feedback(id=_whole(alert_id, config_path), truth=truth, label=label)
    except ValidationError as error:
        wrong = {each["loc"][0] for each in error.errors()}
        raise SecondLookError(
            f"{label!r} is no label: those have small letters, digits and _, as umbrella"
            if "label" in wrong
            else f"{alert_id!r} is no alert's id; `secondlook alerts list --json` shows them"
        ) from None
    if options.run(_send(mqtt, feedback)):
        said = truth.replace("_", " ") + (f", {label}" if label else "")
        click.echo(f"Told: {feedback.id} was a {said}.")


def _whole(alert_id: str, config_path: Path) -> str:
    """Return the whole id, as far as the database is here to know it."""
    if not config_path.exists():
        return alert_id
    path = load(config_path).classifier.database
    if not path.is_file():
        return alert_id
    with History(path) as history:
        try:
            return meant(together(history.messages(), {}, Choice()), alert_id).last.id
        except ValueError as error:
            raise SecondLookError(str(error)) from None


async def _send(mqtt: Mqtt, feedback: Feedback) -> bool:
    async with Bus(mqtt, service=f"feedback-{time.time_ns():x}") as bus:
        await reach(bus, mqtt)
        try:
            async with asyncio.timeout(WAIT_S):
                await bus.publish(topics.FEEDBACK, feedback)
        except TimeoutError:
            raise NotConnected(
                f"{mqtt.host}:{mqtt.port} does not take it within {WAIT_S:.0f} s; may this user "
                "write there?"
            ) from None
    return True
