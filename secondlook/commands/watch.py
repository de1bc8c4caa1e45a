"""`secondlook watch`: a live view of everything on the bus."""

import asyncio
import contextlib
import time
from collections.abc import Callable
from pathlib import Path

import click
from rich.console import Console
from rich.live import Live
from rich.text import Text

from secondlook import topics
from secondlook.adapters.bus import Bus
from secondlook.commands import options
from secondlook.commands.board import Board
from secondlook.commands.lines import show
from secondlook.commands.listening import listen
from secondlook.config import Mqtt

REFRESH_S = 0.25


@click.command(name="watch")
@options.to_broker
@click.option("--seconds", type=click.FloatRange(min=0.1), help="End after this long.")
def command(
    *,
    config_path: Path,
    broker: str | None,
    root: str,
    login: options.Login,
    seconds: float | None,
) -> None:
    """Show cameras, services and looks live.

    In a terminal it is a view that renews itself; into a pipe it prints plain lines. Ctrl-C
    ends it.

    \b
      secondlook watch                              the running `secondlook up` of config.yaml
      secondlook watch --broker 192.0.2.5:1883      any other
    """
    mqtt = options.broker_of(config_path, broker, root, login)
    options.run(_watch(mqtt, Console(), seconds))


async def _watch(mqtt: Mqtt, console: Console, seconds: float | None) -> None:
    board = Board()
    where = f"{mqtt.host}:{mqtt.port}"
    live = Live(console=console, refresh_per_second=4, transient=False)

    def say(line: Text | None) -> None:
        if line is not None and not console.is_terminal:
            show(console, line)

    async with Bus(mqtt, service=f"watch-{time.time_ns():x}") as bus:
        listeners = _listen(bus, board, say)
        try:
            with live if console.is_terminal else contextlib.nullcontext():
                async with asyncio.timeout(seconds):
                    while True:
                        if console.is_terminal:
                            live.update(board.render(time.monotonic(), where, bus.connected))
                        await asyncio.sleep(REFRESH_S)
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
        listen(bus, topics.FRAMES, lambda d: board.camera(d.message.camera).frames.count(now())),
        listen(bus, topics.VERDICTS, lambda d: say(board.saw_verdict(d.message, now()))),
        listen(bus, topics.ALERTS, lambda d: say(board.saw_alert(d.message))),
        listen(
            bus,
            topics.STATE,
            lambda d: board.saw_state(d.levels["camera"], d.levels["label"], d.message),
        ),
    ]
