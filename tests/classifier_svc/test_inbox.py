from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from classifier_svc.inbox import FRESH, Inbox, Received, mark_done, purge
from classifier_svc.schema import MIGRATIONS
from secondlook.adapters.database import Database
from secondlook.errors import DatabaseError
from secondlook.messages import Crop, Detected, Seen, TrackEnded
from tests.classifier_svc.scene import HERE, START, box, frame, ns


def crop(at: float, track: str = "1", jpeg: bytes = b"picture") -> Crop:
    return Crop(
        id=f"yard-{track}.{round(at * 10)}",
        camera="yard",
        track=f"yard-{track}",
        frame=frame(at),
        box=box(HERE),
        region=box(HERE),
        detector=Detected(model="yolov5", version="1", label="suspect", score=0.6),
        cause="new",
        track_started_ns=START,
        track_started_media_ns=0,
        detected_ms=40,
        jpeg=jpeg,
    )


def ended(track: str = "1") -> TrackEnded:
    return TrackEnded(
        camera="yard", track=f"yard-{track}", run="r1", media_ns=0, captured_ns=START, looks=1
    )


SEEN = Seen(camera="yard", run="r1", media_ns=0, captured_ns=START)


def received(*messages: Any) -> list[Received]:
    return [Received(message, START + ns(0.1)) for message in messages]


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    async with Database(tmp_path / "a", MIGRATIONS) as opened:
        yield opened


class Clocks:
    """The wall clock and a steady one, which go together until somebody sets the first."""

    now_ns = START
    steady_s = 1000.0

    def later(self, seconds: float) -> None:
        self.now_ns += ns(seconds)
        self.steady_s += seconds

    def set_forward(self, seconds: float) -> None:
        self.now_ns += ns(seconds)

    def inbox(self, database: Database) -> Inbox:
        return Inbox(database, 300, now_ns=lambda: self.now_ns, steady_s=lambda: self.steady_s)


async def reopened(database: Database) -> Inbox:
    inbox = Inbox(database, 300, now_ns=lambda: START)
    await inbox.load()
    return inbox


async def test_what_was_put_is_there_after_a_restart_in_order(database: Database) -> None:
    inbox = Inbox(database, 300)
    await inbox.put(received(crop(0.2), ended(), crop(0.1, "2")), START)
    for each in (inbox, await reopened(database)):
        keys = [entry.key for entry in each.waiting.crops()]
        assert keys == ["yard-1.2", "yard-2.1"]
        assert each.waiting.tracks() == {"yard-1", "yard-2"}
        assert each.filled.is_set()
        crops = await each.crops(each.waiting.crops())
        assert crops["yard-1.2"] == crop(0.2)
        each.waiting.remove([entry for entry in each.waiting.crops() if entry.track == "yard-1"])
        [marker] = each.waiting.ready_markers()
        assert marker.marker == ended()


async def test_a_crop_that_is_sent_again_is_taken_once(database: Database) -> None:
    inbox = Inbox(database, 300)
    await inbox.put(received(crop(0.2), crop(0.2)), START)
    await inbox.put(received(crop(0.2), ended(), ended()), START)
    assert len(inbox.waiting) == 1
    assert inbox.counts["again"] == 3
    entries = inbox.waiting.crops()
    await database.write(lambda db: mark_done(db, entries, START))
    again = await reopened(database)
    await again.put(received(crop(0.2)), START)
    assert len(again.waiting) == 0


async def test_a_crop_older_than_hold_s_is_not_taken(database: Database) -> None:
    inbox = Inbox(database, 300)
    await inbox.put(received(crop(0), crop(1)), START + ns(300.5))
    assert [entry.key for entry in inbox.waiting.crops()] == ["yard-1.10"]
    assert inbox.counts["too_old"] == 1


async def test_seen_waits_in_line_but_not_on_disk(database: Database) -> None:
    inbox = Inbox(database, 300)
    await inbox.put(received(SEEN, crop(0.2), SEEN), START)
    assert len(inbox.waiting.ready_markers()) == 1
    assert database.stats.commits == 1
    await inbox.put(received(SEEN), START)
    assert database.stats.commits == 1
    assert (await reopened(database)).waiting.ready_markers() == []


async def test_a_batch_is_one_commit(database: Database) -> None:
    await Inbox(database, 300).put(received(*(crop(n) for n in range(50))), START)
    assert database.stats.commits == 1


async def test_what_could_not_be_stored_is_not_taken_and_can_be_put_again(
    database: Database,
) -> None:
    inbox = Inbox(database, 300)
    await database.read(lambda db: db.execute("PRAGMA max_page_count=25").fetchone())
    big = received(crop(0.2, jpeg=b"x" * 500_000))
    with pytest.raises(DatabaseError, match="full"):
        await inbox.put(big, START)
    assert len(inbox.waiting) == 0
    await database.read(lambda db: db.execute("PRAGMA max_page_count=100000").fetchone())
    await inbox.put(big, START)
    assert len(inbox.waiting) == 1


async def test_pictures_go_soon_and_keys_when_they_cannot_come_again(database: Database) -> None:
    inbox = Inbox(database, 300)
    await inbox.put(received(crop(0), crop(1)), START)
    first, second = inbox.waiting.crops()
    await database.write(lambda db: mark_done(db, [first], START))

    await database.write(lambda db: purge(db, START + ns(-1), START + ns(-571)))
    assert set(await inbox.crops([first, second])) == {first.key, second.key}
    await database.write(lambda db: purge(db, START + ns(1), START + ns(-569)))
    assert set(await inbox.crops([first, second])) == {second.key}

    await database.write(lambda db: purge(db, START + ns(569), START + ns(-1)))
    await inbox.put(received(crop(0)), START)
    assert inbox.counts["again"] == 1
    await database.write(lambda db: purge(db, START + ns(571), START + ns(1)))
    [(left,)] = await database.read(lambda db: db.execute("SELECT key FROM inbox").fetchall())
    assert left == second.key


