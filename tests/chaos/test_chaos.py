"""Parts of a real system are killed and frozen: nothing is lost, and nothing is told twice."""

import asyncio
import os
import random
import signal
import time
from pathlib import Path

import pytest

from secondlook.local.broker import mosquitto
from tests.chaos.plan import SCENES
from tests.chaos.rig import committed, key_of, rigged
from tests.chaos.run import rounds

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(mosquitto() is None, reason="mosquitto is not installed"),
]


@pytest.mark.timeout(480)
async def test_two_rounds_lose_nothing(tmp_path: Path) -> None:
    result = await rounds(tmp_path, random.randrange(1_000_000), 2, print)
    assert result.failures() == [], f"seed {result.seed}"


@pytest.mark.long
@pytest.mark.timeout(1200)
async def test_twenty_rounds_lose_nothing(tmp_path: Path) -> None:
    result = await rounds(tmp_path, random.randrange(1_000_000), 20, print)
    assert result.failures() == [], f"seed {result.seed}"


@pytest.mark.timeout(480)
async def test_everything_killed_at_once_loses_and_invents_no_committed_alert(
    tmp_path: Path,
) -> None:
    async with rigged(tmp_path, SCENES[0]) as rig:
        async with asyncio.timeout(120):
            while not rig.committed():  # noqa: ASYNC110 - another process's database
                await asyncio.sleep(0.05)
        await rig.kill_everything()
    # The frames' folder in memory is gone with the block, as after a power cut.
    before = committed(tmp_path)
    async with rigged(tmp_path, SCENES[1]) as rig:
        await rig.delivered()
        held = {key_of(alert): alert for alert, *_ in rig.alerts()}
        kept = {key_of(alert): alert for alert in rig.committed()}
    assert before
    assert all(held[key_of(alert)] == alert for alert in before)
    assert held.keys() <= kept.keys()


@pytest.mark.timeout(480)
async def test_services_that_are_told_to_stop_drain_and_lose_nothing(tmp_path: Path) -> None:
    async with rigged(tmp_path, SCENES[2]) as rig:
        for name in ("classifier", "detector", "producers"):
            async with asyncio.timeout(120):
                while not rig.committed():  # noqa: ASYNC110 - another process's database
                    await asyncio.sleep(0.05)
            pid = rig.stack.supervisor.pid(name)
            assert pid is not None
            told_ns = time.time_ns()
            os.kill(pid, signal.SIGTERM)
            async with asyncio.timeout(60):
                while rig.stack.supervisor.pid(name) == pid:  # noqa: ASYNC110 - another process
                    await asyncio.sleep(0.05)
            async with asyncio.timeout(120):
                while rig._recovered(name, "kill", told_ns) is None:  # noqa: ASYNC110 - likewise
                    await asyncio.sleep(0.25)
        await rig.delivered()
        # `delivered` returns when the subscriber holds everything that was committed.
    log = (tmp_path / "parts.log").read_text()
    for name in ("classifier", "detector", "producers"):
        assert f"{name} | ended with status 0; starting it again" in log
    assert "has not ended after" not in log
    assert "SIGKILL" not in log
