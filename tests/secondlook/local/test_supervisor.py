"""Real processes, each a few lines of Python."""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from secondlook.local.supervisor import Part, PartFailed, Supervisor, how_it_ended

STUBBORN = """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("deaf", flush=True)
time.sleep(600)
"""
WITH_CHILD = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print("child", child.pid, flush=True)
time.sleep(600)
"""
POLITE = """
import signal, sys, time
def leave(*_):
    print("goodbye", flush=True)
    sys.exit(0)
signal.signal(signal.SIGTERM, leave)
print("hello", flush=True)
time.sleep(600)
"""


class Said:
    """Remembers lines; waits for one."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, str]] = []
        self._came = asyncio.Event()

    def __call__(self, name: str, line: str) -> None:
        self.lines.append((name, line))
        self._came.set()

    async def wait_for(self, text: str, times: int = 1) -> str:
        async with asyncio.timeout(60):
            while True:
                found = [line for _, line in self.lines if text in line]
                if len(found) >= times:
                    return found[-1]
                self._came.clear()
                await self._came.wait()


async def always() -> bool:
    return True


async def never() -> bool:
    return False


def part(name: str, code: str, **more: object) -> Part:
    settings = {"is_ready": always, "grace_s": 5.0, **more}
    return Part(name, [sys.executable, "-c", code], **settings)  # type: ignore[arg-type]


def alive(pid: int) -> bool:
    # A zombie whose parent has not asked yet is dead enough.
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


async def gone(pid: int) -> None:
    async with asyncio.timeout(60):
        while alive(pid):  # noqa: ASYNC110 - another program's death has no event
            await asyncio.sleep(0.05)


@pytest.fixture
async def said() -> Said:
    return Said()


@pytest.fixture
async def supervisor(said: Said) -> AsyncIterator[Supervisor]:
    supervisor = Supervisor(said)
    yield supervisor
    await supervisor.stop()


async def test_lines_come_with_the_name_of_the_part(supervisor: Supervisor, said: Said) -> None:
    supervisor.start(part("one", POLITE))

    await said.wait_for("hello")

    assert ("one", "hello") in said.lines


async def test_a_part_that_dies_is_started_again(supervisor: Supervisor, said: Said) -> None:
    supervisor.start(part("one", POLITE))
    await said.wait_for("hello")
    first = supervisor.pid("one")
    assert first is not None

    os.kill(first, signal.SIGKILL)
    await said.wait_for("was ended by SIGKILL; starting it again")
    await said.wait_for("hello", times=2)

    assert supervisor.pid("one") not in (None, first)
    assert supervisor.starts["one"] == 2


async def test_the_wait_grows_while_a_part_keeps_dying(supervisor: Supervisor, said: Said) -> None:
    supervisor.start(part("one", "raise SystemExit(3)"))

    last = await said.wait_for("ended with status 3", times=4)

    waits = [float(line.split()[-2]) for _, line in said.lines if "again" in line]
    assert waits[3] > waits[0]
    assert last.endswith(" s")


async def test_stopping_lets_a_part_say_goodbye(supervisor: Supervisor, said: Said) -> None:
    supervisor.start(part("one", POLITE))
    await said.wait_for("hello")
    pid = supervisor.pid("one")
    assert pid is not None

    await supervisor.stop()

    assert ("one", "goodbye") in said.lines
    assert not alive(pid)


async def test_a_part_that_does_not_listen_is_killed(supervisor: Supervisor, said: Said) -> None:
    supervisor.start(part("one", STUBBORN, grace_s=0.3))
    await said.wait_for("deaf")
    pid = supervisor.pid("one")
    assert pid is not None

    async with asyncio.timeout(60):
        await supervisor.stop()

    assert not alive(pid)


async def test_children_of_a_killed_part_end_too(supervisor: Supervisor, said: Said) -> None:
    supervisor.start(part("one", WITH_CHILD))
    child = int((await said.wait_for("child ")).split()[1])
    pid = supervisor.pid("one")
    assert pid is not None

    os.kill(pid, signal.SIGKILL)

    await gone(child)


