"""How `secondlook model tune` shows what it measured: as a table with advice, and for programs."""

import dataclasses
import statistics
from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from secondlook.tuning import (
    DELAY,
    GAIN,
    UNSTEADY,
    Role,
    Settings,
    Trial,
    choose,
    late,
    unsteadiness,
)

HEADS = ("instances", "threads", "calls", "batch", "pictures/s", "delay")
LATE = f"late: a single request takes more than {DELAY:g} times as long as with the best"


def named(settings: Settings) -> str:
    """Return settings in words."""
    return f"{served(settings)}, {settings.in_flight} calls of {settings.batch}"


def served(settings: Settings) -> str:
    """Return the part of settings that is the server's, in words."""
    said = f"{settings.instances} instance{'s' * (settings.instances != 1)}"
    if settings.threads is not None:
        said += f" of {settings.threads} thread{'s' * (settings.threads != '1')}"
    return said


def show(name: str, role: Role, trials: Sequence[Trial], platform: str, console: Console) -> None:
    """Print a table of a model's settings, and what to do."""
    best = choose(trials)
    table = Table(title=f"{name}, {platform}", title_justify="left", box=None, pad_edge=False)
    for head in HEADS:
        table.add_column(head, justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    notes = []
    for trial in trials:
        marks = ["present"] * (trial is trials[0]) + ["best"] * (trial is best)
        if trial.fault:
            marks.append("failed")
            notes.append(f"failed: {named(trial.settings)}: {trial.fault}")
        elif trial.usable and late(trial, trials):
            marks.append("late")
            notes.append(LATE)
        table.add_row(*_cells(trial), ", ".join(marks))
    console.print(table)
    if (times := unsteadiness(trials)) > UNSTEADY:
        notes.append(
            f"the rounds of the same settings differ by up to {times:.1f} times: something else "
            "was at work; measure again when it is not"
        )
    for line in (*dict.fromkeys(notes), *_advice(name, role, trials, best)):
        console.print(f"  {line}", highlight=False, markup=False, soft_wrap=True)


def facts(name: str, platform: str, trials: Sequence[Trial]) -> dict[str, Any]:
    """Return what was measured and what is recommended, for programs."""
    best = choose(trials)
    return {
        "model": name,
        "platform": platform,
        "trials": [dataclasses.asdict(trial) for trial in trials],
        "recommended": dataclasses.asdict(best.settings) if best else None,
        "gains": best.gains(trials[0]) if best else [],
    }


def _cells(trial: Trial) -> list[str]:
    settings = trial.settings
    given = (settings.instances, settings.threads or "", settings.in_flight, settings.batch)
    if not trial.usable:
        return [*map(str, given), "", ""]
    low, high = trial.spread
    per_s = f"{trial.per_s:.1f} ({low:.1f} to {high:.1f})"
    return [*map(str, given), per_s, f"{trial.delay_ms:.1f} ms"]


def _advice(name: str, role: Role, trials: Sequence[Trial], best: Trial | None) -> list[str]:
    """Return what to do, in sentences."""
    now = trials[0]
    if best is None:
        return [f"{name}: nothing could be measured."]
    if best is now:
        what = f"nothing else was faster by {GAIN - 1:.0%} and in every round"
        return [f"{name}: keep the present settings; {what}."]
    lines = [f"{name}: take {named(best.settings)}: {_gain(best, now)}"]
    old, new = now.settings, best.settings
    keys = [("in_flight", old.in_flight, new.in_flight), ("max_batch", old.batch, new.batch)]
    if said := [f"{role}.{key}: {value}" for key, before, value in keys if value != before]:
        lines.append(f"set in config.yaml: {', '.join(said)}")
    return lines


def _gain(best: Trial, now: Trial) -> str:
    gains = sorted(best.gains(now))
    if not now.usable:
        return "the present ones cannot be used."
    return (
        f"{statistics.median(gains):.2f} times as many pictures per second "
        f"({gains[0]:.2f} to {gains[-1]:.2f} over the rounds), a single request takes "
        f"{best.delay_ms:.1f} instead of {now.delay_ms:.1f} ms."
    )