async def test_a_stored_crop_that_cannot_be_read_is_missing(database: Database) -> None:
    inbox = Inbox(database, 300)
    await inbox.put(received(crop(0), crop(1)), START)
    await database.write(
        lambda db: db.execute("UPDATE inbox SET payload = x'00' WHERE key = 'yard-1.0'")
    )
    again = await reopened(database)
    assert set(await again.crops(again.waiting.crops())) == {"yard-1.10"}


async def test_only_the_crops_that_came_last_are_kept_in_memory_and_only_until_they_are_taken(
    database: Database,
) -> None:
    inbox = Inbox(database, 300)
    count = FRESH + 3
    await inbox.put(received(*(crop(n) for n in range(count))), START)
    entries = inbox.waiting.crops()
    assert await inbox.crops(entries) == {entry.key: crop(n) for n, entry in enumerate(entries)}

    await inbox.put(received(*(crop(n) for n in range(count, 2 * count))), START)
    await database.write(lambda db: db.execute("UPDATE inbox SET payload = NULL"))
    taken = await inbox.crops(inbox.waiting.crops())
    assert list(taken) == [entry.key for entry in inbox.waiting.crops()[-FRESH:]]
    assert await inbox.crops(inbox.waiting.crops()) == {}


@pytest.mark.parametrize("jump_s", [3 * 3600, -3 * 3600, 400 * 86_400], ids=["on", "back", "year"])
async def test_setting_the_clock_makes_no_crop_too_old(database: Database, jump_s: float) -> None:
    clocks = Clocks()
    inbox = clocks.inbox(database)
    await inbox.put(received(crop(0)), clocks.now_ns)
    clocks.later(10)
    clocks.set_forward(jump_s)
    late = crop(5)  # captured before the clock was set, on its way meanwhile
    await inbox.put(received(late), clocks.now_ns)

    assert [entry.key for entry in inbox.waiting.crops()] == ["yard-1.0", "yard-1.50"]
    assert inbox.overdue() == []
    clocks.later(289)
    assert inbox.overdue() == []
    clocks.later(2)
    assert [entry.key for entry in inbox.overdue()] == ["yard-1.0"]
    assert inbox.counts["too_old"] == 0


async def test_a_crop_that_is_too_old_by_both_clocks_is_not_taken(database: Database) -> None:
    clocks = Clocks()
    inbox = clocks.inbox(database)
    await inbox.put([], clocks.now_ns)
    clocks.later(301)
    await inbox.put(received(crop(0)), clocks.now_ns)

    assert inbox.counts["too_old"] == 1
    assert len(inbox.waiting) == 0


async def test_a_crop_sent_again_after_the_clock_was_set_is_still_known(
    database: Database,
) -> None:
    clocks = Clocks()
    inbox = clocks.inbox(database)
    await inbox.put(received(crop(0)), clocks.now_ns)
    await database.write(lambda db: mark_done(db, inbox.waiting.crops(), clocks.now_ns))
    inbox.waiting.remove(inbox.waiting.crops())
    clocks.later(10)
    clocks.set_forward(3 * 3600)
    await inbox.purge()
    await inbox.put(received(crop(0)), clocks.now_ns)

    assert inbox.counts["again"] == 1
    clocks.later(620)
    await inbox.purge()
    assert await database.read(lambda db: db.execute("SELECT * FROM inbox").fetchall()) == []


async def test_a_camera_that_floods_the_inbox_costs_the_others_nothing(
    database: Database,
) -> None:
    inbox = Clocks().inbox(database)
    flood = [of_camera(crop(n / 10, f"{n}"), "gate") for n in range(1500)]
    quiet = [crop(n / 10, "1") for n in range(5)]
    for start in range(0, 1500, 200):
        await inbox.put(received(*flood[start : start + 200]), START)
    await inbox.put(received(*quiet), START)

    first = inbox.waiting.next_crops(10, lambda _: True)
    assert [e.camera for e in first].count("yard") == 5
    shed = inbox.waiting.excess(1000, 1e9, lambda _: True)
    assert len(shed) == 505
    assert {entry.camera for entry in shed} == {"gate"}
    assert [entry.seq for entry in shed] == list(range(1, 506)), "the oldest go first"


def of_camera(one: Crop, camera: str) -> Crop:
    text = one.encode().decode().replace("yard-", f"{camera}-").replace('"yard"', f'"{camera}"')
    return Crop.decode(text)


async def test_the_bytes_that_wait_are_known_also_after_a_restart(database: Database) -> None:
    inbox = Clocks().inbox(database)
    await inbox.put(received(crop(0, jpeg=b"x" * 30_000), crop(1, "2", jpeg=b"x" * 30_000)), START)
    again = await reopened(database)
    assert 80_000 <= inbox.waiting.size_bytes <= again.waiting.size_bytes <= 90_000

    shed = again.waiting.excess(1000, 60_000, lambda _: True)
    assert [entry.key for entry in shed] == ["yard-1.0"]
    again.waiting.remove(again.waiting.crops())
    assert again.waiting.size_bytes == 0
