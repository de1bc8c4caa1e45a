"""`secondlook model tune` with a real Triton: models are served, asked, and left as they were."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from secondlook.local.tritonserver import TritonHome
from tests.integration.triton_fixtures import add_stand_in

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]
WITHIN_S = 200


async def start(
    repository: Path, arguments: Sequence[str], seconds: str = "0.3"
) -> asyncio.subprocess.Process:
    argv = [sys.executable, "-m", "secondlook.cli", "model", "tune", *arguments]
    argv += ["--models", str(repository), "--seconds", seconds, "--rounds", "1"]
    return await asyncio.create_subprocess_exec(
        *argv, cwd=repository.parent,
        env=os.environ | {"COLUMNS": "150", "TMPDIR": str(repository.parent / "temporary")},
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """Make a model that sleeps over each picture: two instances answer twice as many."""
    (tmp_path / "temporary").mkdir()
    add_stand_in(tmp_path / "models", "slow", sleep_s="0.02", max_batch=1)
    path = tmp_path / "models" / "slow" / "config.pbtxt"
    path.write_text("# a comment\n" + path.read_text())
    return tmp_path / "models"


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="two instances need two cores")
async def test_it_finds_that_two_instances_are_faster_and_writes_it(
    triton_home: TritonHome, repository: Path
) -> None:
    path = repository / "slow" / "config.pbtxt"
    before = path.read_text()
    # Long enough that half a second in which nothing runs does not decide what is faster.
    process = await start(repository, ["slow", "--json", "--write"], seconds="2")
    async with asyncio.timeout(WITHIN_S):
        out, err = await process.communicate()

    assert process.returncode == 0, err.decode()
    (found,) = json.loads(out)
    now, *_ = found["trials"]
    assert now["settings"] == {"instances": 1, "threads": "1", "in_flight": 2, "batch": 1}
    assert now["rounds"][0]["delay_ms"] >= 20
    assert 1 < now["rounds"][0]["per_s"] <= 50
    assert found["recommended"]["instances"] == 2
    assert found["gains"][0] > 1.2
    after = before.replace("count: 1", "count: 2")
    assert path.read_text().startswith(after.rstrip())
    assert list((repository.parent / "temporary").iterdir()) == []


async def test_ctrl_c_shows_what_there_is_and_leaves_nothing_behind(
    triton_home: TritonHome, repository: Path
) -> None:
    before = (repository / "slow" / "config.pbtxt").read_text()
    temporary = repository.parent / "temporary"
    process = await start(repository, ["--write"])
    async with asyncio.timeout(WITHIN_S):
        while not any(temporary.glob("*/triton.log")):
            assert process.returncode is None
            await asyncio.sleep(0.1)
        process.send_signal(signal.SIGINT)
        out, err = await process.communicate()

    assert process.returncode == 130, err.decode()
    assert "slow, python" in out.decode()
    assert "nothing was written" in err.decode()
    assert "Traceback" not in err.decode()
    assert (repository / "slow" / "config.pbtxt").read_text() == before
    assert list(temporary.iterdir()) == []
    async with asyncio.timeout(60):
        # What a server started for its models ends a moment after it.
        while any(str(temporary) in line for line in await asyncio.to_thread(command_lines)):  # noqa: ASYNC110 - other programs
            await asyncio.sleep(0.1)


def command_lines() -> list[str]:
    """Return what every process of this machine was started with."""
    lines = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            lines.append(path.read_text(errors="replace"))
        except OSError:
            continue  # it has just ended
    return lines
