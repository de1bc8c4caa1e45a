"""Has the report of a recorded run made, and holds its figures against limits."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from secondlook.errors import ConfigError, SecondLookError

ROOT = Path(__file__).resolve().parents[2]
Limit = tuple[str, float, int]
"""Name of a figure, its limit, and 1 for at least or -1 for at most."""


def make_report(out: Path) -> None:
    """Let the report be made; it is not this process that knows how.

    Raises:
        SecondLookError: It could not be made.
    """
    # Also where the packages come by their path and are not installed.
    paths = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH", "")]))
    done = subprocess.run(  # noqa: S603 - our own module
        [sys.executable, "-m", "training.evaluate", str(out)],
        env={**os.environ, "PYTHONPATH": paths},
        check=False,
    )
    if done.returncode:
        raise SecondLookError(
            f"the report could not be made; the record is whole: "
            f"{Path(sys.executable).name} -m training.evaluate {out} tries again"
        )


def limits(said: Sequence[str], sign: int) -> list[Limit]:
    """Read `FIGURE=VALUE`.

    Args:
        said: As given on the command line.
        sign: 1: the figure must be at least that much; -1: at most.

    Raises:
        ConfigError: One cannot be read.
    """
    gates = []
    for each in said:
        name, equals, value = each.partition("=")
        try:
            gates.append((name, float(value), sign))
        except ValueError:
            equals = ""
        if not equals:
            raise ConfigError(f"{each}: write it as FIGURE=VALUE, for instance recall=0.98")
    return gates


def misses(out: Path, gates: Sequence[Limit], console: Console) -> bool:
    """Say which figures are not as wished; return whether any is not.

    Raises:
        ConfigError: There is no such figure.
    """
    figures = json.loads((out / "report.json").read_text(encoding="utf-8"))["figures"]
    missed = False
    for name, wished, sign in gates:
        if name not in figures:
            known = ", ".join(figures)
            raise ConfigError(f"there is no figure {name}; report.json has {known}")
        value = figures[name]
        if value is None or (value - wished) * sign < 0:
            missed = True
            limit = "at least" if sign > 0 else "at most"
            shown = "not known" if value is None else f"{value:g}"
            console.print(f"[bold red]{name} is {shown}, wished {limit} {wished:g}[/]")
    return missed
