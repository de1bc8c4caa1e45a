"""Up or down: from what the frames see, and from asking."""

import asyncio
import contextlib

import numpy as np
import pytest

from detector_svc import model_watch
from detector_svc.model_watch import PATIENCE, ModelWatch
from secondlook.errors import ModelError, ModelMismatch, TritonTimeout, TritonUnavailable


class Slot:
    images = np.zeros((1, 2, 2, 3), np.uint8)


class Model:
    """An endpoint that answers, or raises what it is told to."""

    def __init__(self) -> None:
        self.error: Exception | None = None
        self.asked = 0

    @contextlib.asynccontextmanager
    async def slot(self):
        yield Slot()

    async def infer(self, slot, count):
        self.asked += 1
        if self.error is not None:
            raise self.error
        return {}


@pytest.fixture
def changes():
    return []


@pytest.fixture
def watch(changes):
    return ModelWatch(lambda up, why: changes.append((up, why)))


@contextlib.asynccontextmanager
async def asking(watch, model):
    task = asyncio.create_task(watch.keep_asking(model))
    try:
        yield task
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError, ModelMismatch):
            await task


async def until(condition):
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110 - looks from outside
            await asyncio.sleep(0.005)


async def test_an_absent_server_is_told_at_once_and_only_once(watch, changes):
    watch.answered()
    for _ in range(3):
        watch.failed(TritonUnavailable("gone"))

    assert changes == [(True, ""), (False, "gone")]


@pytest.mark.parametrize("error", [TritonTimeout("late"), ModelError("broken")])
async def test_a_single_failure_is_no_absence(watch, changes, error):
    watch.answered()
    for _ in range(PATIENCE - 1):
        watch.failed(error)
    watch.answered()
    for _ in range(PATIENCE - 1):
        watch.failed(error)
    assert changes == [(True, "")]

    watch.failed(error)
    assert changes[1:] == [(False, str(error))]


async def test_it_asks_until_the_model_is_back(watch, changes):
    model = Model()
    model.error = TritonUnavailable("gone")
    watch.answered()
    async with asking(watch, model):
        watch.failed(model.error)
        await until(lambda: model.asked >= 2)
        model.error = None
        await until(lambda: watch.up)

    assert changes == [(True, ""), (False, "gone"), (True, "")]


async def test_without_frames_it_asks_by_itself(watch, changes, monkeypatch):
    monkeypatch.setattr(model_watch, "IDLE_S", 0.05)
    model = Model()
    watch.answered()
    async with asking(watch, model):
        await until(lambda: model.asked >= 2)
        model.error = TritonUnavailable("gone")
        await until(lambda: not watch.up)

    assert changes == [(True, ""), (False, "gone")]


async def test_another_model_in_its_place_stops_the_detector(watch):
    model = Model()
    model.error = ModelMismatch("another one")
    async with asking(watch, model) as task:
        with pytest.raises(ModelMismatch):
            async with asyncio.timeout(60):
                await task
