"""The status page in a real browser: what people see, hear and reach by the keyboard."""

import asyncio
import os
import shutil
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from selenium import webdriver
from selenium.webdriver.common.keys import Keys

from secondlook import topics
from secondlook.messages import Forgotten
from secondlook.samples import STARTED
from tests.integration.broker_fixtures import Broker
from tests.integration.page_rig import CAMERAS, WITHIN_S, Page, World, around, served
from tests.secondlook.page.said import CAMERA, alert, blind, frame, verdict

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
pytestmark = [
    pytest.mark.integration,
    pytest.mark.long,
    pytest.mark.skipif(
        not (CHROMIUM and DRIVER), reason="apt-get install chromium chromium-driver"
    ),
]
RUBBISH = "<img src=x onerror='window.hacked=1'><script>window.hacked=1</script>"
PHONE, DESK = (390, 844), (1280, 800)
CONTRAST = """
const parse = (text) => text.match(/[\\d.]+/g).map(Number);
const light = ([r, g, b]) => [r, g, b].map((v) => v / 255)
  .map((v) => (v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4))
  .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
const ground = (at) => {
  for (let e = at; e; e = e.parentElement) {
    const [r, g, b, a = 1] = parse(getComputedStyle(e).backgroundColor);
    if (a > 0.5) return [r, g, b];
  }
  return [255, 255, 255];
};
const poor = [];
for (const e of document.querySelectorAll("body *")) {
  const own = [...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim());
  if (!own || !e.checkVisibility() || e.closest(".unseen, .skip")) continue;
  const [a, b] = [light(parse(getComputedStyle(e).color)), light(ground(e))];
  const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
  if (ratio < 4.5) poor.push(`${e.className || e.tagName}: ${ratio.toFixed(2)}`);
}
return poor;
"""


class Browser:
    """A Chromium with the page."""

    def __init__(self, driver: webdriver.Chrome) -> None:
        self.driver = driver

    async def open(self, page: Page) -> None:
        self.driver.get_log("browser")
        await asyncio.to_thread(self.driver.get, page.url)
        await self.run("window.openedOnce = true")

    async def run(self, script: str) -> Any:
        return await asyncio.to_thread(self.driver.execute_script, script)

    async def text(self, selector: str) -> str:
        found = await self.run(f"return document.querySelector(`{selector}`)?.innerText ?? ''")
        return str(found)

    async def until(self, selector: str, test: Callable[[str], object] = bool) -> str:
        """Wait until the text of an element is as it should be."""
        said = ""
        for _ in range(int(WITHIN_S / 0.1)):
            said = await self.text(selector)
            if test(said):
                return said
            await asyncio.sleep(0.1)
        pytest.fail(f"{selector} says {said!r}")

    async def comes_to(self, script: str, wanted: object) -> None:
        """Wait until a script returns what it should: the page draws when it comes to it."""
        found = None
        for _ in range(int(WITHIN_S / 0.1)):
            found = await self.run(script)
            if found == wanted:
                return
            await asyncio.sleep(0.1)
        pytest.fail(f"{script} gives {found!r}")

    async def press(self, key: str) -> None:
        await asyncio.to_thread(lambda: self.driver.switch_to.active_element.send_keys(key))

    async def tab_to(self, selector: str) -> None:
        """Press Tab until an element has the focus."""
        for _ in range(60):
            await self.press(Keys.TAB)
            if await self.run(f"return document.activeElement.matches(`{selector}`)"):
                return
        pytest.fail(f"the keyboard does not reach {selector}")

    async def looks_like(self, size: tuple[int, int], scheme: str) -> None:
        width, height = size
        command = self.driver.execute_cdp_cmd
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        feature = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
        await asyncio.to_thread(command, "Emulation.setDeviceMetricsOverride", metrics)
        await asyncio.to_thread(command, "Emulation.setEmulatedMedia", feature)

    async def complaints(self) -> list[str]:
        """Return what the browser complained of, but for servers that a test ends."""
        logged = await asyncio.to_thread(self.driver.get_log, "browser")
        usual = ("live.jpg", "net::ERR_")
        said = [line["message"] for line in logged]
        return [each for each in said if not any(part in each for part in usual)]


@pytest.fixture(scope="module")
def chromium() -> Iterator[webdriver.Chrome]:
    options = webdriver.ChromeOptions()
    options.binary_location = str(CHROMIUM)
    options.add_argument("--headless=new")
    options.add_argument("--disable-gpu")
    if os.geteuid() == 0:
        options.add_argument("--no-sandbox")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options, webdriver.ChromeService(DRIVER))
    yield driver
    driver.quit()


