"""One model behind Triton: slots to fill, calls with a deadline, and what to do when they fail.

It knows no gRPC: the connection is its caller's.
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from secondlook.adapters.slots import Area, Region, Slot, Slots
from secondlook.errors import (
    ModelError,
    ModelMismatch,
    SecondLookError,
    TritonTimeout,
    TritonUnavailable,
)
from secondlook.model_fit import known_images, wrong_with
from secondlook.model_spec import ModelSpec

log = logging.getLogger(__name__)

LATE_S: Final = 60.0
"""A call that is this late is not coming back."""
_FIRST_S: Final = 60.0  # a model's first call may build its kernels

Outputs = Mapping[str, NDArray[Any]]


class RegionLost(TritonUnavailable):
    """The server does not know a region (any more): it was restarted."""


@dataclass(slots=True)
class Stats:
    """What happened on a connection since it was made."""

    calls: int = 0
    """Calls that were answered."""
    shared_calls: int = 0
    """Those of them whose pictures went through shared memory."""
    timeouts: int = 0
    unavailable: int = 0
    failed: int = 0
    """Calls that the server answered with an error."""
    retired: int = 0
    """Slots given up because the server might still use them."""
    reconnects: int = 0
    """Times that a model answered again after Triton had been away."""
    shared_memory: bool = False
    """Whether pictures go through shared memory."""


class Connection(Protocol):
    """What an endpoint asks of its connection."""

    url: str
    stats: Stats

    async def infer(
        self, spec: ModelSpec, slot: Slot, count: int, *, shared: bool, timeout_s: float
    ) -> Outputs:
        """Run the first `count` images of the slot; copies of the answers."""

    async def register(self, region: Region) -> None:
        """Show a region to the server."""

    async def forget(self, name: str, *, after_s: float = 0.0) -> None:
        """Let the server drop a region."""

    def chore(self, work: Coroutine[Any, Any, None]) -> None:
        """Do something in the background until the connection closes."""


class Endpoint:
    """A model that was found fit for use. See `Triton.model`."""

    def __init__(
        self,
        connection: Connection,
        spec: ModelSpec,
        describe: Callable[[], Awaitable[ModelSpec]],
        *,
        in_flight: int,
        batch: int | None,
        deadline_s: float,
    ) -> None:
        self.spec = spec
        self.batch: Final = max(1, min(spec.max_batch_size, batch or spec.max_batch_size))
        """The most pictures of one call."""
        self._connection = connection
        self._describe = describe
        self._deadline_s = deadline_s
        outputs = (Area(t.name, t.dtype, (self.batch, *t.shape)) for t in spec.outputs)
        self._slots = Slots(
            Area(spec.input.name, spec.input.dtype, (self.batch, *spec.input.shape)),
            # An answer whose size is not known beforehand travels inside the response.
            [area for area in outputs if min(area.shape) > 0],
            places=in_flight,
            shared=connection.stats.shared_memory,
        )
        self._late: set[asyncio.Task[Outputs]] = set()
        self._away = False
        self._life = 1
        """Of the server, counted as far as its restarts were noticed."""
        self._meeting = asyncio.Lock()

    async def acquire(self) -> Slot:
        """Wait until a call may be made; prefer `slot`, which gives back what it took.

        Raises:
            TritonTimeout: The server owes answers to as many calls as may be under way.
        """
        return await self._slots.acquire(self._deadline_s)

    def release(self, slot: Slot) -> None:
        """Give back what `acquire` returned."""
        self._slots.release(slot)

    @contextlib.asynccontextmanager
    async def slot(self) -> AsyncIterator[Slot]:
        """Hold a slot while the block runs: fill `images`, then `infer`; raises as `acquire`."""
        slot = await self.acquire()
        try:
            yield slot
        except asyncio.CancelledError:
            if not slot.retired:
                # A thread of the caller's may still be filling it.
                self._retire(slot, owed=False)
                self._forget(slot, answered=True)
            raise
        finally:
            self.release(slot)

    async def infer(self, slot: Slot, count: int) -> Outputs:
        """Run the first `count` images of a slot through the model.

        Returns:
            By name, each output as (count, *shape): the caller's own, they outlive the slot.

        Raises:
            TritonTimeout: No answer within the deadline. The slot is retired: take a new one.
            TritonUnavailable: The server is away, or has no such model now.
            ModelError: The server or the model answered with an error.
            ModelMismatch: After a restart the server has another model of that name.
        """
        shared = slot.region is not None and self._slots.shared
        return await self._infer(slot, count, shared=shared, deadline_s=self._deadline_s)

    async def check(self) -> None:
        """Send known pictures through the model, in every way that will be used.

        Raises:
            ModelMismatch: It failed, or its answer is empty, misshapen, no numbers, or no scores.
            TritonTimeout: No answer, although a first call may take a minute.
            TritonUnavailable: The server went away.
        """
        count = min(2, self.batch)
        for shared in (False, True):
            async with self.slot() as slot:
                if shared and (slot.region is None or not self._slots.shared):
                    return
                if slot.region is not None:
                    # What the server does not write must not pass for an answer.
                    np.frombuffer(slot.region.memory, np.uint8)[:] = 0xFF
                slot.images[:count] = known_images(self.spec, count)
                try:
                    outputs = await self._infer(slot, count, shared=shared, deadline_s=_FIRST_S)
                except ModelError as error:
                    raise ModelMismatch(
                        f"model {self.spec.name!r} cannot judge a known picture: {error}"
                    ) from None
            if wrong := wrong_with(self.spec, outputs, count):
                raise ModelMismatch(f"model {self.spec.name!r} gives wrong answers: {wrong}")

    async def close(self) -> None:
        """Give up all slots; nobody may be in `infer`."""
        regions = (slot.region for slot in self._slots.close() if slot.registered)
        await asyncio.gather(*(self._connection.forget(r.name) for r in regions if r is not None))
        for call in self._late:
            call.cancel()
        await asyncio.gather(*self._late, return_exceptions=True)

    async def _infer(self, slot: Slot, count: int, *, shared: bool, deadline_s: float) -> Outputs:
        if not 1 <= count <= self.batch or slot.retired:
            raise ValueError(f"{count} images for a slot of {self.batch}, retired: {slot.retired}")
        stats = self._connection.stats
        try:
            async with asyncio.timeout(deadline_s):
                outputs = await self._try_twice(slot, count, shared=shared)
        except (TimeoutError, TritonTimeout):
            stats.timeouts += 1
            raise TritonTimeout(
                f"Triton at {self._connection.url} did not answer for {self.spec.name!r} "
                f"within {deadline_s:g} s"
            ) from None
        except TritonUnavailable:
            stats.unavailable += 1
            self._away = True
            raise
        except ModelError:
            stats.failed += 1
            raise
        stats.calls += 1
        return outputs

    async def _try_twice(self, slot: Slot, count: int, *, shared: bool) -> Outputs:
        """Call; once more when a restarted server has forgotten the slot."""
        for last in (False, True):
            if self._away:
                await self._meet_again()
            seen = shared and await self._show(slot)
            try:
                outputs = await self._call(slot, count, shared=seen)
            except RegionLost:
                # A slot of an earlier life tells nothing that was not known.
                self._away |= slot.registered == self._life
                slot.registered = 0
                if last:
                    raise
            else:
                self._connection.stats.shared_calls += seen
                return outputs
        raise AssertionError("unreachable")

    async def _call(self, slot: Slot, count: int, *, shared: bool) -> Outputs:
        call = asyncio.create_task(
            self._connection.infer(self.spec, slot, count, shared=shared, timeout_s=LATE_S)
        )
        try:
            # The call outlives its deadline: only its answer tells when the slot is out of use.
            return await asyncio.shield(call)
        except asyncio.CancelledError:
            if not shared:
                call.cancel()
            else:
                self._retire(slot, owed=True)
                self._late.add(call)
                call.add_done_callback(partial(self._answered_late, slot))
            raise
        except RegionLost:
            raise
        except SecondLookError as error:
            if shared:
                self._retire(slot, owed=False)
                self._forget(slot, answered=isinstance(error, ModelError))
            raise

    def _retire(self, slot: Slot, *, owed: bool) -> None:
        self._connection.stats.retired += 1
        self._slots.retire(slot, owed=owed)

    def _answered_late(self, slot: Slot, call: asyncio.Task[Outputs]) -> None:
        self._late.discard(call)
        self._slots.answered(slot)
        if not call.cancelled():
            error = call.exception()
            self._forget(slot, answered=error is None or isinstance(error, ModelError))

    def _forget(self, slot: Slot, *, answered: bool) -> None:
        if slot.region is not None:
            after_s = 0.0 if answered else 2 * LATE_S
            self._connection.chore(self._connection.forget(slot.region.name, after_s=after_s))

    async def _show(self, slot: Slot) -> bool:
        """Register a slot's region; return whether the server sees it."""
        if slot.region is None or not self._slots.shared:
            return False
        if slot.registered != self._life:
            life = self._life
            try:
                await self._connection.register(slot.region)
            except ModelError as error:
                self._slots.shared = self._connection.stats.shared_memory = False
                log.warning("pictures travel inside the requests from now on: %s", error)
                return False
            slot.registered = life
        return True

    async def _meet_again(self) -> None:
        """Make sure that a server which was away still has the same model."""
        async with self._meeting:
            if not self._away:
                return
            try:
                spec = await self._describe()
            except ModelMismatch as error:
                # It may be about to get the model: only a different one is a reason to stop.
                raise TritonUnavailable(str(error)) from None
            if replace(spec, version=self.spec.version) != self.spec:
                raise ModelMismatch(
                    f"Triton at {self._connection.url} came back with another model "
                    f"{self.spec.name!r}; start again to use it"
                )
            self.spec = spec
            self._away = False
            self._life += 1
            self._connection.stats.reconnects += 1
            log.info("Triton at %s is back", self._connection.url)
