"""Holds a source back until its last picture was used. For evaluations, which may lose none.

Whoever plays a clip makes a named pipe and writes a byte into it for each picture that may
follow the first. The wait has a bound: a camera that stands still for long would be taken for
one that hangs.
"""

import os
import select
from pathlib import Path

from secondlook.errors import SourceError

LONGEST_S = 2.0


class Gate:
    """A named pipe that opens once per byte.

    Args:
        path: The pipe; None: always open.

    Raises:
        SourceError: There is no such pipe.
    """

    def __init__(self, path: Path | None) -> None:
        self._pipe: int | None = None
        self._used = False
        if path is not None:
            try:
                self._pipe = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            except OSError as error:
                raise SourceError(f"the gate {path} cannot be opened: {error.strerror}") from error

    def passed(self) -> None:
        """Close the gate: a picture has gone through."""
        self._used = True

    def wait(self) -> None:
        """Return when the next picture may come, after `LONGEST_S` at the latest."""
        if self._pipe is None or not self._used:
            return
        self._used = False
        readable, _, _ = select.select([self._pipe], [], [], LONGEST_S)
        if readable:
            # All that waits counts once, or a late byte would let two pictures through.
            os.read(self._pipe, 4096)

    def close(self) -> None:
        """Let go of the pipe."""
        if self._pipe is not None:
            os.close(self._pipe)
            self._pipe = None
