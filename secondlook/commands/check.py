"""`secondlook check`: is everything right, before it runs unattended?"""

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import click
from rich.console import Console

from secondlook.commands import options
from secondlook.commands.lines import count
from secondlook.commands.starting import OWN_BROKER, start_all
from secondlook.commands.trying import Report, try_broker, try_models, try_sources
from secondlook.config import Mqtt, TritonServer
from secondlook.config_file import load
from secondlook.errors import SecondLookError
from secondlook.local.folders import temporary
from secondlook.local.stack import Wish, is_local, running

PICTURES = Path("check-pictures")


@click.command(name="check")
@options.CONFIG
@options.OVERRIDES
@options.MODELS
@click.option("--embedded", is_flag=True, help="Try the broker and Triton that `up` would start.")
@click.option("--no-broker", is_flag=True, help="With --embedded: but the broker configured.")
@click.option(
    "--pictures",
    type=click.Path(path_type=Path, file_okay=False),
    default=PICTURES,
    show_default=True,
    envvar="SECONDLOOK_PICTURES",
    help="Where to save one picture per camera, with its zones and masks drawn.",
)
def command(
    *,
    config_path: Path,
    overrides: tuple[str, ...],
    models: Path | None,
    embedded: bool,
    no_broker: bool,
    pictures: Path,
) -> None:
    """Try configuration, broker, models and cameras once.

    Saves one picture per camera with its zones drawn. Says what is wrong in a sentence each.
    Exit status 1 if anything is wrong, 78 if the configuration is.

    \b
      secondlook check --embedded                for `secondlook up`, with broker and Triton
      secondlook check --embedded --no-broker    for `secondlook up --no-broker`
      secondlook check                           for a broker and a Triton that run already
    """
    config = load(config_path, overrides)
    console = Console()
    report = Report(console)
    report.good(f"configuration {config_path}: {count(config.cameras, 'camera')}")
    wish = Wish(
        config_path=config_path,
        config=config,
        overrides=overrides,
        models=models,
        own_broker=embedded and not no_broker and is_local(config.mqtt.host),
        own_triton=embedded and is_local(config.triton.url.rpartition(":")[0]),
    )
    if wish.own_broker and (config.mqtt.username or config.mqtt.tls):
        report.console.print(f"  {OWN_BROKER}", highlight=False, soft_wrap=True)
    _make(pictures)
    options.run(_check(wish, report, pictures))
    if report.mistakes:
        raise SystemExit(1)


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise click.BadParameter(
            f"{folder} cannot be made ({error.strerror}); name a folder that you may write to",
            param_hint="--pictures",
        ) from None


async def _check(wish: Wish, report: Report, pictures: Path) -> None:
    await try_sources(wish, pictures, report)
    async with _servers(wish, report) as servers:
        if servers is not None:
            mqtt, triton = servers
            await try_broker(mqtt, report)
            await try_models(wish.config, triton, report)


@contextlib.asynccontextmanager
async def _servers(wish: Wish, report: Report) -> AsyncIterator[tuple[Mqtt, TritonServer] | None]:
    """Give the broker and Triton to try; start our own where the wish says so."""
    if not (wish.own_broker or wish.own_triton):
        yield wish.config.mqtt, wish.config.triton
        return
    with temporary("secondlook-check-") as folder:
        async with running(wish, folder, lambda _name, _line: None) as stack:
            try:
                await start_all(stack, wish, report.console, services=())
            except SecondLookError as error:
                report.bad(str(error))
                yield None
            else:
                yield stack.mqtt, stack.triton
