"""A program that decodes for us, for instance ffmpeg with hardware: raw pictures from a pipe."""

import contextlib
import fcntl
import subprocess
import threading
import time
from collections import deque
from typing import IO

import numpy as np
from numpy.typing import NDArray

from producers.sources import Command, LoginRefused, redact
from secondlook.errors import SourceError

PIPE_BYTES = 1_048_576
"""The most that Linux gives an ordinary user; the usual 64 kB cost a switch each."""


class OpenedCommand:
    """The output of a program as a `Source`.

    The program stays in the process group of its reader, so that both are killed together.

    Raises:
        SourceError: There is no such program.
    """

    live = True
    may_stand_still = False
    fps: float | None = None

    def __init__(self, address: Command) -> None:
        self._shape = (address.height, address.width, 3)
        self._name = address.arguments[0]
        self._image = np.empty(self._shape, np.uint8)
        try:
            self._process = subprocess.Popen(  # noqa: S603 - the command is the user's own, from the configuration
                address.arguments,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                bufsize=0,
            )
        except OSError as error:
            raise SourceError(f"{self._name} cannot be started: {error.strerror}") from error
        self._output, complaints = self._process.stdout, self._process.stderr
        if self._output is None or complaints is None:
            raise AssertionError("both are pipes")
        with contextlib.suppress(OSError):
            fcntl.fcntl(self._output, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
        self._said: deque[str] = deque(maxlen=5)
        self._listener = threading.Thread(target=self._listen, args=(complaints,), daemon=True)
        self._listener.start()
        self._opened_ns = time.monotonic_ns()

    def grab(self) -> int:
        """Wait for a whole picture; its time is the clock's since the start."""
        self._image = np.empty(self._shape, np.uint8)
        left = self._image.data.cast("B")
        while left:
            read = self._output.readinto(left) if self._output else 0  # type: ignore[attr-defined]  # unbuffered: a FileIO
            if not read:
                raise self._failure(self._image.nbytes - len(left))
            left = left[read:]
        return time.monotonic_ns() - self._opened_ns

    def picture(self) -> NDArray[np.uint8]:
        """Return the picture grabbed last."""
        return self._image

    def close(self) -> None:
        """Kill the program."""
        self._process.kill()
        self._process.wait()
        self._listener.join(1)
        for pipe in (self._process.stdout, self._process.stderr):
            if pipe is not None:
                pipe.close()

    def _listen(self, complaints: IO[bytes]) -> None:
        with contextlib.suppress(ValueError, OSError):  # closed under our hands
            for line in iter(lambda: complaints.readline(4096), b""):
                text = line.decode(errors="replace").strip()
                if text:
                    self._said.append(redact(text)[:300])

    def _failure(self, partial: int) -> SourceError:
        self._process.kill()
        status = self._process.wait()
        self._listener.join(1)
        said = self._said[-1] if self._said else "it said nothing"
        if any(refusal in line for line in self._said for refusal in ("401 ", "403 ")):
            return LoginRefused(f"{self._name}: {said}")
        half = f" in the middle of a picture ({partial} bytes of it)" if partial else ""
        return SourceError(f"{self._name} ended with status {status}{half}: {said}")
