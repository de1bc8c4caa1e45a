"""The desk with a real database, without a broker: what is stored together, and what comes back."""

import itertools
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from classifier_svc.desk import Desk, Judged
from classifier_svc.inbox import Inbox, Received
from classifier_svc.metrics import Metrics
from classifier_svc.outbox import Outbox
from classifier_svc.records import purge
from classifier_svc.schema import MIGRATIONS
from classifier_svc.snapshots import Snapshots
from classifier_svc.verdict import Judgement
from secondlook.adapters.database import Database
from secondlook.adapters.frames import FrameReader
from secondlook.config import Config
from secondlook.errors import DatabaseError
from secondlook.jpeg import comment_of
from secondlook.messages import Crop, Detected, Seen, TrackEnded
from secondlook.service import Health
from tests.classifier_svc.scene import START, box, look, ns
from tests.classifier_svc.test_outbox import Broker


class Office:
    """A desk and what lies around it; opened again on the same file it is the next process."""

    def __init__(self, database: Database, folder: Path, **config: Any) -> None:
        self.now_ns = START + ns(1)
        self.database = database
        self.health = Health()
        cameras = {config.pop("camera", "yard"): {"source": "synthetic:"}}
        self.config = Config.model_validate({"cameras": cameras} | config)
        self.inbox = Inbox(database, 300)
        self.outbox = Outbox(database, Broker(), lambda: self.now_ns, 900)
        ids = itertools.count(1)
        self.desk = Desk(
            self.config,
            database=database,
            inbox=self.inbox,
            outbox=self.outbox,
            snapshots=Snapshots(FrameReader(folder / "frames"), self.config.snapshots, UTC),
            metrics=Metrics(CollectorRegistry()),
            health=self.health,
            now_ns=lambda: self.now_ns,
            entropy=lambda: next(ids).to_bytes(10, "big"),
        )

    async def open(self) -> None:
        await self.inbox.load()
        await self.desk.restore()

    async def receive(self, *messages: Any) -> None:
        await self.inbox.put([Received(m, START) for m in messages], self.now_ns)

    async def judge(self, *given: tuple[float, str]) -> None:
        """Receive a crop for each look, and decide on them."""
        looks = [look(at, what) for at, what in given]
        await self.receive(*(crop_of(each) for each in looks))
        entries = {entry.key: entry for entry in self.inbox.waiting.crops()}
        judgement = Judgement("confirmed", "small_gun", 0.9, "because")
        judged = [Judged(entries[each.id], each, judgement) for each in looks]
        await self.desk.decide(judged, model_up=True)

    async def said(self) -> list[str]:
        """What lies in the outbox, by the first level of its topic."""
        rows = await self.database.read(
            lambda db: db.execute("SELECT topic, payload FROM outbox ORDER BY seq").fetchall()
        )
        lines = []
        for topic, payload in rows:
            name = topic.partition("/")[0]
            if name == "alerts":
                name += f" {json.loads(payload)['event']}"
            lines.append(f"{name} {payload.decode()}" if name == "state" else name)
        return lines


def crop_of(one: Any) -> Crop:
    return Crop(
        id=one.id,
        camera="yard",
        track=one.track,
        frame=one.frame,
        box=one.box,
        region=box((0, 0, 300, 300)),
        detector=Detected(model="yolov5", version="1", label="suspect", score=0.6),
        cause="new",
        track_started_ns=START,
        track_started_media_ns=0,
        detected_ms=40,
        jpeg=b"picture",
    )


def seen(at: float) -> Seen:
    return Seen(camera="yard", run="r1", media_ns=ns(at), captured_ns=START + ns(at))


@asynccontextmanager
async def office(folder: Path, **config: Any) -> AsyncIterator[Office]:
    async with Database(folder / "a", MIGRATIONS) as database:
        one = Office(database, folder, **config)
        await one.open()
        yield one


BEGIN = ["state OFF", "state OFF", "counters", "config", "config", "config", "blind_now"]
NEW = ["snapshots", "alerts new", "last", "newest", "state ON", "events", "counters"]


async def test_a_decision_lies_in_the_outbox_when_it_is_made(tmp_path: Path) -> None:
    async with office(tmp_path) as one:
        await one.judge((0, "s"), (0.2, "s"))
        assert await one.said() == [*BEGIN, *NEW]


