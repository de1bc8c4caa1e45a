"""Each container is killed and restarted while alerts flow: nothing is lost by the books."""

import asyncio
import os
import time
from functools import partial
from pathlib import Path

import pytest

from tests.chaos.plan import Fault, scenes
from tests.chaos.run import Result, result_of
from tests.compose.project import Project
from tests.compose.rig import ContainerRig, rigged

pytestmark = [
    pytest.mark.long,
    pytest.mark.integration,
    pytest.mark.timeout(4000),
    pytest.mark.skipif(os.geteuid() != 0, reason="only root can kill a container as a crash does"),
]
PARTS = ("classifier", "detector", "broker", "triton", "producers")
BETWEEN_S = 8.0
say = partial(print, flush=True)
"""With `pytest -s`: how it goes."""
SEED = 7


async def test_each_container_is_killed_and_restarted_and_no_alert_is_lost(
    clone: Project, tmp_path: Path
) -> None:
    for above in (tmp_path, *tmp_path.parents[:2]):
        above.chmod(0o755)
    shown = scenes(SEED)
    rounds: list[tuple[int, int]] = []
    async with rigged(clone, tmp_path, next(shown)) as rig:
        for number, part in enumerate(PARTS, start=1):
            begin_ns = time.time_ns()
            await asyncio.sleep(BETWEEN_S)
            fault = Fault(number, part, "kill", 0, 0, 0)
            tell("killed", part, (await rig.strike(fault, next(shown))).recovery_s)
            await asyncio.sleep(BETWEEN_S)
            tell("restarted", part, (await rig.restart(fault, next(shown))).recovery_s)
            rounds.append((begin_ns, time.time_ns()))
        await asyncio.sleep(BETWEEN_S)
        await asyncio.to_thread(rig.keep_logs)
        result = await result_of(rig, SEED, rounds)
        await shared_memory_is_used(rig)
    report(result)
    account = result.account
    assert account.count("alerted") > 0
    assert account.count("lost") == 0, account.outcomes
    assert result.undelivered == 0
    assert result.unfounded == 0
    assert account.second_ids == []
    assert result.faults_of_its_own == []
    assert all(outage.recovery_s is not None for outage in result.outages)


def tell(what: str, part: str, seconds: float | None) -> None:
    say(f"{part:10s} {what:9s} everything works again after {seconds} s")


def report(result: Result) -> None:
    fates = {fate: result.account.count(fate) for fate in ("alerted", "excused", "lost")}
    say(f"visits: {fates}; undelivered {result.undelivered}; repeats {result.repeats}")


async def shared_memory_is_used(rig: ContainerRig) -> None:
    """A Triton that came back must see the same memory as before."""
    for service, port in (("detector", 9102), ("classifier", 9103)):
        numbers = await asyncio.to_thread(rig.project.metrics, service, port)
        assert numbers["secondlook_triton_shared_memory"] == 1, service
        assert numbers["secondlook_triton_shared_calls"] > 0, service
