import asyncio
import contextlib
import itertools
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from classifier_svc.alerts import test_alerts
from classifier_svc.outbox import Outbox
from classifier_svc.outbox_rows import (
    TOGETHER,
    Outgoing,
    Row,
    outgoing,
    purge,
    put,
    stale_retained,
    stale_states,
    together,
)
from classifier_svc.pictures import Pictures
from classifier_svc.records import keep_pictures
from classifier_svc.schema import MIGRATIONS
from secondlook import topics
from secondlook.adapters.database import Connection, Database
from secondlook.errors import NotConnected
from secondlook.messages import Alert, Blind, Replay, moment_of
from secondlook.topics import Topic
from tests.classifier_svc.scene import START, ns

KINDS = ["crop", "clean"]


class Broker:
    """Remembers what it was given; may be away, or refuse."""

    def __init__(self) -> None:
        self.connected = True
        self.taken: list[tuple[str, bytes]] = []
        self.refuses: Callable[[str], bool] = lambda _path: False
        self.dies_after: int | None = None
        self.before_acknowledging: Callable[[], Awaitable[object]] = partial(asyncio.sleep, 0)

    async def publish(self, topic: Topic[Any], message: Any, **levels: str) -> None:
        path = topic.path("home", **levels)
        if self.dies_after is not None and len(self.taken) >= self.dies_after:
            self.connected = False
        if not self.connected:
            raise NotConnected("away")
        if self.refuses(path):
            raise NotConnected("refused")
        self.taken.append((path, topic.encode(message)))
        await self.before_acknowledging()

    def paths(self) -> list[str]:
        return [path.removeprefix("home/") for path, _ in self.taken]


class Clock:
    now_ns = START

    def __call__(self) -> int:
        return self.now_ns


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    async with Database(tmp_path / "a", MIGRATIONS) as opened:
        yield opened


@contextlib.asynccontextmanager
async def running(database: Database, broker: Broker, clock: Clock) -> AsyncIterator[Outbox]:
    outbox = Outbox(database, broker, clock, 900)
    task = asyncio.create_task(outbox.run())
    try:
        yield outbox
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110 - what is waited for has no event
            await asyncio.sleep(0.005)


def alert(number: int = 0) -> Alert:
    now_ns = START + ns(number)
    return test_alerts("yard", "big_gun", root="home", now_ns=now_ns, entropy=bytes(10))[0]


def messages(number: int = 0) -> list[Outgoing]:
    one = alert(number)
    return [
        outgoing(topics.SNAPSHOTS, b"jpeg", camera="yard"),
        outgoing(topics.ALERTS, one, camera="yard", label="big_gun"),
        outgoing(topics.LAST, one, camera="yard", label="big_gun"),
        outgoing(topics.STATE, "ON", camera="yard", label="big_gun"),
    ]


PATHS = [
    "snapshots/yard",
    "alerts/yard/big_gun",
    "last/yard/big_gun",
    "state/yard/big_gun",
]


async def put_in(database: Database, given: list[Outgoing], now_ns: int = START) -> None:
    await database.write(lambda db: put(db, given, now_ns))


async def test_messages_go_out_in_the_order_they_were_put(database: Database) -> None:
    broker = Broker()
    await put_in(database, messages())
    async with running(database, broker, Clock()) as outbox:
        await until(lambda: len(broker.taken) == 4)
        await put_in(database, messages(1))
        outbox.wake()
        await until(lambda: len(broker.taken) == 8)
        await until(lambda: outbox.depth == 0)
    assert broker.paths() == PATHS * 2
    assert Alert.decode(broker.taken[1][1]) == alert()


async def test_a_snapshot_and_its_alert_do_not_wait_for_each_other(database: Database) -> None:
    broker = Broker()
    taken = asyncio.Event()
    broker.before_acknowledging = taken.wait
    await put_in(database, messages())
    async with running(database, broker, Clock()) as outbox:
        await until(lambda: len(broker.taken) == 2)
        await asyncio.sleep(0.02)
        assert broker.paths() == PATHS[:2], "what follows from an alert waits for it"
        taken.set()
        await until(lambda: outbox.depth == 0)
    assert broker.paths() == PATHS


