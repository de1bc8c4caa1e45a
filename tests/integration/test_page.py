"""The status page as a process, on a real mosquitto: what browsers get, and attackers do not."""

import asyncio
import contextlib
import json
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from secondlook import topics
from secondlook.messages import Forgotten
from secondlook.page.guard import HEADERS
from secondlook.page.server import MOST_CONNECTIONS
from secondlook.samples import STARTED
from tests.integration.broker_fixtures import MOSQUITTO, Broker, free_port
from tests.integration.page_rig import WITHIN_S, Looking, Page, World, around, served, until
from tests.integration.secured_broker import Secured
from tests.secondlook.page.said import CAMERA, alert, blind, counters, frame, picture, verdict

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    """A page without a broker, for those who try its addresses."""
    page = Page(tmp_path_factory.mktemp("page"), {"port": free_port()}, feedback=True)
    with served(page):
        yield page


@pytest.fixture
async def world(broker: Broker, tmp_path: Path) -> AsyncIterator[World]:
    page = Page(tmp_path, {"port": broker.port}, feedback=True, max_viewers=3)
    # The services' side first: it answers when the page asks for a replay.
    async with around(broker, page) as one:
        with served(page):
            yield one


@pytest.fixture
def page(world: World) -> Page:
    return world.page


@pytest.fixture
async def looking(world: World, page: Page) -> AsyncIterator[Looking]:
    one = Looking(page)
    following = asyncio.create_task(one.follow())
    # It asks once its subscriptions stand.
    await until(lambda: world.asked and one.events)
    yield one
    following.cancel()


# What a browser gets


async def test_what_the_bus_says_arrives_as_it_comes(world: World, looking: Looking) -> None:
    await world.all_well()
    await until(lambda: looking.summary == "Watching 2 cameras")

    said = await world.alert()
    await world.say(topics.STATE, "ON", camera=CAMERA, label="small_gun")
    await world.say(topics.COUNTERS, counters(), camera=CAMERA)
    await world.say(topics.BLIND, blind(), camera=CAMERA)
    ref = frame(0)
    await world.say(topics.FRAMES, ref, camera=CAMERA)
    await world.say(topics.VERDICTS, verdict(ref), camera=CAMERA)
    await world.say(topics.CONFIG, False, camera=CAMERA, key="armed")

    await until(lambda: looking.summary == "Alert: small_gun at front_door")
    await until(lambda: looking.get("alerts", said.id))
    assert looking.get("alerts", said.id)["detector"]["score"] == 0.62
    assert looking.get("alerts", said.id)["score"] == 0.97
    await until(lambda: looking.state.get("looks") and looking.state.get("blind"))
    await until(lambda: looking.camera()["armed"] is False)

    await world.say(topics.STATUS, "offline", service="detector")
    await until(lambda: "the detector is offline" in looking.summary)


async def test_the_picture_of_an_alert_can_be_seen(
    world: World, page: Page, looking: Looking
) -> None:
    said = await world.alert()
    await until(lambda: looking.get("alerts", said.id))
    shown = looking.get("alerts", said.id)["picture"]

    status, headers, body = await page.ask(f"/pictures/{shown}.jpg")

    assert (status, headers["content-type"]) == (200, "image/jpeg")
    assert body == picture(said.snapshot_id)
    assert (await page.ask("/pictures/front_door-1.0.jpg"))[0] == 404


async def test_the_live_picture_is_the_newest_frame(
    world: World, page: Page, looking: Looking
) -> None:
    assert (await page.ask(f"/cameras/{CAMERA}/live.jpg"))[0] == 404
    await world.show(0)
    name = await world.show(150)
    await until(lambda: looking.camera().get("rate"))

    status, headers, body = await page.ask(f"/cameras/{CAMERA}/live.jpg")
    async with asyncio.timeout(WITHIN_S):
        while headers.get("frame-id") != name:  # the rate is shown from the first frame on
            await asyncio.sleep(0.1)
            status, headers, body = await page.ask(f"/cameras/{CAMERA}/live.jpg")

    assert (status, headers["frame-id"]) == (200, name)
    image = cv2.imdecode(np.frombuffer(body, np.uint8), cv2.IMREAD_COLOR)
    assert image is not None
    assert image.shape == (360, 640, 3)
    assert abs(int(image[9, 9, 0]) - 190) < 5
    assert (await page.ask(f"/cameras/{CAMERA}/live.jpg?seen={name}"))[0] == 204


