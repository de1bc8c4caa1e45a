"""`secondlook backup`: what cannot be had again, in one file."""

import contextlib
import tempfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import click
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn

from secondlook import versions
from secondlook.adapters import backup_file, database_copy
from secondlook.commands import options
from secondlook.config_kept import Kept, kept
from secondlook.errors import ConfigError, SecondLookError
from secondlook.service import VERSION


@click.command(name="backup")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@options.CONFIG
@click.option("--review", is_flag=True, help="Also the crops kept for review and training.")
@click.option("--force", is_flag=True, help="Replace FILE.")
def command(*, file: Path, config_path: Path, review: bool, force: bool) -> None:
    """Save the configuration and the classifier's database.

    The services may go on running: the database is copied as it was at one moment. Secrets that
    the configuration takes from elsewhere (`!env`, `!file`) are not in it, nor are models and
    certificates.

    \b
      secondlook backup /backups/secondlook-$(date +%F).tar.gz
      secondlook backup --review before-upgrade.tar.gz
    """
    console = Console(stderr=True)
    text = _text(config_path)
    found = kept(config_path, text)
    if file.exists() and not force:
        raise SecondLookError(f"{file} is there already; give another name, or --force")
    if not found.database.exists():
        raise SecondLookError(
            f"there is no database at {found.database}; is {config_path} the classifier's "
            "configuration?"
        )
    try:
        pictures = _write(file, text, found, review=review, console=console)
    except OSError as error:
        raise SecondLookError(f"{error.filename or file}: {error.strerror}") from error
    said = f"{file}: {file.stat().st_size / 1e6:.1f} MB, configuration and database"
    click.echo(said + (f", {pictures} files of the review set" if review else ""))
    if found.open_secrets:
        click.echo(
            f"Keep it to yourself: {', '.join(found.open_secrets)} in {config_path} hold a "
            "password as it is",
            err=True,
        )


def _text(config_path: Path) -> str:
    try:
        return config_path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
        raise ConfigError(f"{config_path} cannot be read: {why}; name it with --config") from None


@contextlib.contextmanager
def _progress(console: Console) -> Iterator[Callable[[int, int], None]]:
    columns = (TextColumn("copying the database"), BarColumn(), DownloadColumn())
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    ) as shown:
        task = shown.add_task("", total=None)
        yield lambda done, all_: shown.update(task, completed=done, total=all_)


def _write(file: Path, text: str, found: Kept, *, review: bool, console: Console) -> int:
    """Write the backup; return how many files of the review set are in it."""
    pictures = 0
    # The copy lies beside the backup, where there must be room for it anyway.
    with (
        backup_file.Writer(file) as writer,
        tempfile.TemporaryDirectory(prefix=f".{file.name}.", dir=file.parent) as folder,
    ):
        copy = Path(folder) / backup_file.DATABASE
        with _progress(console) as told:
            database_copy.copy(found.database, copy, told)
        about = backup_file.About(
            program=VERSION, made_at=datetime.now(UTC), database=database_copy.version_of(copy)
        )
        if about.database == 0 or about.database > versions.DATABASE:
            raise SecondLookError(
                f"{found.database} is no database of this version of Second Look; back it up with "
                "the version that made it"
            )
        writer.text(backup_file.ABOUT, about.model_dump_json(by_alias=True).encode())
        writer.text(backup_file.CONFIG, text.encode())
        writer.file(backup_file.DATABASE, copy)
        for name, path in backup_file.review_files(found.review) if review else ():
            try:
                writer.file(name, path)
            except FileNotFoundError:
                continue  # made room, or moved, meanwhile
            pictures += 1
        writer.finish()
    return pictures