async def test_of_two_messages_for_one_topic_the_later_one_comes_last_whatever_is_refused(
    database: Database,
) -> None:
    broker = Broker()
    refusals = iter([True])
    broker.refuses = lambda _path: next(refusals, False)
    states: list[topics.OnOff] = ["ON", "OFF"]
    await put_in(
        database, [outgoing(topics.STATE, each, camera="yard", label="big_gun") for each in states]
    )
    async with running(database, broker, Clock()) as outbox:
        await until(lambda: outbox.counts["published"] == 2)
    assert [payload for _, payload in broker.taken] == [b"ON", b"OFF"]


@given(st.lists(st.tuples(st.integers(0, 4), st.sampled_from([None, "a", "b"])), max_size=60))
def test_groups_keep_the_order_hold_one_alert_at_their_end_and_no_topic_twice(
    drawn: list[tuple[int, str | None]],
) -> None:
    rows = [Row(n, f"t{topic}", "{}", b"", alert) for n, (topic, alert) in enumerate(drawn)]
    groups = list(together(rows))
    assert [row for group in groups for row in group] == rows
    for group in groups:
        assert 1 <= len(group) <= TOGETHER
        assert len({row.topic for row in group}) == len(group)
        assert all(row.alert_id is None for row in group[:-1])
    for group, after in itertools.pairwise(groups):
        full = len(group) == TOGETHER or group[-1].alert_id is not None
        assert full or after[0].topic in {row.topic for row in group}, "no group is too small"


async def test_what_was_not_acknowledged_goes_again_and_nothing_else(database: Database) -> None:
    broker = Broker()
    broker.dies_after = 2
    await put_in(database, messages())
    async with running(database, broker, Clock()):
        await until(lambda: not broker.connected)
        await asyncio.sleep(0.05)
        broker.connected, broker.dies_after = True, None
        await until(lambda: len(broker.taken) == 4)
    assert broker.paths() == PATHS


async def test_a_restart_sends_the_very_same_bytes(database: Database) -> None:
    away, broker = Broker(), Broker()
    away.connected = False
    await put_in(database, messages())
    async with running(database, away, Clock()):
        await asyncio.sleep(0.05)
    async with running(database, broker, Clock()):
        await until(lambda: len(broker.taken) == 4)
    assert broker.taken[1][1] == alert().encode()


async def test_a_new_broker_is_told_what_it_should_have_retained_after_what_waits(
    database: Database,
) -> None:
    broker = Broker()
    await put_in(database, [*messages(), outgoing(topics.STATE, "OFF", camera="yard", label="b")])
    async with running(database, broker, Clock()) as outbox:
        await until(lambda: outbox.counts["published"] == 5)
        await until(lambda: outbox.depth == 0)
        broker.taken.clear()
        await put_in(database, [outgoing(topics.STATE, "OFF", camera="yard", label="big_gun")])
        await outbox.connected()
        await until(lambda: len(broker.taken) == 4)
        await asyncio.sleep(0.02)
    first, *rest = [(path.removeprefix("home/"), payload) for path, payload in broker.taken]
    assert first == ("state/yard/big_gun", b"OFF")
    assert dict(rest) == {
        "snapshots/yard": b"jpeg",
        "last/yard/big_gun": alert().encode(),
        "state/yard/b": b"OFF",
    }
    assert len(rest) == 3


async def test_a_state_of_what_is_configured_no_more_is_put_off(database: Database) -> None:
    broker = Broker()
    await put_in(database, [*messages(), outgoing(topics.STATE, "OFF", camera="old", label="b")])
    async with running(database, broker, Clock()) as outbox:
        await until(lambda: len(broker.taken) == 5)
        await until(lambda: outbox.depth == 0)
    nothing = await database.read(lambda db: stale_states(db, {("yard", "big_gun")}))
    assert nothing == []
    ghosts = await database.read(lambda db: stale_states(db, {("yard", "small_gun")}))
    assert ghosts == [outgoing(topics.STATE, "OFF", camera="yard", label="big_gun")]