async def test_a_frame_store_elsewhere_is_said_plainly(
    world: World, page: Page, looking: Looking
) -> None:
    ref = frame(0)
    await world.say(topics.FRAMES, ref, camera=CAMERA)
    await until(lambda: looking.camera().get("rate"))

    status, _, body = await page.ask(f"/cameras/{CAMERA}/live.jpg")

    assert status == 404
    assert b"cannot be read from here" in body


async def test_alerts_of_before_are_asked_for_and_shown(
    broker: Broker, world: World, page: Page
) -> None:
    for number in range(3):
        await world.alert(number)
    page.kill()
    page.start()
    looking = Looking(page)
    following = asyncio.create_task(looking.follow())

    await until(lambda: len(looking.state.get("alerts", {})) == 3)

    assert {replay.client for replay in world.asked} == {"page"}
    newest = alert(2)
    await until(lambda: looking.get("alerts", newest.id)["picture"] == newest.snapshot_id)
    assert looking.get("alerts", alert(0).id)["picture"] is None
    following.cancel()


async def test_a_broker_that_goes_is_told_and_comes_back_by_itself(
    broker: Broker, world: World, looking: Looking
) -> None:
    await world.all_well()
    await until(lambda: looking.summary == "Watching 2 cameras")

    broker.kill()
    await until(lambda: "No broker" in looking.summary)
    assert looking.get("broker", "broker")["connected"] is False
    assert looking.camera()["unwatched"] == "the broker is away"

    broker.start()
    await world.all_well()
    await until(lambda: looking.summary == "Watching 2 cameras")
    assert [gap["camera"] for gap in looking.state["blind"].values()] == [None]
    said = await world.alert()
    await until(lambda: looking.get("alerts", said.id))


async def test_alerts_that_were_sent_while_the_broker_was_away_are_shown(
    broker: Broker, world: World, looking: Looking
) -> None:
    await until(lambda: world.asked)
    broker.kill()
    await until(lambda: "No broker" in looking.summary)
    world.kept.append(alert(7))
    broker.start()

    await until(lambda: looking.get("alerts", alert(7).id))


async def test_deleted_alerts_and_pictures_are_gone(
    world: World, page: Page, looking: Looking
) -> None:
    said = await world.alert()
    await until(lambda: looking.get("alerts", said.id))

    await world.say(topics.SNAPSHOTS, b"", camera=CAMERA)
    answer = Forgotten(forgotten=1, at=STARTED.replace(year=2027), request="", id=said.id)
    await world.say(topics.CONFIG, answer.model_dump(mode="json"), camera=CAMERA, key="forget")

    await until(lambda: not looking.get("alerts", said.id))
    assert (await page.ask(f"/pictures/{said.snapshot_id}.jpg"))[0] == 404


# Feedback


def token_of(looking: Looking) -> str:
    return str(looking.get("about", "page")["token"])


async def give(page: Page, token: str, **body: Any) -> tuple[int, str]:
    headers = {"Content_Type": "application/json", "X_Secondlook_Token": token}
    status, _, text = await page.ask("/feedback", "POST", json.dumps(body).encode(), **headers)
    return status, text.decode()


async def test_feedback_arrives_as_a_message_and_shows(
    world: World, page: Page, looking: Looking
) -> None:
    said = await world.alert()
    await until(lambda: looking.get("alerts", said.id))

    assert (await give(page, token_of(looking), id=said.id, truth="false_alarm"))[0] == 200

    async with asyncio.timeout(WITHIN_S):
        told = (await world.feedback.batch(1))[0].message
    assert (told.id, told.truth, told.label) == (said.id, "false_alarm", None)
    await until(lambda: looking.get("alerts", said.id)["truth"] == "false_alarm")


