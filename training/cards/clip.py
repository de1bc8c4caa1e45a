"""Draws the demo clip: one continuous scene in which cards are held up, with its ground truth.

`python -m training.cards.clip --out producers/demo`
"""

import json
from collections.abc import Iterator
from pathlib import Path

import click
import cv2
import numpy as np

from producers.cards import CARDS, Image
from producers.placing import box_of, visible_part
from producers.rooms import room
from producers.scenes import MIN_VISIBLE, MIN_WIDTH
from training.cards.camera import noisy
from training.cards.carried import Carried
from training.cards.compose import hold_card
from training.cards.video import write_clip

WIDTH, HEIGHT, FPS, SECONDS = 1280, 720, 10, 33
SEED = 900_018
"""No training run uses this seed."""

_CARD = {card.name: card for card in CARDS}

SHOWN = (
    Carried(_CARD["phone_front"], 0.9, 2.6, (0.30, 0.46), 170, 0),
    Carried(_CARD["pistol"], 4.3, 2.8, (0.66, 0.42), 130, 1),
    Carried(_CARD["umbrella_open"], 8.0, 2.6, (0.26, 0.40), 140, -1),
    Carried(_CARD["rifle"], 11.5, 2.8, (0.52, 0.50), 170, 0),
    Carried(_CARD["blank"], 15.2, 2.2, (0.74, 0.44), 120, 1),
    Carried(_CARD["umbrella_closed"], 18.2, 3.0, (0.22, 0.48), 150, -1),
    Carried(_CARD["revolver_right"], 18.6, 2.8, (0.60, 0.40), 110, 0),
    Carried(_CARD["phone_call"], 22.4, 2.6, (0.78, 0.46), 120, 1),
    Carried(_CARD["carbine_right"], 25.9, 2.9, (0.34, 0.42), 150, 0),
    Carried(_CARD["phone_wide"], 26.2, 2.8, (0.76, 0.52), 130, 1),
    Carried(_CARD["note"], 30.0, 2.0, (0.48, 0.46), 140, 0),
)


def frames(seed: int = SEED) -> Iterator[Image]:
    """Yield the clip's frames, (720, 1280, 3) uint8 BGR."""
    random = np.random.default_rng(seed)
    still = room(random, WIDTH, HEIGHT)
    for index in range(FPS * SECONDS):
        at_s = index / FPS
        frame = still.copy()
        for number, shown in enumerate(SHOWN):
            quad = shown.place(at_s, WIDTH, HEIGHT)
            if quad is not None:
                # The same chances in every frame: the same hand on the same paper.
                hold_card(np.random.default_rng([seed, number]), frame, shown.card, quad)
        light = 1.0 + 0.06 * np.sin(at_s / 4)
        frame = np.asarray(cv2.GaussianBlur(frame, (0, 0), 0.6), np.uint8)
        lit = np.asarray(cv2.convertScaleAbs(frame, alpha=light), np.uint8)
        yield noisy(np.random.default_rng([seed, index, 1]), lit, 2.0)


def truth() -> dict[str, object]:
    """Return when which card is seen, `secondlook/truth/1`."""
    episodes = []
    for number, shown in enumerate(SHOWN):
        seen = [index / FPS for index in range(FPS * SECONDS) if _well_seen(number, index / FPS)]
        name = shown.card.name
        episodes.append(
            {"label": shown.card.label, "start_s": seen[0], "end_s": seen[-1], "card": name}
        )
    return {
        "schema": "secondlook/truth/1",
        "fps": FPS,
        "frames": FPS * SECONDS,
        "episodes": episodes,
    }


def _well_seen(number: int, at_s: float) -> bool:
    quad = SHOWN[number].place(at_s, WIDTH, HEIGHT)
    if quad is None:
        return False
    later = (shown.place(at_s, WIDTH, HEIGHT) for shown in SHOWN[number + 1 :])
    box = box_of(quad, WIDTH, HEIGHT)
    part = visible_part(quad, WIDTH, HEIGHT, [other for other in later if other is not None])
    return box is not None and part >= MIN_VISIBLE and box[2] - box[0] >= MIN_WIDTH


@click.command()
@click.option("--out", type=click.Path(path_type=Path), default=Path("producers/demo"))
@click.option("--seed", default=SEED, show_default=True)
def main(out: Path, seed: int) -> None:
    """Write demo.mp4 (H.264) and demo.json."""
    out.mkdir(parents=True, exist_ok=True)
    write_clip(out / "demo.mp4", frames(seed), FPS)
    (out / "demo.json").write_text(json.dumps(truth(), indent=1) + "\n")
    click.echo(f"{out / 'demo.mp4'}: {(out / 'demo.mp4').stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