@pytest.fixture
async def world(broker: Broker, tmp_path: Path) -> AsyncIterator[World]:
    page = Page(tmp_path, {"port": broker.port}, feedback=True)
    async with around(broker, page) as one:
        with served(page):
            yield one


@pytest.fixture
async def browser(world: World, chromium: webdriver.Chrome) -> AsyncIterator[Browser]:
    one = Browser(chromium)
    await one.looks_like(DESK, "light")
    await world.all_well()
    await one.open(world.page)
    await one.until("#summary", lambda said: "Watching 2 cameras" in said)
    yield one
    assert await one.complaints() == []
    await asyncio.to_thread(chromium.get, "about:blank")


async def test_an_alert_appears_without_a_reload_and_is_said_aloud(
    world: World, browser: Browser
) -> None:
    said = await world.alert()
    await world.say(topics.STATE, "ON", camera=CAMERA, label="small_gun")

    card = await browser.until("#alerts .alert")
    assert "small_gun at front_door" in card
    assert "0.97" in card
    assert "0.62" in card
    assert "2 of 3 looks within 2.0 s: 2 confirmed, 0 rejected, 1 uncertain" in card
    spoken = "return document.getElementById('announcements').textContent"
    await browser.comes_to(spoken, "Alert: small_gun at front_door, score 0.97.")
    await browser.until("#summary", lambda text: "Alert: small_gun at front_door" in text)
    await browser.comes_to("return document.title.startsWith('Alert: small_gun')", True)
    assert await browser.run("return window.openedOnce")
    shown = "return document.querySelector('.alert .thumb img').src"
    assert (await browser.run(shown)).endswith(f"/pictures/{said.snapshot_id}.jpg")


async def test_alerts_that_were_there_before_are_not_said_aloud(
    world: World, browser: Browser
) -> None:
    await world.alert()
    await browser.until("#alerts .alert")
    await browser.open(world.page)
    await browser.until("#alerts .alert")

    assert await browser.run("return document.getElementById('announcements').textContent") == ""


async def test_feedback_by_keyboard_arrives_as_a_message(world: World, browser: Browser) -> None:
    said = await world.alert()
    await browser.until("#alerts .alert")

    await browser.tab_to("[data-truth=false_alarm]")
    ring = await browser.run("return getComputedStyle(document.activeElement).outlineStyle")
    await browser.press(Keys.ENTER)

    async with asyncio.timeout(WITHIN_S):
        told = (await world.feedback.batch(1))[0].message
    assert (told.id, told.truth) == (said.id, "false_alarm")
    assert ring == "solid"
    await browser.until("#alerts .answer", lambda text: text == "Noted: a false alarm.")
    pressed = "return document.querySelector('[data-truth=false_alarm]').ariaPressed"
    await browser.comes_to(pressed, "true")
    # A message that comes meanwhile takes the focus from nobody.
    await world.alert(1)
    await browser.until("#alerts .alert:nth-child(2)")
    assert await browser.run("return document.activeElement.dataset.truth") == "false_alarm"
    gone = Forgotten(forgotten=1, at=STARTED.replace(year=2027), request="", id=alert(1).id)
    await world.say(topics.CONFIG, gone.model_dump(mode="json"), camera=CAMERA, key="forget")
    await browser.until("#alerts .alert:nth-child(2)", lambda text: not text)
    assert await browser.run("return document.activeElement.dataset.truth") == "false_alarm"


async def test_the_keyboard_skips_to_the_alerts_and_opens_and_closes_a_picture(
    world: World, browser: Browser
) -> None:
    await world.alert()
    await browser.until("#alerts .alert")

    await browser.press(Keys.TAB)
    assert await browser.run("return document.activeElement.className") == "skip"
    await browser.press(Keys.ENTER)
    await browser.tab_to(".thumb")
    await browser.press(Keys.ENTER)
    assert await browser.run("return document.getElementById('large').open")
    await browser.press(Keys.ESCAPE)
    assert not await browser.run("return document.getElementById('large').open")
    assert await browser.run("return document.activeElement.className") == "thumb"


async def test_a_broker_outage_is_shown_and_recovers(
    broker: Broker, world: World, browser: Browser
) -> None:
    await asyncio.to_thread(broker.kill)
    await browser.until("#summary", lambda said: "No broker: what you see is old." in said)
    await browser.until("#cameras", lambda said: "not watching: the broker is away" in said)
    await browser.until("#services .service", lambda said: "offline" in said)

    await asyncio.to_thread(broker.start)
    await world.all_well()
    await browser.until("#summary", lambda said: "Watching 2 cameras" in said)
    await browser.until("#blind", lambda said: "the page had no broker" in said)
    assert await browser.run("return window.openedOnce")


