"""`secondlook backup` beside a real classifier at work, and what a restored one knows."""

import asyncio
import contextlib
import os
import signal
import sqlite3
import sys
from pathlib import Path

import pytest

from secondlook import topics
from secondlook.local.tritonserver import Server
from tests.integration.broker_fixtures import Broker
from tests.integration.classifier_rig import GREEN, RED, Rig, rigged

pytestmark = pytest.mark.integration


async def run(*arguments: str | Path) -> tuple[int | None, str]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "secondlook.cli", *map(str, arguments)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env=os.environ | {"NO_COLOR": "1"},
    )
    async with asyncio.timeout(60):
        said, _ = await process.communicate()
    return process.returncode, said.decode()


async def keep_busy(rig: Rig) -> None:
    """Send crops of ever new tracks, every second one a threat."""
    number = 100
    while True:
        number += 1
        colour = RED if number % 2 else GREEN
        await rig.show(colour, colour, track=str(number))
        await asyncio.sleep(0.2)


def alert_ids(path: Path) -> set[str]:
    with contextlib.closing(sqlite3.connect(path)) as db:
        rows = db.execute("SELECT DISTINCT alert_id FROM outbox WHERE alert_id IS NOT NULL")
        return {alert_id for (alert_id,) in rows}


def episodes(path: Path) -> set[str]:
    with contextlib.closing(sqlite3.connect(path)) as db:
        return {key for (key,) in db.execute("SELECT key FROM memory WHERE kind = 'episode'")}


async def test_a_backup_of_a_working_classifier_is_restored_into_one_that_goes_on(
    broker: Broker, verdicts_server: Server, tmp_path: Path
) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    old.mkdir()
    new.mkdir()
    file = tmp_path / "backup.tar.gz"
    async with rigged(broker, verdicts_server, old) as rig:
        await rig.started()
        await rig.show(RED, RED)
        await rig.until(lambda: rig.state("small_gun") == "ON")
        (first,) = rig.alerts()
        busy = asyncio.create_task(keep_busy(rig))
        try:
            await rig.until(lambda: len(rig.alerts()) > 3)
            code, said = await run("backup", file, "--config", rig.config)
            assert code == 0, said
            before = len(rig.alerts())
            await rig.until(lambda: len(rig.alerts()) > before)
        finally:
            busy.cancel()

        code, said = await run("restore", file, "--config", rig.config, "--force")
        assert code == 1
        assert "a classifier is at work" in said
        assert rig.end(signal.SIGTERM) == 0

        code, said = await run("restore", file, "--config", rig.config)
        assert code == 1
        assert "is there already" in said

    async with rigged(broker, verdicts_server, new) as rig:
        rig.config.unlink()
        code, said = await run("restore", file, "--config", rig.config)
        assert code == 0, said
        saved = alert_ids(rig.database)
        assert first.id in saved
        # An alert and its episode are committed together: a copy of two moments would differ.
        assert saved == episodes(rig.database)
        await rig.started()
        await rig.until(lambda: rig.state("small_gun") == "ON")
        replayed = await rig.replayed(600)
        assert {alert.id for alert in replayed if alert.event == "new"} >= saved
        # What lies between is told as blind; a replay does not wait for what the outbox has.
        await rig.until(lambda: rig.said(topics.BLIND, camera="yard"))
        assert rig.end(signal.SIGTERM) == 0
