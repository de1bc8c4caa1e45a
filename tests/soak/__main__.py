"""`make soak`: the whole system for an hour on four cameras; does anything grow?"""

import asyncio
import json
import os
import platform
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from secondlook.errors import SecondLookError
from secondlook.local.broker import mosquitto
from tests.soak.run import CAMERAS, SILENT_S, Soaked, soak

WIDTH = 120
"""Of the table, also where it goes into a file."""


@click.command()
@click.option("--seconds", default=3600.0, show_default=True, help="How long to run.")
@click.option("--every", default=10.0, show_default=True, help="Seconds between measurements.")
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    help="Keep logs, databases and all measurements as JSON there.",
)
def main(seconds: float, every: float, out: Path | None) -> None:
    """Run everything on four synthetic cameras, and measure memory, files, folders and queues.

    The first ten minutes (of a short run a quarter) are a warm-up. Exit status 1 if anything
    grows afterwards by more than its bound, if a camera's alerts stop coming, or if a part dies.
    """
    if mosquitto() is None:
        raise click.ClickException("mosquitto is needed: apt install mosquitto")
    console = Console()
    console = Console(width=max(console.width, WIDTH))
    with tempfile.TemporaryDirectory(prefix="secondlook-soak-") as temporary:
        folder = (out or Path(temporary)).absolute()
        folder.mkdir(parents=True, exist_ok=True)
        try:
            result = asyncio.run(soak(folder, seconds, every, console.print))
        except SecondLookError as error:
            raise click.ClickException(str(error)) from error
        except KeyboardInterrupt:
            sys.exit(130)
        (folder / "result.json").write_text(json.dumps(numbers(result), indent=1))
    show(console, result)
    sys.exit(1 if result.failures() else 0)


def numbers(result: Soaked) -> dict[str, Any]:
    """Return everything that was measured."""
    return {
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "python": platform.python_version(),
        "seconds": round(result.samples[-1][0]),
        "warm_up_s": result.warm_up_s,
        "alerts": dict(result.messages),
        "new_by_camera": {name: len(times) for name, times in result.news.items()},
        "longest_silence_s": {n: round(result.longest_silence_s(n), 1) for n in CAMERAS},
        "trends": {
            name: asdict(trend) | {"bound_per_hour": bound}
            for name, (trend, bound) in result.trends().items()
        },
        "failures": result.failures(),
        "samples": [
            {"at_s": round(at_s, 1)} | {name: round(value, 3) for name, value in found.items()}
            for at_s, found in result.samples
        ],
    }


def show(console: Console, result: Soaked) -> None:
    """Print how each series went."""
    minutes, warm_up = result.samples[-1][0] / 60, result.warm_up_s / 60
    table = Table(title=f"{minutes:.0f} minutes, the first {warm_up:.1f} as warm-up")
    table.add_column("what", no_wrap=True, min_width=37)
    for heading in ("warmed up", "at the end", "highest", "an hour", "late", "bound", ""):
        table.add_column(heading, justify="right", no_wrap=True)
    for name, (trend, bound) in sorted(result.trends().items()):
        figures = (trend.first, trend.last, trend.highest)
        slopes = (trend.per_hour, trend.late_per_hour)
        table.add_row(
            name,
            *(f"{figure:.1f}" for figure in figures),
            *(f"{each:+.1f}" for each in slopes),
            f"{bound:.0f}",
            trend.verdict,
        )
    console.print(table)
    for name in CAMERAS:
        console.print(
            f"{name}: {len(result.news[name])} new alerts, "
            f"never more than {result.longest_silence_s(name):.0f} s apart (bound {SILENT_S:.0f})"
        )
    console.print(f"alerts: {dict(result.messages)}")
    for failure in result.failures():
        console.print(f"[red]not as promised:[/] {failure}")


if __name__ == "__main__":
    main()