async def test_what_is_decided_is_one_transaction(tmp_path: Path) -> None:
    async with office(tmp_path) as one:
        before = one.database.stats.commits
        await one.judge((0, "s"), (0.2, "s"))
        assert one.database.stats.commits == before + 2  # taking in, deciding


async def test_the_next_process_goes_on_where_this_one_ended(tmp_path: Path) -> None:
    async with office(tmp_path) as one:
        await one.judge((0, "s"))
    async with office(tmp_path) as two:
        await two.judge((0.2, "s"))
        assert (await two.said()).count("alerts new") == 1
    async with office(tmp_path) as three:
        lines = await three.said()
        assert lines[-len(BEGIN) :] == ["state ON", *BEGIN[1:]]
        await three.receive(*(seen(second) for second in range(9)))
        await three.desk.decide([], model_up=True)
        assert (await three.said())[-3:] == ["alerts end", "last", "state OFF"]


async def test_a_decision_that_could_not_be_stored_is_nothing_to_the_next_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        """The process ends right here."""

    async with office(tmp_path) as one:
        await one.judge((0, "s"))

        async def fails(_work: Any) -> None:
            raise Killed

        await one.receive(crop_of(look(0.2)))
        monkeypatch.setattr(one.database, "write", fails)
        entry = one.inbox.waiting.crops()[0]
        judged = Judged(entry, look(0.2), Judgement("confirmed", "small_gun", 0.9, ""))
        with pytest.raises(Killed):
            await one.desk.decide([judged], model_up=True)
        monkeypatch.undo()
    async with office(tmp_path) as two:
        assert [entry.key for entry in two.inbox.waiting.crops()] == [look(0.2).id]
        assert "alerts new" not in await two.said()


async def test_a_commit_is_tried_until_it_succeeds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with office(tmp_path) as one:
        write, failures = one.database.write, iter([True, True, False])

        async def fails_twice(work: Any) -> Any:
            if next(failures, False):
                raise DatabaseError("the disk is full")
            return await write(work)

        monkeypatch.setattr(one.database, "write", fails_twice)
        await one.desk.test_alert("yard", "big_gun")
        assert (await one.said())[-3:] == ["snapshots", "alerts new", "alerts end"]
        assert "database: ok" in one.health.ready()[1]


async def test_how_far_was_seen_alone_is_no_commit(tmp_path: Path) -> None:
    async with office(tmp_path) as one:
        before = one.database.stats.commits
        await one.receive(seen(1), seen(2))
        await one.desk.decide([], model_up=True)
        await one.desk.tick(model_up=True, heartbeat=False)
        assert one.database.stats.commits == before
        await one.desk.tick(model_up=True, heartbeat=True)
        assert one.database.stats.commits == before + 1


async def test_shed_crops_make_way_for_what_waits_behind_them(tmp_path: Path) -> None:
    async with office(tmp_path) as one:
        await one.judge((0, "r"))
        ended = TrackEnded(
            camera="yard", track="yard-1", run="r1", media_ns=0, captured_ns=START, looks=2
        )
        await one.receive(crop_of(look(0.2)), ended)
        assert "events" not in await one.said()
        await one.desk.shed(one.inbox.waiting.crops(), "too_old", model_up=False)
        assert await one.said() == [*BEGIN, "events", "counters"]
        one.now_ns += ns(10)
        await one.desk.tick(model_up=True, heartbeat=False)
        assert (await one.said())[-1] == "blind"
    async with office(tmp_path) as two:
        assert len(two.inbox.waiting) == 0


async def test_a_label_that_alerts_no_more_ends_at_the_start(tmp_path: Path) -> None:
    async with office(tmp_path) as one:
        await one.judge((0, "s"), (0.2, "s"))
    async with office(tmp_path, alerts={"labels": ["big_gun"]}) as two:
        assert "alerts end" in await two.said()


async def test_memory_that_cannot_be_read_is_forgotten(tmp_path: Path) -> None:
    async with office(tmp_path) as one:
        await one.judge((0, "s"), (0.2, "s"))
        await one.database.write(lambda db: db.execute("UPDATE memory SET value = 'x'"))
    async with office(tmp_path) as two:
        assert (await two.said())[-len(BEGIN) :] == BEGIN


async def test_the_time_without_a_process_is_told_as_blind(tmp_path: Path) -> None:
    async with office(tmp_path):
        pass
    async with Database(tmp_path / "a", MIGRATIONS) as database:
        two = Office(database, tmp_path)
        two.now_ns += ns(60)
        await two.open()
        assert "blind" in await two.said()


