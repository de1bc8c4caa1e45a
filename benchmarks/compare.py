"""Both sides in one run: the single loop of the beginning, the pipeline, and Triton's own ceiling.

    python -m benchmarks.compare                  # about ten minutes on two cores
    python -m benchmarks.compare --rounds 5 --json compare.json

Every round measures each side once, so that what disturbs a round disturbs both; the ratios are
taken round by round, and their median and spread are printed. No side pays for capture: the
pictures lie in memory (`feeding --link`). The pipeline's cameras offer more than it can take.

Each side has the models as they suit it best: the single loop waits for one answer at a time, so
all cores work at it; the pipeline and Triton alone have one instance for each core.
"""

import asyncio
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from benchmarks import ceiling, flow, sequential
from benchmarks.machine import Spread, ratio, this_machine
from secondlook.local.stack import OWN_MODELS
from secondlook.tuning import Settings, edited

Rates = dict[str, list[float]]
"""Frames/s of each side, one per round."""
SIDES = {
    "sequential, no object": "the single loop",
    "sequential, an object": "the same, an object in every frame",
    "pipeline, no object": "this project, one camera",
    "pipeline, an object": "the same, an object in every frame",
    "pipeline, a look a frame": "an object in every frame, classified every time",
    "pipeline, 4 small cameras": "768x432, offering 1.2 times the ceiling",
    "ceiling": "Triton alone",
}
RATIOS = (
    ("pipeline, no object", "sequential, no object", ">= 1.6"),
    ("pipeline, an object", "sequential, an object", ">= 1.8"),
    ("pipeline, a look a frame", "sequential, an object", ""),
    ("pipeline, an object", "pipeline, no object", ">= 0.9"),
    ("pipeline, 4 small cameras", "ceiling", ">= 0.85"),
)
OFFERED = 2.0
"""Times the ceiling that one camera offers."""
LOOK_ALWAYS_S = 0.001
SMALL, SMALL_CAMERAS, SMALL_OFFERED = "768x432", 4, 1.2


def spread_out(folder: Path, platform: str) -> Path:
    """Return a copy of the models, on the `python` platform with an instance for each core."""
    models = folder / "models"
    shutil.copytree(OWN_MODELS, models)
    if platform == "python":
        each_core = Settings(
            instances=len(os.sched_getaffinity(0)), threads="1", in_flight=1, batch=1
        )
        for config in models.glob("*/configs/python.pbtxt"):
            config.write_text(edited(config.read_text(), each_core))
    return models


def one_round(
    models: Path, seconds: float, size: str, concurrency: int, platform: str
) -> dict[str, float]:
    """Measure every side once, in frames/s."""
    most = ceiling.measure(
        "yolov5", [concurrency], models=models, platform_name=platform, seconds=seconds
    )
    found = {"ceiling": most[0].per_s}
    load = flow.Load(1, size, OFFERED * found["ceiling"], link=True)
    for name, every in (("no object", 0), ("an object", 1)):
        run = sequential.measure(seconds, every, size, platform)
        found[f"sequential, {name}"] = run.frames_per_s
        seen = replace(load, every=every)
        found[f"pipeline, {name}"] = _pipeline(seen, models, seconds, platform)
    always = replace(load, detector={"relook_s": LOOK_ALWAYS_S})
    found["pipeline, a look a frame"] = _pipeline(always, models, seconds, platform)
    fps = SMALL_OFFERED * found["ceiling"] / SMALL_CAMERAS
    small = flow.Load(SMALL_CAMERAS, SMALL, fps, 0, link=True)
    found["pipeline, 4 small cameras"] = _pipeline(small, models, seconds, platform)
    return found


def _pipeline(load: flow.Load, models: Path, seconds: float, platform: str) -> float:
    found = asyncio.run(flow.measure(load, seconds, models=models, platform=platform))
    return found.frames_per_s


def tables(rates: Mapping[str, Sequence[float]]) -> list[Table]:
    """Return the frames/s of each side, and the ratios with their targets."""
    sides = Table("side", "what", "frames/s: median (smallest to largest)")
    for name, what in SIDES.items():
        sides.add_row(name, what, str(Spread(tuple(rates[name]))))
    ratios = Table("ratio", "median (smallest to largest)", "target")
    for ours, theirs, target in RATIOS:
        ratios.add_row(f"{ours} / {theirs}", str(ratio(rates[ours], rates[theirs])), target)
    return [sides, ratios]


@click.command()
@click.option("--rounds", default=3, show_default=True, help="How often each side is measured.")
@click.option("--seconds", default=15.0, show_default=True, help="Of each measurement.")
@click.option("--size", default="1920x1080", show_default=True, help="WIDTHxHEIGHT of a frame.")
@click.option("--concurrency", default=4, show_default=True, help="Of the ceiling.")
@click.option("--platform", default="python", show_default=True)
@click.option("--json", "json_path", type=click.Path(path_type=Path), help="Also write JSON.")
def main(
    *,
    rounds: int,
    seconds: float,
    size: str,
    concurrency: int,
    platform: str,
    json_path: Path | None,
) -> None:
    """Measure both sides, and print how they compare."""
    console = Console()
    rates: Rates = {name: [] for name in SIDES}
    with tempfile.TemporaryDirectory() as folder:
        models = spread_out(Path(folder), platform)
        for number in range(rounds):
            for name, per_s in one_round(models, seconds, size, concurrency, platform).items():
                rates[name].append(per_s)
                console.print(f"round {number + 1}, {name}: {per_s:.2f} frames/s")
    for table in tables(rates):
        console.print(table)
    machine = this_machine()
    console.print(f"{machine}; {size}, {rounds} rounds of {seconds:g} s")
    if json_path:
        whole = {"machine": asdict(machine), "size": size, "seconds": seconds, "rates": rates}
        json_path.write_text(json.dumps(whole, indent=1) + "\n")
    sys.exit(0 if all(min(values) > 0 for values in rates.values()) else 1)


if __name__ == "__main__":
    main()
