"""`secondlook model tune`: the instances, threads and batches that suit this machine."""

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from secondlook.adapters.model_config import read_config
from secondlook.commands import options
from secondlook.commands.model_options import CONFIG, INTERRUPTED, REPOSITORY, chosen
from secondlook.commands.model_tune_view import facts, served, show
from secondlook.config import Classifier, Config, Detector
from secondlook.config_file import load
from secondlook.errors import InstallError, ModelMismatch, SecondLookError
from secondlook.local import model_trial, tritonserver
from secondlook.local.repository import Model, kind_of, models_in
from secondlook.local.stack import is_local, model_repository, triton_for
from secondlook.tuning import (
    CLASSIFIER_CALLS,
    UNSTEADY,
    Role,
    Trial,
    candidates,
    choose,
    present,
    unsteadiness,
)

AROUND_S = 5.5
"""Starting a Triton, warming it up and ending it, about."""
BUSY = 0.5
"""Processes that run at the same time, on average: from here on somebody else is at work."""


@dataclass(frozen=True)
class Job:
    """A model, and what is tried with it."""

    model: Model
    path: Path
    """The configuration that the platform reads."""
    role: Role
    asked: Detector | Classifier | None
    """The part of the user's configuration that names this model."""
    trials: list[Trial]


@click.command("tune")
@click.argument("names", nargs=-1, metavar="[NAME ...]")
@REPOSITORY
@click.option("--platform", default="python", show_default=True, help="Of the model files.")
@CONFIG
@click.option(
    "--seconds",
    type=click.FloatRange(0.1, 600),
    default=4.0,
    show_default=True,
    help="Of each measurement with many requests.",
)
@click.option(
    "--rounds",
    type=click.IntRange(1, 20),
    default=2,
    show_default=True,
    help="How often everything is measured, each time in another order.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of tables.")
@click.option("--write", is_flag=True, help="Write what is recommended into the model's files.")
def command(
    *,
    names: tuple[str, ...],
    repository: Path | None,
    platform: str,
    config_path: Path,
    seconds: float,
    rounds: int,
    as_json: bool,
    write: bool,
) -> None:
    """Measure which settings of a model are fastest on this machine.

    Tries instances and threads (on the processor) or instances and pictures of a call (else) of
    each model, or of those named. Each is measured on a Triton of its own with a copy of the
    model, asked as the services ask it: pictures per second with `in_flight` requests under way,
    then the delay of a single request, for an alert waits for that. Everything is measured in
    several rounds. Ctrl-C shows what was measured so far.

    Recommended is the fastest of those whose single request takes at most 1.5 times as long as
    with the best; the present settings stay unless that is faster by 3 % and in every round.
    Nothing is changed without --write, and nothing is written where the rounds differ too much:
    let the machine do nothing else meanwhile.

    \b
      secondlook model tune
      secondlook model tune yolov5 --seconds 10 --rounds 4
      secondlook model tune --write
    """
    folder = model_repository(repository)
    models = [chosen(folder, name) for name in dict.fromkeys(names)] or models_in(folder)
    config = load(config_path) if config_path.is_file() else None
    said = Console(stderr=True)
    for model in models if write else ():
        if not os.access(model.folder, os.W_OK):
            raise InstallError(f"{model.folder} cannot be written: leave --write out")
    home = triton_for(folder, said.print)
    jobs = [_job(model, platform, config, home) for model in models]
    _introduce(jobs, config, seconds, rounds, said)
    whole = options.run(_measure_all(jobs, home, seconds, rounds, said))
    if as_json:
        click.echo(
            json.dumps([facts(job.model.name, platform, job.trials) for job in jobs], indent=1)
        )
    console = said if as_json else Console()
    for job in jobs:
        show(job.model.name, job.role, job.trials, platform, console)
        if whole and write:
            _write(job, console)
    if not whole:
        said.print("Interrupted: these are the measurements so far; nothing was written.")
        raise SystemExit(INTERRUPTED)
    if not any(trial.usable for job in jobs for trial in job.trials):
        raise SystemExit(1)


def _cores() -> int:
    return len(os.sched_getaffinity(0))


