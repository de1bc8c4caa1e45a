"""What an evaluation plays: clips with their truth, or photographs, each as a camera."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2

from secondlook.config import slug
from secondlook.errors import ConfigError
from secondlook.evaluation.record import Played
from secondlook.local.truth import Truth

CLIPS = (".mp4", ".mkv", ".avi", ".mov", ".webm", ".m4v")
PICTURES = (".jpg", ".jpeg", ".png", ".webp", ".bmp")
APART_S = 20.0
"""Photographs lie so far apart that nothing in one continues anything in the one before, and
every detection gets its first look."""
LONGEST_NAME = 24


@dataclass(frozen=True)
class Turn:
    """Something to play as one camera."""

    played: Played
    seconds: float
    """Its length in its own time."""
    place: str
    """`file:…` or `folder:…`, without options."""


def clips(places: Iterable[Path], fps: float) -> list[Turn]:
    """Return the clips of files and folders, each with the truth beside it.

    Args:
        places: Clips, or folders with clips.
        fps: Frames per second to look at; a slower clip has fewer.

    Raises:
        ConfigError: Something is no clip, or no clip is there.
    """
    found: list[Path] = []
    for place in places:
        if place.is_dir():
            inside = sorted(p for p in place.iterdir() if p.suffix.lower() in CLIPS)
            if not inside:
                raise ConfigError(f"there is no clip in {place}; clips end in {', '.join(CLIPS)}")
            found += inside
        else:
            found.append(place)
    names: dict[str, int] = {}
    return [_clip(path.absolute(), fps, _name(path.stem, names)) for path in found]


def _name(stem: str, taken: dict[str, int]) -> str:
    name = slug(stem)[:LONGEST_NAME]
    count = taken[name] = taken.get(name, 0) + 1
    return name if count == 1 else f"{name}_{count}"


def _clip(path: Path, fps: float, camera: str) -> Turn:
    if not path.is_file():
        raise ConfigError(f"there is no clip {path}")
    capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
    try:
        frames = int(capture.get(cv2.CAP_PROP_FRAME_COUNT))
        rate = float(capture.get(cv2.CAP_PROP_FPS))
    finally:
        capture.release()
    if frames < 1 or rate <= 0:
        raise ConfigError(f"{path} is no clip that can be read")
    truth_path = path.with_suffix(".json")
    truth = Truth.read(truth_path) if truth_path.exists() else None
    looked_at = min(fps, rate)
    seconds = frames / rate
    expected = math.ceil(round(seconds * looked_at, 6))
    played = Played(camera=camera, path=str(path), fps=looked_at, expected=expected, truth=truth)
    return Turn(played, seconds, f"file:{path}")


def photographs(folder: Path, shares: int, into: Path) -> list[Turn]:
    """Return the pictures below a folder as `shares` cameras.

    Args:
        folder: Searched with all that is in it.
        shares: Cameras to play them at the same time.
        into: Gets a folder of links for each camera.

    Raises:
        ConfigError: There is no picture.
    """
    files = pictures(folder)
    turns = []
    for share in range(min(shares, len(files))):
        ours = files[share::shares]
        links = into / f"photographs_{share}"
        links.mkdir(parents=True)
        for number, path in enumerate(ours):
            (links / f"{number:06d}{path.suffix.lower()}").symlink_to(path)
        played = Played(
            camera=links.name,
            path=str(folder),
            fps=1 / APART_S,
            expected=len(ours),
            files=[str(path.relative_to(folder.absolute())) for path in ours],
        )
        turns.append(Turn(played, len(ours) * APART_S, f"folder:{links}"))
    return turns


def pictures(folder: Path) -> list[Path]:
    """Return the pictures below a folder, by name.

    Raises:
        ConfigError: There is none.
    """
    found = sorted(
        path.absolute()
        for path in folder.rglob("*")
        if path.suffix.lower() in PICTURES and path.is_file()
    )
    if not found:
        raise ConfigError(f"there is no picture below {folder}; they end in {', '.join(PICTURES)}")
    return found


def waves(turns: Sequence[Turn], parallel: int) -> list[list[Turn]]:
    """Return what plays together, longest first so that nobody waits long for the last one."""
    longest_first = sorted(turns, key=lambda turn: -turn.seconds)
    return [longest_first[i : i + parallel] for i in range(0, len(longest_first), parallel)]
