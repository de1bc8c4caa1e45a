"""`secondlook page`: the status page in a browser."""

import json
import os
import sys
from pathlib import Path
from typing import Any

import click

from secondlook.commands import options
from secondlook.config_file import load
from secondlook.local.folders import folder_of, is_held


@click.command(name="page")
@options.CONFIG
@options.OVERRIDES
def command(*, config_path: Path, overrides: tuple[str, ...]) -> None:
    """Serve the status page until Ctrl-C, or say where it is.

    Cameras, health, verdicts and alerts as they come, in a browser. A running `secondlook up`
    of the same configuration serves it already: then its address is printed. Whoever may open
    the page sees the cameras, so it listens on this machine alone unless `page.bind` says
    otherwise.

    \b
      secondlook page
      secondlook page --set page.port=8091 --set page.feedback=true
    """
    load(config_path, overrides)
    running = _running(config_path)
    if running.get("page") and not overrides:
        click.echo(running["page"])
        return
    own = [f"frames.directory={running['frames']}"] if running else []
    if running.get("own_broker"):
        where = (f"mqtt.host={running['host']}", f"mqtt.port={running['port']}", "mqtt.tls=null")
        own += where
    if running.get("page"):
        # Beside the one that runs: brokers know one client by one name.
        own.append(f"page.client=page-{os.getpid()}")
    argv = [sys.executable, "-m", "secondlook.page", "--config", str(config_path)]
    for override in (*own, *overrides):
        argv += ["--set", override]
    os.execv(sys.executable, argv)  # noqa: S606 - our own program, no shell wanted


def _running(config_path: Path) -> dict[str, Any]:
    """Return what a running `secondlook up` of this configuration says of itself."""
    folder = folder_of(config_path)
    if not is_held(folder) or not (folder / options.WHERE).exists():
        return {}
    found: dict[str, Any] = json.loads((folder / options.WHERE).read_text(encoding="utf-8"))
    return found
