"""`secondlook model check`: can the services use this model?"""

import asyncio
import tempfile
from pathlib import Path

import click
from rich.console import Console

from secondlook.adapters.triton import Triton
from secondlook.commands import options
from secondlook.commands.model_options import (
    INTERRUPTED,
    REPOSITORY,
    chosen,
    lacking,
    repository_of,
    run_training,
)
from secondlook.commands.trying import Report
from secondlook.errors import SecondLookError
from secondlook.local import tritonserver
from secondlook.local.repository import Model, faults, kind_of, models_in

DEADLINE_S = 60.0
"""A model's first call may build kernels."""


@click.command("check")
@click.argument("name", required=False)
@REPOSITORY
@click.option("--serve", is_flag=True, help="Also start Triton and ask the model there.")
def command(*, name: str | None, repository: Path | None, serve: bool) -> None:
    """Check a model, or all: files, configurations, labels, and what it answers.

    Exit status 1 if anything is wrong.
    """
    folder = repository_of(repository)
    models = [chosen(folder, name)] if name else models_in(folder)
    report = Report(Console())
    if not models:
        report.bad(f"there is no model in {folder}; secondlook model add brings one")
    fit = [model for model in models if _check(model, report)]
    if serve and fit:
        done = options.run(_serve(fit, report))
        if done is None:
            raise SystemExit(INTERRUPTED)
    if report.mistakes:
        raise SystemExit(1)


def _check(model: Model, report: Report) -> bool:
    """Check one model's folder and try its weights; return whether all is well."""
    before = report.mistakes
    for fault in faults(model):
        report.bad(f"{model.name}: {fault}")
    if report.mistakes > before:
        return False
    spec = model.spec()
    labels = len(spec.parameters.labels or ())
    said = f"{kind_of(spec)}, {labels} label{'s' * (labels != 1)}, for {', '.join(model.platforms)}"
    report.good(f"{model.name}: {said}")
    if not model.weights.endswith(".onnx"):
        report.good(f"{model.name}: {model.weights} is tried by --serve only")
    elif missing := lacking():
        report.good(f"{model.name}: not run here, {' and '.join(missing)} missing; try --serve")
    else:
        return _run(model, report)
    return True


def _run(model: Model, report: Report) -> bool:
    """Run the weights in a process of their own, which says in a sentence what came of it."""
    status = run_training("model_check", str(model.folder))
    if status == INTERRUPTED:
        raise SystemExit(INTERRUPTED)
    if status:
        report.mistakes += 1
    return status == 0


async def _serve(models: list[Model], report: Report) -> bool:
    """Start Triton with these models alone, and ask each."""
    say = report.console.print
    try:
        with tempfile.TemporaryDirectory(prefix="secondlook-model-check-") as folder:
            repository = Path(folder) / "models"
            repository.mkdir()
            for model in models:
                (repository / model.name).symlink_to(model.folder.resolve())
            heavy = tritonserver.needs_tensorflow(repository)
            home = await asyncio.to_thread(tritonserver.install, say, tensorflow=heavy)
            with tritonserver.Server(home, repository, Path(folder) / "triton.log") as server:
                async with Triton(server.url, deadline_s=DEADLINE_S) as triton:
                    for model in models:
                        await _ask(triton, model, report)
    except SecondLookError as error:
        report.bad(str(error))
    return True


async def _ask(triton: Triton, model: Model, report: Report) -> None:
    try:
        async with asyncio.timeout(2 * DEADLINE_S):
            endpoint = await triton.model(model.name, in_flight=1)
            await endpoint.check()
    except (SecondLookError, TimeoutError) as error:
        report.bad(str(error) or f"{model.name}: Triton does not answer in time")
    else:
        report.good(f"{model.name}: served by Triton, and it answers as it should")
