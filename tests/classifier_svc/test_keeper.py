"""The keeper on real files."""

import asyncio
import contextlib
import os
import stat
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from classifier_svc import keeper as keeper_module
from classifier_svc.keeper import FEEDBACK_WAITING, WAITING, Keeper
from secondlook.adapters.review_folder import ReviewFolder
from secondlook.config import Review
from secondlook.messages import Feedback
from secondlook.review_set import ALERTS, UNSORTED
from tests.secondlook.review_notes import ULID, crop, jpeg, verdict

ALERT = f"yard-{ULID}"


@contextlib.asynccontextmanager
async def running(path: Path, **rule: Any) -> AsyncIterator[Keeper]:
    keeper = Keeper(Review(enabled=True, **rule), ReviewFolder(path))
    task = asyncio.create_task(keeper.run())
    yield keeper
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110 - the keeper's thread sets no event
            await asyncio.sleep(0.01)


def offer(keeper: Keeper, number: int, outcome: str = "rejected", label: str = "phone",
          episode: str | None = None, **more: Any) -> None:  # fmt: skip
    one = crop(number, **more)
    keeper.offer(one, verdict(one, outcome, label, episode), episode and "small_gun")


def labels(path: Path) -> list[str]:
    return [each.label for each in ReviewFolder(path).scan()]


def all_taken(keeper: Keeper, number: int) -> Callable[[], bool]:
    outcomes = ("kept", "again", "failed", "dropped")
    return lambda: sum(keeper.counts[name] for name in outcomes) == number


async def test_looks_are_kept_under_the_label_that_is_proposed(tmp_path: Path) -> None:
    async with running(tmp_path) as keeper:
        offer(keeper, 1)
        offer(keeper, 2, "uncertain")
        offer(keeper, 3, "confirmed", "small_gun", ALERT)
        await until(all_taken(keeper, 3))
    assert sorted(labels(tmp_path)) == [ALERTS, UNSORTED, "phone"]
    [rejected] = [each for each in ReviewFolder(tmp_path).scan() if each.label == "phone"]
    assert ReviewFolder(tmp_path).picture(rejected).read_bytes() == jpeg(1)


async def test_what_is_off_by_default_keeps_nothing(tmp_path: Path) -> None:
    keeper = Keeper(Review(), ReviewFolder(tmp_path / "review"))
    offer(keeper, 1)
    keeper.tell([Feedback(id=ALERT, truth="true_alarm")])
    assert keeper._queue.empty()


async def test_the_same_picture_again_is_counted_and_not_kept(tmp_path: Path) -> None:
    async with running(tmp_path) as keeper:
        for number in range(1, 5):
            offer(keeper, number, jpeg=jpeg(1))
        await until(all_taken(keeper, 4))
    assert (keeper.counts["kept"], keeper.counts["again"]) == (1, 3)
    assert labels(tmp_path) == ["phone"]


async def test_no_more_are_kept_than_allowed_and_the_oldest_go(tmp_path: Path) -> None:
    async with running(tmp_path, max_count=3) as keeper:
        for number in range(1, 8):
            offer(keeper, number)
        await until(all_taken(keeper, 7))
    assert keeper.counts["removed"] == 4
    assert [each.id for each in ReviewFolder(tmp_path).scan()] == [
        f"yard-1.{number}" for number in (5, 6, 7)
    ]


async def test_a_smaller_bound_shrinks_what_an_earlier_process_left(tmp_path: Path) -> None:
    async with running(tmp_path) as keeper:
        for number in range(1, 6):
            offer(keeper, number)
        await until(all_taken(keeper, 5))
    async with running(tmp_path, max_count=2) as keeper:
        offer(keeper, 5)
        await until(lambda: keeper.counts["again"] == 1)
    assert keeper.counts["removed"] == 3
    assert len(labels(tmp_path)) == 2


async def test_feedback_finds_a_static_picture_that_was_kept_before_the_alert_began(
    tmp_path: Path,
) -> None:
    async with running(tmp_path) as keeper:
        offer(keeper, 1, "confirmed", "small_gun", jpeg=jpeg(1))
        offer(keeper, 2, "confirmed", "small_gun", ALERT, jpeg=jpeg(1))
        keeper.tell([Feedback(id=ALERT, truth="false_alarm", label="umbrella")])
        await until(lambda: keeper.counts["corrected"] == 1)
    [found] = ReviewFolder(tmp_path).scan()
    assert (found.label, found.id, found.by_human) == ("umbrella", "yard-1.1", True)
    assert found.note is not None
    assert found.note.alert == ALERT


