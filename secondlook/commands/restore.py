"""`secondlook restore`: put a backup where its configuration says.

Everything is made beside its place and renamed into it; what is not whole is never seen there.
"""

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import click

from secondlook.adapters import backup_file, database_copy
from secondlook.adapters.ownership import FILE_MODE, FOLDER_MODE, lock, make_private
from secondlook.config_kept import Kept, kept
from secondlook.errors import SecondLookError


@dataclass(frozen=True)
class _Plan:
    """What goes where."""

    unpacked: Path
    config: Path
    text: str
    places: Kept
    with_config: bool
    with_review: bool

    def in_the_way(self) -> list[Path]:
        """Return what is there already and would be lost."""
        there = [self.places.database] if self.places.database.exists() else []
        if self.with_config and self.config.exists():
            same = self.config.read_bytes() == self.text.encode()
            there += [] if same else [self.config]
        if self.with_review and self.places.review.is_dir() and any(self.places.review.iterdir()):
            there.append(self.places.review)
        return there


@click.command(name="restore")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False, exists=True))
@click.option(
    "--config",
    "config_path",
    type=click.Path(path_type=Path, dir_okay=False),
    default=Path("config.yaml"),
    show_default=True,
    help="Where the configuration goes; relative paths in it start from its folder.",
)
@click.option(
    "--keep-config", is_flag=True, help="Leave the configuration that is there; put data there."
)
@click.option("--force", is_flag=True, help="Replace what is there.")
def command(*, file: Path, config_path: Path, keep_config: bool, force: bool) -> None:
    """Put back what `secondlook backup` saved.

    Stop the services first: a database that a classifier uses is not touched. Nothing is replaced
    without --force, and the backup is read to its end before anything is.

    Alerts that were delivered after the backup was made may come again under the same id and
    sequence; the time between is told as blind.

    \b
      secondlook restore backup.tar.gz --config /etc/secondlook/config.yaml
      secondlook restore --keep-config --force before-upgrade.tar.gz
    """
    try:
        with tempfile.TemporaryDirectory(prefix="secondlook-restore-") as folder:
            about = backup_file.unpack(file, Path(folder))
            found = database_copy.version_of(Path(folder) / backup_file.DATABASE)
            if found != about.database:
                raise SecondLookError(f"{file} is damaged: its database is another one")
            plan = _plan(Path(folder), config_path, keep_config=keep_config)
            _put(plan, force=force)
    except OSError as error:
        raise SecondLookError(f"{error.filename or file}: {error.strerror}") from error
    when = about.made_at.astimezone().strftime("%Y-%m-%d %H:%M")
    click.echo(f"Restored the backup of {when} (Second Look {about.program}):")
    for path in (plan.config, plan.places.database, *[plan.places.review] * plan.with_review):
        kept_ = " (left as it is)" if path == plan.config and not plan.with_config else ""
        click.echo(f"  {path}{kept_}")
    click.echo("What the configuration takes from `!env` and `!file` is not in a backup.")


def _plan(unpacked: Path, config: Path, *, keep_config: bool) -> _Plan:
    saved = (unpacked / backup_file.CONFIG).read_bytes().decode()
    if keep_config and not config.exists():
        raise SecondLookError(f"there is no {config} to keep; name it with --config")
    text = config.read_text(encoding="utf-8") if keep_config else saved
    return _Plan(
        unpacked=unpacked,
        config=config,
        text=text,
        places=kept(config, text),
        with_config=not keep_config,
        with_review=(unpacked / backup_file.REVIEW).exists(),
    )


def _put(plan: _Plan, *, force: bool) -> None:
    database = plan.places.database
    with _held(database):
        there = plan.in_the_way()
        if there and not force:
            raise SecondLookError(
                f"nothing was restored, for this is there already: {', '.join(map(str, there))}; "
                "--force replaces it"
            )
        # Their log first: an old one beside a new database would be applied to it.
        for left in ("-wal", "-shm"):
            database.with_name(database.name + left).unlink(missing_ok=True)
        _place(plan.unpacked / backup_file.DATABASE, database)
        if plan.with_review:
            _place_review(plan.unpacked / backup_file.REVIEW, plan.places.review)
        if plan.with_config:
            plan.config.absolute().parent.mkdir(parents=True, exist_ok=True)
            _place(plan.unpacked / backup_file.CONFIG, plan.config)


@contextlib.contextmanager
def _held(database: Path) -> Iterator[None]:
    """Hold the database as a classifier would."""
    make_private(database.parent)
    file = database.with_name(database.name + ".lock")
    try:
        held = lock(file, wait_s=0)
    except BlockingIOError:
        raise SecondLookError(
            f"a classifier is at work on {database}; stop it first, then restore"
        ) from None
    try:
        _give_away(file)
        yield
    finally:
        os.close(held)


def _place_review(saved: Path, folder: Path) -> None:
    """Replace a review set; what is not of it in its folder stays."""
    for _, path in list(backup_file.review_files(folder)):
        path.unlink(missing_ok=True)
    make_private(folder)
    _give_away(folder)
    for _, path in backup_file.review_files(saved):
        label = folder / path.parent.name
        label.mkdir(FOLDER_MODE, exist_ok=True)
        _give_away(label)
        _place(path, label / path.name)


def _place(source: Path, target: Path) -> None:
    """Put a copy in a place, with the mode and the owner of what was there."""
    part = target.with_name(f".{target.name}.part")
    part.unlink(missing_ok=True)
    try:
        with source.open("rb") as reading, os.fdopen(_new(part), "wb") as writing:
            shutil.copyfileobj(reading, writing, backup_file.BLOCK)
            writing.flush()
            os.fsync(writing.fileno())
        os.utime(part, ns=(source.stat().st_mtime_ns, source.stat().st_mtime_ns))
        if target.exists():
            part.chmod(target.stat().st_mode & 0o777)
        _give_away(part, like=target if target.exists() else part.parent)
        part.replace(target)
    except OSError:
        part.unlink(missing_ok=True)
        raise


def _new(path: Path) -> int:
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, FILE_MODE)


def _give_away(path: Path, like: Path | None = None) -> None:
    """Let root's file belong to whom its folder belongs, or the services could not read it."""
    if os.geteuid() == 0:
        owner = (like or path.parent).stat()
        os.chown(path, owner.st_uid, owner.st_gid)