async def test_a_refused_snapshot_does_not_hold_up_alerts_for_ever(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("classifier_svc.outbox.GIVE_UP_AFTER", 2)
    broker = Broker()
    broker.refuses = lambda path: "snapshots" in path
    await put_in(database, messages())
    async with running(database, broker, Clock()) as outbox:
        await until(lambda: len(broker.taken) == 3)
        assert outbox.counts["given_up"] == 1
    assert broker.paths() == PATHS[1:]


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("classifier_svc.outbox.GIVE_UP_AFTER", 2)
    monkeypatch.setattr("classifier_svc.outbox.AGAIN_AFTER_S", 0.3)


async def test_a_refused_alert_is_tried_again_until_it_is_taken(
    database: Database, soon: None
) -> None:
    broker = Broker()
    tries = []

    def refuses(path: str) -> bool:
        if "alerts" in path:
            tries.append(path)
        return "alerts" in path and len(tries) < 4

    broker.refuses = refuses
    await put_in(database, messages())
    async with running(database, broker, Clock()) as outbox:
        await until(lambda: len(broker.taken) == 4)
        await until(lambda: outbox.depth == 0)
    assert sorted(broker.paths()) == sorted(PATHS)
    assert outbox.refused == 0


async def test_an_episode_whose_alert_is_refused_waits_as_a_whole_and_blocks_no_other(
    database: Database, soon: None, caplog: pytest.LogCaptureFixture
) -> None:
    broker = Broker()
    broker.refuses = lambda path: path == "home/alerts/yard/big_gun"
    new, end = test_alerts("yard", "big_gun", root="home", now_ns=START, entropy=bytes(10))
    other = test_alerts("gate", "big_gun", root="home", now_ns=START, entropy=bytes(10))[0]

    def row(one: Alert) -> Outgoing:
        return outgoing(topics.ALERTS, one, camera=one.camera, label="big_gun")

    await put_in(database, [row(new), row(other), row(end)])
    async with running(database, broker, Clock()) as outbox:
        await until(lambda: outbox.refused == 1)
        await until(lambda: broker.paths() == ["alerts/gate/big_gun"])
        await ask(outbox, START)
        assert [payload for _, payload in broker.taken[1:4]] == [
            new.encode(),
            other.encode(),
            end.encode(),
        ], "replay answers what is set aside"
        broker.refuses = lambda _path: False
        await outbox.connected()
        await until(lambda: outbox.depth == 0)
    assert broker.paths()[-2:] == ["alerts/yard/big_gun"] * 2
    assert [payload for _, payload in broker.taken[-2:]] == [new.encode(), end.encode()]
    errors = [each for each in caplog.records if each.levelname == "ERROR"]
    assert len(errors) == 1
    assert outbox.counts["set_aside"] >= 1


async def test_what_is_refused_for_ever_goes_when_it_is_too_old(
    database: Database, soon: None
) -> None:
    broker = Broker()
    broker.refuses = lambda _path: True
    await put_in(database, messages(0)[1:2])
    async with running(database, broker, Clock()) as outbox:
        await until(lambda: outbox.refused == 1)
    assert await left_after(database, START + ns(999)) == 1
    assert await left_after(database, START + ns(1001)) == 0


async def left_after(database: Database, now_ns: int) -> int:
    def purged(db: Connection) -> int:
        purge(
            db,
            kept_since_ns=now_ns - ns(1000),
            replayed_since_ns=now_ns - ns(900),
            most_bytes=10**9,
        )
        return len(db.execute("SELECT seq FROM outbox").fetchall())

    return await database.write(purged)


async def test_retained_messages_of_a_camera_that_is_gone_are_taken_away(
    database: Database,
) -> None:
    broker = Broker()
    await put_in(database, messages())
    async with running(database, broker, Clock()) as outbox:
        await until(lambda: outbox.counts["published"] == 4)
        await until(lambda: outbox.depth == 0)
        gone = await database.read(lambda db: stale_retained(db, {"gate"}, []))
        await put_in(database, gone)
        outbox.wake()
        await until(lambda: outbox.counts["published"] == 6)
        await until(lambda: outbox.depth == 0)
    assert {path.removeprefix("home/") for path, payload in broker.taken if not payload} == {
        "snapshots/yard",
        "last/yard/big_gun",
    }
    assert await database.read(lambda db: stale_retained(db, {"gate"}, [])) == []


async def test_pictures_that_are_published_no_more_are_taken_away(database: Database) -> None:
    broker = Broker()
    pictures = [outgoing(topics.PICTURES, b"x", camera="yard", kind=kind) for kind in KINDS]
    await put_in(database, pictures)
    async with running(database, broker, Clock()) as outbox:
        await until(lambda: outbox.counts["published"] == 2)
        await until(lambda: outbox.depth == 0)
    assert await database.read(lambda db: stale_retained(db, {"yard"}, KINDS)) == []
    [stale] = await database.read(lambda db: stale_retained(db, {"yard"}, ["clean"]))
    assert (stale.topic, stale.payload) == (topics.PICTURES.pattern, b"")
    assert json.loads(stale.levels) == {"camera": "yard", "kind": "crop"}


async def ask(outbox: Outbox, since_ns: int) -> None:
    await outbox.replay(Replay(since=moment_of(since_ns), client="me"))


async def test_replay_answers_with_what_was_put_in_since_then_and_the_end(
    database: Database,
) -> None:
    broker, clock = Broker(), Clock()
    for second in range(250):
        await put_in(database, messages(second)[1:2], START + ns(second))
    async with running(database, broker, clock) as outbox:
        await until(lambda: len(broker.taken) == 250)
        broker.taken.clear()
        await ask(outbox, START + ns(100))
    assert {path for path, _ in broker.taken} == {"home/replayed/me"}
    *replayed, end = [payload for _, payload in broker.taken]
    assert replayed == [alert(second).encode() for second in range(100, 250)]
    assert end == b'{"end":true}'


async def test_replay_holds_what_was_never_delivered_and_forgets_what_was_long_ago(
    database: Database,
) -> None:
    broker, clock = Broker(), Clock()
    await put_in(database, messages(0)[1:2], START)
    async with running(database, broker, clock) as outbox:
        await until(lambda: len(broker.taken) == 1)
        await until(lambda: outbox.depth == 0)
    clock.now_ns = START + ns(901)
    outbox = Outbox(database, broker, clock, 900)
    await put_in(database, messages(1)[1:2], START + ns(1))
    broker.taken.clear()
    await ask(outbox, START)
    assert [payload for _, payload in broker.taken] == [alert(1).encode(), b'{"end":true}']


def blind(second: float) -> Blind:
    at = moment_of(START + ns(second))
    return Blind(camera="yard", from_=at, to=at + timedelta(seconds=3), why="a test")


async def test_blind_times_are_replayed_to_those_who_ask_for_them(database: Database) -> None:
    broker, clock = Broker(), Clock()
    for second in (0, 1, 2):
        await put_in(database, messages(second)[1:2], START + ns(second))
        told = outgoing(topics.BLIND, blind(second), camera="yard")
        await put_in(database, [told], START + ns(second))
    async with running(database, broker, clock) as outbox:
        await until(lambda: len(broker.taken) == 6)
        await until(lambda: outbox.depth == 0)
        broker.taken.clear()
        await outbox.replay(Replay(since=moment_of(START + ns(1)), client="me", blind=True))
        expected = [m.encode() for n in (1, 2) for m in (alert(n), blind(n))]
        assert [payload for _, payload in broker.taken] == [*expected, b'{"end":true}']
        broker.taken.clear()
        await ask(outbox, START + ns(1))
        assert [payload for _, payload in broker.taken] == [*expected[::2], b'{"end":true}']


async def test_blind_times_are_kept_no_longer_than_replay_s(database: Database) -> None:
    broker, clock = Broker(), Clock()
    await put_in(database, [outgoing(topics.BLIND, blind(0), camera="yard")], START)
    async with running(database, broker, clock) as outbox:
        await until(lambda: len(broker.taken) == 1)
        await until(lambda: outbox.depth == 0)

    async def left(replayed_since_ns: int) -> int:
        def work(db: Any) -> int:
            purge(db, kept_since_ns=0, replayed_since_ns=replayed_since_ns, most_bytes=10**9)
            return int(db.execute("SELECT count(*) FROM outbox").fetchone()[0])

        return await database.write(work)

    assert await left(START) == 1
    assert await left(clock.now_ns + 1) == 0


async def test_a_clock_that_is_set_forward_makes_nothing_old(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    steady = [0]
    monkeypatch.setattr("classifier_svc.outbox.time.monotonic_ns", lambda: steady[0])
    broker, clock = Broker(), Clock()
    outbox = Outbox(database, broker, clock, 900)
    first_ns = clock.now_ns
    assert outbox.before_ns(ns(900)) == first_ns - ns(900)
    # A board without a battery begins in the past, and hears the time a minute later.
    clock.now_ns += ns(60) + ns(50 * 365 * 86_400)
    steady[0] += ns(60)
    assert outbox.before_ns(ns(900)) == first_ns + ns(60) - ns(900)


async def test_nothing_to_replay_is_an_end_alone(database: Database) -> None:
    broker = Broker()
    await ask(Outbox(database, broker, Clock(), 900), START)
    assert broker.paths() == ["replayed/me"]


async def test_since_is_read_to_the_millisecond(database: Database) -> None:
    broker = Broker()
    await put_in(database, messages(0)[1:2], START)
    outbox = Outbox(database, broker, Clock(), 900)
    moment = moment_of(START)
    await outbox.replay(Replay(since=moment + timedelta(milliseconds=1), client="me"))
    await outbox.replay(Replay(since=moment, client="me"))
    assert len(broker.taken) == 3


async def test_delivered_alerts_are_purged_by_age_and_size_but_never_within_replay_s(
    database: Database,
) -> None:
    broker, clock = Broker(), Clock()
    await put_in(database, messages(0), START)
    async with running(database, broker, clock) as outbox:
        await until(lambda: len(broker.taken) == 4)
        await until(lambda: outbox.depth == 0)
    await put_in(database, messages(1)[1:2], START)

    async def left_after(seconds: float, *, keep_s: float, most_bytes: int) -> int:
        def work(db: Any) -> int:
            purge(
                db,
                kept_since_ns=START + ns(seconds - keep_s),
                replayed_since_ns=START + ns(seconds - 900),
                most_bytes=most_bytes,
            )
            return int(db.execute("SELECT count(*) FROM outbox").fetchone()[0])

        return await database.write(work)

    assert await left_after(899, keep_s=1, most_bytes=0) == 2
    assert await left_after(901, keep_s=1000, most_bytes=10**9) == 2
    assert await left_after(901, keep_s=1000, most_bytes=0) == 1
    assert await left_after(10**6, keep_s=1, most_bytes=0) == 1


async def test_a_database_that_is_too_large_loses_pictures_before_alerts(
    database: Database,
) -> None:
    broker, clock = Broker(), Clock()
    await put_in(database, messages(0), START)
    async with running(database, broker, clock) as outbox:
        await until(lambda: len(broker.taken) == 4)
        await until(lambda: outbox.depth == 0)
    drawn = {f"yard-{number:026d}.0": Pictures(b"jpeg") for number in range(250)}
    await database.write(lambda db: keep_pictures(db, drawn))

    def left(db: Any) -> tuple[int, int]:
        purge(db, kept_since_ns=START - ns(99), replayed_since_ns=START + ns(1), most_bytes=0)
        [pictures] = db.execute("SELECT count(*) FROM pictures").fetchone()
        [alerts] = db.execute("SELECT count(*) FROM outbox").fetchone()
        return pictures, alerts

    assert await database.write(left) == (50, 1)
    assert await database.write(left) == (0, 1)
    assert await database.write(left) == (0, 0)
