"""Class folders of crops: reading, varying and batching them for the classifier's training."""

import os
from collections import Counter
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import click
import cv2
import numpy as np
import numpy.typing as npt

from classifier_svc import preprocess
from training.feeding import can_feed, feed
from training.network import spec
from training.splits import recording_of

Images = npt.NDArray[np.uint8]
Indices = npt.NDArray[np.int64]

EMPTY = "empty"
"""The label of everything else; it stands last."""
SUFFIXES = (".jpg", ".jpeg", ".png")
MIN_SIDE = 16
"""Serving gives no look to smaller crops."""
_EMPTY_SHARE = 0.36
"""Share of `empty` in each batch; the other labels share the rest alike."""


@dataclass(frozen=True, slots=True)
class Crops:
    """Crops as the model gets them, with what is known of each."""

    images: Images
    """(n, side, side, 3) RGB."""
    truth: Indices
    """(n,) indices of the labels."""
    paths: Sequence[Path]
    labels: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.paths)

    def of(self, indices: Sequence[int]) -> Self:
        """Return those crops alone."""
        paths = [self.paths[index] for index in indices]
        return type(self)(self.images[indices], self.truth[indices], paths, self.labels)

    def at_most(self, count: int) -> Self:
        """Return so many of them, spread over all."""
        if len(self) <= count:
            return self
        return self.of(np.linspace(0, len(self) - 1, count).astype(int).tolist())

    def balance(self) -> dict[str, dict[str, int]]:
        """Return each label's number of `crops` and of `recordings`."""
        recordings = {(p.parent.name, recording_of(p.name)) for p in self.paths}
        crops = Counter(path.parent.name for path in self.paths)
        return {
            label: {
                "crops": crops[label],
                "recordings": sum(of == label for of, _ in recordings),
            }
            for label in self.labels
        }


def labels_in(folder: Path) -> tuple[str, ...]:
    """Return the names of the class folders, in alphabetical order but `empty` last.

    Folders that begin with `_` hold what has no label yet.

    Raises:
        click.ClickException: There are fewer than two.
    """
    folders = (each for each in folder.iterdir() if each.is_dir() and each.name[0] != "_")
    names = [each.name for each in folders if any(_pictures(each))]
    if len(names) < 2:
        raise click.ClickException(
            f"{folder} must hold a folder of pictures for each label, at least two; "
            f"found {', '.join(names) or 'none'}"
        )
    return tuple(sorted(names, key=lambda name: (name == EMPTY, name)))


def _pictures(folder: Path) -> Iterator[Path]:
    return (path for path in folder.glob("*") if path.suffix.lower() in SUFFIXES)


def read(folder: Path, labels: Sequence[str], side: int) -> Crops:
    """Read class folders as serving would: through the same preprocessing.

    Everything is held in memory: 150 kB a crop at 224 pixels.

    Raises:
        click.ClickException: A label has no pictures, or a file is no picture of 16 pixels or more.
    """
    paths, truth = [], []
    for index, label in enumerate(labels):
        found = sorted(_pictures(folder / label))
        if not found:
            raise click.ClickException(f"{folder / label} holds no .jpg or .png: add crops to it")
        paths += found
        truth += [index] * len(found)
    images = np.empty((len(paths), side, side, 3), np.uint8)
    served = spec(tuple(labels), side)

    def load(number: int) -> None:
        image = cv2.imread(str(paths[number]))
        if image is None or min(image.shape[:2]) < MIN_SIDE:
            raise click.ClickException(
                f"{paths[number]} is no picture of at least {MIN_SIDE}x{MIN_SIDE} pixels: remove it"
            )
        preprocess.fit(np.asarray(image, np.uint8), served, images[number])

    with ThreadPoolExecutor() as pool:
        list(pool.map(load, range(len(paths))))
    return Crops(images, np.array(truth), paths, tuple(labels))


_FLIPPED, _LIT, _GREY, _MOVED, _COVERED = 0.5, 0.6, 0.08, 0.5, 0.2
"""How often a crop is mirrored, lit otherwise, grey as at night, boxed otherwise, covered."""
_BLURRED, _NOISY, _PACKED = 0.15, 0.25, 0.3
"""How often it is out of focus or far away, noisy, and compressed once more."""


