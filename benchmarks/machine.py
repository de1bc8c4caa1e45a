"""What every benchmark says about itself, and how it counts processor time."""

import os
import platform
import statistics
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TICKS_PER_S = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Machine:
    """Where and what was measured."""

    date: str
    machine: str
    commit: str

    def __str__(self) -> str:
        return f"{self.date}, {self.machine}, commit {self.commit}"


def this_machine() -> Machine:
    """Return what a table needs beside it."""
    cores = len(os.sched_getaffinity(0))
    return Machine(
        datetime.now(UTC).date().isoformat(),
        f"{platform.machine()} with {cores} cores, CPython {platform.python_version()}",
        _commit(),
    )


def _commit() -> str:
    asked = ["git", "describe", "--always", "--dirty"]
    try:
        answer = subprocess.run(asked, capture_output=True, text=True, check=False, cwd=ROOT)
    except FileNotFoundError:
        return "unknown"
    return answer.stdout.strip() or "unknown"


def cpu_seconds(leaders: Iterable[int | None]) -> float:
    """Return the processor time of these processes and all that descend from them, in seconds."""
    parent: dict[int, int] = {}
    ticks: dict[int, int] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        # proc(5): after the name come state and ppid; utime to cstime are fields 14 to 17.
        parent[int(stat.parent.name)] = int(fields[1])
        ticks[int(stat.parent.name)] = sum(int(each) for each in fields[11:15])
    wanted = {leader for leader in leaders if leader is not None}
    return sum(n for pid, n in ticks.items() if _line(pid, parent) & wanted) / TICKS_PER_S


def _line(pid: int, parent: Mapping[int, int]) -> set[int]:
    """Return a process and those that it descends from."""
    found = set()
    while pid in parent and pid not in found:
        found.add(pid)
        pid = parent[pid]
    return found


def percentile(values: Sequence[float], part: float) -> float:
    """Return the value below which that part of the values lies (nearest rank); NaN of none."""
    if not values:
        return float("nan")
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, max(0, round(part * len(ordered)) - 1))]


@dataclass(frozen=True)
class Spread:
    """Repetitions of one figure."""

    values: tuple[float, ...]

    @property
    def median(self) -> float:
        """The figure to quote."""
        return statistics.median(self.values)

    def __str__(self) -> str:
        return f"{self.median:.2f} ({min(self.values):.2f} to {max(self.values):.2f})"


def ratio(ours: Sequence[float], theirs: Sequence[float]) -> Spread:
    """Return how many times as much, round by round: what disturbs a round disturbs both sides."""
    return Spread(tuple(a / b for a, b in zip(ours, theirs, strict=True)))
