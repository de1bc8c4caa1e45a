"""Makes the report of a recorded run: `python -m training.evaluate FOLDER`, as often as wanted.

`secondlook evaluate` records the run and calls this.
"""

import json
import sys
from pathlib import Path
from typing import Any

import click
from jinja2 import Environment, StrictUndefined
from rich.console import Console
from rich.table import Table

from secondlook.errors import ConfigError
from secondlook.evaluation import record
from training.evaluate import document, labelled
from training.evaluate.clips_page import Sweeps
from training.evaluate.clips_page import page as clips_page
from training.evaluate.measures import figures, measure
from training.evaluate.page import Page
from training.evaluate.pictures_page import images, photograph_figures, photographs
from training.evaluate.run import Run, assemble

TEMPLATE = Path(__file__).with_name("report.html.j2")


def render(page: Page) -> str:
    """Return a report as one HTML file that loads nothing."""
    jinja = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return jinja.from_string(TEMPLATE.read_text(encoding="utf-8")).render(page=page)


def report(run: Run, folder: Path, console: Console) -> tuple[Page, dict[str, Any]]:
    """Return the report of a run as a page and for programs.

    Args:
        run: Recorded.
        folder: With its crops.
        console: Is told what takes time.

    Raises:
        ConfigError: Nothing was recorded that could be reported.
    """
    if run.started.mode == "images":
        if not labelled.pictures(run):
            raise ConfigError("no picture was judged, so there is nothing to report")
        return images(run), document.of_images(run)
    if not any(clip.frames for clip in run.clips.values()):
        raise ConfigError("no frame was looked at, so there is nothing to report")
    with console.status("counting"):
        measures = measure(run)
    if run.started.mode == "photographs":
        found = photograph_figures(measures)
        return photographs(measures, folder), document.of_clips(measures, found, None)
    with console.status("replaying with other thresholds"):
        sweeps = Sweeps(measures)
    said = document.of_clips(measures, figures(measures), sweeps)
    return clips_page(measures, sweeps, folder), said


def table(page: Page) -> Table:
    """Return the figures to be seen first, for the terminal."""
    rows = Table("figure", "", "counts", title=page.title)
    colours = {True: "green", False: "bold red", None: "none"}
    for tile in page.tiles:
        rows.add_row(tile.name, f"[{colours[tile.good]}]{tile.value}[/]", tile.detail)
    return rows


@click.command()
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False, exists=True))
def main(folder: Path) -> None:
    """Write report.html and report.json beside the record in FOLDER."""
    console = Console()
    try:
        with (folder / "run.jsonl").open("rb") as lines:
            run = assemble(record.read(lines))
        page, said = report(run, folder, console)
    except OSError as error:
        click.echo(f"{folder} holds no recorded run: {error.strerror}", err=True)
        sys.exit(1)
    except ConfigError as error:
        click.echo(str(error), err=True)
        sys.exit(1)
    (folder / "report.html").write_text(render(page), encoding="utf-8")
    text = json.dumps(said, indent=1, ensure_ascii=False)
    (folder / "report.json").write_text(text + "\n", encoding="utf-8")
    console.print()
    console.print(table(page))
    for warning in page.warnings:
        console.print(f"[yellow]{warning}[/]", highlight=False)
    console.print(f"report: {folder / 'report.html'}", highlight=False, soft_wrap=True)


if __name__ == "__main__":
    main()