def vary(random: np.random.Generator, images: Images) -> Images:
    """Return a batch as other boxes, lenses, light and links would give it; the shape stays.

    Args:
        random: Decides everything.
        images: (n, side, side, 3) RGB.
    """
    varied = np.empty_like(images)
    for number, image in enumerate(images):
        seen = image[:, ::-1] if random.random() < _FLIPPED else image
        if random.random() < _MOVED:
            seen = _boxed(random, seen)
        if random.random() < _LIT:
            seen = _lit(random, seen)
        if random.random() < _GREY:
            seen = cv2.cvtColor(cv2.cvtColor(seen, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
        varied[number] = seen
        if random.random() < _COVERED:
            x, y = random.integers(0, len(image), 2)
            wide, high = (random.uniform(0.05, 0.36, 2) * len(image)).astype(int)
            varied[number, y : y + high, x : x + wide] = random.integers(0, 256, 3)
        varied[number] = _degraded(random, varied[number])
    return varied


def _lit(random: np.random.Generator, image: Images) -> Images:
    """Return a crop in other light: each colour by its own line."""
    gain, lift = random.uniform(0.7, 1.3), random.uniform(-25, 25)
    levels = np.arange(256)[:, None] * gain * random.uniform(0.93, 1.07, 3) + lift
    table = np.clip(levels, 0, 255).astype(np.uint8)[None]
    return np.asarray(cv2.LUT(np.ascontiguousarray(image), table), np.uint8)


def _boxed(random: np.random.Generator, image: Images) -> Images:
    """Return a crop as a detector's slightly different box would have cut it."""
    side = len(image)
    scale = random.uniform(0.88, 1.14, 2)
    shift = random.normal(0, 0.045 * side, 2) + (1 - scale) * side / 2
    onto = np.array([[scale[0], random.normal(0, 0.05), shift[0]],
                     [random.normal(0, 0.05), scale[1], shift[1]]])  # fmt: skip
    moved = cv2.warpAffine(image, onto, (side, side), borderMode=cv2.BORDER_REFLECT)
    return np.asarray(moved, np.uint8)


def _degraded(random: np.random.Generator, image: Images) -> Images:
    """Return a crop from a worse lens, a darker place or a thinner link."""
    seen: Any = image
    if random.random() < _BLURRED:
        seen = cv2.GaussianBlur(seen, (0, 0), random.uniform(0.5, 2.2))
    if random.random() < _NOISY:
        noise = np.empty(image.shape, np.int16)
        # OpenCV's generator is ten times faster, but is one for the thread: it is seeded here.
        cv2.setRNGSeed(int(random.integers(2**31)))
        cv2.randn(noise, np.zeros(3), np.full(3, random.uniform(2, 12)))
        seen = cv2.add(seen, noise, dtype=cv2.CV_8U)
    if random.random() < _PACKED:
        quality = [cv2.IMWRITE_JPEG_QUALITY, int(random.integers(30, 96))]
        packed = cv2.imencode(".jpg", np.ascontiguousarray(seen), quality)[1]
        seen = cv2.imdecode(packed, cv2.IMREAD_COLOR)
    return np.asarray(seen, np.uint8)


def shares(labels: Sequence[str]) -> list[float]:
    """Return each label's share of a batch: alike, but `empty` has more as it has more faces."""
    if labels[-1] != EMPTY or len(labels) < 3:
        return [1 / len(labels)] * len(labels)
    return [(1 - _EMPTY_SHARE) / (len(labels) - 1)] * (len(labels) - 1) + [_EMPTY_SHARE]


def batches(
    crops: Crops, size: int, *, seed: int, processes: int = 0
) -> Generator[tuple[Images, Indices]]:
    """Yield varied batches for ever, the labels in fixed shares.

    They are made ahead by so many processes, or by threads if that is 0; they are the same.
    """
    count = len(crops.labels)
    groups = [np.flatnonzero(crops.truth == index) for index in range(count)]
    chances = shares(crops.labels)

    def make(number: int) -> tuple[Images, Indices]:
        random = np.random.default_rng([seed, number])
        labels = random.choice(count, size, p=chances)
        picked = np.array([groups[label][random.integers(len(groups[label]))] for label in labels])
        return vary(random, crops.images[picked]), labels

    if processes and can_feed():
        yield from feed(make, (size, *crops.images.shape[1:]), processes)
        return
    workers = max(2, (os.cpu_count() or 2) - 2)
    pool = ThreadPoolExecutor(workers)
    try:
        ahead = [pool.submit(make, number) for number in range(2 * workers)]
        number = len(ahead)
        while True:
            yield ahead.pop(0).result()
            ahead.append(pool.submit(make, number))
            number += 1
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
