"""What /readyz of each real service says: what it needs, one line for each."""

import asyncio
import contextlib
import os
import signal
import sqlite3
import sys
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from tests.integration.broker_fixtures import Broker, free_port
from tests.integration.producer_runs import WITHIN_S, Run, service

pytestmark = pytest.mark.integration

BROKER_AWAY = "broker: not ok, not connected"


def readyz(port: int) -> tuple[int, list[str]]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=30) as answer:
            return answer.status, answer.read().decode().splitlines()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode().splitlines()
    except OSError:
        return 0, []


async def said(port: int, wanted: Callable[[int, list[str]], object]) -> list[str]:
    """Ask until the answer is the wanted one; return its lines."""
    answer: tuple[int, list[str]] = (0, [])
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(WITHIN_S):
            while not wanted(*(answer := await asyncio.to_thread(readyz, port))):  # noqa: ASYNC110 - another program's answer
                await asyncio.sleep(0.02)
            return answer[1]
    raise AssertionError(f"the last answer was {answer}")


@contextlib.asynccontextmanager
async def started(module: str, folder: Path, mqtt_port: int) -> AsyncIterator[int]:
    """Run the detector or the classifier without a Triton; give the port of its pages."""
    port, nothing = free_port(), free_port()
    name = module.removesuffix("_svc")
    (folder / "config.yaml").write_text(
        "cameras: {yard: {source: 'synthetic:'}}\n"
        f"mqtt: {{port: {mqtt_port}}}\ntriton: {{url: '127.0.0.1:{nothing}'}}\n"
        f"metrics: {{{name}: {port}}}\nframes: {{directory: {folder / 'frames'}}}\n"
    )
    process = await asyncio.create_subprocess_exec(*(sys.executable, "-m", module), cwd=folder)
    try:
        yield port
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        await process.wait()


@pytest.mark.parametrize("module", ["detector_svc", "classifier_svc"])
async def test_a_service_needs_broker_and_triton_and_says_which_is_away(
    broker: Broker, tmp_path: Path, module: str
) -> None:
    async with started(module, tmp_path, broker.port) as port:

        def knows(status: int, lines: list[str]) -> bool:
            waits = any(line.startswith("triton: not ok, waiting for") for line in lines)
            return status == 503 and "broker: ok" in lines and waits

        lines = await said(port, knows)
        assert ("database: ok" in lines) == (module == "classifier_svc")
        await asyncio.to_thread(broker.kill)
        await said(port, lambda status, lines: status == 503 and BROKER_AWAY in lines)


async def dies(run: Run) -> list[str]:
    """Kill every capture process that comes until the service says so."""

    def killed(status: int, lines: list[str]) -> bool:
        for pid in run.captures():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return status == 503 and "broker: ok" in lines

    return await said(run.port, killed)


async def test_producers_need_a_broker_and_capture_processes_but_no_camera(
    broker: Broker, tmp_path: Path
) -> None:
    cameras = {
        "yard": {"source": "synthetic:?width=320&height=240"},
        "gone": {"source": f"rtsp://127.0.0.1:{free_port()}/none"},
    }
    async with service(broker, tmp_path, cameras) as run:
        await run.until(lambda: run.heard.statuses()[-1:] == ["online"])
        await said(run.port, lambda status, lines: (status, lines) == (200, READY))
        assert run.heard.statuses("gone") == ["offline"]

        lines = await dies(run)
        assert any(line.startswith("capture: not ok, no capture process") for line in lines), lines
        await said(run.port, lambda status, lines: (status, lines) == (200, READY))

        await asyncio.to_thread(broker.kill)
        await said(run.port, lambda status, lines: status == 503 and BROKER_AWAY in lines)


READY = ["broker: ok", "capture: ok"]


@pytest.mark.parametrize(
    ("version", "words"),
    [
        (99, "was written by a newer version of Second Look (its format is 99"),
        (0, "is a database of another program"),
    ],
)
async def test_a_database_of_another_version_ends_the_classifier_with_a_status_of_its_own(
    tmp_path: Path, version: int, words: str
) -> None:
    (tmp_path / "config.yaml").write_text(
        "cameras: {yard: {source: 'synthetic:'}}\nclassifier: {database: db}\n"
        "metrics: {classifier: null}\n"
    )
    with contextlib.closing(sqlite3.connect(tmp_path / "db")) as db:
        db.execute("CREATE TABLE t (x)")
        db.execute(f"PRAGMA user_version={version}")
    before = (tmp_path / "db").read_bytes()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "classifier_svc"),
        cwd=tmp_path,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(WITHIN_S):
        _, err = await process.communicate()
    assert process.returncode == (65 if version else 78)
    assert words in err.decode()
    assert "Traceback" not in err.decode()
    assert (tmp_path / "db").read_bytes() == before, "it is left as it is"