async def test_an_episode_that_goes_on_after_its_feedback_goes_where_people_said(
    tmp_path: Path,
) -> None:
    async with running(tmp_path) as keeper:
        offer(keeper, 1, "confirmed", "small_gun", ALERT)
        keeper.tell([Feedback(id=ALERT, truth="false_alarm", label="umbrella")])
        offer(keeper, 2, "confirmed", "small_gun", ALERT)
        await until(lambda: labels(tmp_path) == ["umbrella", "umbrella"])


async def test_what_was_relabelled_meanwhile_is_no_error(tmp_path: Path) -> None:
    async with running(tmp_path) as keeper:
        offer(keeper, 1, "confirmed", "small_gun", ALERT)
        await until(all_taken(keeper, 1))
        other = ReviewFolder(tmp_path)
        [found] = other.scan()
        other.move(found, "phone", found.note)
        keeper.tell([Feedback(id=ALERT, truth="true_alarm")])
        offer(keeper, 2)
        await until(all_taken(keeper, 2))
    assert labels(tmp_path) == ["phone", "phone"]
    assert keeper.counts["failed"] == 0


async def test_rubbish_for_a_picture_is_not_kept_and_the_next_one_is(tmp_path: Path) -> None:
    async with running(tmp_path) as keeper:
        offer(keeper, 1, jpeg=b"no picture")
        offer(keeper, 2)
        await until(lambda: keeper.counts["kept"] == 1)
    assert labels(tmp_path) == ["phone"]


async def test_offers_never_wait_what_is_too_much_is_dropped_and_counted(tmp_path: Path) -> None:
    keeper = Keeper(Review(enabled=True), ReviewFolder(tmp_path))
    for number in range(WAITING + 7):
        offer(keeper, number)
    assert keeper.counts["dropped"] == 7
    keeper.tell([Feedback(id=ALERT, truth="true_alarm")] * (FEEDBACK_WAITING + 1))
    assert keeper.counts["dropped"] == 8


@pytest.fixture
def full_disk(tmp_path: Path) -> Iterator[Path]:
    """A real file system with 64 kB, nearly filled."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k,mode=0700", "tmpfs", str(place)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("needs root and the right to mount a small tmpfs")
    with contextlib.suppress(OSError), (place / "filler").open("wb") as filler:
        while True:
            filler.write(bytes(4096))
            filler.flush()
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


async def test_a_full_disk_is_counted_said_once_and_forgotten_when_there_is_room(
    full_disk: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with running(full_disk / "review") as keeper:
        offer(keeper, 1)
        offer(keeper, 2)
        await until(lambda: keeper.counts["failed"] == 2)
        (full_disk / "filler").unlink()
        offer(keeper, 3)
        await until(lambda: keeper.counts["kept"] == 1)
    assert labels(full_disk / "review") == ["phone"]
    assert [r.message for r in caplog.records if r.levelname == "ERROR"] == [
        f"crops for review are not written to {full_disk / 'review'}: No space left on device"
    ]


async def test_a_folder_that_cannot_be_made_stops_nothing(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file")
    async with running(tmp_path / "taken" / "review") as keeper:
        offer(keeper, 1)
        keeper.tell([Feedback(id=ALERT, truth="true_alarm")])
        await until(lambda: keeper.counts["failed"] == 2)


async def test_what_people_do_in_the_folder_is_seen_after_a_while(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeper_module, "SCAN_EVERY_S", 0)
    async with running(tmp_path) as keeper:
        offer(keeper, 1)
        await until(all_taken(keeper, 1))
        other = ReviewFolder(tmp_path)
        other.remove(other.scan()[0])
        offer(keeper, 2, jpeg=jpeg(1))
        await until(all_taken(keeper, 2))
    assert keeper.counts["kept"] == 2


async def test_files_are_private(tmp_path: Path) -> None:
    place = tmp_path / "review"
    async with running(place) as keeper:
        offer(keeper, 1)
        await until(all_taken(keeper, 1))
    modes = {stat.S_IMODE(path.stat().st_mode) for path in (place, *place.rglob("*"))}
    assert modes == {0o700, 0o600}
