"""`secondlook triton`: the model server alone, on fixed ports, as a supervisor runs it."""

import asyncio
import signal
import sys
import urllib.request
from pathlib import Path

import pytest

from secondlook.local.probes import free_port, says_ok
from secondlook.local.tritonserver import TritonHome
from tests.integration.stack_models import write_repository

pytestmark = pytest.mark.integration
WITHIN_S = 90


async def start(*arguments: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "secondlook.cli", "triton", *arguments),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )


async def test_it_serves_until_it_is_told_to_stop(triton_home: TritonHome, tmp_path: Path) -> None:
    models = write_repository(tmp_path / "models")
    http, grpc, metrics = free_port(), free_port(), free_port()
    process = await start(
        *("--models", str(models), "--http-port", str(http), "--grpc-port", str(grpc)),
        *("--metrics-port", str(metrics)),
    )
    try:
        async with asyncio.timeout(WITHIN_S):
            while not await says_ok(http, "/v2/models/yolov5/ready"):
                assert process.returncode is None
                await asyncio.sleep(0.2)
        command = await asyncio.to_thread(Path(f"/proc/{process.pid}/cmdline").read_bytes)
        assert b"tritonserver" in command.split(b"\0")[0], "it has become the server"
        url = f"http://127.0.0.1:{metrics}/metrics"
        shown = await asyncio.to_thread(lambda: urllib.request.urlopen(url).read())
        assert b'nv_inference_request_success{model="yolov5"' in shown
    finally:
        process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(WITHIN_S):
            await process.communicate()


async def test_it_installs_and_says_where(triton_home: TritonHome) -> None:
    process = await start("--install-only")
    async with asyncio.timeout(WITHIN_S):
        said, _ = await process.communicate()
    assert process.returncode == 0
    assert said.decode().splitlines()[-1] == str(triton_home)


async def test_without_models_it_says_so(tmp_path: Path) -> None:
    process = await start("--models", str(tmp_path / "none"))
    async with asyncio.timeout(WITHIN_S):
        said, _ = await process.communicate()
    assert process.returncode == 2
    assert b"does not exist" in said
