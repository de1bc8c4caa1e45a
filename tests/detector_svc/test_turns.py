"""Order among frames that overtake each other at Triton."""

import asyncio
import contextlib

from detector_svc.turns import Turns


async def passing(turns, key, number, order, *, early=False, before_s=0.0):
    async with turns.join(key) as turn:
        await asyncio.sleep(before_s)
        if early:
            return
        await turn.come()
        order.append(number)


async def test_who_finishes_first_still_comes_after_those_before():
    turns = Turns()
    order: list[object] = []
    async with asyncio.timeout(60), asyncio.TaskGroup() as group:
        for number, before_s in enumerate([0.05, 0.0, 0.02]):
            group.create_task(passing(turns, "yard", number, order, before_s=before_s))

    assert order == [0, 1, 2]


async def test_who_gives_up_lets_nobody_overtake():
    turns = Turns()
    order: list[object] = []
    async with asyncio.timeout(60), asyncio.TaskGroup() as group:
        group.create_task(passing(turns, "yard", 0, order, before_s=0.05))
        group.create_task(passing(turns, "yard", 1, order, early=True))
        group.create_task(passing(turns, "yard", 2, order))

    assert order == [0, 2]


async def test_cameras_do_not_wait_for_each_other():
    turns = Turns()
    order: list[object] = []
    async with asyncio.timeout(60), asyncio.TaskGroup() as group:
        group.create_task(passing(turns, "yard", "slow", order, before_s=0.05))
        group.create_task(passing(turns, "gate", "fast", order))

    assert order == ["fast", "slow"]


async def test_a_failure_does_not_block_the_queue():
    turns = Turns()
    order: list[object] = []
    with contextlib.suppress(ZeroDivisionError):
        async with turns.join("yard"):
            1 / 0  # noqa: B018 - any failure

    async with asyncio.timeout(60):
        await passing(turns, "yard", 1, order)

    assert order == [1]


async def test_the_past_is_forgotten():
    turns = Turns()
    for _ in range(5):
        async with turns.join("yard"):
            pass

    assert turns._last["yard"]._before is None
