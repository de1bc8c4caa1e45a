"""How far away, how blurred, how dark: when do the two models still see a gun card?

One factor at a time is made worse, on scenes that no training run saw, everything else being kind:
a card 96 px wide in a frame of 1280 x 720, held still and upright in good light. For each step it
counts the cards that the detector finds at its operating point, the looks at found cards that are
confirmed under the right label, and the cards that pass both in one frame. (An alert
needs two of three looks, so it survives a miss now and then, which these figures count.) What is
too small to be sent for a look counts as not found.

The scenes are drawn, by the same means as those that the models were trained on, from seeds that
no training used: the figures say where it ends, not how well a real camera does.

    python -m benchmarks.robustness --json robustness.json

Runs the models on onnxruntime, without any service.
"""

import json
import math
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple

import click
import cv2
import numpy as np
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from producers.cards import CARDS, Card, Image
from producers.placing import Quad, box_of, draw_card, paste, quad_of
from training.cards import camera
from training.cards.compose import Box
from training.cards.photographs import photographs as unseen
from training.cards.surroundings import background, skin
from training.check import CONFIRM_SCORE, GUNS, Models
from training.points import same

ROOT = Path(__file__).parent.parent
SEED = 810_000
"""No training run uses seeds from 800000 on, and no threshold was chosen on this one."""
WIDTH, HEIGHT = 1280, 720
FOUND_IOU = 0.3
"""Overlap of a detection with the card; a part of it is covered at times."""
MIN_BOX = 16
"""`detector.crop.min_px`: of a smaller box no crop is sent."""
WORKS = 0.9
"""The part of single sights from which it is said to work."""
CARD_M, VIEW_DEGREES = 0.092, 70.0
"""A printed card that lies (`docs/cards-a4.pdf`), which is also about what a phone on its side
shows, and the horizontal field of view of a usual webcam."""


@dataclass(frozen=True, slots=True)
class Conditions:
    """How a card is seen; the defaults are kind."""

    size: float = 96.0
    """Width of the card, pixels of a frame 1280 wide."""
    motion: float = 0.0
    """Pixels that the picture moves while the shutter is open."""
    defocus: float = 0.0
    """Radius of the disc that a point becomes, pixels."""
    light: float = 1.0
    """Factor on every pixel."""
    yaw: float = 0.0
    """Turn of the card around its vertical axis, degrees."""
    jpeg: float = 90
    """Quality of the stream's compression."""
    noise: float = 2.0
    """Standard deviation, grey values of 0..255."""
    covered: float = 0.0
    """The part of the card behind a hand."""


class Factor(NamedTuple):
    """What is made worse step by step."""

    field: str
    title: str
    steps: tuple[float, ...]


FACTORS = (
    Factor("size", "card width, px of 1280", (20, 24, 32, 48, 64, 96, 128, 192, 256)),
    Factor("motion", "motion blur, px", (0, 6, 12, 20, 30, 45)),
    Factor("defocus", "defocus, radius in px", (0, 2, 4, 6, 9, 13, 18)),
    Factor("light", "light, factor", (1, 0.5, 0.25, 0.12, 0.06, 0.03)),
    Factor("yaw", "angle (yaw), degrees", (0, 20, 40, 55, 65, 75, 82)),
    Factor("jpeg", "JPEG quality", (95, 70, 40, 20, 10, 5)),
    Factor("noise", "noise, standard deviation", (0, 10, 20, 35, 50, 80)),
    Factor("covered", "covered by a hand, part", (0, 0.1, 0.25, 0.4, 0.55)),
)


@dataclass(frozen=True, slots=True)
class Sight:
    """What stays the same while conditions change: where a card is held, and before what."""

    behind: Image
    card: Card
    centre: tuple[float, float]
    roll: float
    angle: float
    """Direction of motion, radians."""
    edge: int
    """Which edge of the card the hand comes from."""
    seed: int


@dataclass(slots=True)
class Point:
    """What was counted under one condition."""

    factor: str
    value: float
    cards: int = 0
    found: int = 0
    confirmed: int = 0

    def conditions(self) -> Conditions:
        """Return the kind conditions with this one step made worse."""
        return Conditions(**{self.factor: self.value})

    @property
    def pair(self) -> float:
        """The part of all cards that is found and confirmed in one frame."""
        return self.confirmed / max(self.cards, 1)


def sights(count: int, photographs: Sequence[Image] = ()) -> Iterator[Sight]:
    """Yield sights of gun cards; the same ones in every run.

    Args:
        count: How many.
        photographs: Backgrounds that no training saw, besides drawn ones.
    """
    guns = [card for card in CARDS if card.label in GUNS]
    for index in range(count):
        random = np.random.default_rng([SEED, index])
        yield Sight(
            behind=background(random, WIDTH, HEIGHT, photographs),
            card=guns[index % len(guns)],
            centre=(random.uniform(0.2, 0.8) * WIDTH, random.uniform(0.3, 0.7) * HEIGHT),
            roll=float(random.normal(0, 5)),
            angle=random.uniform(0, math.pi),
            edge=int(random.choice([1, 2, 2, 3])),
            seed=index,
        )