async def test_feedback_that_is_not_from_the_page_is_refused_and_says_nothing(
    world: World, page: Page, looking: Looking
) -> None:
    said = await world.alert()
    await until(lambda: looking.get("alerts", said.id))
    token = token_of(looking)
    good = json.dumps({"id": said.id, "truth": "true_alarm"}).encode()
    headers = {"Content_Type": "application/json", "X_Secondlook_Token": token}

    attempts = [
        await page.ask("/feedback", "POST", good),
        await page.ask("/feedback", "POST", good, Content_Type="application/json"),
        await page.ask("/feedback", "POST", good, **headers | {"Content_Type": "text/plain"}),
        await page.ask("/feedback", "POST", good, **headers | {"X_Secondlook_Token": token[:-1]}),
        await page.ask("/feedback", "POST", good, **headers | {"Origin": "http://evil.example"}),
        await page.ask("/feedback", "POST", good, **headers | {"Sec_Fetch_Site": "cross-site"}),
        await page.ask("/feedback", "POST", good, **headers | {"Host": "evil.example"}),
        await page.ask("/feedback", "POST", b"x" * 5000, **headers),
        await page.ask("/feedback", "POST", b"{", **headers),
        await page.ask("/feedback", "GET"),
        await page.ask("/feedback", "OPTIONS", Origin="http://evil.example"),
    ]
    unknown = await give(page, token, id=alert(99).id, truth="true_alarm")

    assert [status for status, _, _ in attempts] == [
        *(415, 403, 415, 403, 403, 403, 403, 413, 400, 405, 405),
    ]
    assert unknown[0] == 404
    assert not any("access-control-allow-origin" in headers for _, headers, _ in attempts)
    assert (await give(page, token, **json.loads(good)))[0] == 200
    async with asyncio.timeout(WITHIN_S):
        assert len(await world.feedback.batch(10)) == 1


async def test_feedback_without_a_broker_is_not_claimed_to_be_sent(
    broker: Broker, world: World, page: Page, looking: Looking
) -> None:
    said = await world.alert()
    await until(lambda: looking.get("alerts", said.id))
    token = token_of(looking)
    broker.kill()
    await until(lambda: "No broker" in looking.summary)

    status, text = await give(page, token, id=said.id, truth="true_alarm")

    assert (status, "the broker is away" in text) == (503, True)
    assert looking.get("alerts", said.id)["truth"] is None


async def test_feedback_is_off_unless_configured(broker: Broker, tmp_path: Path) -> None:
    page = Page(tmp_path, {"port": broker.port})
    async with around(broker, page) as world:
        with served(page):
            looking = Looking(page)
            following = asyncio.create_task(looking.follow())
            said = await world.alert()
            await until(lambda: looking.get("alerts", said.id))

            assert looking.get("about", "page")["token"] is None
            for token in ("", "None", "null"):
                assert (await give(page, token, id=said.id, truth="true_alarm"))[0] == 403
            following.cancel()


# Attacks


@pytest.mark.parametrize(
    "path",
    ["/", "/site/page.js", "/site/page.css", "/nothing", "/pictures/x.jpg", "/cameras/x/live.jpg"],
)
async def test_every_answer_carries_the_headers_that_protect(alone: Page, path: str) -> None:
    for host in ("127.0.0.1", "evil.example"):
        _, headers, _ = await alone.ask(path, Host=host)
        assert {name.lower(): headers.get(name.lower()) for name in HEADERS} == {
            name.lower(): value for name, value in HEADERS.items()
        }
        assert "server" not in headers


@pytest.mark.parametrize(
    "path",
    [
        "/site/../fold.py",
        "/site/..%2ffold.py",
        "/site/%2e%2e/fold.py",
        "//etc/passwd",
        "/site//etc/passwd",
        "/site/__init__.py",
        "/pictures/..%2f..%2fconfig.yaml.jpg",
        "/cameras/..%2fyard/live.jpg",
        "/cameras/../front_door/live.jpg",
        "/config.yaml",
    ],
)
async def test_nothing_in_an_address_becomes_a_path(alone: Page, path: str) -> None:
    status, _, body = await alone.ask(path)

    assert status == 404
    assert b"root:" not in body
    assert b"cameras:" not in body


async def test_the_page_itself_runs_no_inline_script_and_loads_nothing_from_elsewhere(
    alone: Page,
) -> None:
    _, _, index = await alone.ask("/")
    text = index.decode()

    assert "<style" not in text
    assert " style=" not in text
    assert " on" not in text.replace(" on the", "").split("<body>")[0]
    assert text.count("<script") == text.count('<script type="module" src="site/') == 1
    assert "//" not in text.replace("<!doctype", "")


async def test_only_so_many_look_at_the_same_time(page: Page) -> None:
    lookers = [Looking(page) for _ in range(3)]
    following = [asyncio.create_task(one.follow()) for one in lookers]
    await until(lambda: all(one.events for one in lookers))

    assert (await page.ask("/events"))[0] == 503

    following[0].cancel()
    late = Looking(page)
    following.append(asyncio.create_task(late.follow()))
    await until(lambda: late.events)
    for task in following:
        task.cancel()


async def test_a_browser_that_reads_nothing_holds_nobody_up(
    world: World, page: Page, looking: Looking
) -> None:
    with socket.create_connection(("127.0.0.1", page.port)) as deaf:
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        deaf.sendall(f"GET /events HTTP/1.1\r\nHost: 127.0.0.1:{page.port}\r\n\r\n".encode())
        for number in range(300):
            await world.say(topics.VERDICTS, verdict(frame(number), number), camera=CAMERA)
        said = await world.alert()
        await until(lambda: looking.get("alerts", said.id))


