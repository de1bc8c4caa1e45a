"""Draws the demo clip: one continuous scene in which cards are held up, with its ground truth.

`python -m training.cards.clip --out producers/demo`
"""

import json
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import click
import cv2
import numpy as np

from producers.cards import CARDS, Card, Image
from producers.placing import Quad, box_of, quad_of, visible_part
from producers.rooms import room
from producers.scenes import MIN_VISIBLE, MIN_WIDTH
from training.cards.camera import noisy
from training.cards.compose import hold_card

WIDTH, HEIGHT, FPS, SECONDS = 1280, 720, 10, 33
SEED = 900_018
"""No training run uses this seed."""


@dataclass(frozen=True, slots=True)
class Shown:
    """A card that is held up in the clip."""

    card: str
    start_s: float
    stay_s: float
    at: tuple[float, float]
    """Where it is held, in parts of the frame."""
    tall: float
    """Its height in pixels."""
    side: int
    """From where the hand comes: -1 from the left, 1 from the right, 0 from below."""


SHOWN = (
    Shown("phone_front", 0.9, 2.6, (0.30, 0.46), 170, 0),
    Shown("pistol", 4.3, 2.8, (0.66, 0.42), 130, 1),
    Shown("umbrella_open", 8.0, 2.6, (0.26, 0.40), 140, -1),
    Shown("rifle", 11.5, 2.8, (0.52, 0.50), 170, 0),
    Shown("blank", 15.2, 2.2, (0.74, 0.44), 120, 1),
    Shown("umbrella_closed", 18.2, 3.0, (0.22, 0.48), 150, -1),
    Shown("revolver_right", 18.6, 2.8, (0.60, 0.40), 110, 0),
    Shown("phone_call", 22.4, 2.6, (0.78, 0.46), 120, 1),
    Shown("carbine_right", 25.9, 2.9, (0.34, 0.42), 150, 0),
    Shown("phone_wide", 26.2, 2.8, (0.76, 0.52), 130, 1),
    Shown("note", 30.0, 2.0, (0.48, 0.46), 140, 0),
)


def _card(name: str) -> Card:
    return next(card for card in CARDS if card.name == name)


def place(shown: Shown, at_s: float) -> Quad | None:
    """Return the card's corners at second `at_s`, None before it comes and after it is gone."""
    since = at_s - shown.start_s
    if not 0 <= since < shown.stay_s:
        return None
    # In within 0.7 s, out within 0.7 s, held in between.
    away = max(1 - since / 0.7, 1 - (shown.stay_s - since) / 0.7, 0.0) ** 2
    x = shown.at[0] * WIDTH + shown.side * away * WIDTH * 0.75 + 14 * np.sin(since * 2.1)
    y = shown.at[1] * HEIGHT + (0 if shown.side else away * HEIGHT * 0.9) + 9 * np.sin(since * 3.3)
    seed = len(shown.card) * 1.7 + shown.start_s
    roll, yaw = (
        9 * np.sin(seed) + 4 * np.sin(since * 2.7),
        20 * np.sin(seed * 3) + 9 * np.sin(since),
    )
    pitch = 8 * np.sin(seed * 7 + since)
    tall = shown.tall * (1 + 0.08 * np.sin(since * 1.3 + seed))
    centre = (float(x), float(y))
    return quad_of(
        _card(shown.card), centre, tall, roll=float(roll), yaw=float(yaw), pitch=float(pitch)
    )


def frames(seed: int = SEED) -> Iterator[Image]:
    """Yield the clip's frames, (720, 1280, 3) uint8 BGR."""
    random = np.random.default_rng(seed)
    still = room(random, WIDTH, HEIGHT)
    for index in range(FPS * SECONDS):
        at_s = index / FPS
        frame = still.copy()
        for number, shown in enumerate(SHOWN):
            quad = place(shown, at_s)
            if quad is not None:
                # The same chances in every frame: the same hand on the same paper.
                hold_card(np.random.default_rng([seed, number]), frame, _card(shown.card), quad)
        light = 1.0 + 0.06 * np.sin(at_s / 4)
        frame = np.asarray(cv2.GaussianBlur(frame, (0, 0), 0.6), np.uint8)
        lit = np.asarray(cv2.convertScaleAbs(frame, alpha=light), np.uint8)
        yield noisy(np.random.default_rng([seed, index, 1]), lit, 2.0)


def truth() -> dict[str, object]:
    """Return when which card is seen, `secondlook/truth/1`."""
    episodes = []
    for number, shown in enumerate(SHOWN):
        seen = [index / FPS for index in range(FPS * SECONDS) if _well_seen(number, index / FPS)]
        label = _card(shown.card).label
        episodes.append({"label": label, "start_s": seen[0], "end_s": seen[-1], "card": shown.card})
    return {
        "schema": "secondlook/truth/1",
        "fps": FPS,
        "frames": FPS * SECONDS,
        "episodes": episodes,
    }


def _well_seen(number: int, at_s: float) -> bool:
    quad = place(SHOWN[number], at_s)
    if quad is None:
        return False
    over = [other for shown in SHOWN[number + 1 :] if (other := place(shown, at_s)) is not None]
    box = box_of(quad, WIDTH, HEIGHT)
    part = visible_part(quad, WIDTH, HEIGHT, over)
    return box is not None and part >= MIN_VISIBLE and box[2] - box[0] >= MIN_WIDTH


def _encoder() -> str:
    found = shutil.which("ffmpeg")
    if found:
        return found
    try:
        import imageio_ffmpeg  # noqa: PLC0415 - only where no ffmpeg is installed
    except ImportError:
        raise click.ClickException(
            "no ffmpeg here: apt install ffmpeg, or pip install imageio-ffmpeg"
        ) from None
    return str(imageio_ffmpeg.get_ffmpeg_exe())


@click.command()
@click.option("--out", type=click.Path(path_type=Path), default=Path("producers/demo"))
@click.option("--seed", default=SEED, show_default=True)
def main(out: Path, seed: int) -> None:
    """Write demo.mp4 (H.264) and demo.json."""
    out.mkdir(parents=True, exist_ok=True)
    command = [
        _encoder(), "-y", "-loglevel", "error", "-f", "rawvideo", "-pix_fmt", "bgr24",
        "-s", f"{WIDTH}x{HEIGHT}", "-r", str(FPS), "-i", "-", "-c:v", "libx264", "-crf", "24",
        "-preset", "medium", "-g", str(FPS * 2), "-pix_fmt", "yuv420p", "-movflags", "+faststart",
        str(out / "demo.mp4"),
    ]  # fmt: skip
    with subprocess.Popen(command, stdin=subprocess.PIPE) as encoder:
        assert encoder.stdin is not None  # noqa: S101 - it was asked for above
        for frame in frames(seed):
            encoder.stdin.write(frame.tobytes())
    if encoder.returncode:
        raise click.ClickException(f"ffmpeg ended with code {encoder.returncode}")
    (out / "demo.json").write_text(json.dumps(truth(), indent=1) + "\n")
    click.echo(f"{out / 'demo.mp4'}: {(out / 'demo.mp4').stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