def seen(sight: Sight, how: Conditions) -> tuple[Image, Box]:
    """Return the frame, (720, 1280, 3) uint8 BGR, and the card's box in it."""
    random = np.random.default_rng([SEED, sight.seed, 1])
    frame = sight.behind.copy()
    quad = quad_of(
        sight.card,
        sight.centre,
        how.size / sight.card.width,
        roll=sight.roll,
        yaw=how.yaw,
        pitch=0.0,
    )
    draw_card(frame, sight.card, quad)
    if how.covered:
        paste(frame, np.full((8, 8, 3), skin(random), np.uint8), _part(quad, sight.edge, how))
    if how.defocus:
        frame = np.asarray(cv2.filter2D(frame, -1, _disc(how.defocus)), np.uint8)
    if how.motion:
        frame = np.asarray(cv2.filter2D(frame, -1, _streak(how.motion, sight.angle)), np.uint8)
    if how.light != 1:
        frame = np.asarray(cv2.convertScaleAbs(frame, alpha=how.light), np.uint8)
    # After the light: a sensor's noise does not get less in the dark.
    if how.noise:
        frame = camera.noisy(random, frame, how.noise)
    box = box_of(quad, WIDTH, HEIGHT)
    if box is None:
        raise ValueError("the card is outside the frame")
    return camera.compressed(frame, int(how.jpeg)), box


def _part(quad: Quad, edge: int, how: Conditions) -> Quad:
    """Return the part of the quad that lies at one of its edges (1 right, 2 below, 3 left)."""
    ends = [quad[edge], quad[(edge + 1) % 4]]
    far = [quad[(edge + 3) % 4], quad[(edge + 2) % 4]]
    reach = [near + (off - near) * how.covered for near, off in zip(ends, far, strict=True)]
    return np.asarray([*ends, reach[1], reach[0]], np.float32)


def _disc(radius: float) -> Image:
    """Return what a lens out of focus makes of a point (the circle of confusion)."""
    reach = math.ceil(radius)
    x, y = np.meshgrid(*[np.arange(-reach, reach + 1)] * 2)
    # One pixel of slope at the rim, so that fractions of a pixel count.
    disc = np.clip(radius + 0.5 - np.hypot(x, y), 0, 1)
    return np.asarray(disc / disc.sum())


