"""How a service ends: in time when it is told to, and not again and again when it is wrong.

Waits and leaves; knows nothing of services.
"""

import logging
import os
import threading
import time
from pathlib import Path

from secondlook.errors import EXITS_FOR_GOOD

log = logging.getLogger(__name__)

DRAIN_S = 5.0
"""What a service has to finish what it is about when it is told to stop."""
SLACK_S = 0.2
STAY = "SECONDLOOK_STAY_WHEN_WRONG"
"""Set in the images of containers: see `stay_when_wrong`."""
STAY_S = 300.0
"""A model that does not fit may have been replaced meanwhile."""


def leave_at_last(name: str) -> None:
    """End this process soon after the time for draining, whatever a thread of it waits for.

    A thread that looks up a broker's name or writes to a dying disk cannot be cancelled, and
    Python would wait for it. What has been acknowledged is on the disk: nothing is lost.
    """

    def leave() -> None:
        log.warning("%s has not ended after %.0f s: leaving what it waits for", name, DRAIN_S)
        logging.shutdown()
        os._exit(0)

    timer = threading.Timer(DRAIN_S + SLACK_S, leave)
    timer.daemon = True
    timer.start()


def stay_when_wrong(status: int, config: Path) -> None:
    """Wait before ending with a status that a restart does not mend, where `STAY` asks for it.

    A container engine starts again whatever ends, for ever. So the process stays until the
    configuration changes, or five minutes. Nothing answers on `/readyz` meanwhile: the container
    is unhealthy, and its log ends with the reason.

    Args:
        status: With which the process is about to end.
        config: The configuration file.
    """
    if status not in EXITS_FOR_GOOD or not os.environ.get(STAY):
        return
    before, until_s = _stamp(config), time.monotonic() + STAY_S
    while _stamp(config) == before and time.monotonic() < until_s:
        time.sleep(1.0)


def _stamp(path: Path) -> tuple[int, ...]:
    try:
        found = path.stat()
    except OSError:
        return ()
    return found.st_ino, found.st_size, found.st_mtime_ns
