"""Whether the model answers: found out by the frames, and by asking when there are none."""

import asyncio
import contextlib
import logging
from collections.abc import Callable

from secondlook.adapters.endpoint import Endpoint
from secondlook.backoff import Backoff
from secondlook.errors import ModelError, TritonTimeout, TritonUnavailable

log = logging.getLogger(__name__)

IDLE_S = 5.0
"""Without frames the model is asked this often whether it is still there."""
PATIENCE = 3
"""Timeouts and failures in a row after which it counts as away."""


class ModelWatch:
    """Up or down, and who tells.

    Args:
        changed: Called with the new state and, when down, why.
    """

    def __init__(self, changed: Callable[[bool, str], None]) -> None:
        self.up = False
        self._changed = changed
        self._failures = 0
        self._answered_at_s = 0.0
        self._went_down = asyncio.Event()

    def answered(self) -> None:
        """Note an answer of the model."""
        self._failures = 0
        self._answered_at_s = asyncio.get_running_loop().time()
        if not self.up:
            self.up = True
            self._changed(True, "")

    def failed(self, error: TritonUnavailable | ModelError) -> None:
        """Note a call without an answer."""
        self._failures += 1
        lasting = not isinstance(error, TritonTimeout | ModelError)
        if self.up and (lasting or self._failures >= PATIENCE):
            self.up = False
            self._changed(False, str(error))
            self._went_down.set()

    async def keep_asking(self, endpoint: Endpoint) -> None:
        """Ask for ever: when no frames do, and with growing pauses while the model is away.

        Raises:
            ModelMismatch: Triton came back with another model of that name.
        """
        backoff = Backoff()
        while True:
            if self.up:
                backoff.reset()
                self._went_down.clear()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(IDLE_S):
                        await self._went_down.wait()
            if self.up and asyncio.get_running_loop().time() - self._answered_at_s < IDLE_S:
                continue
            if not self.up:
                await asyncio.sleep(backoff.next_s())
            try:
                async with endpoint.slot() as slot:
                    slot.images[:1] = 0
                    await endpoint.infer(slot, 1)
            except (TritonUnavailable, ModelError) as error:
                log.debug("the model does not answer: %s", error)
                self.failed(error)
            else:
                self.answered()
