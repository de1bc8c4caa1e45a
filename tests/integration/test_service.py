"""A service as a real process: its exit codes, signals, health pages and logs."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from secondlook.ending import STAY
from tests.integration.broker_fixtures import free_port, wait_until_answers

pytestmark = pytest.mark.integration

SERVICE = """
import asyncio, logging, sys
from secondlook.errors import ModelMismatch, SourceError, VersionMismatch
from secondlook.service import launch

async def fail(error):
    raise error

async def serve(config, context):
    context.health.set("broker", True)
    context.health.set("model", {ready}, "it is not up yet")
    logging.getLogger("mine").debug("a detail")
    logging.getLogger("mine").warning("a warning")
    {body}
    try:
        print("working", flush=True)
        await asyncio.sleep(600)
    finally:
        await asyncio.sleep({drain_s})
        print("drained", flush=True)

launch("detector", serve)
"""
PATIENCE_S = 60
"""For an interpreter that starts or ends on a machine that is too busy."""


def start(
    folder: Path,
    body: str = "pass",
    *,
    ready: bool = True,
    drain_s: float = 0,
    config: str = "",
    port: int | None = None,
    notify: Path | None = None,
) -> subprocess.Popen[str]:
    (folder / "service.py").write_text(SERVICE.format(body=body, ready=ready, drain_s=drain_s))
    text = (
        "cameras: {yard: {source: 'synthetic:'}}\n"
        f"metrics: {{detector: {port or 'null'}}}\n{config}"
    )
    (folder / "config.yaml").write_text(text)
    return subprocess.Popen(
        [sys.executable, "service.py"],
        cwd=folder,
        env=os.environ | ({"NOTIFY_SOCKET": str(notify)} if notify else {}),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def works(process: subprocess.Popen[str]) -> None:
    """Wait until the service is at its work, with all conditions stated and signals heard."""
    assert process.stdout is not None
    assert process.stdout.readline() == "working\n"


def page(port: int, path: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=PATIENCE_S) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_lets_the_service_drain_and_ends_it_with_0(tmp_path: Path, number: int) -> None:
    port = free_port()
    process = start(tmp_path, port=port)
    works(process)
    process.send_signal(number)
    out, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0, err
    assert out == "drained\n"
    assert "Traceback" not in err


def test_a_thread_that_waits_for_ever_does_not_keep_it_from_ending(tmp_path: Path) -> None:
    port = free_port()
    waits = "import time; waiting = asyncio.create_task(asyncio.to_thread(time.sleep, 90))"
    process = start(tmp_path, waits, port=port)
    works(process)
    process.terminate()
    out, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0, err
    assert out == "drained\n"
    assert "has not ended after 5 s" in err


def test_the_pages_tell_whether_it_lives_and_can_work(tmp_path: Path) -> None:
    port = free_port()
    process = start(tmp_path, port=port, ready=False)
    works(process)
    assert page(port, "/livez")[0] == 200
    assert page(port, "/readyz") == (503, "broker: ok\nmodel: not ok, it is not up yet\n")
    status, metrics = page(port, "/metrics")
    assert status == 200
    assert "process_resident_memory_bytes" in metrics
    assert page(port, "/etc/passwd")[0] == 404
    process.terminate()
    process.communicate(timeout=PATIENCE_S)


def test_it_is_not_ready_before_it_has_said_what_it_waits_for(tmp_path: Path) -> None:
    port = free_port()
    process = start(tmp_path, "context.health.expect('broker', 'database')", port=port)
    works(process)
    status, said = page(port, "/readyz")
    assert (status, said.splitlines()[:2]) == (
        503,
        ["broker: ok", "database: not ok, not known yet"],
    )
    metrics = page(port, "/metrics")[1]
    assert 'secondlook_condition_ok{condition="broker"} 1.0' in metrics
    assert 'secondlook_condition_ok{condition="database"} 0.0' in metrics
    assert 'secondlook_build_info{version="' in metrics
    process.terminate()
    process.communicate(timeout=PATIENCE_S)


def test_it_is_not_ready_any_more_once_it_is_told_to_stop(tmp_path: Path) -> None:
    port = free_port()
    # However long it takes to look at it.
    lasts = "import secondlook.ending, secondlook.service as s; "
    lasts += "s.DRAIN_S = secondlook.ending.DRAIN_S = 600"
    process = start(tmp_path, lasts, drain_s=600, port=port)
    works(process)
    assert page(port, "/readyz")[0] == 200
    process.terminate()
    until = time.monotonic() + PATIENCE_S
    while page(port, "/readyz")[0] == 200 and time.monotonic() < until:
        time.sleep(0.05)
    assert page(port, "/readyz") == (503, "stopping\nbroker: ok\nmodel: ok, it is not up yet\n")
    process.kill()
    process.communicate(timeout=PATIENCE_S)


def test_systemd_hears_when_it_is_up_that_it_lives_and_what_it_lacks(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as heard:
        heard.bind(str(tmp_path / "notify"))
        heard.settimeout(PATIENCE_S)
        process = start(tmp_path, ready=False, notify=tmp_path / "notify")
        said = [heard.recv(4096).decode()]
        while "model" not in said[-1]:
            said.append(heard.recv(4096).decode())
        process.terminate()
        while said[-1] != "STOPPING=1":
            said.append(heard.recv(4096).decode())
        process.communicate(timeout=PATIENCE_S)
    assert said.count("READY=1") == 1
    assert "WATCHDOG=1\nSTATUS=not ready: broker: ok; model: not ok, it is not up yet" in said


def test_it_is_ready_when_all_conditions_hold(tmp_path: Path) -> None:
    port = free_port()
    process = start(tmp_path, port=port)
    works(process)
    assert page(port, "/readyz")[0] == 200
    process.terminate()
    process.communicate(timeout=PATIENCE_S)


@pytest.mark.parametrize(
    ("body", "code", "said"),
    [
        pytest.param(
            "raise ModelMismatch('it serves cats')", 78, "detector: it serves cats", id="model"
        ),
        pytest.param(
            "async with asyncio.TaskGroup() as g: g.create_task(fail(ModelMismatch('cats')))",
            78,
            "detector: cats",
            id="model-in-a-group",
        ),
        pytest.param("raise VersionMismatch('too new')", 65, "detector: too new", id="version"),
        pytest.param("raise SourceError('no camera')", 1, "detector: no camera", id="known"),
    ],
)
def test_a_known_error_is_one_sentence_and_a_status(
    tmp_path: Path, body: str, code: int, said: str
) -> None:
    process = start(tmp_path, body)
    _, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == code
    assert err.splitlines()[-1] == said
    assert "Traceback" not in err


def test_a_fault_of_ours_is_logged_whole_and_ends_with_1(tmp_path: Path) -> None:
    process = start(tmp_path, "raise ZeroDivisionError('oops')")
    _, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 1
    assert "please report this" in err
    assert "ZeroDivisionError: oops" in err


def test_a_wrong_configuration_stops_the_start_with_78(tmp_path: Path) -> None:
    process = start(tmp_path, config="mqtt: {prt: 1}\n")
    _, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 78
    assert "mqtt.prt: there is no such key; did you mean port?" in err
    assert "Traceback" not in err


def test_where_everything_is_started_again_a_mistake_is_said_once_until_it_is_mended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECONDLOOK_STAY_WHEN_WRONG", "1")
    process = start(tmp_path, config="mqtt: {prt: 1}\n")
    assert process.stderr is not None
    assert "is not valid" in process.stderr.readline()
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(3)
    (tmp_path / "config.yaml").write_text("cameras: {yard: {source: 'synthetic:'}}\n")
    assert process.wait(PATIENCE_S) == 78
    assert process.stderr.read().count("\n") == 1, "the mistake itself, and nothing twice"
    process.communicate()


def test_the_images_of_the_services_ask_for_that() -> None:
    dockerfile = (Path(__file__).parents[2] / "Dockerfile").read_text()
    runtime = dockerfile.partition(" AS runtime\n")[2].partition("\nFROM ")[0]
    assert f"{STAY}=1" in runtime


def test_who_waits_for_a_mistake_to_be_mended_ends_when_it_is_told_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECONDLOOK_STAY_WHEN_WRONG", "1")
    process = start(tmp_path, config="mqtt: {prt: 1}\n")
    assert process.stderr is not None
    assert "is not valid" in process.stderr.readline()
    process.terminate()
    assert process.wait(PATIENCE_S) == -signal.SIGTERM
    process.communicate()


def test_logs_are_json_lines_on_request_with_levels_per_module(tmp_path: Path) -> None:
    config = "log: {json_lines: true, levels: {mine: debug}}\n"
    process = start(tmp_path, "raise SourceError('done')", config=config)
    _, err = process.communicate(timeout=PATIENCE_S)
    lines = [json.loads(line) for line in err.splitlines()[:-1]]
    assert {"a detail", "a warning"} <= {line["message"] for line in lines}
    assert {"time", "level", "module", "message"} <= set(lines[0])


def test_a_taken_port_is_a_warning_and_the_service_works_on(tmp_path: Path) -> None:
    port = free_port()
    first = start(tmp_path, port=port)
    wait_until_answers(port)
    second = start(tmp_path, "raise SourceError('got so far')", port=port)
    _, err = second.communicate(timeout=PATIENCE_S)
    assert f"cannot listen on 127.0.0.1:{port}" in err
    assert "got so far" in err
    first.terminate()
    first.communicate(timeout=PATIENCE_S)