async def test_counters_begin_again_at_midnight(tmp_path: Path) -> None:
    async with office(tmp_path) as one:
        await one.judge((0, "s"), (0.2, "s"))
        one.now_ns += ns(86_400)
        await one.desk.tick(model_up=True, heartbeat=False)
        lines = await one.said()
        assert lines == [*BEGIN, *NEW, "counters"]


@pytest.mark.parametrize(
    ("hours", "counted"),
    [pytest.param(1, 1, id="the-same-day"), pytest.param(18, 0, id="after-local-midnight")],
)
async def test_counters_outlive_a_restart_until_local_midnight(
    tmp_path: Path, hours: int, counted: int
) -> None:
    async with office(tmp_path, timezone="Europe/Berlin") as one:  # 07:13 there
        await one.judge((0, "s"), (0.2, "s"))
    async with Database(tmp_path / "a", MIGRATIONS) as database:
        two = Office(database, tmp_path, timezone="Europe/Berlin")
        two.now_ns += ns(hours * 3600)
        await two.open()
        rows = await database.read(
            lambda db: db.execute(
                "SELECT payload FROM outbox WHERE topic LIKE 'counters/%' ORDER BY seq"
            ).fetchall()
        )
        told = json.loads(rows[-1][0])
        assert (told["alerts"], told["looks"]) == (counted, 2 * counted)


@pytest.fixture(autouse=True)
def quick_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("classifier_svc.ledger.Backoff.next_s", lambda _self: 0.001)


async def test_a_camera_that_is_configured_no_more_is_taken_leave_of(tmp_path: Path) -> None:
    async with office(tmp_path) as first:
        await first.judge((0, "s"), (0.2, "s"))
        await first.receive(crop_of(look(0.4, "s")), seen(1))
        await first.database.write(lambda db: db.execute("DELETE FROM outbox"))
    async with office(tmp_path, camera="gate") as second:
        said = await second.said()
        assert said[:2] == ["alerts end", "state OFF"]
        [payload] = await second.database.read(
            lambda db: db.execute(
                "SELECT payload FROM outbox WHERE topic LIKE 'alerts/%'"
            ).fetchone()
        )
        assert (json.loads(payload)["reason"], json.loads(payload)["sequence"]) == ("gone", 1)
        assert len(second.inbox.waiting) == 0, "nobody is there to judge for it"
        left = await second.database.read(
            lambda db: db.execute("SELECT camera FROM memory WHERE camera = 'yard'").fetchall()
        )
        assert left == []
    async with office(tmp_path, camera="gate") as third:
        assert "alerts end" not in (await third.said())[6:]
        assert len(third.inbox.waiting) == 0


async def kept_pictures(one: Office) -> dict[str, str]:
    """The snapshot that is kept of each alert."""
    rows = await one.database.read(
        lambda db: db.execute("SELECT alert_id, snapshot_id, jpeg FROM pictures").fetchall()
    )
    assert all(comment_of(jpeg) == snapshot for _, snapshot, jpeg in rows)
    return {alert: snapshot.removeprefix(f"{alert}.") for alert, snapshot, _ in rows}


async def test_the_newest_picture_of_an_alert_is_kept_with_it(tmp_path: Path) -> None:
    async with office(tmp_path, alerts={"update_s": 0.001}) as one:
        await one.judge((0, "s"), (0.2, "s"))
        [alert] = await kept_pictures(one)
        assert await kept_pictures(one) == {alert: "0"}
        better = look(0.4, score=1.0)
        await one.receive(crop_of(better))
        [entry] = one.inbox.waiting.crops()
        judgement = Judgement("confirmed", "small_gun", 1.0, "because")
        await one.desk.decide([Judged(entry, better, judgement)], model_up=True)
        assert await kept_pictures(one) == {alert: "1"}
        await one.database.write(lambda db: db.execute("DELETE FROM outbox"))
        await one.database.write(lambda db: purge(db, 0))
        assert await kept_pictures(one) == {}, "it goes with its alert"


async def test_pictures_are_not_kept_where_that_is_configured(tmp_path: Path) -> None:
    async with office(tmp_path, snapshots={"keep": False}) as one:
        await one.judge((0, "s"), (0.2, "s"))
        assert "snapshots" in await one.said()
        assert await kept_pictures(one) == {}
