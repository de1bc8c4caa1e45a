"""What hands and cameras do to a picture: bending, blur, noise, bad light, compression. No I/O."""

import cv2
import numpy as np
import numpy.typing as npt

from producers.cards import Image
from producers.placing import Quad, paste
from training.cards.surroundings import Random, skin

Floats = npt.NDArray[np.float32]


def worn(random: Random, picture: Image) -> Image:
    """Return a printed picture as printers, paper and light leave it."""
    seen: Floats = picture.astype(np.float32)
    if random.random() < 0.15:
        seen[:] = seen.mean(axis=2, keepdims=True)
    if random.random() < 0.5:
        # Faded ink on paper that is not white.
        low, high = random.uniform(0, 60), random.uniform(190, 255)
        seen = np.asarray(low + seen * (high - low) / 255, np.float32)
    if random.random() < 0.4:
        seen *= random.uniform(0.86, 1.08, 3).astype(np.float32)
    if random.random() < 0.5:
        seen *= _slope(random, picture, 0.35)[..., None]
    bent = bend(random, np.clip(seen, 0, 255).astype(np.uint8)) if random.random() < 0.4 else None
    return np.clip(seen, 0, 255).astype(np.uint8) if bent is None else bent


def _slope(random: Random, picture: Image, depth: float) -> Floats:
    height, width = picture.shape[:2]
    across = np.linspace(random.uniform(-1, 1), random.uniform(-1, 1), width)
    down = np.linspace(random.uniform(-1, 1), random.uniform(-1, 1), height)
    return (1 - depth / 2 * np.abs(down[:, None] + across[None, :])).astype(np.float32)


