"""Really full file systems: what stops says so once, and goes on by itself when there is room."""

import asyncio
import contextlib
import itertools
import logging
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from classifier_svc.desk import Judged
from classifier_svc.verdict import Judgement
from detector_svc.spool import Spool
from secondlook.adapters.frames import FrameReader, FrameWriter
from secondlook.errors import DatabaseError, StoreFull
from secondlook.messages import Crop, FrameRef
from tests.classifier_svc.scene import look
from tests.classifier_svc.test_desk import crop_of, office
from tests.detector_svc.messages_of import crop

pytestmark = pytest.mark.integration


class Disk:
    """A small file system in memory."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._ballast = path / "ballast"

    def fill(self) -> None:
        with self._ballast.open("ab", buffering=0) as file:
            for size in (65_536, 4096, 512):
                with contextlib.suppress(OSError):
                    while file.write(bytes(size)):
                        pass

    def free(self) -> None:
        self._ballast.unlink()


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    path = tmp_path / "disk"
    path.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(path)]
    mounted = subprocess.run(command, capture_output=True, text=True, check=False, timeout=10)
    if mounted.returncode:
        pytest.skip(f"a small file system cannot be mounted here: {mounted.stderr.strip()}")
    try:
        yield Disk(path)
    finally:
        subprocess.run(["umount", "-l", str(path)], check=True, timeout=10)


def test_crops_are_kept_in_memory_while_the_disk_is_full_and_written_again_after(
    disk: Disk, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    spool = Spool(disk.path / "spool", 100_000_000, 300)
    spool.put(crop(0))
    disk.fill()
    for number in (1, 2, 3):
        spool.put(crop(number, jpeg=bytes(20_000)))
    disk.free()
    spool.put(crop(4))

    kept = [spool.read(entry) for entry in spool.after("yard", 0, 10)]
    assert [Crop.decode(each).id for each in kept if each] == [f"yard-a-0.{n}" for n in range(5)]
    assert spool.by_camera == {("yard", "unwritten"): 3}
    assert len(list((disk.path / "spool").rglob("*.json"))) == 2
    assert not list((disk.path / "spool").rglob("*.part"))
    said = [record.levelname for record in caplog.records if "spool" in record.message]
    assert said == ["ERROR", "INFO"]


def test_frames_are_dropped_while_the_store_is_full_and_stored_again_after(disk: Disk) -> None:
    numbers = itertools.count(1)

    def frame() -> FrameRef:
        at = next(numbers)
        return FrameRef(
            id=f"yard-{at}", camera="yard", run="r", sequence=0, captured_ns=at, media_ns=at,
            width=160, height=120,
        )  # fmt: skip

    image = np.full((120, 160, 3), 7, np.uint8)
    writer = FrameWriter(disk.path / "frames", "yard", 1_000_000)
    writer.write(frame(), image)
    disk.fill()
    with pytest.raises(StoreFull):
        writer.write(frame(), image)
    disk.free()
    after = frame()
    writer.write(after, image)

    assert (FrameReader(disk.path / "frames").read(after) == 7).all()
    assert not list((disk.path / "frames").rglob("*.part"))
    writer.close()


async def test_a_decision_waits_for_room_and_is_made_once(disk: Disk) -> None:
    async with office(disk.path) as one:
        await one.judge((0, "s"), (0.2, "s"))
        before = await one.said()
        looks = [
            look(0.5 + part / 10, "b", track="9", where=(900, 500, 990, 590)) for part in (0, 1)
        ]
        await one.receive(*(crop_of(each) for each in looks))
        entries = {entry.key: entry for entry in one.inbox.waiting.crops()}
        judgement = Judgement("confirmed", "big_gun", 0.9, "because")
        judged = [Judged(entries[each.id], each, judgement) for each in looks]
        disk.fill()

        with pytest.raises(DatabaseError, match="full"):
            await one.receive(*(crop_of(look(0.9 + n / 1000, track="8")) for n in range(50)))
        deciding = asyncio.create_task(one.desk.decide(judged, model_up=True))
        async with asyncio.timeout(60):
            while one.database.stats.failures < 2:  # noqa: ASYNC110 - a count has no event
                await asyncio.sleep(0.05)
        await asyncio.sleep(0.5)
        assert not deciding.done()
        disk.free()
        async with asyncio.timeout(60):
            await deciding
        after = await one.said()

    assert before[: len(before)] == after[: len(before)], "nothing that was committed is lost"
    assert after[len(before) :].count("alerts new") == 1, "and nothing is said twice"
    async with office(disk.path) as again:
        assert (await again.said())[: len(after)] == after
