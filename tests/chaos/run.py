"""Runs rounds of faults and keeps the books."""

import asyncio
import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from tests.chaos.accounting import Account, Outage, settle, unix_ns
from tests.chaos.plan import Fault, plan, scenes
from tests.chaos.rig import FPS, LABELS, SIZE, Rig, key_of, rigged
from tests.chaos.truth import SECOND, Visit, scene_of, visits_of

NEEDED = 11
"""Frames in a row: 2 s at 5 frames per second, the rule's window, in which a track gets at least
two looks (`detector.relook_s` is 1 s), and two is what the rule asks for."""
RECOVERY_S = 10.0
"""What is promised on a machine that has time."""
MARGIN_S = 2.0
"""The newest visit may still be on its way."""
Tell = Callable[[str], None]


def allowed_s(load: float) -> float:
    """Return what a recovery may take, longer on a machine that has more to do than it can.

    Args:
        load: Of the machine, divided by its cores.
    """
    return RECOVERY_S * max(1.0, min(2.5, load))


@dataclass(frozen=True, slots=True)
class Result:
    """A run."""

    seed: int
    account: Account
    outages: list[Outage]
    rounds: list[tuple[int, int]]
    """From when to when each round lasted, in Unix nanoseconds."""
    repeats: int
    """How often an (id, sequence) came again."""
    undelivered: int
    """Alerts in the outbox that the subscriber does not hold."""
    untold: int
    """Blind records that the listener heard and the subscriber does not hold."""
    unfounded: int
    """Alerts that the subscriber holds and the outbox does not."""
    delays_s: list[float]
    """From the start of each visit to the arrival of its `new`."""
    first_look_s: dict[int, float]
    """By round: from the kill or the thaw to the first verdict on a later frame."""
    faults_of_its_own: list[str]
    """Lines of the log that tell of a fault in a service."""

    @property
    def counting_rounds(self) -> int:
        """Rounds in which a visit was not excused."""
        return sum(
            any(
                begin <= outcome.visit.start_ns < end and outcome.fate != "excused"
                for outcome in self.account.outcomes
            )
            for begin, end in self.rounds
        )

    def failures(self) -> list[str]:
        """Return what is not as promised, in words."""
        account = self.account
        slow = [o for o in self.outages if o.recovery_s is None or o.recovery_s > allowed_s(o.load)]
        checks = {
            f"{account.count('lost')} episodes lost": account.count("lost"),
            f"{self.undelivered} committed alerts not delivered": self.undelivered,
            f"{self.untold} blind records not delivered": self.untold,
            f"{self.unfounded} alerts that the outbox does not know": self.unfounded,
            f"{len(account.second_ids)} episodes with a second id": account.second_ids,
            f"{len(account.long_blind)} blind records too long": account.long_blind,
            f"{len(slow)} recoveries took longer than 10 s": slow,
            f"{len(self.faults_of_its_own)} faults in the logs": self.faults_of_its_own,
            f"only {self.counting_rounds} of {len(self.rounds)} rounds count": (
                # Of a few rounds a share says nothing: one of them is to count.
                self.rounds
                and self.counting_rounds < (0.8 * len(self.rounds) if len(self.rounds) >= 10 else 1)
            ),
        }
        return [words for words, wrong in checks.items() if wrong]


async def baseline(folder: Path, seed: int, seconds: float) -> Result:
    """Run without faults: what the models make of the scenes."""
    async with rigged(folder, next(scenes(seed))) as rig:
        await asyncio.sleep(seconds)
        return await result_of(rig, seed, [])


async def rounds(folder: Path, seed: int, number: int, tell: Tell) -> Result:
    """Run so many rounds of faults."""
    shown = scenes(seed)
    spans: list[tuple[int, int]] = []
    async with rigged(folder, next(shown)) as rig:
        for fault in plan(seed, number):
            spans += [await _round(rig, fault, next(shown), tell)]
        return await result_of(rig, seed, spans)


async def _round(rig: Rig, fault: Fault, seed: int, tell: Tell) -> tuple[int, int]:
    begin_ns = time.time_ns()
    await asyncio.sleep(fault.before_s)
    outage = await rig.strike(fault, seed)
    await asyncio.sleep(fault.after_s)
    lasted = f" {fault.frozen_s:4.1f} s" if fault.kind == "freeze" else " " * 7
    took = "not" if outage.recovery_s is None else f"{outage.recovery_s:.1f} s"
    tell(
        f"round {fault.number:3d}: {fault.kind:6s} {fault.component:10s}{lasted}  "
        f"recovered: {took:6s} load {outage.load:.1f}"
    )
    return begin_ns, time.time_ns()


async def result_of(rig: Rig, seed: int, spans: list[tuple[int, int]]) -> Result:
    """Wait until all has been told, and settle the books of a run with these rounds."""
    until_ns, spans_heard = time.time_ns(), rig.spans_heard()
    # What came last has still to be judged, and what is told only when it is over, to be told.
    await asyncio.sleep(12)
    # The system runs on: what is committed after this reading has its time yet to come.
    before = {key_of(alert) for alert in rig.committed()}
    with contextlib.suppress(TimeoutError):  # counted below
        await rig.delivered(before)
    held = rig.alerts()
    alerts = [alert for alert, *_ in held]
    until_ns -= round(MARGIN_S * SECOND)
    visits = [visit for visit in visits_shown(rig) if visit.end_ns < until_ns]
    outages, verdicts = rig.outages, [verdict for _, verdict in rig.observer.judged]
    account = settle(visits, alerts, verdicts, rig.spans(), outages, NEEDED)
    account.strangers = [a for a in account.strangers if unix_ns(a.frame.captured_at) < until_ns]
    known, committed = {key_of(a) for a in alerts}, {key_of(a) for a in rig.committed()}
    arrived = {a.id: first_ns for a, first_ns, _ in held if a.event == "new"}
    return Result(
        seed=seed,
        account=account,
        outages=outages,
        rounds=spans,
        repeats=sum(seen - 1 for *_, seen in held),
        undelivered=len(before - known),
        untold=len(spans_heard - set(rig.spans())),
        unfounded=len(known - committed),
        delays_s=sorted(
            (arrived[o.ids[0]] - o.visit.start_ns) / SECOND for o in account.outcomes if o.ids
        ),
        first_look_s=_first_looks(rig),
        faults_of_its_own=_faults(rig.folder / "parts.log"),
    )


def visits_shown(rig: Rig) -> list[Visit]:
    """Return all visits of all runs, in order."""
    scene = lru_cache(maxsize=None)(scene_of)
    found = [
        visit
        for run in rig.observer.runs.values()
        for visit in visits_of(run, scene(run.seed, SIZE, FPS, LABELS), LABELS)
    ]
    return sorted(found, key=lambda visit: visit.start_ns)


def _first_looks(rig: Rig) -> dict[int, float]:
    found = {}
    for outage in rig.outages:
        later = [
            heard_ns - outage.over_ns
            for heard_ns, verdict in rig.observer.judged
            if unix_ns(verdict.frame.captured_at) > outage.over_ns
        ]
        if later:
            found[outage.number] = min(later) / SECOND
    return found


def _faults(log: Path) -> list[str]:
    words = ("fault of its own", "Traceback", "cannot run")
    return [line for line in log.read_text().splitlines() if any(word in line for word in words)]
