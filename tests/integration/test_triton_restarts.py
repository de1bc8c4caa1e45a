"""The client when Triton is not there yet, dies, freezes, comes back, or comes back different."""

import asyncio
import contextlib
import logging
import shutil
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from secondlook.adapters import endpoint as endpoints
from secondlook.adapters import slots
from secondlook.adapters.endpoint import Endpoint
from secondlook.adapters.triton import Triton
from secondlook.errors import ModelMismatch, TritonTimeout, TritonUnavailable
from secondlook.local.tritonserver import Server
from tests.integration.triton_fixtures import STAND_INS, add_stand_in

pytestmark = pytest.mark.integration

SHARING = pytest.mark.parametrize("shared_memory", ["on", "off"])


async def answer(endpoint: Endpoint, value: float) -> NDArray[Any]:
    """Send a picture that is all of one value; the answer is filled with it."""
    async with endpoint.slot() as slot:
        slot.images[0] = value
        scores: NDArray[Any] = (await endpoint.infer(slot, 1))["scores"][0]
    return scores


def is_of(given: NDArray[Any], value: float) -> bool:
    return bool((given[:-1] == value).all() and given[-1] == 0)


async def answer_within(endpoint: Endpoint, value: float, within_s: float = 60) -> NDArray[Any]:
    """Try until there is an answer."""
    async with asyncio.timeout(within_s):
        while True:
            try:
                return await answer(endpoint, value)
            except TritonUnavailable:
                await asyncio.sleep(0.1)


async def excuse(endpoint: Endpoint, words: str, within_s: float = 60) -> None:
    """Try until the server is there and says this."""
    said = "nothing"
    try:
        async with asyncio.timeout(within_s):
            while words not in said:
                try:
                    await answer(endpoint, 1)
                except TritonUnavailable as error:
                    said = str(error)
                await asyncio.sleep(0.1)
    except TimeoutError:
        pytest.fail(f"it says {said}")


async def start(server: Server) -> None:
    await asyncio.to_thread(server.start)


async def freeze(server: Server) -> None:
    """Stop it, and wait until it stands: its threads go on until the signal reaches each."""
    server.signal(signal.SIGSTOP)
    assert server._process is not None
    threads = Path(f"/proc/{server._process.pid}/task")

    async def stands() -> bool:
        return await asyncio.to_thread(states, threads) == {"T"}

    await until_true(stands)


def states(threads: Path) -> set[str]:
    """Return the states of a process's threads, a letter each."""
    found = set()
    for each in threads.glob("*/stat"):
        with contextlib.suppress(OSError):  # it has just ended
            found.add(each.read_text().rpartition(") ")[2][0])
    return found


