"""The memory of calls: who may use it when. No server."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from secondlook.adapters import slots
from secondlook.adapters.slots import Area, Region, Slot, Slots
from secondlook.errors import TritonTimeout

IMAGES = Area("images", np.uint8, (2, 4, 4, 3))
OUTPUTS = (Area("scores", np.float32, (2, 5)), Area("count", np.int32, (2, 1)))
OWNER = """
import os, pathlib, signal, sys
from secondlook.adapters import slots
slots.SHARED = pathlib.Path(sys.argv[1])
print(slots.Region(4096).name, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture(autouse=True)
def shared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Keep regions in a folder of the test's own."""
    monkeypatch.setattr(slots, "SHARED", tmp_path)
    yield tmp_path
    assert list(tmp_path.iterdir()) == []


def make(places: int, *, shared: bool = True) -> Slots:
    return Slots(IMAGES, OUTPUTS, places=places, shared=shared)


def test_the_arrays_of_a_slot_do_not_overlap() -> None:
    slot = Slot.shared(IMAGES, OUTPUTS)
    slot.images[:] = 255
    scores, count = (slot.output(a.name, a.dtype, a.shape) for a in OUTPUTS)
    assert not scores.any()
    scores[:] = 0.5
    count[:] = 7

    assert (slot.images == 255).all()
    assert (scores == 0.5).all()
    assert slot.region is not None
    assert slot.region.size >= slot.images.nbytes + scores.nbytes + count.nbytes
    assert all(offset % 64 == 0 for offset in slot.offsets.values())
    slot.close()


def test_memory_can_be_read_after_its_name_is_gone() -> None:
    slot = Slot.shared(IMAGES, OUTPUTS)
    slot.images[:] = 3
    slot.close()

    assert (slot.images == 3).all()


def test_no_two_regions_have_one_name() -> None:
    regions = [Region(16) for _ in range(20)]

    assert len({region.name for region in regions}) == 20
    for region in regions:
        region.close()


def test_a_region_without_room_leaves_nothing(
    monkeypatch: pytest.MonkeyPatch, shared: Path
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(OSError, match="No space"):
        Region(16)

    assert list(shared.iterdir()) == []


def test_only_regions_whose_owner_was_killed_are_leftovers(shared: Path) -> None:
    mine = Region(16)
    killed = subprocess.run(
        [sys.executable, "-c", OWNER, str(shared)], stdout=subprocess.PIPE, check=False, timeout=60
    )
    assert killed.returncode == -signal.SIGKILL
    name = killed.stdout.decode().strip()
    assert (shared / name).exists()
    assert slots.is_alive(mine.name)
    assert not slots.is_alive(name)

    assert slots.remove_leftovers() == [name]
    assert not slots.is_alive("secondlook-tensors-never-was")
    assert (shared / mine.name).exists()
    mine.close()


async def test_a_slot_that_is_given_back_is_used_again() -> None:
    pool = make(1)
    slot = await pool.acquire(1)
    pool.release(slot)

    assert await pool.acquire(1) is slot
    slot.close()


async def test_no_more_slots_are_in_use_than_there_are_places() -> None:
    pool = make(2)
    first, second = [await pool.acquire(1) for _ in range(2)]
    waiting = asyncio.create_task(pool.acquire(0.01))
    await asyncio.sleep(0.1)
    # Slots at work come back: that is worth waiting for longer than one's patience.
    assert not waiting.done()
    pool.release(first)

    assert await waiting is first
    for slot in (first, second):
        slot.close()


async def test_a_retired_slot_makes_room_for_another_but_never_returns() -> None:
    pool = make(1)
    late = await pool.acquire(1)
    pool.retire(late, owed=True)
    pool.release(late)

    other = await pool.acquire(1)
    assert other is not late
    pool.release(other)
    pool.answered(late)
    assert await pool.acquire(1) is other
    other.close()


async def test_a_server_that_owes_too_much_is_asked_for_nothing_more() -> None:
    pool = make(2)
    late = []
    for _ in range(4):
        late.append(await pool.acquire(1))
        pool.retire(late[-1], owed=True)
        pool.release(late[-1])

    with pytest.raises(TritonTimeout, match="has not answered 4 earlier calls"):
        await pool.acquire(0.01)
    pool.answered(late[3])
    slot = await pool.acquire(0.01)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1):
            await pool.acquire(0.01)
    slot.close()


async def test_a_slot_that_nobody_owes_an_answer_for_withholds_no_place() -> None:
    pool = make(1)
    for _ in range(5):
        slot = await pool.acquire(0.01)
        pool.retire(slot, owed=False)
        pool.release(slot)


async def test_slots_of_the_other_kind_are_dropped_when_the_kind_changes() -> None:
    pool = make(1)
    slot = await pool.acquire(1)
    pool.shared = False
    pool.release(slot)

    other = await pool.acquire(1)
    assert other.region is None
    assert other.images.shape == IMAGES.shape


async def test_closing_gives_up_what_is_idle_now_and_the_rest_when_it_returns() -> None:
    pool = make(2)
    slot, other = [await pool.acquire(1) for _ in range(2)]
    pool.release(slot)

    assert pool.close() == [slot]
    pool.release(other)
