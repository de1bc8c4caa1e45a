"""Runs a command that gets SIGTERM when its parent dies. Linux only; elsewhere it just runs it.

Used as a script: `python tether.py PARENT_PID COMMAND…`. It becomes the command (exec), so the
command keeps this process's id. A supervisor that is killed with SIGKILL cannot end its
children; the kernel can.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1
"""From linux/prctl.h. The setting survives exec."""


def main() -> None:
    """Ask the kernel for the signal, then become the command."""
    parent, command = int(sys.argv[1]), sys.argv[2:]
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    # The parent may have died before the kernel was asked.
    if os.getppid() != parent:
        sys.exit(1)
    try:
        os.execvpe(command[0], command, os.environ)  # noqa: S606 - the command is the supervisor's, no shell wanted
    except OSError as error:
        sys.exit(f"{command[0]} cannot be started: {error.strerror}")


if __name__ == "__main__":
    main()
