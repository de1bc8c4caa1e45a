"""The one door to Triton: models that are checked before use, and calls with a deadline.

Pictures and answers go through system shared memory where Triton sees this machine's, else inside
the request. No other module imports tritonclient, and nothing here knows cameras or labels.
"""

import asyncio
import contextlib
import logging
import math
from collections.abc import Awaitable, Callable, Coroutine
from functools import partial
from typing import Any, Final, Literal, Self

import tritonclient.grpc.aio as grpc
from numpy.typing import NDArray
from tritonclient.utils import InferenceServerException

from secondlook.adapters.endpoint import LATE_S, Endpoint, Outputs, RegionLost, Stats
from secondlook.adapters.slots import PREFIX as OUR_REGIONS
from secondlook.adapters.slots import Region, Slot, is_alive, probe, remove_leftovers
from secondlook.backoff import Backoff
from secondlook.errors import (
    ConfigError,
    ModelError,
    SecondLookError,
    TritonTimeout,
    TritonUnavailable,
)
from secondlook.model_fit import Answers, ready_version, spec_of
from secondlook.model_spec import ModelParameters, ModelSpec, Tensor

log = logging.getLogger(__name__)

_ASK_S: Final = 5.0  # for questions that run no model
_FORGET_S: Final = 1.0  # the server may be as good as dead, and we are to end soon
_REMIND_S: Final = 30.0
_CHANNEL: Final = [
    ("grpc.max_send_message_length", 2**31 - 1),
    ("grpc.max_receive_message_length", 2**31 - 1),
    # gRPC's own waits grow to two minutes: a server that is back would wait for us.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 1000),
    ("grpc.max_reconnect_backoff_ms", 1000),
    # Notices a host that vanished without a word; Triton tolerates no more pings than this.
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.keepalive_timeout_ms", 5_000),
]


