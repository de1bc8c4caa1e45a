"""The live picture, from a real frame store."""

import asyncio
import math
import os
import time
from pathlib import Path

import cv2
import numpy as np
import pytest

from secondlook.adapters.frames import FrameReader, FrameWriter
from secondlook.messages import FrameRef
from secondlook.page import live as module
from secondlook.page.framing import Frames
from secondlook.page.live import Live, NoPicture
from tests.secondlook.page.said import CAMERA, frame


class Store:
    """A frame store with a writer, and the page's view of it."""

    def __init__(self, folder: Path) -> None:
        self.frames = Frames()
        self.live = Live(FrameReader(folder), folder / CAMERA, self.frames)
        self._writer = FrameWriter(folder, CAMERA, 100_000_000)

    def write(self, number: int, grey: int = 90) -> FrameRef:
        ref = frame(number)
        self._writer.write(ref, np.full((1080, 1920, 3), grey, np.uint8))
        self.frames.came(ref, number / 5)
        return ref

    def close(self) -> None:
        self._writer.close()


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "EVERY_S", 0.2)


async def test_the_newest_frame_is_shown_and_is_no_larger_than_a_screen(store: Store) -> None:
    store.write(0, 10)
    ref = store.write(1, 200)

    found = await store.live.picture(None)

    assert found is not None
    assert found.frame == ref
    image = cv2.imdecode(np.frombuffer(found.jpeg, np.uint8), cv2.IMREAD_COLOR)
    assert image is not None
    assert image.shape == (540, 960, 3)
    assert abs(int(image[100, 100, 0]) - 200) < 5


async def test_a_judged_frame_is_shown_in_place_of_the_newest(store: Store) -> None:
    judged = store.write(0)
    store.write(1)
    store.frames.judged(judged.id)

    found = await store.live.picture(None)

    assert found is not None
    assert found.frame == judged


async def test_a_judged_frame_that_is_gone_makes_room_for_the_newest(store: Store) -> None:
    store.frames.came(frame(0), 0.0)
    store.frames.judged(frame(0).id)
    newest = store.write(1)

    found = await store.live.picture(None)

    assert found is not None
    assert found.frame == newest


async def test_many_viewers_share_one_picture(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = []

    def count(image: np.ndarray) -> bytes:
        made.append(image)
        return b"jpeg"

    monkeypatch.setattr(module, "encoded", count)
    # However long it takes to ask twenty times.
    monkeypatch.setattr(module, "EVERY_S", 600.0)
    store.live._made_s = -math.inf
    store.write(0)

    found = await asyncio.gather(*(store.live.picture(None) for _ in range(20)))

    assert {each.jpeg for each in found if each} == {b"jpeg"}
    assert len(made) == 1


async def test_who_has_the_newest_picture_waits_and_gets_nothing(store: Store) -> None:
    ref = store.write(0)
    await store.live.picture(None)

    assert await store.live.picture(ref.id) is None
    assert time.monotonic() >= store.live._made_s + module.EVERY_S


async def test_who_has_the_last_picture_gets_the_next_one_after_a_pause(store: Store) -> None:
    first = store.write(0)
    await store.live.picture(None)
    second = store.write(1)

    found = await store.live.picture(first.id)

    assert found is not None
    assert found.frame == second


async def test_before_any_frame_it_says_so(store: Store) -> None:
    with pytest.raises(NoPicture, match="No frame has come yet"):
        await store.live.picture(None)


async def test_a_store_elsewhere_is_said_to_be(tmp_path: Path) -> None:
    frames = Frames()
    frames.came(frame(0), 0.0)

    with pytest.raises(NoPicture, match="cannot be read from here"):
        await Live(FrameReader(tmp_path), tmp_path / CAMERA, frames).picture(None)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
async def test_a_store_of_another_user_is_said_to_be_out_of_reach(
    store: Store, tmp_path: Path
) -> None:
    store.write(0)
    (tmp_path / CAMERA).chmod(0)

    with pytest.raises(NoPicture, match="cannot be read from here"):
        await store.live.picture(None)
    (tmp_path / CAMERA).chmod(0o700)


async def test_a_frame_that_is_gone_is_said_to_be(store: Store) -> None:
    store.frames.came(frame(0), 0.0)
    store.write(1)
    store.close()

    with pytest.raises(NoPicture, match="gone before"):
        await store.live.picture(None)
