"""A capture process, seen from the service: started, listened to, killed with all it started."""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator

from producers import reports
from producers.reports import Order, Report
from producers.sources import MOST_PIXELS
from secondlook.errors import SourceError

LONGEST_LINE = 1_000_000


class CaptureProcess:
    """One camera's process."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    @classmethod
    async def start(cls, order: Order) -> "CaptureProcess":
        """Start capturing what the order says."""
        # A picture file may claim any size; OpenCV would allocate it.
        quiet = {"OPENCV_LOG_LEVEL": "ERROR", "OPENCV_IO_MAX_IMAGE_PIXELS": str(MOST_PIXELS)}
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "producers.capture",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            # A group of its own, so that a decoder it starts is killed with it.
            start_new_session=True,
            limit=LONGEST_LINE,
            env=os.environ | quiet,
        )
        # The pipe stays open: its end tells the process that we are gone, however that happened.
        if process.stdin is not None:
            process.stdin.write(order.line())
        return cls(process)

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    async def reports(self) -> AsyncIterator[Report]:
        """Yield what it says until it dies.

        Raises:
            SourceError: It says something else.
        """
        if self._process.stdout is None:
            raise AssertionError("it is a pipe")
        while True:
            try:
                line = await self._process.stdout.readline()
                if not line.endswith(b"\n"):
                    return
                report = reports.read(line)
            except ValueError as error:
                raise SourceError("its capture process cannot be understood") from error
            yield report

    async def ended(self) -> int:
        """Wait until it has died; return its exit status."""
        return await self._process.wait()

    async def kill(self) -> None:
        """Kill it and everything it started; return when it is gone."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        await self._process.wait()
        if self._process.stdin is not None:
            self._process.stdin.close()
