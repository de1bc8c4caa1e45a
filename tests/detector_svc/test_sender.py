"""Order, repetition and patience on the way to the broker, with a broker that obeys the test."""

import asyncio
import contextlib
from concurrent.futures import ThreadPoolExecutor

import pytest

from detector_svc import sender as sender_module
from detector_svc.sender import GIVE_UP_AFTER, Sender
from detector_svc.spool import Spool
from secondlook.backoff import Backoff
from secondlook.errors import NotConnected
from secondlook.messages import Crop
from secondlook.topics import CROPS
from tests.detector_svc.messages_of import crop, seen, track_ended


class Broker:
    """Takes messages, or refuses them, and remembers what it took."""

    def __init__(self) -> None:
        self.connected = True
        self.refuses = lambda message: False
        self.took: list[str] = []
        self.acknowledges = asyncio.Event()
        self.acknowledges.set()

    def _take(self, message, camera):
        payload = CROPS.encode(message)
        read = CROPS.decode(payload, {"camera": camera})
        name = read.id if isinstance(read, Crop) else type(read).__name__
        if self.refuses(name):
            raise NotConnected("no")
        self.took.append(name)

    def send(self, topic, message, **levels):
        if self.connected:
            self._take(message, levels["camera"])
        return self.connected

    async def publish(self, topic, message, **levels):
        if not self.connected:
            raise NotConnected("away")
        self._take(message, levels["camera"])
        await self.acknowledges.wait()
        if not self.connected:
            raise NotConnected("went away")


@pytest.fixture
def broker():
    return Broker()


@pytest.fixture
def spool(tmp_path):
    return Spool(tmp_path, 10_000_000, 300.0)


@contextlib.asynccontextmanager
async def sending(broker, spool):
    with ThreadPoolExecutor(4) as pool:
        sender = Sender(broker, spool, pool)
        task = asyncio.create_task(sender.run())
        try:
            yield sender
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task


def put(spool, sender, *messages):
    for message in messages:
        spool.put(message)
        sender.wake(message.camera)


async def until(condition):
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110 - looks from outside, as a user would
            await asyncio.sleep(0.001)


async def drained(sender):
    async with asyncio.timeout(60):
        await sender.drained()


def names(count, camera="yard"):
    return [f"{camera}-a-0.{number}" for number in range(count)]


async def test_messages_go_in_order_of_their_camera(broker, spool):
    async with sending(broker, spool) as sender:
        put(spool, sender, *[crop(number) for number in range(100)], track_ended())
        await drained(sender)

    assert broker.took == [*names(100), "TrackEnded"]
    assert sender.counts == {"sent": 101, "again": 0}


async def test_what_an_earlier_life_left_is_sent_first(broker, spool):
    spool.put(crop(0))
    async with sending(broker, spool) as sender:
        put(spool, sender, crop(1))
        await drained(sender)

    assert broker.took == names(2)


async def test_everything_is_sent_again_in_order_when_there_is_reason(broker, spool):
    async with sending(broker, spool) as sender:
        put(spool, sender, *[crop(number) for number in range(5)])
        await drained(sender)
        sender.begin_again()
        put(spool, sender, crop(5))
        await drained(sender)

    assert broker.took == [*names(5), *names(6)]
    assert sender.counts["again"] == 5


async def test_without_a_broker_everything_waits(broker, spool):
    broker.connected = False
    async with sending(broker, spool) as sender:
        put(spool, sender, *[crop(number) for number in range(3)])
        await asyncio.sleep(0.05)
        assert broker.took == []
        broker.connected = True
        sender.begin_again()
        await drained(sender)

    assert broker.took == names(3)


async def test_what_was_not_acknowledged_when_the_broker_died_is_sent_again(broker, spool):
    broker.acknowledges.clear()
    async with sending(broker, spool) as sender:
        put(spool, sender, crop(0), crop(1))
        await until(lambda: len(broker.took) == 2)
        broker.connected = False
        broker.acknowledges.set()
        await asyncio.sleep(0.05)
        broker.connected = True
        sender.begin_again()
        await drained(sender)

    assert broker.took == [*names(2), *names(2)]
    assert sender.counts == {"sent": 2, "again": 0}


async def test_a_new_connection_in_the_middle_of_sending_begins_again(broker, spool):
    broker.acknowledges.clear()
    async with sending(broker, spool) as sender:
        put(spool, sender, crop(0))
        await until(lambda: broker.took)
        sender.begin_again()
        broker.acknowledges.set()
        await until(lambda: len(broker.took) == 2)
        await drained(sender)

    assert broker.took == [*names(1), *names(1)]


async def test_a_busy_broker_is_tried_again(broker, spool):
    busy = iter([True, True, False])
    broker.refuses = lambda name: next(busy, False)
    async with sending(broker, spool) as sender:
        put(spool, sender, crop(0))
        await drained(sender)

    assert broker.took == names(1)


async def test_a_message_that_no_broker_takes_does_not_block_its_camera(broker, spool, monkeypatch):
    monkeypatch.setattr(Backoff, "next_s", lambda self: 0.001)
    broker.refuses = lambda name: name == "yard-a-0.1"
    async with sending(broker, spool) as sender:
        put(spool, sender, *[crop(number) for number in range(3)])
        await drained(sender)

    assert list(dict.fromkeys(broker.took)) == ["yard-a-0.0", "yard-a-0.2"]
    assert sender.counts["refused"] == 1
    assert GIVE_UP_AFTER > 1


async def test_how_far_was_looked_is_said_after_the_crops_before_it(broker, spool):
    broker.connected = False
    async with sending(broker, spool) as sender:
        put(spool, sender, *[crop(number) for number in range(50)])
        sender.say_seen(seen())
        await asyncio.sleep(0.02)
        broker.connected = True
        sender.begin_again()
        await until(lambda: "Seen" in broker.took)

    assert broker.took == [*names(50), "Seen"]


async def test_how_far_was_looked_is_said_without_any_crop(broker, spool):
    async with sending(broker, spool) as sender:
        sender.say_seen(seen())
        await until(lambda: broker.took == ["Seen"])


async def test_one_camera_does_not_wait_for_another(broker, spool):
    broker.refuses = lambda name: name.startswith("yard")
    async with sending(broker, spool) as sender:
        put(spool, sender, crop(0), crop(0, "gate"))
        await until(lambda: broker.took == ["gate-a-0.0"])


async def test_a_rotten_file_does_not_stop_the_rest(broker, spool, tmp_path):
    for number in range(3):
        spool.put(crop(number))
    sorted(tmp_path.rglob("*.json"))[1].write_bytes(b"rotten")
    async with sending(broker, spool) as sender:
        sender.begin_again()
        await until(lambda: len(broker.took) == 2)

    assert broker.took == ["yard-a-0.0", "yard-a-0.2"]
    assert spool.counts["corrupt"] == 1


async def test_repetition_is_paced(broker, spool, monkeypatch):
    monkeypatch.setattr(sender_module, "AGAIN_PER_S", 200)
    async with sending(broker, spool) as sender:
        put(spool, sender, *[crop(number) for number in range(64)])
        await drained(sender)
        started = asyncio.get_running_loop().time()
        sender.begin_again()
        await until(lambda: len(broker.took) == 128)
        spent = asyncio.get_running_loop().time() - started

    # 64 messages at 200 a second take 0.32 s; the last window need not be waited for.
    assert spent > 0.1
