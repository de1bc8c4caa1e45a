"""The review set on disk: private folders, whole files. Decides nothing.

The classifier and `secondlook review` may work on one folder at the same time: every change is one
rename or removal, and what is gone already is no error.
"""

import contextlib
import os
import stat
import time
from collections.abc import Iterator
from pathlib import Path

from secondlook.errors import Unreadable
from secondlook.review_set import Kept, Note, is_label, is_stem

PICTURE, NOTE, PART = ".jpg", ".json", ".part"
LEFTOVER_S = 3600.0
"""Files without their partner are taken for rubbish after this."""
_NOFOLLOW = getattr(os, "O_NOFOLLOW", 0)


class ReviewFolder:
    """The files of a review set.

    Args:
        path: Made, with mode 0700, when the first crop comes.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._notes: dict[tuple[str, str], tuple[int, Note]] = {}
        """By label and stem: when it was written, and what it says."""

    def scan(self) -> list[Kept]:
        """Return every crop, oldest first.

        A picture that was moved by hand counts as labelled by hand; its note is found again.

        Raises:
            OSError: The folder cannot be read.
        """
        pictures: list[tuple[str, str, os.stat_result]] = []
        notes: dict[tuple[str, str], os.stat_result] = {}
        for label, name, status in self._files():
            stem, ending = _split(name)
            if ending == PICTURE and status.st_size:
                pictures.append((label, stem, status))
            elif ending == NOTE:
                notes[label, stem] = status
        beside = {(label, stem) for label, stem, _ in pictures}
        strays = {stem: label for label, stem in notes if (label, stem) not in beside}
        kept = []
        for label, stem, status in pictures:
            note, written = None, notes.get((label, stem))
            if written is not None:
                note = self._read(label, stem, written)
            elif stem in strays:
                written = notes[strays[stem], stem]
                note = self._read(strays[stem], stem, written)
                note = note and note.model_copy(update={"labelled_by": "review"})
            size = status.st_size + (written.st_size if written else 0)
            kept.append(Kept(label, stem, size, status.st_mtime_ns, note))
        self._notes = {key: known for key, known in self._notes.items() if key in notes}
        return sorted(kept, key=lambda each: (each.kept_ns, each.stem))

    def picture(self, kept: Kept) -> Path:
        """Return where a crop's picture lies."""
        return self._file(kept.label, kept.stem, PICTURE)

    def add(self, label: str, stem: str, jpeg: bytes, note: Note) -> Kept:
        """Write a crop and its note; a reader sees both whole, or not the picture.

        Raises:
            OSError: They could not be written; nothing is left of them.
        """
        path, picture = self._file(label, stem, NOTE), self._file(label, stem, PICTURE)
        self._make(label)
        encoded = _pretty(note)
        _write(path, encoded)
        try:
            _write(picture, jpeg)
        except OSError:
            path.unlink(missing_ok=True)
            raise
        return Kept(label, stem, len(jpeg) + len(encoded), time.time_ns(), note)

    def move(self, kept: Kept, label: str, note: Note | None) -> None:
        """Put a crop under a label, with a new note.

        Raises:
            OSError: It could not be moved, or is gone (FileNotFoundError).
        """
        target, picture = self._file(label, kept.stem, NOTE), self._file(label, kept.stem, PICTURE)
        self._make(label)
        if note is not None:
            _write(target, _pretty(note))
        try:
            self.picture(kept).rename(picture)
        except OSError:
            if label != kept.label:
                target.unlink(missing_ok=True)
            raise
        if label != kept.label:
            self._file(kept.label, kept.stem, NOTE).unlink(missing_ok=True)

    def remove(self, kept: Kept) -> None:
        """Delete a crop and its note.

        Raises:
            OSError: It could not be deleted.
        """
        self.picture(kept).unlink(missing_ok=True)
        self._file(kept.label, kept.stem, NOTE).unlink(missing_ok=True)

    def sweep(self) -> None:
        """Delete old halves: what a killed process or a hand left without its partner.

        Raises:
            OSError: The folder cannot be read.
        """
        found = list(self._files())
        stems = {_split(name)[0] for _, name, _ in found if name.endswith(PICTURE)}
        before_s = time.time() - LEFTOVER_S
        for label, name, status in found:
            stem, ending = _split(name)
            alone = ending == NOTE and stem not in stems
            if (ending == PART or alone) and status.st_mtime < before_s:
                (self.path / label / name).unlink(missing_ok=True)

    def _files(self) -> Iterator[tuple[str, str, os.stat_result]]:
        """Yield label, name and status of our own files; links and other names are not ours."""
        with contextlib.suppress(FileNotFoundError), os.scandir(self.path) as folders:
            for folder in folders:
                if is_label(folder.name) and folder.is_dir(follow_symlinks=False):
                    for name, status in _files_in(folder.path):
                        yield folder.name, name, status

    def _read(self, label: str, stem: str, written: os.stat_result) -> Note | None:
        known = self._notes.get((label, stem))
        if known is None or known[0] != written.st_mtime_ns:
            try:
                note = Note.decode(self._file(label, stem, NOTE).read_bytes())
            except (Unreadable, OSError):
                return None
            known = self._notes[label, stem] = written.st_mtime_ns, note
        return known[1]

    def _make(self, label: str) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.mkdir(mode=0o700, exist_ok=True)
        (self.path / label).mkdir(mode=0o700, exist_ok=True)

    def _file(self, label: str, stem: str, ending: str) -> Path:
        # The last line of defence: whatever a message or a user says, it stays in the folder.
        if not is_label(label) or not is_stem(stem):
            raise ValueError(f"{label}/{stem} is no name in a review set")
        return self.path / label / f"{stem}{ending}"


def _files_in(folder: str) -> Iterator[tuple[str, os.stat_result]]:
    with contextlib.suppress(FileNotFoundError), os.scandir(folder) as files:
        for file in files:
            with contextlib.suppress(FileNotFoundError):
                status = file.stat(follow_symlinks=False)
                if stat.S_ISREG(status.st_mode) and is_stem(file.name):
                    yield file.name, status


def _split(name: str) -> tuple[str, str]:
    stem, dot, ending = name.rpartition(".")
    return stem, dot + ending


def _pretty(note: Note) -> bytes:
    return note.model_dump_json(indent=1).encode() + b"\n"


def _write(path: Path, content: bytes) -> None:
    """Write a file that is there whole or not at all."""
    part = path.with_name(path.name + PART)
    try:
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | _NOFOLLOW
        with os.fdopen(os.open(part, flags, 0o600), "wb") as file:
            file.write(content)
        part.rename(path)
    except OSError:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
        raise