@SHARING
async def test_a_server_that_is_not_up_yet_is_waited_for(
    own_server: Server, shared_memory: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    async with Triton(own_server.url, deadline_s=5, shared_memory=shared_memory) as triton:
        assert not await triton.ready()
        waiting = asyncio.create_task(triton.model("large"))

        async def is_told() -> bool:
            return "waiting for model 'large': Triton at" in caplog.text

        await until_true(is_told)
        await asyncio.sleep(1)
        assert not waiting.done()

        await start(own_server)
        async with asyncio.timeout(60):
            endpoint = await waiting

        assert await triton.ready()
        assert is_of(await answer(endpoint, 7), 7)


@SHARING
async def test_a_killed_server_is_used_again_when_it_is_back(
    own_server: Server, shared_memory: Any
) -> None:
    await start(own_server)
    async with Triton(own_server.url, deadline_s=5, shared_memory=shared_memory) as triton:
        endpoint = await triton.model("large")
        for round_ in (1, 2):
            busy = [asyncio.create_task(answer(endpoint, v)) for v in range(20)]
            await asyncio.sleep(0.01)
            own_server.kill()
            found = await asyncio.gather(*busy, return_exceptions=True)
            for value, given in enumerate(found):
                if isinstance(given, np.ndarray):
                    assert is_of(given, value)
                else:
                    assert isinstance(given, TritonUnavailable)
            with pytest.raises(TritonUnavailable, match=r":\d+ is not available: \w+ ?\w+$"):
                await answer(endpoint, 1)

            await start(own_server)
            assert is_of(await answer_within(endpoint, 40 + round_), 40 + round_)
            assert triton.stats.reconnects == round_
            assert triton.stats.shared_memory is (shared_memory == "on")
            await asyncio.gather(*(answer(endpoint, v) for v in range(8)))


async def test_a_server_that_was_restarted_between_two_calls_costs_no_call(
    own_server: Server,
) -> None:
    await start(own_server)
    async with Triton(own_server.url, deadline_s=10, shared_memory="on") as triton:
        endpoint = await triton.model("large", in_flight=1)
        await answer(endpoint, 1)
        own_server.kill()
        await start(own_server)
        await answer_within(endpoint, 2)
        # The slot's memory was registered with the dead server only.
        assert is_of(await answer(endpoint, 3), 3)


async def test_a_restart_is_counted_once_however_many_slots_the_server_has_forgotten(
    own_server: Server,
) -> None:
    await start(own_server)
    async with Triton(own_server.url, deadline_s=10, shared_memory="on") as triton:
        endpoint = await triton.model("large", in_flight=3)
        await asyncio.gather(*(answer(endpoint, v) for v in range(3)))
        own_server.kill()
        await start(own_server)
        await answer_within(endpoint, 4)
        answers = await asyncio.gather(*(answer_within(endpoint, v) for v in range(9)))
        assert all(is_of(a, v) for v, a in enumerate(answers))
        assert triton.stats.reconnects == 1


async def test_a_server_that_freezes_is_used_again_when_it_goes_on(own_server: Server) -> None:
    await start(own_server)
    async with Triton(own_server.url, deadline_s=0.5, shared_memory="on") as triton:
        endpoint = await triton.model("large", in_flight=2)
        await asyncio.gather(*(answer_within(endpoint, v) for v in (1, 2)))
        await freeze(own_server)
        try:
            for _ in range(6):
                with pytest.raises(TritonTimeout):
                    await answer(endpoint, 99)
            assert len(endpoint._late) in (1, 2)
        finally:
            own_server.signal(signal.SIGCONT)

        assert is_of(await answer_within(endpoint, 5), 5)
        answers = await asyncio.gather(*(answer_within(endpoint, v) for v in range(20)))
        assert all(is_of(a, v) for v, a in enumerate(answers))


@SHARING
async def test_a_server_that_comes_back_with_another_model_is_refused(
    own_server: Server, shared_memory: Any
) -> None:
    await start(own_server)
    async with Triton(own_server.url, deadline_s=5, shared_memory=shared_memory) as triton:
        endpoint = await triton.model("large")
        await answer(endpoint, 1)
        own_server.kill()
        add_stand_in(own_server.repository, "large", **{**STAND_INS["large"], "max_batch": 4})
        with pytest.raises(TritonUnavailable):
            await answer(endpoint, 1)
        await start(own_server)

        with pytest.raises(ModelMismatch, match="came back with another model 'large'"):
            await answer_within(endpoint, 2)


async def test_a_server_that_comes_back_without_the_model_is_waited_for(
    own_server: Server, tmp_path: Path
) -> None:
    await start(own_server)
    async with Triton(own_server.url, deadline_s=5) as triton:
        endpoint = await triton.model("large")
        own_server.kill()
        model = own_server.repository / "large"
        shutil.move(model, tmp_path / "aside")
        with pytest.raises(TritonUnavailable):
            await answer(endpoint, 1)
        await start(own_server)
        await excuse(endpoint, "has no model 'large'; it has none at all")

        own_server.stop()
        shutil.move(tmp_path / "aside", model)
        await start(own_server)
        assert is_of(await answer_within(endpoint, 3), 3)


CLIENT = """
import asyncio, sys
from secondlook.adapters.triton import Triton

async def main():
    triton = Triton(sys.argv[1], deadline_s=5, shared_memory="on")
    endpoint = await triton.model("large")
    async with endpoint.slot() as slot:
        slot.images[0] = 1
        await endpoint.infer(slot, 1)
        print(slot.region.name, flush=True)
        await asyncio.sleep(600)

asyncio.run(main())
"""


async def test_what_a_killed_client_leaves_is_cleaned_by_the_next(
    own_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("secondlook.adapters.triton.LATE_S", 0.1)
    await start(own_server)
    client = await asyncio.create_subprocess_exec(
        sys.executable, "-c", CLIENT, own_server.url, stdout=subprocess.PIPE
    )
    assert client.stdout is not None
    async with asyncio.timeout(60):
        name = (await client.stdout.readline()).decode().strip()
    # Once it is dead, any client on this machine may remove it.
    assert (slots.SHARED / name).exists()
    client.kill()
    await client.wait()

    async with Triton(own_server.url, deadline_s=5, shared_memory="on") as triton:
        await triton.model("large")
        await until_true(lambda: is_forgotten(triton, name))

    assert not (slots.SHARED / name).exists()


async def is_forgotten(triton: Triton, name: str) -> bool:
    status = await triton._client.get_system_shared_memory_status(as_json=True)
    return name not in status.get("regions", {})


async def until_true(condition: Callable[[], Awaitable[bool]], within_s: float = 60) -> None:
    async with asyncio.timeout(within_s):
        while not await condition():  # noqa: ASYNC110 - the condition is another process's
            await asyncio.sleep(0.05)


async def test_a_call_that_is_never_answered_is_given_up(
    own_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(endpoints, "LATE_S", 6.0)
    await start(own_server)
    async with Triton(own_server.url, deadline_s=0.2, shared_memory="on") as triton:
        endpoint = await triton.model("large", in_flight=1)
        await answer_within(endpoint, 1)

        async def is_given_up() -> bool:
            return not endpoint._late

        await freeze(own_server)
        try:
            with pytest.raises(TritonTimeout):
                await answer(endpoint, 99)
            assert not await is_given_up()
            await until_true(is_given_up)
        finally:
            own_server.signal(signal.SIGCONT)
        assert is_of(await answer_within(endpoint, 5), 5)
