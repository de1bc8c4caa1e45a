"""`secondlook evaluate`: plays what is known through the real stack, and reports on it."""

import asyncio
import importlib.util
import logging
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import click
from rich.console import Console

from secondlook.adapters.bus import Bus
from secondlook.commands import options
from secondlook.commands.closing import dropped
from secondlook.commands.evaluate_hear import Player, Recorder
from secondlook.commands.evaluate_images import CAMERA as IMAGES
from secondlook.commands.evaluate_images import labelled, send_all
from secondlook.commands.evaluate_plan import Turn, clips, photographs
from secondlook.commands.evaluate_play import (
    Plan,
    describe,
    play_all,
    started,
)
from secondlook.commands.evaluate_report import limits, make_report, misses
from secondlook.commands.evaluate_wish import wish_of
from secondlook.commands.lines import log_line, show
from secondlook.commands.starting import start_all
from secondlook.errors import InstallError
from secondlook.evaluation.record import Finished, Mode
from secondlook.local.folders import temporary
from secondlook.local.stack import Stack, Wish, running

INTERRUPTED = 130
"""What shells report for a program that Ctrl-C ended."""
NEEDED = ("matplotlib", "jinja2")


@dataclass
class Job:
    """One evaluation."""

    mode: Mode
    turns: list[Turn]
    images: list[tuple[str, Path]]
    parallel: int
    out: Path
    console: Console
    verbose: bool
    point: float | None
    """`detector.min_score` without `--min-score`."""


@click.command(name="evaluate")
@click.argument(
    "places", nargs=-1, metavar="CLIP_OR_FOLDER…", type=click.Path(path_type=Path, exists=True)
)
@click.option(
    "--images",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    metavar="FOLDER",
    help="Judge the classifier alone on labelled crops: FOLDER/<label>/*.jpg.",
)
@click.option(
    "--photographs",
    "photos",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    metavar="FOLDER",
    help="Pictures in which nothing may alert: what each stage makes of them.",
)
@click.option(
    "--realtime/--fast",
    default=False,
    help="Play at the clips' own speed, which alone shows "
    "the alarm delay, or as fast as no frame is lost.  [default: fast]",
)
@click.option(
    "--parallel",
    type=click.IntRange(1, 64),
    default=1,
    show_default=True,
    help="Play so many clips at the same time.",
)
@click.option(
    "--fps",
    type=click.FloatRange(0.1, 120),
    default=10.0,
    show_default=True,
    help="Frames per second to look at.",
)
@click.option(
    "--min-score",
    type=click.FloatRange(0, 1),
    help="Play with this detector threshold: a lower "
    "one lets the sweep see below the operating point.",
)
@click.option(
    "--config",
    "config_path",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    help="Take thresholds, rule and models from this configuration; its cameras are not used.",
)
@options.OVERRIDES
@options.MODELS
@click.option(
    "--triton", metavar="HOST:PORT", help="Use this running Triton (gRPC) instead of starting one."
)
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("report"),
    show_default=True,
    help="Where report.html, report.json and the record go.",
)
@click.option(
    "--fail-under",
    multiple=True,
    metavar="FIGURE=VALUE",
    help="Exit 1 if a figure of report.json is less, for instance recall=0.98. May be repeated.",
)
@click.option(
    "--fail-over",
    multiple=True,
    metavar="FIGURE=VALUE",
    help="Exit 1 if a figure is more, for instance false_alarms_per_hour=0.5.",
)
@click.option("-v", "--verbose", is_flag=True, help="Show what every process logs.")
def command(
    *,
    places: tuple[Path, ...],
    images: Path | None,
    photos: Path | None,
    realtime: bool,
    parallel: int,
    fps: float,
    min_score: float | None,
    config_path: Path | None,
    overrides: tuple[str, ...],
    models: Path | None,
    triton: str | None,
    out: Path,
    fail_under: tuple[str, ...],
    fail_over: tuple[str, ...],
    verbose: bool,
) -> None:
    """Measure the models and the rule on clips of which the truth is known.

    Plays clips through the real stack (broker, Triton, all three services) and reports
    episodes found and missed, false alarms per hour, alarm delay, what the second look
    removes and what it costs, and what other thresholds would have done.

    The truth lies beside each clip: front.mp4 and front.json (docs/evaluate.md says how to
    write one). A clip without it counts as one in which nothing may alert.

    Exit status 0: done. 1: something is wrong, or a figure misses --fail-under or
    --fail-over. 130: ended by Ctrl-C; the report is about what was played until then.

    \b
    The demo's own clip:         secondlook evaluate producers/demo/demo.mp4 --realtime
    A folder, four at a time:    secondlook evaluate clips/ --parallel 4 --out report/
    The classifier alone:        secondlook evaluate --images crops/
    Pictures without anything:   secondlook evaluate --photographs holiday/ --min-score 0.05
    """
    _check_what_is_asked(places, images, photos)
    gates = limits(fail_under, 1) + limits(fail_over, -1)
    console = Console()
    out.mkdir(parents=True, exist_ok=True)
    with temporary("secondlook-evaluate-") as folder:
        mode: Mode = "realtime" if realtime else "fast"
        turns: list[Turn] = []
        if photos is not None:
            mode, turns = "photographs", photographs(photos, parallel, folder)
        elif places:
            turns = clips(places, fps)
        job = Job(mode, turns, [], parallel, out, console, verbose, None)
        if images is not None:
            job.mode, job.images = "images", labelled(images)
        wish, job.point = wish_of(
            job.mode,
            [turn.played.camera for turn in turns] or [IMAGES],
            parallel,
            folder,
            config_path=config_path,
            overrides=overrides,
            models=models,
            triton=triton,
            min_score=min_score,
        )
        recorder = Recorder(out)
        try:
            complete = options.run(_evaluate(job, wish, folder, recorder))
        finally:
            recorder.close()
    if complete is None:
        raise SystemExit(INTERRUPTED)
    make_report(out)
    if not complete:
        console.print("[yellow]Ended early: the report is about what was played until then.[/]")
        raise SystemExit(INTERRUPTED)
    if misses(out, gates, console):
        raise SystemExit(1)


