"""Options that several commands share, and what they mean."""

import asyncio
import json
import signal
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, TypeVar

import click

from secondlook.config import Mqtt
from secondlook.config_file import load
from secondlook.errors import ConfigError
from secondlook.local.folders import folder_of, is_held

F = TypeVar("F", bound=Callable[..., Any])
T = TypeVar("T")
WHERE = "where.json"
"""In the folder of a running `secondlook up`: where its broker is."""

CONFIG = click.option(
    "--config",
    "config_path",
    type=click.Path(path_type=Path, dir_okay=False),
    default=Path("config.yaml"),
    show_default=True,
    help="The configuration file.",
)
OVERRIDES = click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="KEY=VALUE",
    help="Override one key, for instance --set alerts.k=3. May be repeated.",
)
MODELS = click.option(
    "--models",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    help="A Triton model repository other than the project's own.",
)


def to_broker(function: F) -> F:
    """Add the options that say which broker to talk to."""
    for option in (
        click.option("--root", default="secondlook", show_default=True, help="With --broker."),
        click.option(
            "--broker",
            metavar="HOST[:PORT]",
            help="Talk to this broker instead of the one of the configuration.",
        ),
        CONFIG,
    ):
        function = option(function)
    return function


def broker_of(config_path: Path, broker: str | None, root: str) -> Mqtt:
    """Return the broker that the options mean.

    A running `secondlook up` of the same configuration has its own broker, and wins.

    Raises:
        ConfigError: Neither a broker nor a usable configuration is given.
    """
    if broker is not None:
        host, colon, port = broker.rpartition(":")
        try:
            return (
                Mqtt(host=host, port=int(port), root=root) if colon else Mqtt(host=port, root=root)
            )
        except ValueError:
            raise ConfigError(f"--broker {broker}: write it as HOST or HOST:PORT") from None
    if not config_path.exists():
        raise ConfigError(f"there is no {config_path}; give --config FILE or --broker HOST:PORT")
    mqtt = load(config_path).mqtt
    running = folder_of(config_path)
    if is_held(running) and (running / WHERE).exists():
        where = json.loads((running / WHERE).read_text(encoding="utf-8"))
        own = {"host": where["host"], "port": where["port"], "tls": None}
        return mqtt.model_copy(update=own)
    return mqtt


def run(work: Coroutine[Any, Any, T]) -> T | None:
    """Run until done, or until Ctrl-C, SIGTERM or SIGHUP; return None then."""
    return asyncio.run(_interruptible(work))


async def _interruptible(work: Coroutine[Any, Any, T]) -> T | None:
    task = asyncio.ensure_future(work)
    interrupted = False

    def interrupt() -> None:
        # Once: a second Ctrl-C must not cut short the ending of the children.
        nonlocal interrupted
        if not interrupted:
            interrupted = True
            task.cancel()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, interrupt)
    try:
        return await task
    except asyncio.CancelledError:
        if interrupted:
            return None
        raise
