"""The detector while something breaks: references, models, Triton, the broker, itself."""

import asyncio
import subprocess
import sys
import time

import pytest
import yaml

from secondlook import topics
from secondlook.adapters.bus import Bus
from secondlook.errors import ConfigError, ModelMismatch
from tests.integration.detector_rig import (
    BLUE,
    RED,
    configured,
    rigged,
    scene,
    serving_colours,
    until,
)

pytestmark = pytest.mark.integration

CARD = scene((RED, 100, 60, 60, 40))
EMPTY = scene()


@pytest.fixture(scope="module")
def colours(triton_home, tmp_path_factory):
    with serving_colours(triton_home, tmp_path_factory.mktemp("colours"), sleep_s="1.0") as server:
        yield server


def first_of(error: BaseException) -> BaseException:
    """Return the first real error out of groups."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


async def test_rubbish_references_are_dropped_and_counted(broker, colours, tmp_path):
    async with rigged(broker, colours.url, tmp_path, max_age_ms=30_000) as rig:
        yard = rig.yard
        await yard.announce(yard.ref())  # nothing is stored under it
        await until(lambda: rig.dropped("expired") == 1)
        stored = await yard.show(EMPTY)
        await until(lambda: rig.frames() == 1)
        wrong_size = stored.model_copy(update={"width": 100})
        await yard.announce(wrong_size)
        await until(lambda: rig.dropped("expired") == 2)
        await yard.announce(stored.model_copy(update={"width": 65_535, "height": 65_535}))
        await until(lambda: rig.dropped("expired") == 3)
        await yard.announce(stored)  # once more
        await until(lambda: rig.dropped("not_newer") == 1)
        await yard.show(EMPTY, captured_ns=time.time_ns() - 60_000_000_000)
        await until(lambda: rig.dropped("too_old") == 1)
        strangers = rig.strangers()
        stranger = yard.ref(camera="nobody", id="nobody-1", captured_ns=1)
        rig.bus.send(topics.FRAMES, stranger, camera="nobody")
        await until(lambda: rig.strangers() == strangers + 1)
        zero = stored.model_dump_json().replace(f'"width":{stored.width}', '"width":0').encode()
        rig.bus.send(topics.FRAMES, zero, camera="yard")  # type: ignore[misc]  # rubbish has no type
        await yard.film(CARD, 3)
        await until(lambda: len(rig.crops()) == 3)

        assert rig.health.ready()[0]


@pytest.mark.timeout(300)
async def test_a_model_too_slow_for_a_whole_batch_is_given_fewer_frames(broker, colours, tmp_path):
    cameras: dict[str, dict[str, object]] = {f"cam{number}": {} for number in range(8)}
    slow = scene((BLUE, 0, 0, 40, 40))  # takes a second: a batch of eight is never answered
    async with rigged(
        *(broker, colours.url, tmp_path),
        cameras=cameras,
        max_batch=8,
        in_flight=1,
        deadline_s=3.0,
    ) as rig:

        async def film() -> None:
            while True:
                for camera in rig.cameras.values():
                    await camera.show(slow)
                await asyncio.sleep(0.5)

        filming = asyncio.create_task(film())
        try:
            await until(lambda: all(rig.frames(name) >= 2 for name in cameras), 180)
        finally:
            filming.cancel()
        assert sum(rig.dropped("timeout", name) for name in cameras)


async def test_with_too_much_to_do_an_open_episode_comes_first_and_nobody_last(
    broker, colours, tmp_path
):
    cameras: dict[str, dict[str, object]] = {name: {} for name in ("yard", "gate", "hall")}
    slow = scene((BLUE, 0, 0, 40, 40))  # takes a second
    async with rigged(*(broker, colours.url, tmp_path), cameras=cameras, in_flight=1) as rig:
        assert rig.bus.send(topics.STATE, "ON", camera="gate", label="red")

        async def film() -> None:
            while True:
                for camera in rig.cameras.values():
                    await camera.show(slow)
                await asyncio.sleep(0.2)

        filming = asyncio.create_task(film())
        try:
            await until(lambda: sum(map(rig.frames, cameras)) >= 12, 60)
        finally:
            filming.cancel()
        # Two of three turns, and the others take turns at the third.
        assert rig.frames("gate") >= 6
        assert min(map(rig.frames, cameras)) >= 1


async def test_a_model_that_is_too_slow_costs_the_frame_and_no_more(broker, colours, tmp_path):
    async with rigged(broker, colours.url, tmp_path, deadline_s=0.9) as rig:
        await rig.yard.show(scene((BLUE, 0, 0, 100, 100)))  # takes a second
        await until(lambda: rig.dropped("timeout") >= 1)
        await asyncio.sleep(1)
        while len(rig.crops()) < 3:  # a busy machine may be too slow for another one
            await rig.yard.film(CARD, 1)

    assert ("triton", "offline") not in rig.statuses[rig.statuses.index(("triton", "online")) :]


async def test_triton_may_die_and_come_back(broker, triton_home, tmp_path):
    with serving_colours(triton_home, tmp_path) as server:
        async with rigged(broker, server.url, tmp_path) as rig:
            await rig.yard.film(CARD, 3)
            await until(lambda: len(rig.crops()) == 3)
            await asyncio.to_thread(server.kill)
            while ("triton", "offline") not in rig.statuses[-1:]:
                await rig.yard.film(CARD, 1)
            await rig.yard.film(CARD, 3)
            await until(lambda: rig.dropped("triton") >= 2)
            assert not rig.health.ready()[0]
            assert "triton: not ok, Triton at" in rig.health.ready()[1]

            await asyncio.to_thread(server.start)
            await until(lambda: rig.statuses[-1] == ("triton", "online"))
            before = rig.frames()
            rig.yard.run = "run2"
            await rig.yard.film(CARD, 3)
            await until(lambda: rig.frames() == before + 3)
            await until(lambda: [crop.frame.run for crop in rig.crops()].count("run2") == 3)
            assert rig.health.ready()[0]


async def test_an_idle_detector_notices_a_dead_triton(broker, triton_home, tmp_path):
    with serving_colours(triton_home, tmp_path) as server:
        async with rigged(broker, server.url, tmp_path) as rig:
            await until(lambda: ("triton", "online") in rig.statuses)
            await asyncio.to_thread(server.kill)
            await until(lambda: rig.statuses[-1] == ("triton", "offline"))


async def test_it_waits_for_a_triton_that_is_not_up_yet(broker, triton_home, tmp_path):
    with serving_colours(triton_home, tmp_path) as server:
        await asyncio.to_thread(server.stop)
        async with rigged(broker, server.url, tmp_path, start=False) as rig:
            rig.start()
            await until(lambda: ("triton", "offline") in rig.statuses)
            assert not rig.health.ready()[0]
            assert f"waiting for {server.url}" in rig.health.ready()[1]
            await rig.yard.film(CARD, 3, patient=False)
            await asyncio.to_thread(server.start)
            await rig.ready()
            await rig.yard.film(CARD, 3)
            await until(lambda: len(rig.crops()) >= 3)


async def test_a_broker_that_dies_and_returns_gets_everything_in_order(broker, colours, tmp_path):
    async with rigged(broker, colours.url, tmp_path, relook_s=0.1) as rig:
        await rig.yard.film(CARD, 5)
        await until(lambda: len(rig.crops()) >= 3)
        await until(lambda: rig.counted("messages_sent") == rig.counted("spool_messages"))
        before = [crop.id for crop in rig.crops()]
        broker.kill()
        await until(lambda: not rig.is_ready())
        rig.heard.clear()
        broker.start()
        await until(lambda: rig.is_ready() and rig.bus.connected)
        while {crop.id for crop in rig.crops()} <= set(before):  # until it hears frames again
            await rig.yard.film(CARD, 1, patient=False)
        await rig.yard.film(CARD, 1)
        total = int(rig.counted("spool_messages"))
        ids = [f"{before[0].rpartition('.')[0]}.{number}" for number in range(total)]
        assert set(ids) > set(before)
        # A subscriber that connects after the detector has missed what was sent meanwhile.
        async with Bus(rig.config.mqtt, service="classifier"):
            await until(lambda: [crop.id for crop in rig.crops()][-total:] == ids)


async def test_a_classifier_that_comes_back_gets_everything_again(broker, colours, tmp_path):
    async with rigged(broker, colours.url, tmp_path) as rig:
        await rig.yard.film(CARD, 3)
        await until(lambda: len(rig.crops()) == 3)
        first = [crop.id for crop in rig.crops()]
        async with Bus(rig.config.mqtt, service="classifier"):
            await until(lambda: rig.counted("messages_again") == 3)
        await until(lambda: len(rig.crops()) >= 6)

        assert [crop.id for crop in rig.crops()] == [*first, *first]


async def test_a_new_detector_sends_what_the_last_one_kept(broker, colours, tmp_path):
    async with rigged(broker, colours.url, tmp_path) as rig:
        await rig.yard.film(CARD, 3)
        await until(lambda: len(rig.crops()) == 3)
        first = [crop.id for crop in rig.crops()]
        await rig.stop()
        rig.start()
        await rig.ready()
        await until(lambda: len(rig.crops()) >= 6)
        # Its goodbye too: a broker that did not take it in time is told by the new one.
        await until(rig.ended)
        await rig.yard.film(CARD, 3)
        await until(lambda: len({crop.id for crop in rig.crops()}) == 6)

    assert [crop.id for crop in rig.crops()][3:6] == first
    assert rig.ended()[0].looks == 3


async def test_a_label_that_the_model_does_not_have_stops_the_start(broker, colours, tmp_path):
    async with rigged(broker, colours.url, tmp_path, start=False, labels=["red", "gun"]) as rig:
        rig.start()
        with pytest.raises(BaseExceptionGroup) as stopped:
            await rig.stopped()

    error = first_of(stopped.value)
    assert isinstance(error, ConfigError)
    assert str(error).startswith("detector.labels: gun is not among")


async def test_a_missing_model_stops_the_start(broker, colours, tmp_path):
    async with rigged(broker, colours.url, tmp_path, start=False, model="nothing") as rig:
        rig.start()
        with pytest.raises(BaseExceptionGroup) as stopped:
            await rig.stopped()

    error = first_of(stopped.value)
    assert isinstance(error, ModelMismatch)
    assert "no model 'nothing'" in str(error)


def test_the_process_says_in_one_sentence_why_it_does_not_start(broker, colours, tmp_path):
    config = configured(broker, colours.url, tmp_path, model="nothing").model_dump(
        mode="json", exclude_unset=True
    )
    config["cameras"] = {"yard": {"source": "synthetic:"}}
    config["metrics"] = {"detector": None}
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump(config))

    ended = subprocess.run(
        [sys.executable, "-m", "detector_svc", "--config", str(path)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert ended.returncode == 78
    assert "Traceback" not in ended.stderr
    assert "detector: Triton at" in ended.stderr.splitlines()[-1]
    assert "no model 'nothing'; it has colours" in ended.stderr.splitlines()[-1]
