"""`secondlook watch`: a live view of everything on the bus."""

import asyncio
import contextlib
import json
import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
from pydantic import BaseModel
from rich.console import Console
from rich.live import Live
from rich.text import Text

from secondlook import topics
from secondlook.adapters.bus import Bus
from secondlook.adapters.subscriptions import Delivery
from secondlook.commands import options
from secondlook.commands.board import Board
from secondlook.commands.lines import show
from secondlook.commands.listening import listen
from secondlook.commands.saving import Saver
from secondlook.config import Mqtt
from secondlook.errors import SecondLookError
from secondlook.topics import Topic

log = logging.getLogger(__name__)
REFRESH_S = 0.25
TOLD = (
    *(topics.STATUS, topics.CAMERA_STATUS, topics.VERDICTS, topics.ALERTS, topics.EVENTS),
    *(topics.STATE, topics.CONFIG, topics.BLIND),
)
"""What `--json` prints."""


@click.command(name="watch")
@options.to_broker
@click.option("--seconds", type=click.FloatRange(min=0.1), help="End after this long.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object per message and line.")
@click.option(
    "--save",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Write the pictures of alerts there as they come: <snapshot_id>.jpg.",
)
def command(
    *,
    config_path: Path,
    broker: str | None,
    root: str,
    login: options.Login,
    seconds: float | None,
    as_json: bool,
    save: Path | None,
) -> None:
    """Show cameras, services, looks and alerts live.

    In a terminal it is a view that renews itself; into a pipe it prints plain lines, or with
    --json what travels on the bus. Ctrl-C ends it.

    \b
    What the table says of each camera:
      status    is it watched? `disarmed`: looked at, but raises no alert
      frames    looked at per second, and how long after capture they are announced
      dropped   frames per second lost on the way: overwritten, too old, no room …
      looks     crops judged per second, and how long after capture that was decided

    \b
      secondlook watch                              the running `secondlook up` of config.yaml
      secondlook watch --broker 192.0.2.5:1883      any other
      secondlook watch --json | jq 'select(.topic | startswith("alerts/")) | .message.label'
      secondlook watch --save pictures              keep the pictures of alerts
    """
    mqtt = options.broker_of(config_path, broker, root, login)
    saver = Saver(save) if save is not None else None
    options.run(_watch(mqtt, Console(), seconds, as_json, saver))


async def _watch(
    mqtt: Mqtt, console: Console, seconds: float | None, as_json: bool, saver: Saver | None
) -> None:
    board = Board()
    where = f"{mqtt.host}:{mqtt.port}"
    live = Live(console=console, refresh_per_second=4, transient=False)
    is_view = console.is_terminal and not as_json

    def say(line: Text | None) -> None:
        if line is not None and not is_view and not as_json:
            show(console, line)

    async with Bus(mqtt, service=f"watch-{time.time_ns():x}") as bus:
        listeners = [] if as_json else _listen(bus, board, say)
        listeners += [_print_each(bus, topic) for topic in TOLD] if as_json else []
        listeners += _save_each(bus, saver) if saver else []
        try:
            with live if is_view else contextlib.nullcontext():
                async with asyncio.timeout(seconds):
                    while True:
                        if is_view:
                            now_s, height = time.monotonic(), console.size.height
                            live.update(board.render(now_s, where, height, connected=bus.connected))
                        await asyncio.sleep(REFRESH_S)
                        for listener in filter(asyncio.Task.done, listeners):
                            listener.result()  # nobody reads our output any more
        except TimeoutError:
            return
        finally:
            for listener in listeners:
                listener.cancel()


def _listen(bus: Bus, board: Board, say: Callable[[Text | None], None]) -> list[asyncio.Task[None]]:
    now = time.monotonic

    return [
        listen(bus, topics.STATUS, lambda d: say(board.saw_status(d.levels, d.message))),
        listen(bus, topics.CAMERA_STATUS, lambda d: say(board.saw_status(d.levels, d.message))),
        listen(bus, topics.CONFIG, lambda d: say(board.saw_setting(d.levels, d.message))),
        listen(bus, topics.FRAMES, lambda d: board.saw_frame(d.message, d.received_ns, now())),
        listen(bus, topics.STATS, lambda d: board.saw_stats(d.message)),
        listen(bus, topics.VERDICTS, lambda d: say(board.saw_verdict(d.message, now()))),
        listen(bus, topics.ALERTS, lambda d: say(board.saw_alert(d.message))),
        listen(
            bus,
            topics.STATE,
            lambda d: board.saw_state(d.levels["camera"], d.levels["label"], d.message),
        ),
    ]


def _print_each(bus: Bus, topic: Topic[Any]) -> asyncio.Task[None]:
    def put(delivery: Delivery[Any]) -> None:
        message = delivery.message
        plain = message.model_dump(mode="json") if isinstance(message, BaseModel) else message
        path = topic.path("", **delivery.levels).removeprefix("/")
        said = {"topic": path, "retained": delivery.retained, "message": plain}
        click.echo(json.dumps(said, ensure_ascii=False))

    return listen(bus, topic, put)


def _save_each(bus: Bus, saver: Saver) -> list[asyncio.Task[None]]:
    def save(delivery: Delivery[bytes]) -> None:
        try:
            saver.save(delivery.message, delivery.levels.get("kind", ""))
        except SecondLookError as error:
            log.warning("%s", error)  # a full disk must not end the view

    return [listen(bus, topic, save) for topic in (topics.SNAPSHOTS, topics.PICTURES)]
