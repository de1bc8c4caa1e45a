"""Keeps child processes running: starts them, relays their lines, restarts what dies, ends all.

Knows nothing of brokers, models or cameras: a `Part` says what to run and how to tell that it
is ready.
"""

import asyncio
import contextlib
import os
import signal
import sys
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from secondlook.backoff import Backoff
from secondlook.errors import EXITS_FOR_GOOD, SecondLookError

Say = Callable[[str, str], None]
"""Takes a part's name and a line it wrote, or a line about it."""

TETHER = Path(__file__).with_name("tether.py")
SETTLED_S = 30.0
"""A part that ran this long is given the shortest wait again when it dies."""
MOST_STARTS = 5
"""A part that is not ready by then will not be."""
LONGEST_LINE = 1 << 20


class PartFailed(SecondLookError):
    """A part of the stack cannot run; the text says which, and its last lines."""


@dataclass(frozen=True)
class Part:
    """A process of the stack."""

    name: str
    argv: Sequence[str]
    is_ready: Callable[[], Awaitable[bool]]
    """Asked a few times a second while the part starts; must not raise and not hang."""
    env: Mapping[str, str] | None = None
    """Its whole environment; None: this process's own."""
    grace_s: float = 5.5
    """Between SIGTERM and SIGKILL."""
    carries: bool = False
    """Others depend on it, so it ends after them."""
    needed: bool = True
    """Where it cannot run at all, the rest is not worth running either."""
    harmless: Sequence[str] = ()
    """Complaints of other people's programs that would only frighten; not relayed."""


@dataclass
class _Kept:
    part: Part
    keeper: asyncio.Task[None]
    last_lines: deque[str]


class Supervisor:
    """Runs parts until it is told to stop."""

    def __init__(self, say: Say) -> None:
        self._say = say
        self._kept: dict[str, _Kept] = {}
        self._processes: dict[str, asyncio.subprocess.Process] = {}
        self.starts: dict[str, int] = {}
        """How often each part was started."""
        self.failed: asyncio.Future[PartFailed] = asyncio.get_running_loop().create_future()
        """Done when a part says that starting it again will not help."""

    def start(self, part: Part) -> None:
        """Start a part and keep it running from now on; order does not matter."""
        lines: deque[str] = deque(maxlen=20)
        keeper = asyncio.create_task(self._keep(part, lines), name=f"keep {part.name}")
        self._kept[part.name] = _Kept(part, keeper, lines)

    def pid(self, name: str) -> int | None:
        """Return the process id of a running part; its process group has the same number."""
        process = self._processes.get(name)
        return process.pid if process and process.returncode is None else None

    async def ready(self, name: str, timeout_s: float) -> float:
        """Wait until a part is ready; return the seconds that took.

        Raises:
            PartFailed: It was not ready in time, keeps dying, or cannot run at all.
        """
        loop = asyncio.get_running_loop()
        began = loop.time()
        kept = self._kept[name]
        while not (self.pid(name) and await kept.part.is_ready()):
            if self.failed.done():
                raise self.failed.result()
            if self.starts.get(name, 0) > MOST_STARTS:
                raise PartFailed(self._with_lines(name, f"ended {MOST_STARTS} times"))
            if loop.time() - began > timeout_s:
                raise PartFailed(self._with_lines(name, f"is not ready after {timeout_s:.0f} s"))
            await asyncio.sleep(0.1)
        return loop.time() - began

    async def end(self, name: str) -> None:
        """End one part for good."""
        keeper = self._kept.pop(name).keeper
        keeper.cancel()
        await asyncio.gather(keeper, return_exceptions=True)

    async def stop(self) -> None:
        """End everything: first what depends on others, then what carries them."""
        for carries in (False, True):
            keepers = [k.keeper for k in self._kept.values() if k.part.carries is carries]
            for keeper in keepers:
                keeper.cancel()
            await asyncio.gather(*keepers, return_exceptions=True)
        self._kept.clear()

    async def _keep(self, part: Part, lines: deque[str]) -> None:
        waits = Backoff(first_s=0.2, longest_s=10.0)
        loop = asyncio.get_running_loop()
        while True:
            began = loop.time()
            code = await self._run(part, lines)
            if code in EXITS_FOR_GOOD and not part.needed:
                self._say(part.name, "cannot run; the rest goes on without it")
                return
            if code in EXITS_FOR_GOOD:
                if not self.failed.done():
                    self.failed.set_result(PartFailed(self._with_lines(part.name, "cannot run")))
                return
            if loop.time() - began > SETTLED_S:
                waits.reset()
            wait_s = waits.next_s()
            self._say(part.name, f"{how_it_ended(code)}; starting it again in {wait_s:.1f} s")
            await asyncio.sleep(wait_s)

    async def _run(self, part: Part, lines: deque[str]) -> int:
        # A pipe of our own: asyncio's would keep `wait` waiting until everyone has closed it,
        # also a grandchild that outlives the process.
        reading, writing = os.pipe()
        try:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-I", "-S", str(TETHER), str(os.getpid()), *part.argv),
                env=part.env,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=writing,
                stderr=writing,
                # A group of its own: Ctrl-C in the terminal reaches only the supervisor, and
                # whatever the part started can be ended with it.
                start_new_session=True,
            )
        finally:
            os.close(writing)
        self._processes[part.name] = process
        self.starts[part.name] = self.starts.get(part.name, 0) + 1
        relay = asyncio.create_task(self._relay(part, reading, lines))
        try:
            return await process.wait()
        except asyncio.CancelledError:
            await _end(process, part.grace_s)
            raise
        finally:
            _signal_group(process.pid, signal.SIGKILL)
            # Not for ever: a child that left the group may hold the pipe open.
            await asyncio.wait([relay], timeout=1.0)
            relay.cancel()

    async def _relay(self, part: Part, reading: int, lines: deque[str]) -> None:
        stream = asyncio.StreamReader(limit=LONGEST_LINE)
        loop = asyncio.get_running_loop()
        transport, _ = await loop.connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(stream), os.fdopen(reading, "rb", buffering=0)
        )
        with contextlib.closing(transport):
            while True:
                try:
                    raw = await stream.readline()
                except ValueError:
                    raw = b"(a line too long to show)\n"
                if not raw:
                    return
                line = raw.decode(errors="replace").rstrip()
                if not any(text in line for text in part.harmless):
                    lines.append(line)
                    self._say(part.name, line)

    def _with_lines(self, name: str, what: str) -> str:
        # Each line once: a part that keeps dying repeats itself.
        said = dict.fromkeys(line for line in self._kept[name].last_lines if line.strip())
        return "\n    ".join([f"{name} {what}" + ("; its last lines:" if said else ""), *said])


def how_it_ended(code: int) -> str:
    """Return an exit status in words."""
    if code < 0:
        with contextlib.suppress(ValueError):
            return f"was ended by {signal.Signals(-code).name}"
        return f"was ended by signal {-code}"
    return f"ended with status {code}"


async def _end(process: asyncio.subprocess.Process, grace_s: float) -> None:
    if process.returncode is not None:
        return
    with contextlib.suppress(ProcessLookupError):
        process.terminate()
    try:
        async with asyncio.timeout(grace_s):
            await process.wait()
    except TimeoutError:
        _signal_group(process.pid, signal.SIGKILL)
        await process.wait()


def _signal_group(group: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)