def _job(model: Model, platform: str, config: Config | None, home: tritonserver.TritonHome) -> Job:
    """Return what to try with a model.

    Raises:
        SecondLookError: It cannot be served here, or its configuration not be edited.
    """
    path = model.config(platform)
    sections = (config.detector, config.classifier) if config else (Detector(), Classifier())
    asked = next((part for part in sections if part.model == model.name), None)
    spec = model.spec(platform, asked.parameters if asked else None)
    served = read_config(path)
    backend = str(served.get("backend") or served.get("platform", ""))
    if not (home.server / "backends" / backend).is_dir():
        raise InstallError(
            f"{platform} needs the backend {backend}, which this machine's own Triton does not "
            "have: settings for it are tried in NVIDIA's image, with its perf_analyzer"
        )
    section = asked or sections[kind_of(spec) == "classifier"]
    role: Role = "detector" if isinstance(section, Detector) else "classifier"
    calls = section.in_flight if isinstance(section, Detector) else CLASSIFIER_CALLS
    batch = max(1, min(spec.max_batch_size, section.max_batch))
    try:
        now = present(served, in_flight=calls, batch=batch)
    except ValueError as error:
        raise ModelMismatch(f"{path} {error}: model tune changes files with one only") from None
    tried = candidates(now, role=role, cores=_cores(), max_batch=spec.max_batch_size)
    for settings in tried:
        model_trial.rewritten(path, settings)
    return Job(model, path, role, asked, [Trial(settings) for settings in tried])


def _introduce(
    jobs: Sequence[Job], config: Config | None, seconds: float, rounds: int, console: Console
) -> None:
    runs = rounds * sum(len(job.trials) for job in jobs)
    minutes = runs * (1.5 * seconds + AROUND_S) / 60
    lines = [f"{runs} measurements, about {max(1, round(minutes))} min, on {_cores()} cores"]
    if os.getloadavg()[0] > BUSY:
        lines.append("this machine is at work: other programs, such as secondlook up, take part")
    if config and not is_local(config.triton.url.rpartition(":")[0]):
        lines.append(
            f"the configuration uses the Triton at {config.triton.url}; measured is a copy on this "
            "machine: what is recommended suits that one only if it is alike, and is to be "
            "copied into its own model repository"
        )
    for line in lines:
        console.print(f"  {line}", highlight=False, markup=False, soft_wrap=True)


async def _measure_all(
    jobs: Sequence[Job], home: tritonserver.TritonHome, seconds: float, rounds: int, said: Console
) -> bool:
    """Measure everything; what was measured is in the trials, also when this is cut short."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed:.0f} of {task.total:.0f}"),
        TextColumn("left"),
        TimeRemainingColumn(compact=True),
    )
    with Progress(*columns, console=said) as progress:
        total = rounds * sum(len(job.trials) for job in jobs)
        task = progress.add_task("starting", total=total)
        for job in jobs:
            with model_trial.copied(job.model) as repository:
                for number in range(rounds):
                    # A machine that gets warmer or busier must not favour the same settings twice.
                    for trial in job.trials[:: -1 if number % 2 else 1]:
                        what = f"{job.model.name}: {served(trial.settings)}"
                        progress.update(task, description=what)
                        await _measure(job, trial, repository, home, seconds)
                        progress.advance(task)
    return True


async def _measure(
    job: Job, trial: Trial, repository: Path, home: tritonserver.TritonHome, seconds: float
) -> None:
    if trial.fault:
        return
    text = model_trial.rewritten(job.path, trial.settings)
    (repository / job.model.name / "config.pbtxt").write_text(text, encoding="utf-8")
    overrides = job.asked.parameters if job.asked else None
    try:
        measured = await model_trial.measure(
            home, repository, job.model.name, trial.settings, seconds=seconds, overrides=overrides
        )
    except SecondLookError as error:
        trial.fault = str(error)
    else:
        trial.rounds.append(measured)


def _write(job: Job, console: Console) -> None:
    """Write the recommended settings into the model's files.

    Where config.pbtxt says the same as the platform's own file, it goes on doing so.
    """
    best = choose(job.trials)
    if best is None or best is job.trials[0]:
        return
    if unsteadiness(job.trials) > UNSTEADY:
        console.print("  Not written, because the rounds differ too much.", highlight=False)
        return
    text = model_trial.rewritten(job.path, best.settings)
    twin = job.model.config("")
    same = twin.is_file() and twin.read_bytes() == job.path.read_bytes()
    for path in dict.fromkeys([job.path, twin] if same else [job.path]):
        model_trial.write(path, text)
        console.print(f"  written: {path}", highlight=False, markup=False, soft_wrap=True)
    console.print("  It counts from the next start of Triton (secondlook up).", highlight=False)