def _check_what_is_asked(places: Sequence[Path], images: Path | None, photos: Path | None) -> None:
    asked = [bool(places), images is not None, photos is not None]
    if sum(asked) != 1:
        raise click.UsageError("give clips, or --images FOLDER, or --photographs FOLDER")
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise InstallError(
            f"the report needs {' and '.join(missing)}: "
            f"{sys.executable} -m pip install {' '.join(missing)}"
        )


async def _evaluate(job: Job, wish: Wish, folder: Path, recorder: Recorder) -> bool:
    """Play everything; return whether it came to its end."""

    def say(name: str, line: str) -> None:
        if job.verbose:
            show(job.console, log_line(name, line))

    player, began_s, complete = Player(recorder), time.monotonic(), False
    async with running(wish, folder, say) as stack:
        job.console.print("[bold]Second Look evaluation[/]")
        # It would warn that there is no broker yet.
        logging.getLogger("secondlook.adapters.bus").setLevel(logging.ERROR)
        async with Bus(stack.mqtt, service="evaluate") as bus:
            listeners = player.listen(bus)
            try:
                services = ["classifier"] if job.images else ["classifier", "detector"]
                await start_all(stack, wish, job.console, services=services)
                models = await describe(stack, wish.config, job.mode)
                recorder.write(started(job.mode, job.parallel, wish.config, models, job.point))
                began_s = time.monotonic()
                await _play(job, player, bus, stack, folder)
                complete = True
            except asyncio.CancelledError:
                # Ctrl-C: what was played is still worth a report.
                if not player.judged and not player.cameras:
                    raise
            finally:
                for listener in listeners:
                    listener.cancel()
                services_lost = await dropped(
                    {name: url for name, url in stack.metrics.items() if name != "producers"}
                )
            player.lost.update(services_lost)
            for name, count in stack.supervisor.starts.items():
                # The producers are started for each wave; anything else died in between.
                if name != "producers" and count > 1:
                    player.lost[f"restarts of {name}"] = count - 1
            if bus.stats.dropped_in:
                player.lost["evaluate: messages"] = bus.stats.dropped_in
            recorder.write(
                Finished(
                    complete=complete,
                    seconds=time.monotonic() - began_s,
                    lost={cause: count for cause, count in player.lost.items() if count},
                )
            )
    return complete


async def _play(job: Job, player: Player, bus: Bus, stack: Stack, folder: Path) -> None:
    if job.images:
        await send_all(player, bus, job.images, job.console)
        return
    plan = Plan(job.turns, job.parallel, folder, gated=job.mode != "realtime")
    await play_all(player, stack, plan, job.console)