async def test_those_who_connect_and_say_nothing_are_cut_off(alone: Page) -> None:
    idle = []
    try:
        for _ in range(MOST_CONNECTIONS + 20):
            client = socket.create_connection(("127.0.0.1", alone.port), WITHIN_S)
            client.sendall(b"GET / HTTP/1.1\r\n")
            idle.append(client)
        deadline = asyncio.get_running_loop().time() + WITHIN_S
        status = 0
        while status != 200 and asyncio.get_running_loop().time() < deadline:
            with contextlib.suppress(OSError):
                status = (await alone.ask("/"))[0]
            await asyncio.sleep(0.5)
        assert status == 200
    finally:
        for client in idle:
            client.close()


@pytest.mark.parametrize(
    "request_bytes",
    [
        pytest.param(b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", id="a-long-path"),
        pytest.param(b"GET / HTTP/1.1\r\nX: " + b"a" * 100_000 + b"\r\n\r\n", id="a-long-header"),
        pytest.param(b"\x00\xff" * 1000 + b"\r\n\r\n", id="binary"),
        pytest.param(b"GET / HTTP/1.1\r\n\r\n", id="no-host"),
        pytest.param(b"GET / HTTP/1.1\r\nHost: a\r\nHost: localhost\r\n\r\n", id="two-hosts"),
        pytest.param(b"CONNECT x:1 HTTP/1.1\r\nHost: localhost\r\n\r\n", id="connect"),
    ],
)
async def test_rubbish_is_refused_and_the_next_one_is_answered(
    alone: Page, request_bytes: bytes
) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", alone.port)
    with contextlib.suppress(ConnectionError):
        writer.write(request_bytes)
        await writer.drain()
        async with asyncio.timeout(WITHIN_S):
            first = await reader.readline()
        assert b" 200 " not in first
    writer.close()
    assert (await alone.ask("/"))[0] == 200
    assert "Traceback" not in alone.log.read_text()


async def test_it_listens_on_this_machine_alone(alone: Page) -> None:
    table = (await asyncio.to_thread(Path("/proc/net/tcp").read_text)).splitlines()[1:]
    rows = [line.split() for line in table]
    listens = "0A"
    found = {row[1] for row in rows if row[1].endswith(f":{alone.port:04X}") and row[3] == listens}
    assert {socket.inet_ntoa(bytes.fromhex(each[:8])[::-1]) for each in found} == {"127.0.0.1"}


# The process


async def test_it_ends_in_good_order_while_somebody_looks(page: Page, looking: Looking) -> None:
    assert page.stop() == 0
    said = page.log.read_text()
    assert "Traceback" not in said
    assert "ERROR" not in said


def test_an_address_that_is_taken_is_said_in_a_sentence(tmp_path: Path) -> None:
    page = Page(tmp_path, {"port": free_port()})
    with socket.create_server(("127.0.0.1", page.port)):
        done = subprocess.run(
            [sys.executable, "-m", "secondlook.page", "--config", str(page.config)],
            check=False,
            capture_output=True,
            text=True,
            timeout=60,
        )
    assert done.returncode == 1
    assert f"cannot listen on 127.0.0.1, port {page.port}" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.skipif(MOSQUITTO is None, reason="apt-get install mosquitto")
async def test_its_user_of_the_broker_may_do_what_it_needs(tmp_path: Path) -> None:
    broker = Secured(tmp_path / "broker")
    page = Page(tmp_path, broker.mqtt("page"), feedback=True)
    try:
        with served(page), broker.client("classifier") as classifier:
            looking = Looking(page)
            following = asyncio.create_task(looking.follow())
            await until(lambda: (looking.get("broker", "broker") or {}).get("connected"))
            await until(lambda: broker.lines("Received PUBLISH", "secondlook/replay"))
            said = alert()
            classifier.publish(f"secondlook/alerts/{CAMERA}/small_gun", said.encode(), qos=1)
            await until(lambda: looking.get("alerts", said.id))

            sent = await give(page, token_of(looking), id=said.id, truth="true_alarm")

            assert sent[0] == 200
            assert broker.lines("Received PUBLISH", "secondlook/feedback")
            assert not broker.lines("Denied")
            assert "refused" not in page.log.read_text()
            following.cancel()
    finally:
        broker.stop()
