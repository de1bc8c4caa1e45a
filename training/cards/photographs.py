"""Photographs behind the cards: which belong to training, which to judging, and reading them."""

import hashlib
from pathlib import Path
from typing import Literal

import click
import cv2
import numpy as np

from producers.cards import Image

Side = Literal["train", "judge"]
SIDES: tuple[Side, ...] = ("train", "judge")
_JUDGED = 0.35
_LONGEST = 1600


def side_of(name: str) -> Side:
    """Return the side of a photograph, which follows from its file name alone.

    No photograph that training has seen may stand behind what it is judged by.
    """
    number = int.from_bytes(hashlib.sha256(Path(name).name.lower().encode()).digest()[:4], "big")
    return "judge" if number < _JUDGED * 2**32 else "train"


def photographs(folder: Path | None, side: Side) -> list[Image]:
    """Read the folder's JPEG photographs of one side, at most 1600 pixels long, as BGR.

    Returns:
        None at all if there is no folder.

    Raises:
        click.ClickException: The folder holds no photograph of this side.
    """
    if folder is None:
        return []
    found = []
    for path in sorted(p for p in folder.iterdir() if p.suffix.lower() in (".jpg", ".jpeg")):
        image = cv2.imread(str(path)) if side_of(path.name) == side else None
        if image is None:
            continue
        scale = min(_LONGEST / max(image.shape), 1.0)
        size = (round(image.shape[1] * scale), round(image.shape[0] * scale))
        found.append(np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8))
    if not found:
        raise click.ClickException(
            f"{folder} holds no .jpg of side {side}: add photographs, or leave the option out"
        )
    return found
