"""Draws held-out clips with ground truth: cards carried through scenes that no training run saw.

`python -m training.cards.clips --out runs/clips --seed 900100 --clips 10 --seconds 120`
"""

import json
import multiprocessing
import os
import signal
import sys
from collections.abc import Iterator
from ctypes import c_long
from dataclasses import dataclass, field, replace
from functools import partial
from multiprocessing.sharedctypes import Synchronized
from pathlib import Path

import click
import cv2
import numpy as np
from rich.progress import Progress, TimeElapsedColumn, TimeRemainingColumn

from producers.cards import LABELS, Image
from producers.scenes import MIN_VISIBLE, MIN_WIDTH
from training.cards.camera import Camera, camera
from training.cards.carried import Carried
from training.cards.compose import Box, Held, Scene, hold_card, placed, put_distractor
from training.cards.photographs import photographs
from training.cards.plans import HEIGHT, WIDTH, plan
from training.cards.surroundings import background
from training.cards.video import ffmpeg, write_clip

FPS = 10
HELD_OUT = 800_000
"""Seeds from here on belong to judging."""
_SEEN = 0.2
"""A card of which less is visible has no box."""
_ROUGH = 0.4
"""How bad the cameras of clips may be; 1 is the worst that training sees."""


@dataclass(slots=True)
class Clip:
    """One clip: its frames are drawn in order, and its truth is known when all are drawn."""

    seed: int
    still: Image
    eye: Camera
    carried: list[Carried]
    seconds: float
    shutter_s: float
    crf: int
    """H.264's rate factor, the higher the coarser."""
    kilobits: int
    """And the most that a second of it takes."""
    boxes: dict[int, list[tuple[int, Box]]] = field(default_factory=dict)
    """For each card carried: frame index and box, where it is at least a fifth visible."""
    well: dict[int, list[int]] = field(default_factory=dict)
    """For each card carried: indices of the frames in which it is seen well enough to alert."""

    def frames(self) -> Iterator[Image]:
        """Yield all frames, (720, 1280, 3) uint8 BGR, noting what is seen in them."""
        for index in range(round(self.seconds * FPS)):
            yield self._frame(index)

    def _frame(self, index: int) -> Image:
        at_s = index / FPS
        frame = self.still.copy()
        held: dict[int, Held] = {}
        for number, one in enumerate(self.carried):
            quad = one.place(at_s, WIDTH, HEIGHT)
            if quad is not None:
                way = one.way(at_s, self.shutter_s, WIDTH, HEIGHT)
                # The same chances in every frame: the same hand on the same paper.
                random = np.random.default_rng([self.seed, 2, number])
                held[number] = hold_card(
                    random, frame, one.card, quad, way=way, picture=one.picture, edge=2 - one.side
                )
        self._note(index, held)
        light = 1.0 + 0.06 * np.sin(at_s / 4)
        lit = np.asarray(cv2.convertScaleAbs(frame, alpha=light), np.uint8)
        return self.eye.take(np.random.default_rng([self.seed, 3, index]), lit)

    def _note(self, index: int, held: dict[int, Held]) -> None:
        numbers = list(held)
        for place, seen in placed(list(held.values()), WIDTH, HEIGHT):
            number = numbers[place]
            if seen.visible >= _SEEN and self.carried[number].picture is None:
                self.boxes.setdefault(number, []).append((index, seen.box))
                if seen.visible >= MIN_VISIBLE and seen.box[2] - seen.box[0] >= MIN_WIDTH:
                    self.well.setdefault(number, []).append(index)

    def truth(self) -> dict[str, object]:
        """Return what the frames drawn so far show, `secondlook/truth/1`."""
        episodes, others = [], []
        for number in sorted(self.boxes, key=lambda n: self.carried[n].start_s):
            card, well = self.carried[number].card, self.well.get(number)
            boxes = [[i, *(round(edge, 1) for edge in box)] for i, box in self.boxes[number]]
            if well:
                span = {"start_s": well[0] / FPS, "end_s": well[-1] / FPS, "card": card.name}
                episodes.append({"label": card.label, **span, "boxes": boxes})
            else:
                others.append({"label": card.label, "boxes": boxes})
        episodes.sort(key=lambda episode: float(str(episode["start_s"])))
        return {
            "schema": "secondlook/truth/1", "fps": FPS, "frames": round(self.seconds * FPS),
            "width": WIDTH, "height": HEIGHT, "seed": self.seed, "episodes": episodes,
            "others": others,
        }  # fmt: skip


