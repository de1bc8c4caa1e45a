"""`secondlook up`: the whole system on the user's cameras, in one command."""

import asyncio
import json
from pathlib import Path

import click
from rich.console import Console

from secondlook.commands import options
from secondlook.commands.lines import count, json_line, log_line, show
from secondlook.commands.starting import OWN_BROKER, start_all
from secondlook.config import Config
from secondlook.config_file import load
from secondlook.local.folders import folder_of, held
from secondlook.local.stack import Stack, Wish, is_local, running


@click.command(name="up")
@options.CONFIG
@options.OVERRIDES
@options.MODELS
@click.option("--platform", default="python", show_default=True, help="Of the model files.")
@click.option("--no-broker", is_flag=True, help="Use the broker of the configuration.")
@click.option("--no-triton", is_flag=True, help="Use the Triton of the configuration.")
def command(
    *,
    config_path: Path,
    overrides: tuple[str, ...],
    models: Path | None,
    platform: str,
    no_broker: bool,
    no_triton: bool,
) -> None:
    """Run everything on your cameras until Ctrl-C.

    Starts the three services, and a broker and a Triton of its own, which only this machine can
    reach. A broker or a Triton on another host, named in the configuration, is used instead.
    What dies is started again.

    \b
    Begin with five lines in config.yaml:
      cameras:
        front_door:
          source: rtsp://192.0.2.10/stream
          username: viewer
          password: !env FRONT_DOOR_PASSWORD

    \b
    Then:
      secondlook check --embedded      is everything right? saves a picture of each camera
      secondlook up                    start watching
      secondlook alerts                in another terminal: the alerts as they come

    A web page with cameras, alerts and health is served too, for this machine: its address is
    printed. `page:` in the configuration turns it off, or lets others in.
    """
    config = load(config_path, overrides)
    wish = Wish(
        config_path=config_path,
        config=config,
        overrides=overrides,
        models=models,
        platform=platform,
        own_broker=not no_broker and is_local(config.mqtt.host),
        own_triton=not no_triton and is_local(config.triton.url.rpartition(":")[0]),
        keep_ports=True,
    )
    options.run(_up(wish, Console(stderr=True)))


async def _up(wish: Wish, console: Console) -> None:
    def say(name: str, line: str) -> None:
        if wish.config.log.json_lines:
            click.echo(json_line(name, line), err=True)
        else:
            show(console, log_line(name, line))

    with held(folder_of(wish.config_path)) as folder:
        async with running(wish, folder, say) as stack:
            if wish.config.page.enabled:
                stack.start_page()
            where = {
                "host": stack.mqtt.host,
                "port": stack.mqtt.port,
                "frames": str(stack.frames),
                "page": stack.page,
                "own_broker": wish.own_broker,
            }
            (folder / options.WHERE).write_text(json.dumps(where), encoding="utf-8")
            _introduce(stack, wish.config, wish, console)
            await start_all(stack, wish, console, patient=True)
            shown = [*stack.metrics.values(), *filter(None, [stack.triton_metrics])]
            console.print(f"  numbers for Prometheus: {' '.join(shown)}", soft_wrap=True)
            console.print("[bold green]Watching.[/] Ctrl-C ends it.")
            raise await asyncio.shield(stack.supervisor.failed)


def _introduce(stack: Stack, config: Config, wish: Wish, console: Console) -> None:
    host, port, root = stack.mqtt.host, stack.mqtt.port, stack.mqtt.root
    owner = "its own" if wish.own_broker else "the configured one"
    lines = [
        f"{count(config.cameras, 'camera')}: {', '.join(config.cameras)}",
        f"broker: {host}:{port} ({owner})",
        f"page: {stack.page}" if stack.page else "page: off",
        f"Triton: {stack.triton.url} ({'its own' if wish.own_triton else 'the configured one'})",
        "alerts: secondlook alerts   or, with any MQTT client:",
        f"        mosquitto_sub -h {host} -p {port} -t '{root}/alerts/#' -v",
    ]
    if wish.own_broker and port != config.mqtt.port:
        lines.append(f"port {config.mqtt.port} is taken, so the broker listens on {port}")
    if stack.frames_mb < config.frames.max_mb:
        lines.append(
            f"frames get {stack.frames_mb} MB instead of {config.frames.max_mb}: there is no more "
            "room in memory (in a container: --shm-size)"
        )
    if wish.own_broker and (config.mqtt.username or config.mqtt.tls):
        lines.append(OWN_BROKER)
    for line in lines:
        console.print(f"  {line}", highlight=False, markup=False, soft_wrap=True)
