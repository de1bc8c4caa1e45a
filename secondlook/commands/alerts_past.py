"""`secondlook alerts list | show | export`: the alerts of the past, from the local database."""

import csv
import io
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from secondlook.adapters.history import History
from secondlook.adapters.ownership import make_private
from secondlook.commands import options
from secondlook.commands.lines import count
from secondlook.commands.options import Since
from secondlook.commands.told import FIELDS, Choice, Told, described, meant, seconds, together
from secondlook.config_file import load
from secondlook.errors import SecondLookError
from secondlook.local.folders import write_private

ID_SHOWN = 8
"""The last characters of an id tell two alerts apart well enough for a table."""


def _chosen(function: Callable[..., None]) -> Callable[..., None]:
    """Add the options that choose among the alerts of the past."""
    for option in (
        click.option("--until", type=Since(), help="Only those begun before: as --since."),
        click.option("--since", type=Since(), help="Only those begun since: 15m, 2h, 7d, a time."),
        click.option("--label", help="Only those of this label."),
        click.option("--camera", help="Only those of this camera."),
    ):
        function = option(function)
    return _from_database(function)


def _from_database(function: Callable[..., None]) -> Callable[..., None]:
    database = click.option(
        "--database",
        type=click.Path(path_type=Path, dir_okay=False),
        help="The classifier's database; default: that of the configuration.",
    )
    return options.CONFIG(database(function))


def _history(config_path: Path, database: Path | None) -> History:
    return History(database or load(config_path).classifier.database)


def _told(history: History, choice: Choice) -> list[Told]:
    return together(history.messages(), history.feedback(), choice)


@click.command(name="list")
@_chosen
@click.option("--limit", type=click.IntRange(min=1), default=20, show_default=True, help="So many.")
@click.option("--json", "as_json", is_flag=True, help="One alert per line, all of its row.")
def list_(
    *,
    config_path: Path,
    database: Path | None,
    limit: int,
    as_json: bool,
    **choice: Any,  # noqa: ANN401 - what `_chosen` adds
) -> None:
    """List the alerts of the past, the newest at the end.

    The last column is the end of the alert's id: enough for `show`.
    """
    with _history(config_path, database) as history:
        found = _told(history, Choice(**choice))
    if as_json:
        for each in found[-limit:]:
            click.echo(json.dumps(each.row()))
        return
    if not found:
        click.echo("No alert is kept that fits; retention.days says for how long they are.")
        return
    console = Console()
    console.print(_table(found[-limit:]))
    if len(found) > limit:
        click.echo(f"{len(found) - limit} earlier ones are not shown: --limit {len(found)}")


def _table(found: Sequence[Told]) -> Table:
    table = Table("began", "camera", "label", "score", "for", "how", "feedback")
    table.add_column("id", no_wrap=True, min_width=ID_SHOWN)
    for each in found:
        last = each.last
        table.add_row(
            f"{last.started_at.astimezone():%m-%d %H:%M:%S}",
            last.camera,
            last.label,
            f"{last.score:.2f}",
            seconds(last.duration_s),
            Text(each.how, style="bold red" if each.how == "open" else ""),
            each.judged,
            last.id[-ID_SHOWN:],
        )
    return table


@click.command(name="show")
@click.argument("alert_id", metavar="ID")
@_from_database
@click.option(
    "--picture", type=click.Path(path_type=Path, dir_okay=False), help="Write its picture here."
)
@click.option("--json", "as_json", is_flag=True, help="Its messages as on the bus, one a line.")
def show(
    *,
    alert_id: str,
    config_path: Path,
    database: Path | None,
    picture: Path | None,
    as_json: bool,
) -> None:
    """Show everything that was said about one alert.

    ID is the alert's id or the end of it, or `last` for the newest.
    """
    with _history(config_path, database) as history:
        try:
            told = meant(_told(history, Choice()), alert_id)
        except ValueError as error:
            raise SecondLookError(str(error)) from None
        jpeg = history.picture(told.last.id)
    if as_json:
        for alert in told.messages:
            click.echo(alert.encode().decode())
    else:
        for name, said in described(told):
            click.echo(f"{name:<11} {said}")
        kept = f"{len(jpeg) / 1000:.0f} kB" if jpeg else "not kept"
        click.echo(f"{'picture':<11} {kept}" + (" (--picture FILE writes it)" * bool(jpeg)))
    if picture is not None:
        if jpeg is None:
            raise SecondLookError("its picture is not kept (snapshots.keep, retention)")
        _written(picture, jpeg)


@click.command(name="export")
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@_chosen
@click.option("--no-pictures", is_flag=True, help="Only what was said.")
def export(
    *,
    folder: Path,
    config_path: Path,
    database: Path | None,
    no_pictures: bool,
    **choice: Any,  # noqa: ANN401 - what `_chosen` adds
) -> None:
    """Write the alerts of the past into FOLDER.

    \b
      alerts.csv            one row per alert, with what people said of it
      alerts.jsonl          every message as it was on the bus
      pictures/<id>.jpg     the newest picture of each alert

    What is there under these names is written over.
    """
    with _history(config_path, database) as history:
        found = _told(history, Choice(**choice))
        _written(folder / "alerts.csv", _csv(found))
        lines = b"".join(alert.encode() + b"\n" for each in found for alert in each.messages)
        _written(folder / "alerts.jsonl", lines)
        pictures = 0
        for each in found if not no_pictures else ():
            jpeg = history.picture(each.last.id)
            if jpeg is not None:
                _written(folder / "pictures" / f"{each.last.id}.jpg", jpeg)
                pictures += 1
    click.echo(f"Wrote {count(found, 'alert')} and {pictures} of their pictures to {folder}.")


def _csv(found: Sequence[Told]) -> bytes:
    text = io.StringIO()
    writer = csv.DictWriter(text, FIELDS)
    writer.writeheader()
    writer.writerows(each.row() for each in found)
    return text.getvalue().encode()


def _written(path: Path, content: bytes) -> None:
    try:
        make_private(path.parent)
        write_private(path, content)
    except OSError as error:
        raise SecondLookError(f"{path} cannot be written: {error.strerror}") from error