async def test_what_others_depend_on_ends_last(supervisor: Supervisor, said: Said) -> None:
    supervisor.start(part("carrier", POLITE, carries=True))
    supervisor.start(part("rider", POLITE))
    await said.wait_for("hello", times=2)

    await supervisor.stop()

    goodbyes = [name for name, line in said.lines if line == "goodbye"]
    assert goodbyes == ["rider", "carrier"]


async def test_a_wrong_configuration_is_not_tried_again(supervisor: Supervisor, said: Said) -> None:
    code = "import sys; print('cameras: this key is needed'); sys.exit(78)"
    supervisor.start(part("one", code, is_ready=never))

    with pytest.raises(PartFailed, match=r"one cannot run.*\n.*cameras: this key is needed"):
        await supervisor.ready("one", timeout_s=60)
    assert supervisor.starts["one"] == 1
    assert not any("again" in line for _, line in said.lines)


async def test_the_rest_goes_on_without_a_part_that_is_not_needed(
    supervisor: Supervisor, said: Said
) -> None:
    supervisor.start(part("one", "raise SystemExit(78)", needed=False))
    await said.wait_for("the rest goes on without it")

    assert not supervisor.failed.done()
    assert supervisor.starts["one"] == 1


async def test_a_part_that_is_not_ready_in_time_is_said_with_its_last_lines(
    supervisor: Supervisor, said: Said
) -> None:
    supervisor.start(part("one", POLITE, is_ready=never))
    await said.wait_for("hello")

    with pytest.raises(PartFailed, match=r"one is not ready after 0 s.*\n.*hello"):
        await supervisor.ready("one", timeout_s=0.2)


async def test_a_part_that_keeps_dying_is_given_up_while_starting(
    supervisor: Supervisor, said: Said
) -> None:
    supervisor.start(part("one", "print('no such thing'); raise SystemExit(1)", is_ready=never))

    with pytest.raises(PartFailed, match=r"^one ended 5 times; its last lines:\n +no such thing$"):
        await supervisor.ready("one", timeout_s=60)


async def test_an_endless_line_does_not_stop_the_relay(supervisor: Supervisor, said: Said) -> None:
    code = "import sys; sys.stdout.write('x' * 3_000_000 + '\\nafter\\n'); sys.stdout.flush()"
    supervisor.start(part("one", f"{code}; import time; time.sleep(600)"))

    await said.wait_for("after")


async def test_a_killed_supervisor_takes_its_parts_along(tmp_path: Path) -> None:
    script = tmp_path / "supervise.py"
    script.write_text(
        "import asyncio, sys\n"
        "from secondlook.local.supervisor import Part, Supervisor\n"
        "async def ready(): return True\n"
        "async def main():\n"
        "    supervisor = Supervisor(lambda name, line: print(line, flush=True))\n"
        "    code = 'import os, time; print(os.getpid(), flush=True); time.sleep(600)'\n"
        "    supervisor.start(Part('one', [sys.executable, '-c', code], ready))\n"
        "    await asyncio.sleep(600)\n"
        "asyncio.run(main())\n"
    )
    supervising = await asyncio.create_subprocess_exec(
        sys.executable, str(script), stdout=asyncio.subprocess.PIPE
    )
    assert supervising.stdout is not None
    async with asyncio.timeout(60):
        pid = int(await supervising.stdout.readline())
    assert alive(pid)

    supervising.kill()
    await supervising.wait()

    await gone(pid)


@pytest.mark.parametrize(
    ("code", "words"),
    [(0, "ended with status 0"), (-9, "was ended by SIGKILL"), (-250, "was ended by signal 250")],
)
def test_an_exit_status_reads_as_words(code: int, words: str) -> None:
    assert how_it_ended(code) == words


async def test_one_part_can_be_ended_and_started_again_while_others_run() -> None:
    said = Said()
    supervisor = Supervisor(said)
    try:
        supervisor.start(part("one", POLITE))
        supervisor.start(part("other", POLITE))
        await said.wait_for("hello", times=2)
        other = supervisor.pid("other")

        await supervisor.end("one")
        assert supervisor.pid("one") is None
        assert supervisor.pid("other") == other

        supervisor.start(part("one", POLITE))
        await said.wait_for("hello", times=3)
    finally:
        await supervisor.stop()
