"""The file that `secondlook backup` writes: a compressed tar of a few known names.

What is read from one is held to be anybody's: only regular files under known names are taken, and
only into a folder made for it.
"""

import contextlib
import gzip
import io
import os
import tarfile
import zlib
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

from pydantic import AwareDatetime, BaseModel, Field, ValidationError

from secondlook import versions
from secondlook.adapters.ownership import FILE_MODE, FOLDER_MODE
from secondlook.adapters.review_folder import NOTE, PICTURE
from secondlook.errors import SecondLookError, VersionMismatch
from secondlook.messages import summarise
from secondlook.review_set import is_label, is_stem

ABOUT, CONFIG, DATABASE, REVIEW = "backup.json", "config.yaml", "database.sqlite3", "review"
BLOCK = 1 << 20
MOST_ABOUT, MOST_CONFIG = 10_000, 4_000_000
"""Bytes; the other parts are written to the disk as they come."""
_BROKEN = (tarfile.TarError, gzip.BadGzipFile, zlib.error, EOFError)


class About(BaseModel):
    """What a backup says about itself; its first part."""

    format: int = Field(alias="backup", default=versions.BACKUP)
    program: str
    """The version of Second Look that made it."""
    made_at: AwareDatetime
    database: int
    """The version of the database's format."""


class Writer:
    """Writes a backup beside its place; `finish` puts it there, whole or not at all.

    Args:
        path: Where it shall lie.

    Raises:
        OSError: It cannot be written there.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._part = path.with_name(f".{path.name}.part")
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
        self._file = os.fdopen(os.open(self._part, flags, FILE_MODE), "wb")
        # Pictures do not get smaller: what is wanted of gzip is its checksum.
        self._tar = tarfile.open(fileobj=self._file, mode="w:gz", compresslevel=1)  # noqa: SIM115 - closed below

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):
            self._file.close()
        self._part.unlink(missing_ok=True)

    def text(self, name: str, content: bytes) -> None:
        """Add a part.

        Raises:
            OSError: It could not be written.
        """
        entry = _entry(name, len(content))
        self._tar.addfile(entry, io.BytesIO(content))

    def file(self, name: str, path: Path) -> None:
        """Add a file as a part.

        Raises:
            OSError: It could not be read or written, or is gone (FileNotFoundError).
        """
        with path.open("rb") as file:
            entry = _entry(name, os.fstat(file.fileno()).st_size)
            entry.mtime = int(path.stat().st_mtime)
            self._tar.addfile(entry, file)

    def finish(self) -> int:
        """Put the file in its place; return its size in bytes.

        Raises:
            OSError: It could not be written.
        """
        self._tar.close()
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        self._part.replace(self._path)
        return self._path.stat().st_size


def _entry(name: str, size: int) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = size, FILE_MODE
    entry.mtime = int(datetime.now(UTC).timestamp())
    return entry


def unpack(path: Path, folder: Path) -> About:
    """Put what a backup holds into a folder of its own, and see that it is whole.

    Args:
        path: The backup.
        folder: An empty folder.

    Raises:
        VersionMismatch: A newer version of Second Look made it.
        SecondLookError: It cannot be read, is damaged, or no backup.
    """
    try:
        with gzip.open(path) as plain, tarfile.open(fileobj=plain, mode="r|") as tar:
            parts = iter(tar)
            about = _about(path, tar, next(parts, None))
            for part in parts:
                _unpack(path, tar, part, folder)
            while plain.read(BLOCK):
                pass  # its end holds the checksum
    except _BROKEN as error:
        raise SecondLookError(f"{path} is damaged, or no backup of Second Look: {error}") from error
    except OSError as error:
        raise SecondLookError(f"{error.filename or path}: {error.strerror}") from error
    if not (folder / CONFIG).exists() or not (folder / DATABASE).exists():
        raise SecondLookError(f"{path} is no whole backup of Second Look: parts are missing")
    return about


def _about(path: Path, tar: tarfile.TarFile, part: tarfile.TarInfo | None) -> About:
    if part is None or part.name != ABOUT or not part.isreg() or part.size > MOST_ABOUT:
        raise SecondLookError(f"{path} is no backup of Second Look")
    content = tar.extractfile(part)
    try:
        about = About.model_validate_json(content.read() if content else b"")
    except ValidationError as error:
        raise SecondLookError(f"{path} is no backup: {summarise(error)}") from error
    if about.format > versions.BACKUP or about.database > versions.DATABASE:
        raise VersionMismatch(
            f"{path} was made by Second Look {about.program}, which is newer than this one; "
            "install that version"
        )
    return about


def _unpack(path: Path, tar: tarfile.TarFile, part: tarfile.TarInfo, folder: Path) -> None:
    known = part.name == DATABASE or (part.name == CONFIG and part.size <= MOST_CONFIG)
    known = part.isreg() and (known or _is_review(part.name))
    content = tar.extractfile(part) if known else None
    if content is None:
        raise SecondLookError(f"{path} holds {part.name[:200]!r}, which no backup of ours does")
    target = folder / part.name
    for parent in reversed(target.relative_to(folder).parents[:-1]):
        (folder / parent).mkdir(FOLDER_MODE, exist_ok=True)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    with os.fdopen(os.open(target, flags, FILE_MODE), "wb") as file:
        while block := content.read(BLOCK):
            file.write(block)
    os.utime(target, (part.mtime, part.mtime))


def _is_review(name: str) -> bool:
    match name.split("/"):
        case [folder, label, file]:
            stem, dot, ending = file.rpartition(".")
            known = dot + ending in (PICTURE, NOTE) and is_stem(stem)
            return known and folder == REVIEW and is_label(label)
        case _:
            return False


def review_files(folder: Path) -> Iterator[tuple[str, Path]]:
    """Yield the name in a backup and the path of every file of a review set."""
    for path in sorted(folder.glob("*/*")):
        name = f"{REVIEW}/{path.parent.name}/{path.name}"
        if _is_review(name) and path.is_file() and not path.is_symlink():
            yield name, path