class Triton:
    """One connection to a Triton server; use it in the event loop that makes it."""

    def __init__(
        self, url: str, *, deadline_s: float, shared_memory: Literal["auto", "on", "off"] = "auto"
    ) -> None:
        self.url = url
        self.stats = Stats()
        self._deadline_s = deadline_s
        self._wish = shared_memory
        self._looked = False
        self._endpoints: list[Endpoint] = []
        self._chores: set[asyncio.Task[None]] = set()
        self._client = grpc.InferenceServerClient(url, channel_args=_CHANNEL)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def ready(self) -> bool:
        """Return whether the server lives and is ready."""
        try:
            live = await self._client.is_server_live(client_timeout=_ASK_S)
            return bool(live and await self._client.is_server_ready(client_timeout=_ASK_S))
        except InferenceServerException:
            return False

    async def model(
        self,
        name: str,
        *,
        overrides: ModelParameters | None = None,
        in_flight: int = 4,
        version: str = "",
        batch: int | None = None,
        answers: Answers | None = None,
    ) -> Endpoint:
        """Wait for the server and the model, and return the model when it can be used.

        Args:
            name: Its name in the model repository.
            overrides: Parameters that go before those in its config.pbtxt.
            in_flight: How many calls may be under way.
            version: Its version; empty: the newest.
            batch: The most pictures of one call; default: as many as the model takes.
            answers: What it is wanted for; a model for anything else is refused.

        Raises:
            ModelMismatch: There is no such model, or it cannot be used; the text says why.
            ConfigError: Shared memory is demanded, and this server cannot see ours.
        """
        again = partial(self.describe, name, version, overrides, answers)
        spec = await self._wait_for(name, again)
        endpoint = Endpoint(
            self, spec, again, in_flight=in_flight, batch=batch, deadline_s=self._deadline_s
        )
        self._endpoints.append(endpoint)
        return endpoint

    async def describe(
        self,
        name: str,
        version: str = "",
        overrides: ModelParameters | None = None,
        answers: Answers | None = None,
    ) -> ModelSpec:
        """Return the model as the server has it now, without waiting for either.

        Raises:
            ModelMismatch: There is no such model, or it cannot be used.
            TritonUnavailable: The server does not answer, or is still loading the model.
        """
        index = await self.ask(
            self._client.get_model_repository_index(as_json=True, client_timeout=_ASK_S)
        )
        models = index.get("models", ())
        found = ready_version(models, name, version, where=f"Triton at {self.url}")
        config = await self.ask(
            self._client.get_model_config(name, found, as_json=True, client_timeout=_ASK_S)
        )
        return spec_of(config["config"], version=found, overrides=overrides, answers=answers)

    async def infer(
        self, spec: ModelSpec, slot: Slot, count: int, *, shared: bool, timeout_s: float
    ) -> Outputs:
        """Run the first `count` images of a slot; `Endpoint.infer` is the one to use.

        Raises:
            SecondLookError: As in `error_for`; ModelError for an empty answer, too.
        """
        images = slot.images[:count]
        lead = images.shape if spec.max_batch_size or spec.batch_in_shape else images.shape[1:]
        given = grpc.InferInput(spec.input.name, list(lead), spec.input.datatype)
        asked = {tensor.name: grpc.InferRequestedOutput(tensor.name) for tensor in spec.outputs}
        if shared and slot.region is not None:
            given.set_shared_memory(slot.region.name, images.nbytes)
            for tensor in spec.outputs:
                size = count * math.prod(tensor.shape) * tensor.dtype.itemsize
                if begin := slot.offsets.get(tensor.name):
                    asked[tensor.name].set_shared_memory(slot.region.name, size, begin)
        else:
            given.set_data_from_numpy(images.reshape(lead))
        result = await self.ask(
            self._client.infer(
                spec.name,
                [given],
                model_version=spec.version,
                outputs=list(asked.values()),
                client_timeout=timeout_s,
            )
        )
        return {t.name: _answer(result, t, spec, slot, count, shared=shared) for t in spec.outputs}

    async def close(self) -> None:
        """Give up every slot and every call, and leave nothing behind on the server."""
        for task in self._chores:
            task.cancel()
        await asyncio.gather(*self._chores, return_exceptions=True)
        for endpoint in self._endpoints:
            await endpoint.close()
        self._endpoints.clear()
        await self._client.close()

    async def ask(self, question: Coroutine[Any, Any, Any]) -> Any:  # noqa: ANN401 - tritonclient is untyped
        """Return the server's answer; what it raises becomes ours."""
        try:
            return await question
        except InferenceServerException as error:
            raise self.error_for(error) from None

    def error_for(self, error: InferenceServerException) -> SecondLookError:
        """Return our error for one of tritonclient's."""
        text = str(error.message()).strip().split("\n", 1)[0]  # without its stack frames
        if text.startswith("failed to connect"):
            text = text.rpartition(": ")[2]
        match str(error.status()).removeprefix("StatusCode."):
            case "NOT_FOUND" if "shared memory region" in text:
                return RegionLost(f"Triton at {self.url} was restarted: {text}")
            case "UNAVAILABLE" | "CANCELLED" | "NOT_FOUND":
                return TritonUnavailable(f"Triton at {self.url} is not available: {text}")
            case "DEADLINE_EXCEEDED":
                return TritonTimeout(f"Triton at {self.url} did not answer in time")
            case _:
                return ModelError(f"Triton at {self.url} failed: {text}")

    def chore(self, work: Coroutine[Any, Any, None]) -> None:
        """Do something in the background until the connection closes."""
        task = asyncio.create_task(work)
        self._chores.add(task)
        task.add_done_callback(self._chores.discard)

    async def register(self, region: Region) -> None:
        """Show a region to the server; raises ModelError when the server cannot see it."""
        try:
            await self._client.register_system_shared_memory(
                region.name, f"/{region.name}", region.size, client_timeout=_ASK_S
            )
        except InferenceServerException as error:
            if "ALREADY_EXISTS" not in str(error.status()):
                raise self.error_for(error) from None

    async def forget(self, name: str, *, after_s: float = 0.0) -> None:
        """Let the server drop a region; only when no call can be using it any more."""
        await asyncio.sleep(after_s)
        with contextlib.suppress(InferenceServerException):
            await self._client.unregister_system_shared_memory(name, client_timeout=_FORGET_S)

    async def _wait_for(self, name: str, describe: Callable[[], Awaitable[ModelSpec]]) -> ModelSpec:
        backoff, loop = Backoff(), asyncio.get_running_loop()
        reminded = -math.inf
        while True:
            try:
                spec = await describe()
                await self._look_for_shared_memory()
            except TritonUnavailable as error:
                if loop.time() - reminded >= _REMIND_S:
                    log.warning("waiting for model %r: %s", name, error)
                    reminded = loop.time()
                await asyncio.sleep(backoff.next_s())
            else:
                return spec

    async def unshared(self) -> str:
        """Try whether the server can map this machine's shared memory; return why not, or "".

        Raises:
            TritonUnavailable: The server does not answer.
        """
        with probe() as region:
            if region is None:
                return "there is none on this machine"
            try:
                await self.register(region)
                await self.forget(region.name)
            except ModelError as error:
                return str(error)
        return ""

    async def _look_for_shared_memory(self) -> None:
        if self._looked or self._wish == "off":
            return
        why = await self.unshared()
        self.stats.shared_memory = not why
        self._looked = True
        if not why:
            self.chore(self._sweep())
        elif self._wish == "on":
            raise ConfigError(
                f"triton.shared_memory is `on`, but {self.url} cannot use it ({why}); "
                "set it to `auto`, or let Triton share this machine's /dev/shm"
            )
        else:
            log.info("pictures travel inside the requests to %s: %s", self.url, why)

    async def _sweep(self) -> None:
        """Clean up after clients that were killed, once their last calls must be over."""
        remove_leftovers()
        with contextlib.suppress(InferenceServerException):
            status = await self._client.get_system_shared_memory_status(
                as_json=True, client_timeout=_ASK_S
            )
            known = status.get("regions", {})
            dead = [n for n in known if n.startswith(OUR_REGIONS) and not is_alive(n)]
            if dead:
                await asyncio.sleep(2 * LATE_S)
            for name in dead:
                await self.forget(name)


def _answer(
    result: grpc.InferResult,
    tensor: Tensor,
    spec: ModelSpec,
    slot: Slot,
    count: int,
    *,
    shared: bool,
) -> NDArray[Any]:
    """Return one output as (count, *shape), in memory of its own.

    Raises:
        ModelError: It is empty, or not for `count` images.
    """
    shape = tuple(result.get_output(tensor.name).shape)
    if not (spec.max_batch_size or spec.batch_in_shape):
        shape = (1, *shape)
    if shape and shape[0] == count and 0 not in shape:
        if shared and tensor.name in slot.offsets:
            return slot.output(tensor.name, tensor.dtype, shape).copy()
        with contextlib.suppress(ValueError):  # fewer values than the shape says
            array: NDArray[Any] = result.as_numpy(tensor.name)
            return array.reshape(shape)
    raise ModelError(
        f"output {tensor.name!r} is empty or misshapen, {list(shape)} for {count} images; "
        "a Python backend answers with nothing when its environment has numpy 2"
    )
