"""What a camera of doubtful quality makes of a scene. No I/O."""

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
import numpy.typing as npt

from producers.cards import Image
from training.cards.surroundings import Random

Table = npt.NDArray[np.uint8]

_BANK = (1360, 2240)
"""Height and width of the kept noise, larger than any frame so that it can be shifted."""
_UNIT = 24
"""Noise of deviation 1 is kept in so many steps."""
GRAINS = ("fine", "soft", "colour")
"""Noise of single pixels; noise that neighbours share; the same, mostly in colour."""


@dataclass(frozen=True, slots=True)
class Camera:
    """Everything that one camera does alike to each of its frames."""

    blur: float
    """Deviation of a soft lens in pixels; 0: sharp."""
    defocus: int
    """Diameter of the disc that a point becomes, in pixels; 0: in focus."""
    shake: tuple[int, float]
    """Pixels and direction by which it moves while the shutter is open."""
    table: Table
    """(1, 256, 3): exposure, white balance and gamma."""
    noise: float
    """Deviation, in steps of 255."""
    grain: str
    """One of GRAINS."""
    part: float
    """Its true resolution, as a part of the frame's; 1: all of it."""
    sharpen: float
    quality: int
    """Of JPEG compression, 1..100; 0: none."""
    stream: int
    """Quality of a low-rate video stream, as JPEG's; 0: none."""

    @property
    def softness(self) -> float:
        """About how many pixels its blur reaches, as a deviation."""
        reach = (self.blur, self.defocus / 4, self.shake[0] / 3.5, 0.5 / self.part - 0.5)
        return float(np.hypot.reduce(np.array(reach)))

    def take(self, random: Random, frame: Image) -> Image:
        """Return the frame, (height, width, 3) uint8 BGR, as this camera delivers it."""
        seen = frame
        if self.blur:
            seen = np.asarray(cv2.GaussianBlur(seen, (0, 0), self.blur), np.uint8)
        if self.defocus:
            disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (self.defocus, self.defocus))
            kernel = disc.astype(np.float32) / float(disc.sum())
            seen = np.asarray(cv2.filter2D(seen, -1, kernel), np.uint8)
        if self.shake[0]:
            seen = _shaken(seen, *self.shake)
        seen = np.asarray(cv2.LUT(seen, self.table), np.uint8)
        if self.noise:
            seen = noisy(random, seen, self.noise, self.grain)
        if self.part < 1:
            small = cv2.resize(seen, None, fx=self.part, fy=self.part)
            seen = np.asarray(cv2.resize(small, seen.shape[1::-1]), np.uint8)
        if self.sharpen:
            blurred = cv2.GaussianBlur(seen, (0, 0), 1.5)
            sharp = cv2.addWeighted(seen, 1 + self.sharpen, blurred, -self.sharpen, 0)
            seen = np.asarray(sharp, np.uint8)
        if self.quality:
            seen = compressed(seen, self.quality)
        return streamed(seen, self.stream) if self.stream else seen


def camera(random: Random, strength: float = 1.0) -> Camera:
    """Choose a camera.

    Args:
        random: Decides.
        strength: How bad cameras may be: 1 for training, less where cards should stay readable.
    """

    def often(part: float) -> bool:
        return random.random() < part * strength

    dark = often(0.2)
    kind = random.random()
    return Camera(
        blur=float(random.uniform(0.5, 0.5 + 1.5 * strength)) if often(0.25) else 0.0,
        defocus=int(random.integers(3, 4 + round(5 * strength))) if often(0.12) else 0,
        shake=(int(random.integers(3, 4 + round(8 * strength))), float(random.uniform(0, np.pi)))
        if often(0.15)
        else (0, 0.0),
        table=_table(random, strength, dark=dark),
        noise=float(random.uniform(1, 11 if dark else 8)) if random.random() < 0.6 else 0.0,
        grain=GRAINS[int(random.integers(len(GRAINS)))],
        part=float(random.uniform(1 - 0.55 * strength, 0.9)) if often(0.2) else 1.0,
        sharpen=float(random.uniform(0.3, 1.0)) if often(0.15) else 0.0,
        quality=int(random.integers(25, 96)) if kind < 0.45 else 0,
        stream=int(random.integers(12, 45)) if kind > 0.75 else 0,
    )


def _table(random: Random, strength: float, *, dark: bool) -> Table:
    gain = random.uniform(0.25, 0.6) if dark else random.normal(1.0, 0.15 * strength)
    gamma = float(np.exp(random.normal(0, 0.2 * strength)))
    levels = np.linspace(0, 1, 256)
    table = np.empty((1, 256, 3), np.uint8)
    for channel in range(3):
        cast = random.normal(1.0, 0.07 * strength)
        table[0, :, channel] = np.clip(255 * (levels * max(gain * cast, 0.1)) ** gamma, 0, 255)
    return table


def _shaken(frame: Image, length: int, angle: float) -> Image:
    kernel = np.zeros((length, length), np.float32)
    reach = np.array([np.cos(angle), np.sin(angle)]) * length / 2
    first, last = (tuple(int(v) for v in length / 2 + s * reach) for s in (-1, 1))
    cv2.line(kernel, first, last, 1.0, 1)
    return np.asarray(cv2.filter2D(frame, -1, kernel / max(float(kernel.sum()), 1)), np.uint8)


@lru_cache(maxsize=len(GRAINS))
def _grain(kind: str) -> npt.NDArray[np.int8]:
    """Return noise of deviation `_UNIT`, kept: drawing it anew takes longer than all the rest."""
    random = np.random.default_rng(GRAINS.index(kind))
    noise = random.standard_normal((*_BANK, 3), np.float32)
    if kind != "fine":
        noise = np.asarray(cv2.GaussianBlur(noise, (0, 0), 1.1), np.float32)
    if kind == "colour":
        noise -= 0.7 * noise.mean(axis=2, keepdims=True)
    return np.asarray(np.clip(np.round(noise / noise.std() * _UNIT), -127, 127), np.int8)


def noisy(random: Random, frame: Image, sigma: float, grain: str = "fine") -> Image:
    """Return the frame, at most 1080x1920, with noise of this deviation in every channel."""
    height, width = frame.shape[:2]
    top = int(random.integers(_BANK[0] - height + 1))
    left = int(random.integers(_BANK[1] - width + 1))
    noise = _grain(grain)[top : top + height, left : left + width]
    strength = sigma / _UNIT * (1 if random.random() < 0.5 else -1)
    return np.asarray(cv2.addWeighted(frame, 1, noise, strength, 0, dtype=cv2.CV_8U), np.uint8)


def compressed(frame: Image, quality: int) -> Image:
    """Return the frame after JPEG compression."""
    _, packed = cv2.imencode(".jpg", frame, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return np.asarray(cv2.imdecode(packed, cv2.IMREAD_COLOR), np.uint8)


def streamed(frame: Image, quality: int) -> Image:
    """Return the frame as a stream of low rate shows it: coarse blocks, their edges smoothed."""
    coarse = compressed(frame, quality)
    soft = cv2.GaussianBlur(coarse, (0, 0), 0.9)
    for start in (0, 7):
        coarse[start::8] = soft[start::8]
        coarse[:, start::8] = soft[:, start::8]
    return coarse
