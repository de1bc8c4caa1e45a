"""Makes the demo kit's two models on a GPU machine: two commands, each of which can go on.

`python -m training.kit detector`    scenes, training, export, threshold
`python -m training.kit classifier`  crops by that detector, training, calibration, figures

What is done is kept in `runs/kit`; the same command goes on where it stopped. Photographs make the
backgrounds richer; without them everything is drawn.
"""

import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TypeVar

import click

from training import detector_tool
from training.cards.cutting import CLASSES
from training.detector import fuse, run
from training.detector_tool import Request
from training.environment import TrainingError, interpreter
from training.kit_crops import draw_crops, draw_negatives
from training.operating_point import SEED, conclude, measure_scenes
from training.steps import Facts, Steps

PARTS = 4
"""Scenes are drawn in so many parts: a stop costs one of them at most."""
LEAST_EPOCHS = 2
SIDE = 640
SMALL_SIDE = 128
"""Crops of this size teach the first half of the classifier's training: four times faster."""
CROPS_SEED = SEED + 1
HELD_OUT_SCENES, LEAST_HELD_OUT = 0.05, 40
"""The part of the scenes that judges, and at least so many: fewer do not show every label."""
WARM_RATE = 1e-3
"""The highest learning rate where there are weights to start from."""
AFTER_TRAINING = 1.0
"""Minutes kept for what comes after the training."""

HYPERPARAMETERS = {
    "lr0": 0.01, "lrf": 0.02, "momentum": 0.937, "weight_decay": 0.0005,
    "warmup_epochs": 1.0, "warmup_momentum": 0.8, "warmup_bias_lr": 0.1,
    "box": 0.05, "cls": 0.5, "cls_pw": 1.0, "obj": 1.0, "obj_pw": 1.0,
    "iou_t": 0.2, "anchor_t": 4.0, "fl_gamma": 0.0,
    "hsv_h": 0.02, "hsv_s": 0.5, "hsv_v": 0.35,
    "degrees": 0.0, "translate": 0.1, "scale": 0.4, "shear": 0.0, "perspective": 0.0,
    "flipud": 0.0, "fliplr": 0.5, "mosaic": 0.2, "mixup": 0.0, "copy_paste": 0.0,
}  # fmt: skip
"""Little augmentation: the scenes bring their own variety."""

_EXISTING = click.Path(exists=True, path_type=Path)
_Command = TypeVar("_Command", bound=Callable[..., None])
_OPTIONS = (
    click.option("--out", type=click.Path(path_type=Path), default=Path("runs/kit"),
                 show_default=True, help="What is made, and how far it is."),
    click.option("--photographs", type=_EXISTING, help="Folder of .jpg files without cards."),
    click.option("--minutes", default=7.5, show_default=True, help="For the whole command."),
    click.option("--processes", default=os.cpu_count() or 1, show_default=True),
    click.option("--device", default="", help="`cpu`, or a GPU's number."),
)  # fmt: skip


def _common(command: _Command) -> _Command:
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


@click.group()
def main() -> None:
    """Make the demo kit's models anew."""


