"""Pictures that are the same, or nearly, by a fingerprint of their brightness. Pure.

The fingerprint is a difference hash: one bit for each two neighbours of a small grey picture,
set where the right one is brighter. It hardly changes with size, light and JPEG quality.
"""

from collections import defaultdict
from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

Prints = npt.NDArray[np.uint64]
SIDE = 16
WORDS = SIDE * SIDE // 64
NEAR = 10
"""Fingerprints of 256 bits that differ in at most so many belong to near pictures."""
FLAT = 4.0
"""A grey picture with a smaller standard deviation shows nothing: its bits are chance."""


def fingerprint(image: npt.NDArray[np.uint8]) -> Prints:
    """Return the 256 bits of a picture as (4,) uint64; all zero if it shows nothing.

    Args:
        image: (height, width, 3) uint8, in whatever channel order is used throughout.
    """
    grey = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
    small = cv2.resize(grey, (SIDE + 1, SIDE), interpolation=cv2.INTER_AREA)
    if small.std() < FLAT:
        return np.zeros(WORDS, np.uint64)
    return np.packbits(small[:, 1:] > small[:, :-1]).view(np.uint64)


def same(prints: Prints) -> list[list[int]]:
    """Return groups of two or more pictures with one fingerprint; flat ones are in none.

    Args:
        prints: (n, 4), from `fingerprint`.
    """
    groups: defaultdict[bytes, list[int]] = defaultdict(list)
    for index, each in enumerate(prints):
        if each.any():
            groups[each.tobytes()].append(index)
    return [group for group in groups.values() if len(group) > 1]


def contradictions(prints: Prints, truth: Sequence[int]) -> list[list[int]]:
    """Return the groups of `same` whose pictures do not all have one label."""
    return [group for group in same(prints) if len({truth[index] for index in group}) > 1]


def near(train: Prints, judge: Prints, *, limit: int = NEAR) -> list[tuple[int, int, int]]:
    """Return (train index, judge index, bits that differ) of pictures too alike to be on two sides.

    For each judging picture only its nearest neighbour; flat ones have none.
    """
    if not len(train):
        return []
    pairs = []
    shown = train.any(axis=1)
    for index, each in enumerate(judge):
        if not each.any():
            continue
        off = np.where(shown, np.bitwise_count(train ^ each).sum(axis=1), 64 * WORDS)
        closest = int(off.argmin())
        if off[closest] <= limit:
            pairs.append((closest, index, int(off[closest])))
    return pairs
