"""Writes the pictures of alerts into a folder as they come."""

import re
from pathlib import Path

from secondlook.adapters.ownership import make_private
from secondlook.errors import SecondLookError
from secondlook.jpeg import comment_of
from secondlook.local.folders import write_private

SNAPSHOT_ID = re.compile(r"[A-Za-z0-9_-]{1,64}(\.[0-9]{1,9})?")
"""What may become the name of a file: it comes from outside."""


class Saver:
    """Keeps pictures.

    Args:
        folder: Made if it is missing.

    Raises:
        SecondLookError: It cannot be made.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        try:
            make_private(folder)
        except OSError as error:
            raise SecondLookError(f"--save {folder}: {error.strerror}") from error

    def save(self, jpeg: bytes, kind: str = "") -> Path | None:
        """Write a picture under its `snapshot_id`; return where, None if it has none.

        Args:
            jpeg: As it came; empty where there is none.
            kind: `crop` or `clean`, which stands in the name; the snapshot itself has none.

        Raises:
            SecondLookError: It cannot be written.
        """
        name = comment_of(jpeg) or ""
        if not SNAPSHOT_ID.fullmatch(name):
            return None
        path = self._folder / f"{name}{f'.{kind}' if kind else ''}.jpg"
        try:
            write_private(path, jpeg)
        except OSError as error:
            raise SecondLookError(f"{path} cannot be written: {error.strerror}") from error
        return path