@main.command()
@_common
@click.option("--scenes", default=10_000, show_default=True)
@click.option("--seed", default=1, show_default=True, help="Below 800000: those above judge.")
@click.option("--batch", default=128, show_default=True)
@click.option("--epochs", default=0, help="Without it: as many as the time allows at --speed.")
@click.option("--speed", default=300.0, show_default=True, help="Images that train in a second.")
@click.option("--start-detector", type=_EXISTING, help="A checkpoint (.pt) to start from.")
@click.option("--held-out", default=800, show_default=True, help="Scenes that set the threshold.")
@click.option("--recall", default=0.97, show_default=True, help="Sets the threshold.")
def detector(
    *, out: Path, photographs: Path | None, minutes: float, processes: int, device: str,
    scenes: int, seed: int, batch: int, epochs: int, speed: float, start_detector: Path | None,
    held_out: int, recall: float,
) -> None:  # fmt: skip
    """Draw scenes, train YOLOv5n on them, export it and choose its threshold."""
    _below(seed)
    parts = tuple(f"scenes, part {part + 1}" for part in range(PARTS))
    names = (*parts, "train", "export", "fuse", "operating point")
    steps = Steps(out / "detector.json", names, {"scenes": scenes, "seed": seed})
    folder, data = out.resolve() / "detector", out.resolve() / "scenes"
    python = interpreter("yolov5")
    for part, name in enumerate(parts):
        first, last = scenes * part // PARTS, scenes * (part + 1) // PARTS
        steps.do(name, partial(_draw, data, first, last - first, seed=seed, behind=photographs,
                               processes=processes))  # fmt: skip
    left = minutes - steps.minutes() - AFTER_TRAINING
    fitting = epochs or max(int(left * 60 * speed / scenes), LEAST_EPOCHS)
    request = Request("yolov5", python, folder, data / "data.yaml", fitting, batch, SIDE,
                      min(processes, 16), device, "",
                      str(start_detector.resolve()) if start_detector else "",
                      HYPERPARAMETERS)  # fmt: skip

    def train() -> None:
        click.echo(f"{fitting} epochs of {scenes} scenes, {left:.1f} minutes at most")
        whole = detector_tool.train(request, minutes=left, resume=request.last.exists())
        click.echo("trained" if whole else "the time is over: the last epoch's weights count")

    steps.do("train", train)
    raw = steps.do("export", lambda: {"raw": str(detector_tool.export(request))})["raw"]
    fused = folder / "model.onnx"
    steps.do("fuse", lambda: fuse(Path(raw), "yolov5", SIDE, fused))
    source = f"{held_out} scenes of seed {SEED}"
    steps.do("operating point", lambda: {
        "min_score": conclude(
            measure_scenes(fused, scenes=held_out, photographs=photographs), recall=recall,
            file=folder / "operating_point.json", source=source,
        ).min_score
    })  # fmt: skip
    click.echo(f"{fused} in {steps.minutes():.1f} minutes")


def _draw(
    out: Path, first: int, scenes: int, *, seed: int, behind: Path | None, processes: int
) -> None:
    photographs = ["--photographs", str(behind)] if behind else []
    _python("training.cards.generate", "--out", out, "--first", first, "--scenes", scenes,
            "--seed", seed, "--processes", processes, *photographs)  # fmt: skip


@main.command()
@_common
@click.option("--scenes", default=9000, show_default=True)
@click.option("--seed", default=2, show_default=True, help="Below 800000: those above judge.")
@click.option("--negatives", default=8000, show_default=True,
              help="Crops of photographs and vehicles.")  # fmt: skip