def _streak(length: float, angle: float) -> Image:
    side = 2 * math.ceil(length / 2) + 3
    kernel = np.zeros((side, side), np.float32)
    reach = np.array([math.cos(angle), math.sin(angle)]) * length / 2
    first, last = (
        tuple(int(v) for v in np.round((side // 2 + s * reach) * 64)) for s in (-1.0, 1.0)
    )
    cv2.line(kernel, first, last, (1.0,), 1, cv2.LINE_AA, 6)
    return np.asarray(kernel / kernel.sum())


def judge(models: Models, sight: Sight, how: Conditions, min_score: float) -> tuple[bool, bool]:
    """Return whether the card is found, and whether it is also confirmed under its label."""
    frame, card = seen(sight, how)
    near = [f for f in models.judge(frame, min_score) if same(f.box, card) >= FOUND_IOU]
    large = [f for f in near if min(f.box[2] - f.box[0], f.box[3] - f.box[1]) >= MIN_BOX]
    right = [f for f in large if f.label == sight.card.label and f.label_score >= CONFIRM_SCORE]
    return bool(large), bool(right)


def measure(
    models: Models,
    shown: Iterable[Sight],
    min_score: float,
    factors: Sequence[Factor],
    told: Callable[[float], None],
) -> list[Point]:
    """Count every step of every factor over the same sights; `told` how many cards were seen."""
    points = [Point(factor.field, step) for factor in factors for step in factor.steps]
    # One sight after another: many backgrounds would fill the memory.
    for sight in shown:
        for point in points:
            found, confirmed = judge(models, sight, point.conditions(), min_score)
            point.cards += 1
            point.found += found
            point.confirmed += confirmed
            told(1)
    return points


def distance_m(width_px: float, *, card_m: float = CARD_M, view: float = VIEW_DEGREES) -> float:
    """Return how far away a card is seen this wide in a frame 1280 px wide.

    A pinhole camera: width = f * card / distance with a focal length of
    f = 1280 / (2 tan(view / 2)) pixels (Hartley and Zisserman, Multiple View Geometry in Computer
    Vision, 2nd edition, section 6.1).
    """
    focal_px = WIDTH / (2 * math.tan(math.radians(view) / 2))
    return focal_px * card_m / width_px


def reach(points: Sequence[Point]) -> float | None:
    """Return the smallest card width from which on the pair sees at least `WORKS` of the cards."""
    smallest = None
    for point in sorted((p for p in points if p.factor == "size"), key=lambda p: -p.value):
        if point.pair < WORKS:
            break
        smallest = point.value
    return smallest


def in_words(points: Sequence[Point]) -> str:
    """Say how far away it works."""
    smallest = reach(points)
    usual = f"A card {CARD_M * 100:.1f} cm wide, a frame 1280 px wide, a view of {VIEW_DEGREES:.0f}"
    if smallest is None:
        return f"At no size were {WORKS:.0%} of single sights found and confirmed."
    lines = [
        f"{usual} degrees: down to a width of {smallest:.0f} px,",
        f"{distance_m(smallest):.1f} m away, at least {WORKS:.0%} of single sights are found",
        "and confirmed.",
    ]
    some = [p for p in points if p.factor == "size" and p.value < smallest and p.pair > 0]
    lines += [
        f"At {p.value:.0f} px, {distance_m(p.value):.1f} m, it is {p.pair:.0%} "
        f"({p.confirmed} of {p.cards})."
        for p in sorted(some, key=lambda p: -p.value)
    ]
    return " ".join(lines)


def operating_point(repository: Path) -> float:
    """Return the detector's `min_score` as its configuration in a model repository says it."""
    text = (repository / "yolov5/config.pbtxt").read_text(encoding="utf-8")
    stated = re.search(r'key: "min_score"\s+value: \{ string_value: "([0-9.]+)"', text)
    return float(stated[1]) if stated else 0.25


def table_of(points: Sequence[Point]) -> Table:
    """Return everything that was counted, a count beside every percentage."""
    table = Table("factor", "step", "distance", "detector", "looks", "pair",
                  title="Gun cards, 96 px wide unless said otherwise")  # fmt: skip
    titles = {factor.field: factor.title for factor in FACTORS}
    before = ""
    for point in points:
        far = f"{distance_m(point.value):.1f} m" if point.factor == "size" else ""
        table.add_row(
            "" if point.factor == before else titles[point.factor],
            f"{point.value:g}",
            far,
            share(point.found, point.cards),
            share(point.confirmed, point.found),
            share(point.confirmed, point.cards),
        )
        before = point.factor
    return table


def share(part: int, whole: int) -> str:
    """Return a percentage with its counts."""
    return f"{part / whole:6.1%} ({part}/{whole})" if whole else "- (0/0)"


@click.command()
@click.option("--models", type=click.Path(exists=True, path_type=Path),
              default=ROOT / "model_repository")  # fmt: skip
@click.option("--per-point", default=60, show_default=True, help="Cards per step.")
@click.option("--factor", "wanted", multiple=True, help="Only this one. May be repeated.",
              type=click.Choice([factor.field for factor in FACTORS]))  # fmt: skip
@click.option("--photographs", type=click.Path(exists=True, path_type=Path, file_okay=False),
              help="Folder of JPEG photographs: those that training never takes are "
                   "backgrounds too.")  # fmt: skip
@click.option("--threads", default=2, show_default=True, help="For the models.")
@click.option("--json", "json_path", type=click.Path(path_type=Path), help="Write the counts here.")
def main(
    *,
    models: Path,
    per_point: int,
    wanted: tuple[str, ...],
    photographs: Path | None,
    threads: int,
    json_path: Path | None,
) -> None:
    """Print recall against size, blur, light, angle, compression, noise and covering."""
    console = Console(width=None if Console().is_terminal else 140)
    cv2.setNumThreads(threads)
    min_score = operating_point(models)
    factors = [factor for factor in FACTORS if not wanted or factor.field in wanted]
    shown = sights(per_point, unseen(photographs, "judge"))
    with Progress(console=console, transient=True) as progress:
        steps = sum(len(factor.steps) for factor in factors)
        task = progress.add_task("looking", total=per_point * steps)
        tell = partial(progress.advance, task)
        points = measure(Models(models, threads), shown, min_score, factors, tell)
    console.print(table_of(points))
    console.print(f"The detector's threshold is {min_score:g}, a look confirms from "
                  f"{CONFIRM_SCORE:g}.")  # fmt: skip
    if any(point.factor == "size" for point in points):
        console.print(in_words(points))
    if json_path:
        counted = [asdict(p) | {"pair": p.pair, "distance_m": distance_m(p.value)
                                if p.factor == "size" else None} for p in points]  # fmt: skip
        text = {"min_score": min_score, "confirm_score": CONFIRM_SCORE, "seed": SEED,
                "points": counted}  # fmt: skip
        json_path.write_text(json.dumps(text, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
