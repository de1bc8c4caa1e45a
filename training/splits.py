"""Which crops come from one recording, and on which side of the split it stands. Pure."""

import hashlib
from collections.abc import Sequence
from typing import Literal

Side = Literal["train", "judge"]
JUDGED = 0.2
"""The part of the recordings that judges, unless said otherwise."""


def recording_of(name: str) -> str:
    """Return the recording that a crop was cut from, by its file name.

    It is what stands before the first `__`; in a name without one, before the last `-`.

    Args:
        name: As `hall-2026-05-01__17.jpg` or `1-000042-3.jpg`.
    """
    stem = name.rpartition(".")[0] or name
    before, separator, _ = stem.partition("__")
    return before if separator else stem.rpartition("-")[0] or stem


def side_of(recording: str, *, judged: float = JUDGED) -> Side:
    """Put every crop of one recording on the same side, for ever.

    Neighbours in a recording look alike: on both sides they would make the figures better than
    the model. A hash instead of a shuffle, so that new recordings never move an old one.

    Args:
        recording: From `recording_of`.
        judged: The part of all recordings that judges, 0..1.
    """
    return "judge" if _chance("side", recording) < judged else "train"


def tunes(recording: str) -> bool:
    """Return whether a judging recording sets the temperature (half do) or gives the figures."""
    return _chance("tune", recording) < 0.5


def _chance(purpose: str, recording: str) -> float:
    """Return a number in 0..1 that the recording's name alone decides."""
    digest = hashlib.sha256(f"{purpose}:{recording}".encode()).digest()
    return int.from_bytes(digest[:8]) / 2**64


def split(names: Sequence[str], *, judged: float = JUDGED) -> tuple[list[int], list[int]]:
    """Return the indices of the file names that train and of those that judge."""
    train: list[int] = []
    judge: list[int] = []
    for index, name in enumerate(names):
        side = side_of(recording_of(name), judged=judged)
        (judge if side == "judge" else train).append(index)
    return train, judge