@click.option("--batch", default=512, show_default=True)
@click.option("--detector", "model", type=_EXISTING, help="Fused; else the one made before.")
@click.option("--start-classifier", type=_EXISTING, help="Weights (.npz) to start from.")
@click.option("--mixed/--plain", default=True, help="bfloat16 arithmetic, for GPUs that have it.")
def classifier(
    *, out: Path, photographs: Path | None, minutes: float, processes: int, device: str,
    scenes: int, seed: int, negatives: int, batch: int, model: Path | None,
    start_classifier: Path | None, mixed: bool,
) -> None:  # fmt: skip
    """Cut crops as the detector finds them, train EfficientNet-B0, calibrate and judge it.

    The last two steps need TensorFlow; where it is missing, the same command does them on a
    machine that has it, from what lies in the folder.
    """
    _below(seed)
    found = model or out / "detector/model.onnx"
    if not found.exists():
        raise TrainingError(f"{found} is missing: run `python -m training.kit detector` first")
    parts = tuple(f"crops, part {part + 1}" for part in range(PARTS))
    names = (*parts, "negatives", "held-out crops", "train, small", "train", "export", "fuse")
    options: Facts = {"scenes": scenes, "seed": seed, "negatives": negatives}
    steps = Steps(out / "classifier.json", names, options)
    folder, crops, held = out / "classifier", out / "crops", out / "held-out"
    draw = partial(draw_crops, found, photographs=photographs, processes=processes)
    for part, name in enumerate(parts):
        wanted = range(scenes * part // PARTS, scenes * (part + 1) // PARTS)
        steps.do(name, partial(draw, crops, seed, wanted, side="train"))
    steps.do("negatives", partial(draw_negatives, crops, negatives, photographs, seed,
                                  processes=processes, side="train"))  # fmt: skip
    judged = max(int(scenes * HELD_OUT_SCENES), LEAST_HELD_OUT)

    def hold_out() -> None:
        draw(held, CROPS_SEED, range(judged), side="judge")
        draw_negatives(held, max(negatives // 10, 8), photographs, CROPS_SEED,
                       processes=processes, side="judge")  # fmt: skip

    steps.do("held-out crops", hold_out)
    _train_classifier(
        steps, crops, held, folder, until=minutes - AFTER_TRAINING, batch=batch,
        start=start_classifier, mixed=mixed, device=device, processes=processes,
    )  # fmt: skip
    _export_classifier(steps, folder, held)


def _train_classifier(
    steps: Steps, crops: Path, held: Path, folder: Path, *, until: float, batch: int,
    start: Path | None, mixed: bool, device: str, processes: int,
) -> None:  # fmt: skip
    """Train, first with small crops unless there are weights to start from."""

    def train(side: int, minutes: float, start: Path | None) -> None:
        click.echo(f"crops of {side} x {side}, {minutes:.1f} minutes")
        _python(
            "training.classifier", "train", "--crops", crops, "--judge", held, "--out", folder,
            "--labels", ",".join(CLASSES), "--alerting", ",".join(CLASSES[:2]),
            "--minutes", minutes, "--batch", batch, "--side", side, "--no-check",
            "--processes", max(processes - 1, 1), "--stretch", 100, "--patience", 0,
            *(["--mixed"] if mixed else []),
            *(["--start", start, "--rate", WARM_RATE] if start else []),
            backend="torch", device=device,
        )  # fmt: skip

    kept = folder / "weights.npz"
    if start is None:
        half = max((until - steps.minutes()) / 2, 0.1)
        steps.do("train, small", lambda: train(SMALL_SIDE, half, None))
    left = max(until - steps.minutes(), 0.1)
    # A stopped training goes on from what it wrote.
    steps.do("train", lambda: train(224, left, kept if kept.exists() else start))


def _export_classifier(steps: Steps, folder: Path, held: Path) -> None:
    if find_spec("tensorflow") is None or find_spec("tf2onnx") is None:
        click.echo(
            f"{folder / 'weights.npz'} in {steps.minutes():.1f} minutes. Exporting needs "
            "TensorFlow and tf2onnx (the extra `training`): give the same command there"
        )
        return
    steps.do("export", lambda: _python("training.classifier", "export", "--out", folder,
                                       "--crops", held, backend="tensorflow"))  # fmt: skip
    raw, fused = folder / "classifier.onnx", folder / "model.onnx"
    steps.do("fuse", lambda: _python("training.export", "fuse", "--kind", "classifier", raw, fused))
    click.echo(f"{fused} in {steps.minutes():.1f} minutes")


def _below(seed: int) -> None:
    if not 0 <= seed < SEED:
        raise click.BadParameter(f"seeds from {SEED} on are for judging: take a smaller one")


def _python(module: str, *arguments: object, backend: str = "", device: str = "") -> None:
    """Run one of the project's programs; its output is the progress.

    Raises:
        TrainingError: It failed.
    """
    command: Sequence[str] = [sys.executable, "-m", module, *map(str, arguments)]
    surroundings = {**os.environ, "PYTHONUNBUFFERED": "1"}
    if backend:
        surroundings["KERAS_BACKEND"] = backend
    if device == "cpu":
        surroundings["CUDA_VISIBLE_DEVICES"] = ""
    code = subprocess.run(command, env=surroundings, check=False).returncode
    if code:
        raise TrainingError(f"{module} ended with code {code}: see its output above")


if __name__ == "__main__":
    run(main, again="the same command")