def clip_of(
    seed: int, seconds: float, only: tuple[str, ...] = (), pictures: list[Image] | None = None
) -> Clip:
    """Return the clip of a seed: place, camera, light and plan follow from it."""
    random = np.random.default_rng([seed, 0])
    scene = Scene(background(random, WIDTH, HEIGHT, pictures or ()))
    for _ in range(int(random.integers(0, 4))):
        put_distractor(random, scene)
    eye = replace(camera(random, _ROUGH), quality=0, stream=0)  # the clip's own coding is real
    return Clip(
        seed=seed,
        still=scene.image,
        eye=eye,
        carried=plan(np.random.default_rng([seed, 1]), seconds, only or None),
        seconds=seconds,
        shutter_s=float(random.uniform(0.004, 0.04)),
        crf=int(random.integers(22, 31)),
        kilobits=int(random.integers(1200, 3500)),
    )


_drawn: "Synchronized[int] | None" = None
_pictures: list[Image] = []


def _prepare(drawn: "Synchronized[int]", folder: Path | None) -> None:
    global _drawn  # noqa: PLW0603 - a pool hands a shared counter to its processes only here
    _drawn = drawn
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends its processes
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # and they take half a clip with them
    cv2.setNumThreads(1)
    _pictures[:] = photographs(folder, "judge")


def _counted(frames: Iterator[Image]) -> Iterator[Image]:
    for frame in frames:
        yield frame
        if _drawn is not None:
            with _drawn.get_lock():
                _drawn.value += 1


def write(number: int, *, out: Path, seed: int, seconds: float, only: tuple[str, ...]) -> str:
    """Write clip `number` with its truth; return a line about it."""
    clip = clip_of(seed + number, seconds, only, _pictures)
    path = out / f"clip-{number:03d}.mp4"
    frames = _counted(clip.frames())
    write_clip(path, frames, FPS, crf=clip.crf, preset="superfast", kilobits=clip.kilobits)
    truth = clip.truth()
    path.with_suffix(".json").write_text(json.dumps(truth) + "\n")
    episodes = truth["episodes"]
    assert isinstance(episodes, list)  # noqa: S101 - it is made so above
    guns = sum("gun" in episode["label"] for episode in episodes)
    size = path.stat().st_size / 1e6
    return f"{path}: {guns} episodes of guns, {len(episodes) - guns} of others, {size:.1f} MB"


@click.command()
@click.option("--out", type=click.Path(path_type=Path), default=Path("runs/clips"))
@click.option(
    "--seed", type=click.IntRange(min=HELD_OUT), default=900_100, show_default=True,
    help="Of the first clip; training uses smaller ones than 800000.",
)  # fmt: skip
@click.option("--clips", type=click.IntRange(1, 1000), default=10, show_default=True)
@click.option("--seconds", type=click.FloatRange(min=1), default=120.0, show_default=True)
@click.option(
    "--photographs", "folder", type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Folder of JPEG photographs; those of the side that training never sees are used.",
)  # fmt: skip
@click.option("--only", default="", help="Labels to show, with commas, as phone,umbrella,blank.")
@click.option("--processes", default=os.cpu_count() or 1, show_default=True)
def main(
    *, out: Path, seed: int, clips: int, seconds: float, folder: Path | None, only: str,
    processes: int,
) -> None:  # fmt: skip
    """Write clip-000.mp4 with clip-000.json, and so on: 1280x720, 10 frames a second, H.264.

    Every clip has its own place, light, camera and coding, a card with a gun about every six
    seconds, at least as many look-alikes, and things that are no cards. Deterministic from the
    seed.
    """
    labels = tuple(label.strip() for label in only.split(",") if label.strip())
    if set(labels) - set(LABELS):
        raise click.BadParameter(f"choose from {', '.join(LABELS)}", param_hint="--only")
    ffmpeg()  # said before the work, not after it
    photographs(folder, "judge")
    out.mkdir(parents=True, exist_ok=True)
    # Forked children would inherit OpenCV's threads in whatever state they are: started anew.
    spawn = multiprocessing.get_context("spawn")
    drawn = spawn.Value(c_long, 0)
    work = partial(write, out=out, seed=seed, seconds=seconds, only=labels)
    columns = (*Progress.get_default_columns()[:-1], TimeRemainingColumn(), TimeElapsedColumn())
    with (
        spawn.Pool(min(processes, clips), _prepare, (drawn, folder)) as pool,
        Progress(*columns) as progress,
    ):
        task = progress.add_task("Drawing clips", total=clips * round(seconds * FPS))
        result = pool.map_async(work, range(clips), chunksize=1)
        while not result.ready():
            result.wait(0.5)
            progress.update(task, completed=drawn.value)
        lines = result.get()
    for line in lines:
        click.echo(line)


if __name__ == "__main__":
    main()
