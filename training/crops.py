"""Class folders of crops: reading, varying and batching them for the classifier's training."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import click
import cv2
import numpy as np
import numpy.typing as npt

from training.cards.cutting import CLASSES, SIDE

Images = npt.NDArray[np.uint8]
Indices = npt.NDArray[np.int64]

_EMPTY_SHARE = 0.36
"""Share of `empty` in each batch; the other labels share the rest alike."""


def load(folder: Path) -> tuple[Images, Indices]:
    """Read class folders: images as (n, 224, 224, 3) RGB and the index of each one's label.

    Raises:
        click.ClickException: A label has no images.
    """
    paths, truth = [], []
    for index, label in enumerate(CLASSES):
        found = sorted((folder / label).glob("*.jpg"))
        if not found:
            raise click.ClickException(f"{folder / label} holds no .jpg: generate crops first")
        paths += found
        truth += [index] * len(found)
    images = np.empty((len(paths), SIDE, SIDE, 3), np.uint8)

    def read(number: int) -> None:
        image = cv2.imread(str(paths[number]))
        if image is None or image.shape != images.shape[1:]:
            raise click.ClickException(f"{paths[number]} is no {SIDE}x{SIDE} image: remove it")
        images[number] = image[..., ::-1]

    with ThreadPoolExecutor() as pool:
        list(pool.map(read, range(len(paths))))
    return images, np.array(truth)


_FLIPPED, _LIT, _MOVED, _COVERED = 0.5, 0.6, 0.5, 0.2
"""How often a crop is mirrored, lit otherwise, moved, partly covered."""


def vary(random: np.random.Generator, images: Images) -> Images:
    """Return a batch mirrored, lit, moved and partly covered by chance; the shape stays."""
    varied = np.empty_like(images)
    for number, image in enumerate(images):
        seen = image[:, ::-1] if random.random() < _FLIPPED else image
        if random.random() < _LIT:
            gain, lift = random.uniform(0.7, 1.3), random.uniform(-25, 25)
            levels = np.arange(256)[:, None] * gain * random.uniform(0.93, 1.07, 3) + lift
            seen = cv2.LUT(
                np.ascontiguousarray(seen), np.clip(levels, 0, 255).astype(np.uint8)[None]
            )
        if random.random() < _MOVED:
            scale = random.uniform(0.88, 1.14, 2)
            shift = random.normal(0, 10, 2) + (1 - scale) * SIDE / 2
            onto = np.array([[scale[0], random.normal(0, 0.05), shift[0]],
                             [random.normal(0, 0.05), scale[1], shift[1]]])  # fmt: skip
            seen = cv2.warpAffine(seen, onto, (SIDE, SIDE), borderMode=cv2.BORDER_REFLECT)
        varied[number] = seen
        if random.random() < _COVERED:
            x, y = random.integers(0, SIDE, 2)
            wide, high = random.integers(10, 80, 2)
            varied[number, y : y + high, x : x + wide] = random.integers(0, 256, 3)
    return varied


def batches(
    images: Images, truth: Indices, size: int, *, seed: int
) -> Iterator[tuple[Images, Indices]]:
    """Yield varied batches for ever, the labels in fixed shares, made ahead by threads."""
    groups = [np.flatnonzero(truth == index) for index in range(len(CLASSES))]
    shares = [(1 - _EMPTY_SHARE) / (len(CLASSES) - 1)] * (len(CLASSES) - 1) + [_EMPTY_SHARE]

    def make(number: int) -> tuple[Images, Indices]:
        random = np.random.default_rng([seed, number])
        labels = random.choice(len(CLASSES), size, p=shares)
        picked = np.array([groups[label][random.integers(len(groups[label]))] for label in labels])
        return vary(random, images[picked]), labels

    with ThreadPoolExecutor(14) as pool:
        ahead = [pool.submit(make, number) for number in range(24)]
        number = len(ahead)
        while True:
            yield ahead.pop(0).result()
            ahead.append(pool.submit(make, number))
            number += 1