async def test_a_page_whose_server_is_away_says_so_and_recovers(
    world: World, browser: Browser
) -> None:
    colour = "return getComputedStyle(document.querySelector('.watched')).color"
    calm = await browser.run(colour)
    world.page.kill()
    await browser.until("#summary", lambda said: "No connection to this page's server" in said)
    assert await browser.run(colour) != calm, "it still looks like watching"

    await asyncio.to_thread(world.page.start)
    await world.all_well()
    await browser.until("#summary", lambda said: "Watching 2 cameras" in said)
    assert await browser.run("return window.openedOnce")


async def test_text_from_messages_is_text(world: World, browser: Browser) -> None:
    said = alert(detector={"model": RUBBISH, "version": "1", "label": RUBBISH, "score": 0.5})
    ref = frame(0)
    await world.say(topics.ALERTS, said, camera=CAMERA, label=said.label)
    await world.say(topics.BLIND, blind(why=RUBBISH), camera=CAMERA)
    await world.say(topics.VERDICTS, verdict(ref, label=RUBBISH, reason=RUBBISH), camera=CAMERA)

    await browser.until("#looks .row", lambda text: RUBBISH in text)
    await browser.until("#blind .row", lambda text: RUBBISH in text)
    assert RUBBISH in await browser.text("#alerts .alert")
    assert await browser.run("return document.querySelectorAll('script').length") == 1
    assert await browser.run("return window.hacked ?? null") is None


async def test_nothing_that_reached_the_page_can_write_html(browser: Browser) -> None:
    """Trusted Types: a mistake of ours would throw, not run."""
    script = "try { document.body.innerHTML = '<b>x</b>'; return 'written' } catch { return 'no' }"
    assert await browser.run(script) == "no"
    await browser.complaints()


async def test_the_live_picture_shows_with_the_boxes_of_its_looks(
    world: World, browser: Browser
) -> None:
    name = await world.show(0)
    ref = frame(0, width=640, height=360)
    boxed: dict[str, Any] = {"box": {"x1": 160, "y1": 90, "x2": 320, "y2": 180}}
    facts = {"id": name, "width": 640, "height": 360, "captured_at": ref.captured_at}
    await world.say(topics.VERDICTS, verdict(ref, frame=facts, **boxed), camera=CAMERA)

    await browser.until(f"[data-name={CAMERA}] .tag", lambda text: text == "small_gun 0.97")
    style = "const s = document.querySelector('.box').style; return [s.left, s.width]"
    await browser.comes_to(style, ["25%", "25%"])
    await browser.comes_to("return document.querySelector('.picture img').naturalWidth", 640)


async def test_without_a_frame_store_the_last_alerts_picture_shows(
    world: World, browser: Browser
) -> None:
    await world.say(topics.FRAMES, frame(0), camera=CAMERA)
    await world.alert()

    def is_said(caption: str) -> bool:
        return "The last alert's picture." in caption and "cannot be read from here" in caption

    await browser.until(f"[data-name={CAMERA}] .caption", is_said)


async def test_everything_comes_from_this_server(browser: Browser) -> None:
    script = "return performance.getEntriesByType('resource').map((entry) => entry.name)"
    loaded = await browser.run(script)
    origin = await browser.run("return location.origin")
    assert loaded
    assert [name for name in loaded if not name.startswith((f"{origin}/", f"blob:{origin}/"))] == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [PHONE, DESK, (320, 568)], ids=["phone", "desk", "small"])
async def test_it_fits_and_can_be_read(
    world: World, browser: Browser, size: tuple[int, int], scheme: str
) -> None:
    await browser.looks_like(size, scheme)
    await world.alert()
    await world.alert(1, status="unverified", label="unverified", classifier=None, late=True)
    await world.say(topics.STATE, "ON", camera=CAMERA, label="small_gun")
    await world.say(topics.STATUS, "offline", service="detector")
    await world.say(topics.CONFIG, False, camera=CAMERAS[1], key="armed")
    ref = frame(0)
    for number, outcome in enumerate(("confirmed", "rejected", "uncertain")):
        await world.say(topics.VERDICTS, verdict(ref, number, outcome=outcome), camera=CAMERA)
    await browser.until("#looks .row:nth-child(3)")
    await browser.until("#summary", lambda text: "the detector is offline" in text)
    await browser.until("#alerts .alert:nth-child(2)")

    overflow = "return document.documentElement.scrollWidth - document.documentElement.clientWidth"
    assert await browser.run(overflow) == 0
    assert await browser.run(CONTRAST) == []
    small = """return [...document.querySelectorAll('button')].filter((b) => b.checkVisibility())
        .map((b) => b.getBoundingClientRect().height).filter((h) => h < 32)"""
    assert await browser.run(small) == []