def bend(random: Random, picture: Image) -> Image:
    """Return the picture on paper that is curved, its edges staying where they are."""
    height, width = picture.shape[:2]
    x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    strength = random.uniform(-0.07, 0.07)
    along = x / width if random.random() < 0.6 else y / height
    wave = np.sin(np.pi * along)
    y = y + height * strength * wave * (1 - 2 * y / height)
    x = x + width * strength * 0.5 * wave * (1 - 2 * x / width)
    bent = cv2.remap(picture, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    shade = 1 + random.uniform(-0.25, 0.1) * wave
    return np.asarray(np.clip(bent * shade[..., None], 0, 255), np.uint8)


def on_screen(random: Random, picture: Image) -> Image:
    """Return the picture as a screen shows it: its own light, colour cast and pixel rows."""
    seen = picture.astype(np.float32) * random.uniform(0.7, 1.15) + random.uniform(0, 22)
    seen *= np.array([random.uniform(0.95, 1.1), 1.0, random.uniform(0.9, 1.03)], np.float32)
    if random.random() < 0.5:
        seen[:: int(random.integers(2, 5))] *= random.uniform(0.85, 0.97)
    return np.asarray(np.clip(seen, 0, 255), np.uint8)


def glare(random: Random, frame: Image, quad: Quad) -> None:
    """Put a bright spot on the card, in place."""
    left, top = np.maximum(np.floor(quad.min(axis=0)).astype(int), 0)
    right, bottom = np.ceil(quad.max(axis=0)).astype(int)
    region = frame[top:bottom, left:right]
    if not region.size:
        return
    height, width = region.shape[:2]
    x, y = np.meshgrid(np.arange(width), np.arange(height))
    at, spread = (
        random.uniform(0, 1, 2) * (width, height),
        random.uniform(0.1, 0.35) * max(width, height),
    )
    spot = np.exp(-(((x - at[0]) ** 2 + (y - at[1]) ** 2) / (2 * spread**2)))
    lit = region + spot[..., None] * random.uniform(60, 190)
    region[:] = np.clip(lit, 0, 255).astype(np.uint8)


def hand(random: Random, frame: Image, quad: Quad) -> None:
    """Draw fingers and an arm that hold the card at one of its edges, in place."""
    edge = int(random.choice([1, 2, 2, 2, 3]))
    first, second = quad[edge], quad[(edge + 1) % 4]
    middle = quad.mean(axis=0)
    size = float(np.linalg.norm(quad[1] - quad[0]) + np.linalg.norm(quad[2] - quad[1])) / 2
    grip = first + (second - first) * random.uniform(0.25, 0.75)
    outwards = grip - middle
    outwards = outwards / max(float(np.linalg.norm(outwards)), 1e-3)
    tone, sleeve = skin(random), tuple(int(v) for v in random.uniform(10, 230, 3))
    thick = max(size * random.uniform(0.07, 0.13), 1.5)
    wrist = grip + outwards * size * 0.5
    elbow = wrist + outwards * size * 7 + random.normal(0, size * 0.4, 2)
    _limb(frame, wrist, elbow, thick * 3.4, sleeve)
    _limb(frame, grip + outwards * thick, wrist, thick * 3, tone)
    along = (second - first) / max(float(np.linalg.norm(second - first)), 1e-3)
    for finger in range(int(random.integers(1, 5))):
        base = grip + along * (finger - 1.5) * thick * 1.1 + outwards * thick
        tip = base - outwards * size * random.uniform(0.12, 0.3)
        shade = tuple(int(v * random.uniform(0.85, 1.0)) for v in tone)
        _limb(frame, base, tip, thick, shade)


def _limb(frame: Image, start: Floats, end: Floats, thick: float, tone: tuple[int, ...]) -> None:
    first, last = (tuple(int(v) for v in np.clip(p, -5000, 5000)) for p in (start, end))
    cv2.line(frame, first, last, tone, max(round(thick), 1), cv2.LINE_AA)


def bezel(random: Random, frame: Image, quad: Quad) -> None:
    """Draw the dark body of a phone or tablet around the quad, in place."""
    middle = quad.mean(axis=0)
    wider = random.uniform(1.05, 1.22, 2)
    body = middle + (quad - middle) * wider
    tone = np.full((8, 8, 3), random.uniform(5, 60), np.uint8)
    paste(frame, tone, body.astype(np.float32))


def shot(random: Random, frame: Image, strength: float = 1.0) -> Image:
    """Return the frame as a camera of doubtful quality delivers it."""
    seen = frame
    if random.random() < 0.25 * strength:
        seen = np.asarray(cv2.GaussianBlur(seen, (0, 0), random.uniform(0.5, 2.0)), np.uint8)
    if random.random() < 0.2 * strength:
        seen = _moved(random, seen)
    seen = _exposed(random, seen, strength)
    if random.random() < 0.25 * strength:
        part = random.uniform(0.45, 0.9)
        small = cv2.resize(seen, None, fx=part, fy=part, interpolation=cv2.INTER_LINEAR)
        seen = np.asarray(cv2.resize(small, seen.shape[1::-1]), np.uint8)
    if random.random() < 0.15 * strength:
        blurred = cv2.GaussianBlur(seen, (0, 0), 1.5)
        seen = np.asarray(cv2.addWeighted(seen, 1.7, blurred, -0.7, 0), np.uint8)
    if random.random() < 0.7:
        seen = compressed(seen, int(random.integers(25, 96)))
    return seen


def compressed(frame: Image, quality: int) -> Image:
    """Return the frame after JPEG compression."""
    _, packed = cv2.imencode(".jpg", frame, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return np.asarray(cv2.imdecode(packed, cv2.IMREAD_COLOR), np.uint8)


def _moved(random: Random, frame: Image) -> Image:
    length = int(random.integers(3, 12))
    kernel = np.zeros((length, length), np.float32)
    angle = random.uniform(0, np.pi)
    reach = np.array([np.cos(angle), np.sin(angle)]) * length / 2
    first, last = (tuple(int(v) for v in length / 2 + s * reach) for s in (-1, 1))
    cv2.line(kernel, first, last, 1.0, 1)
    return np.asarray(cv2.filter2D(frame, -1, kernel / max(float(kernel.sum()), 1)), np.uint8)


def _exposed(random: Random, frame: Image, strength: float) -> Image:
    """Apply light, white balance and gamma as one table per channel, then noise."""
    dark = random.random() < 0.2 * strength
    gain = random.uniform(0.25, 0.6) if dark else random.normal(1.0, 0.15 * strength)
    gamma = float(np.exp(random.normal(0, 0.2 * strength)))
    levels = np.linspace(0, 1, 256)
    table = np.empty((1, 256, 3), np.uint8)
    for channel in range(3):
        cast = random.normal(1.0, 0.07 * strength)
        table[0, :, channel] = np.clip(255 * (levels * max(gain * cast, 0.1)) ** gamma, 0, 255)
    seen = cv2.LUT(frame, table)
    if random.random() < 0.6:
        sigma = random.uniform(1, 14 if dark else 8)
        return noisy(random, np.asarray(seen, np.uint8), sigma)
    return np.asarray(seen, np.uint8)


def noisy(random: Random, frame: Image, sigma: float) -> Image:
    """Return the frame with normal noise of this deviation in every channel."""
    noise = np.round(random.standard_normal(frame.shape, np.float32) * sigma).astype(np.int16)
    return np.asarray(cv2.add(frame, noise, dtype=cv2.CV_8U), np.uint8)
