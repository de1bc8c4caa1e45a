"""Real film through the whole pipeline: what no card is must not alert, what is one must.

Two runs of one configuration that differ only in the detector's model. With COCO weights the
persons, cars and bottles of real clips become crops, and the second look must reject them all.
With the demo weights the demo clip must raise its alerts. Prints frames, crops, verdicts and
rates; exits 1 if an alert is missing or one came that should not.

    python -m benchmarks.real_video

The clips and weights are shared test data: `../shared/data` beside the repository, or wherever
SECONDLOOK_SHARED_DATA says.
"""

import asyncio
import json
import shutil
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import click
import onnx
import yaml
from rich.console import Console
from rich.table import Table

from benchmarks.parity import COMMON_CONFIG, DATA, FUSED_CONFIG, ROOT, WEIGHTS
from secondlook import topics
from secondlook.adapters.bus import Bus
from secondlook.adapters.subscriptions import Subscription
from secondlook.commands.starting import start_all
from secondlook.config_file import load
from secondlook.local.folders import temporary
from secondlook.local.stack import Wish, running
from secondlook.messages import Crop
from training.export import fuse_detector

DEMO = ROOT / "producers" / "demo"
CAMERA = "clip"
STARTS_WITHIN_S = 30.0
SETTLE_S = 5.0


@dataclass
class Told:
    """What one clip gave."""

    frames: int = 0
    crops: set[str] = field(default_factory=set)
    verdicts: Counter[str] = field(default_factory=Counter)
    alerts: Counter[str] = field(default_factory=Counter)
    seconds: float = 0


def build_repository(folder: Path) -> None:
    """Copy the demo's models and put the COCO detector beside them, fused."""
    shutil.copytree(ROOT / "model_repository", folder)
    version = folder / "yolov5n_coco" / "1"
    version.mkdir(parents=True)
    labels = ",".join((WEIGHTS / "labels.txt").read_text().split("\n")[:80])
    text = FUSED_CONFIG + COMMON_CONFIG.format(labels=labels)
    (folder / "yolov5n_coco" / "config.pbtxt").write_text(text)
    shutil.copy(ROOT / "model_repository" / "yolov5" / "1" / "model.py", version)
    onnx.save(fuse_detector(onnx.load(WEIGHTS / "model.onnx"), "yolov5"), version / "model.onnx")


async def play(folder: Path, clip: Path, model: str, limit_s: float, console: Console) -> Told:
    """Play a clip once in real time with one detector; return what was told."""
    config_path = folder / "config.yaml"
    camera = {"source": f"file:{clip}", "fps": 10}
    config_path.write_text(yaml.safe_dump({"cameras": {CAMERA: camera}}))
    overrides = (f"detector.model={model}",)
    wish = Wish(
        config_path=config_path,
        config=load(config_path, overrides),
        overrides=overrides,
        models=folder / "models",
    )
    told = Told()
    async with (
        running(wish, folder, lambda *_: None) as stack,
        Bus(stack.mqtt, service="benchmark") as bus,
    ):
        frames, crops = bus.subscribe(topics.FRAMES, limit=10_000), bus.subscribe(topics.CROPS)
        verdicts, alerts = bus.subscribe(topics.VERDICTS), bus.subscribe(topics.ALERTS)
        statuses = bus.subscribe(topics.CAMERA_STATUS)
        await start_all(stack, wish, console, last=["producers"])
        async with asyncio.timeout(STARTS_WITHIN_S):
            first = await frames.batch(1)
        began = time.monotonic()
        over = asyncio.create_task(until_offline(statuses))
        await asyncio.wait({over}, timeout=limit_s)
        over.cancel()
        told.seconds = time.monotonic() - began
        await asyncio.sleep(SETTLE_S)
        told.frames = len(first) + len(frames)
        told.crops = (
            {d.message.id for d in await crops.batch(100_000) if isinstance(d.message, Crop)}
            if len(crops)
            else set()
        )
        if len(verdicts):
            told.verdicts.update(d.message.outcome for d in await verdicts.batch(100_000))
        if len(alerts):
            heard = await alerts.batch(100_000)
            told.alerts.update(d.message.label for d in heard if d.message.event == "new")
    return told


async def until_offline(statuses: Subscription[topics.OnlineOffline]) -> None:
    """Return when the clip's camera goes offline after it was online."""
    was_online = False
    async for delivery in statuses:
        was_online = was_online or delivery.message == "online"
        if was_online and delivery.message == "offline":
            return


def expected_alerts() -> int:
    """Return how many episodes of the demo clip are to alert."""
    truth = json.loads((DEMO / "demo.json").read_text())
    return sum(episode["label"] in ("small_gun", "big_gun") for episode in truth["episodes"])


@click.command()
@click.option("--seconds", default=60.0, show_default=True, help="Longest time per real clip.")
def main(seconds: float) -> None:
    """Play the real clips with COCO weights, then the demo clip with the demo's."""
    console = Console()
    clips = sorted((DATA / "video").glob("*.mp4"))
    if not clips:
        console.print(f"there are no clips in {DATA / 'video'}: set SECONDLOOK_SHARED_DATA")
        sys.exit(2)
    table = Table("clip", "detector", "frames", "crops", "rejected", "uncertain", "confirmed",
                  "frames/s", "crops/s", "new alerts")  # fmt: skip
    good = True
    with temporary("secondlook-video-") as folder:
        build_repository(folder / "models")
        plays = [(clip, "yolov5n_coco") for clip in clips] + [(DEMO / "demo.mp4", "yolov5")]
        for number, (clip, model) in enumerate(plays):
            private = folder / str(number)
            private.mkdir()
            (private / "models").symlink_to(folder / "models")
            told = asyncio.run(play(private, clip, model, seconds, Console(quiet=True)))
            expected = expected_alerts() if model == "yolov5" else 0
            good = good and told.alerts.total() == expected and bool(told.crops)
            outcomes = [str(told.verdicts[o]) for o in ("rejected", "uncertain", "confirmed")]
            rates = [f"{n / told.seconds:.1f}" for n in (told.frames, len(told.crops))]
            table.add_row(clip.name, model, str(told.frames), str(len(told.crops)), *outcomes,
                          *rates, f"{told.alerts.total()} (expected {expected})")  # fmt: skip
    console.print(table)
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
